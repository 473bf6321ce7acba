#include "ballista/engine/duckdb/interrupt.h"

namespace ballista::engine {

TaskInterrupt::Scope::Scope(TaskInterrupt* interrupt, TaskState* state,
                            const std::vector<shuffle::ExchangeSource*>& inputs,
                            duckdb::Connection* connection)
    : interrupt_(interrupt) {
  if (interrupt_ == nullptr) return;
  std::lock_guard lock(interrupt_->mutex_);
  interrupt_->state_ = state;
  interrupt_->inputs_ = inputs;
  interrupt_->connection_ = connection;
  if (interrupt_->cancelled_) interrupt_->Stop();
}

TaskInterrupt::Scope::~Scope() {
  if (interrupt_ == nullptr) return;
  std::lock_guard lock(interrupt_->mutex_);
  interrupt_->state_ = nullptr;
  interrupt_->inputs_.clear();
  interrupt_->connection_ = nullptr;
}

void TaskInterrupt::Cancel() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  if (state_ != nullptr) Stop();
}

void TaskInterrupt::Stop() {
  state_->cancelled = true;
  connection_->Interrupt();
  for (auto* input : inputs_) input->Cancel();
}

}  // namespace ballista::engine
