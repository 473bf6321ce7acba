// Runs fragments of a plan. The one engine today is DuckDB (engine/duckdb); the interface
// knows only the plan IR and Arrow, so that another engine can take its place.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ballista/base/upload_reader.h"
#include "ballista/engine/engine_resources.h"
#include "ballista/job.pb.h"
#include "ballista/plan.pb.h"
#include "ballista/shuffle/exchange.h"

namespace ballista::engine {

// One task's work. The engine borrows everything for the duration of Run.
struct FragmentTask {
  const plan::Node* fragment = nullptr;
  // Of the job's session: TimeZone and the like.
  std::vector<plan::Setting> settings;
  // By ExchangeRead.input.
  std::vector<shuffle::ExchangeSource*> inputs;
  // By Scan.scan_index: what this task reads of each scan. A scan with no split here
  // gives no row.
  std::vector<job::ScanSplits> scans;
  job::Output output;
  // Names of the output columns, for a result; else empty (c0, c1, ...).
  std::vector<std::string> names;
  shuffle::OutputSink* sink = nullptr;
  // Unique among all attempts of all jobs, fit for a file name: job-stage-task-attempt.
  // Files that a Write makes carry it.
  std::string task_name;
  // Operator metrics are collected (EXPLAIN ANALYZE); costs a little.
  bool collect_metrics = false;
  // Rows of a batch that the task writes, and of a piece of its inputs that it takes at
  // once; 0: the engine's own choice.
  uint32_t batch_rows = 0;
};

class ExecutionEngine {
 public:
  virtual ~ExecutionEngine() = default;

  // A running fragment can be stopped from another thread through this handle; safe to
  // call at any time, also after Run has returned.
  class Interrupt {
   public:
    virtual ~Interrupt() = default;
    virtual void Cancel() = 0;
  };

  // Makes the handle for one Run.
  virtual std::shared_ptr<Interrupt> MakeInterrupt() = 0;

  // Runs `task` to its end on the engine's threads and the caller's. Thread-safe: several
  // tasks run at once. Errors: UserError (RUNTIME: conversion, overflow, ...),
  // ResourcesExhausted (memory), FetchFailed (from an input), Cancelled, Internal.
  // Whatever was written to the sink before an error is the caller's to drop.
  virtual arrow::Result<job::TaskMetrics> Run(
      const FragmentTask& task, const std::shared_ptr<Interrupt>& interrupt) = 0;

  // Of the whole engine; null where it has nothing to say. Lives as long as the engine.
  virtual EngineResources* resources() { return nullptr; }

  // Where the files of uploads come from; null: from nowhere. Also while tasks run.
  virtual void ReadUploadsFrom(std::shared_ptr<UploadReader> reader) { (void)reader; }

  // The statement that Run would run, as text for people (EXPLAIN).
  virtual arrow::Result<std::string> Describe(const plan::Node& fragment) = 0;
};

}  // namespace ballista::engine
