#include "ballista/flight/timed_stream.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "ballista/flight/receive_pool.h"
#include "ballista/flight/status_transport.h"

namespace ballista::flight {
namespace {

// Batches that wait for the consumer: enough to overlap the wire with its work.
constexpr size_t kReadAhead = 2;
// For a cancelled call to end, before it is left to itself.
constexpr auto kEnd = std::chrono::seconds(2);
// How often it is asked whether the stream is still wanted.
constexpr auto kAsk = std::chrono::milliseconds(200);

arrow::Status NothingCame(std::chrono::milliseconds limit) {
  return arrow::flight::MakeFlightError(
      arrow::flight::FlightStatusCode::TimedOut,
      "nothing came for " + std::to_string(limit.count()) + " ms");
}

}  // namespace

// Shared by the stream and its thread.
struct TimedStream::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_ptr<arrow::flight::FlightStreamReader> reader;
  std::shared_ptr<arrow::Schema> schema;
  std::deque<std::shared_ptr<arrow::RecordBatch>> batches;
  arrow::Status status;
  bool ended = false;    // by the thread
  bool stopped = false;  // by the consumer

  void Run(arrow::flight::FlightClient* client, const arrow::flight::Ticket& ticket) {
    auto status = Read(client, ticket);
    const std::lock_guard lock(mutex);
    this->status = std::move(status);
    ended = true;
    changed.notify_all();
  }

  arrow::Status Read(arrow::flight::FlightClient* client,
                     const arrow::flight::Ticket& ticket) {
    arrow::flight::FlightCallOptions options;
    options.read_options.memory_pool = ReceivePool();
    ARROW_ASSIGN_OR_RAISE(auto opened, FromFlightResult(client->DoGet(options, ticket)));
    ARROW_ASSIGN_OR_RAISE(auto shape, FromFlightResult(opened->GetSchema()));
    std::unique_lock lock(mutex);
    reader = std::move(opened);
    schema = std::move(shape);
    changed.notify_all();
    while (true) {
      changed.wait(lock, [this] { return stopped || batches.size() < kReadAhead; });
      if (stopped) {
        reader->Cancel();
        return arrow::Status::OK();
      }
      lock.unlock();
      auto chunk = FromFlightResult(reader->Next());
      lock.lock();
      ARROW_RETURN_NOT_OK(chunk.status());
      if (chunk->data == nullptr) return arrow::Status::OK();
      batches.push_back(std::move(chunk->data));
      changed.notify_all();
    }
  }
};

TimedStream::TimedStream(std::shared_ptr<State> state, std::chrono::milliseconds limit,
                         std::function<bool()> wanted)
    : state_(std::move(state)), limit_(limit), wanted_(std::move(wanted)) {}

template <typename Ready>
arrow::Status TimedStream::Wait(std::unique_lock<std::mutex>* lock, Ready&& ready) {
  const auto deadline = std::chrono::steady_clock::now() + limit_;
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    const auto until = wanted_ ? std::min(deadline, now + kAsk) : deadline;
    if (state_->changed.wait_until(*lock, until, ready)) return arrow::Status::OK();
    if (until == deadline) return NothingCame(limit_);
    lock->unlock();
    const bool wanted = wanted_();
    lock->lock();
    if (!wanted) return arrow::Status::Cancelled("what was waited for is not wanted");
  }
}

arrow::Result<std::unique_ptr<TimedStream>> TimedStream::Open(
    std::shared_ptr<arrow::flight::FlightClient> client, arrow::flight::Ticket ticket,
    std::chrono::milliseconds limit, std::function<bool()> wanted) {
  auto state = std::make_shared<State>();
  std::unique_ptr<TimedStream> stream(new TimedStream(state, limit, std::move(wanted)));
  std::thread([state, client = std::move(client), ticket = std::move(ticket)] {
    state->Run(client.get(), ticket);
  }).detach();
  std::unique_lock lock(state->mutex);
  ARROW_RETURN_NOT_OK(
      stream->Wait(&lock, [&] { return state->ended || state->schema != nullptr; }));
  if (state->schema == nullptr) return state->status;
  stream->schema_ = state->schema;
  return stream;
}

TimedStream::~TimedStream() {
  std::unique_lock lock(state_->mutex);
  state_->stopped = true;
  if (state_->reader == nullptr) return;  // not answered, or ended
  if (!state_->ended) state_->reader->Cancel();
  state_->changed.notify_all();
  state_->changed.wait_for(lock, kEnd, [this] { return state_->ended; });
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> TimedStream::Next() {
  std::unique_lock lock(state_->mutex);
  ARROW_RETURN_NOT_OK(
      Wait(&lock, [this] { return state_->ended || !state_->batches.empty(); }));
  if (state_->batches.empty()) {
    ARROW_RETURN_NOT_OK(state_->status);
    return nullptr;
  }
  auto batch = std::move(state_->batches.front());
  state_->batches.pop_front();
  state_->changed.notify_all();
  return batch;
}

}  // namespace ballista::flight
