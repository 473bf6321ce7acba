// Runs statements and writes what they give: rows, counts, times, errors.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "ballista/client/flight_sql_client.h"
#include "ballista/client/shell/error_text.h"
#include "ballista/client/shell/output.h"
#include "ballista/client/shell/result_writer.h"
#include "ballista/trace/exporter.h"

namespace ballista::shell {

enum class Outcome {
  kDone,
  kFailed,        // said so on standard error
  kInterrupted,   // by Ctrl-C
  kOutputClosed,  // nobody reads the output any more
};

struct RunnerOptions {
  Format format = Format::kTable;
  bool timing = false;
  bool progress = true;
  int64_t max_rows = 1000;
  // Of the statements' spans; null: none are made.
  std::shared_ptr<trace::Exporter> exporter;
  std::string traceparent;  // the environment's
};

// Not thread-safe. The client outlives it.
class StatementRunner {
 public:
  StatementRunner(client::FlightSqlClient* client, const RunnerOptions& options,
                  std::unique_ptr<Output> output);

  // One statement.
  Outcome Run(const StatementSource& source);

  // The statements of a script, up to the first that is not done. `file` for the
  // messages.
  Outcome RunScript(std::string_view script, std::string_view file);

  // The same of a file; "-" is standard input. An error where it cannot be read.
  arrow::Result<Outcome> RunFile(const std::string& path);

  // Prints rows that the shell itself has.
  arrow::Status Print(const arrow::RecordBatch& batch);

  RunnerOptions& options() { return options_; }
  // Closes the old one.
  arrow::Status SetOutput(std::unique_ptr<Output> output);
  arrow::Status Close() { return output_->Close(); }

 private:
  struct Progress;
  arrow::Status Stream(client::Query* query, const StatementSource& source,
                       Progress* progress);
  std::unique_ptr<ResultWriter> MakeWriter(const StatementSource& source);
  arrow::Status WriteFooter(const Progress& progress);

  client::FlightSqlClient* const client_;
  RunnerOptions options_;
  std::unique_ptr<Output> output_;
};

}  // namespace ballista::shell
