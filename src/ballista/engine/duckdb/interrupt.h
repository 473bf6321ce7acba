// The handle that stops one running task. Private to the engine. Thread-safe.
#pragma once

#include <mutex>
#include <vector>

#include "ballista/engine/duckdb/pch_internal.h"
#include "ballista/engine/duckdb/task_state.h"
#include "ballista/engine/execution_engine.h"

namespace ballista::engine {

class TaskInterrupt : public ExecutionEngine::Interrupt {
 public:
  // What Cancel reaches while the scope lives; it remembers a Cancel that came before.
  class Scope {
   public:
    Scope(TaskInterrupt* interrupt, TaskState* state,
          const std::vector<shuffle::ExchangeSource*>& inputs,
          duckdb::Connection* connection);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    TaskInterrupt* const interrupt_;
  };

  void Cancel() override;

 private:
  void Stop();

  std::mutex mutex_;
  bool cancelled_ = false;
  TaskState* state_ = nullptr;
  std::vector<shuffle::ExchangeSource*> inputs_;
  duckdb::Connection* connection_ = nullptr;
};

}  // namespace ballista::engine
