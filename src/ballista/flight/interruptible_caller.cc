#include "ballista/flight/interruptible_caller.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

#include "ballista/base/status.h"

namespace ballista::flight {

struct InterruptibleCaller::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<arrow::Result<std::string>()> call;  // to be made
  std::optional<arrow::Result<std::string>> answer;  // of the last one
  bool calling = false;
  bool interrupted = false;
  bool done = false;

  void Run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return call || done; });
      if (done) return;
      const auto next = std::exchange(call, {});
      calling = true;
      lock.unlock();
      auto got = next();
      lock.lock();
      calling = false;
      answer = std::move(got);
      changed.notify_all();
    }
  }
};

InterruptibleCaller::InterruptibleCaller(ClientPool* clients)
    : clients_(clients),
      state_(std::make_shared<State>()),
      thread_([state = state_] { state->Run(); }) {}

InterruptibleCaller::~InterruptibleCaller() {
  bool calling = false;
  {
    const std::lock_guard lock(state_->mutex);
    state_->interrupted = state_->done = true;
    calling = state_->calling;
  }
  state_->changed.notify_all();
  if (calling) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

void InterruptibleCaller::Interrupt() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->interrupted = true;
  }
  state_->changed.notify_all();
}

arrow::Result<std::string> InterruptibleCaller::CallRaw(
    const std::string& host, uint32_t port, std::string_view action, std::string body,
    std::chrono::milliseconds timeout) {
  ARROW_ASSIGN_OR_RAISE(auto client, clients_->Get(host, port));
  arrow::Result<std::string> answer = arrow::Status::Cancelled("interrupted");
  {
    std::unique_lock lock(state_->mutex);
    if (state_->interrupted) return answer;
    state_->answer.reset();
    state_->call = [client, action = std::string(action), body = std::move(body),
                    timeout]() mutable {
      return flight::CallRaw(client.get(), action, std::move(body), timeout);
    };
    state_->changed.notify_all();
    state_->changed.wait(
        lock, [this] { return state_->answer.has_value() || state_->interrupted; });
    if (!state_->answer.has_value()) return answer;
    answer = *std::exchange(state_->answer, std::nullopt);
  }
  if (!answer.ok() && IsTransient(answer.status())) clients_->Evict(host, port, client);
  return answer;
}

}  // namespace ballista::flight
