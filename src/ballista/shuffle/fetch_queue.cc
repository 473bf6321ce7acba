#include "ballista/shuffle/fetch_queue.h"

#include <arrow/type.h>

#include <utility>

#include "ballista/base/status.h"
#include "ballista/shuffle/batch_slice.h"

namespace ballista::shuffle {
namespace {

constexpr auto kStallCheck = std::chrono::seconds(1);

}  // namespace

FetchQueue::Stream::Stream(FetchQueue* queue, arrow::Status no_answer)
    : queue_(queue), no_answer_(std::move(no_answer)) {
  std::lock_guard lock(queue_->mutex_);
  queue_->streams_.insert(this);
}

FetchQueue::Stream::~Stream() {
  std::lock_guard lock(queue_->mutex_);
  queue_->streams_.erase(this);
}

void FetchQueue::Stream::Attach(
    std::unique_ptr<arrow::flight::FlightStreamReader> reader) {
  std::lock_guard lock(queue_->mutex_);
  reader_ = std::move(reader);
  waiting_ = false;
  if (queue_->ended_) reader_->Cancel();
}

arrow::Result<arrow::flight::FlightStreamChunk> FetchQueue::Stream::Next() {
  {
    std::lock_guard lock(queue_->mutex_);
    waiting_ = true;
    since_ = Clock::now();
  }
  auto chunk = reader_->Next();
  std::lock_guard lock(queue_->mutex_);
  waiting_ = false;
  return chunk;
}

FetchQueue::~FetchQueue() {
  for (const auto& entry : entries_) budget_->Release(entry.bytes);
}

void FetchQueue::AddProducers(int count) {
  std::lock_guard lock(mutex_);
  producers_ += count;
}

void FetchQueue::RemoveProducer() {
  {
    std::lock_guard lock(mutex_);
    --producers_;
  }
  changed_.notify_all();
}

arrow::Status FetchQueue::SetSchema(const std::shared_ptr<arrow::Schema>& schema) {
  {
    std::lock_guard lock(mutex_);
    if (schema_ == nullptr) {
      schema_ = schema;
    } else if (!SameTypes(*schema_, *schema)) {
      return InternalStatus("the outputs that one input reads differ in type: " +
                            schema_->ToString() + " and " + schema->ToString());
    }
  }
  changed_.notify_all();
  return arrow::Status::OK();
}

void FetchQueue::WaitForRoom(int64_t bytes) {
  budget_->Acquire(bytes, [this] { return ended_ || queued_ == 0; });
}

void FetchQueue::Push(std::shared_ptr<arrow::RecordBatch> batch, int64_t bytes,
                      int64_t reserved) {
  budget_->Adjust(bytes - reserved);
  {
    std::lock_guard lock(mutex_);
    if (!batch->schema()->Equals(*schema_, /*check_metadata=*/false)) {
      batch = arrow::RecordBatch::Make(schema_, batch->num_rows(), batch->columns());
    }
    entries_.push_back({std::move(batch), bytes});
    queued_ = static_cast<int64_t>(entries_.size());
  }
  changed_.notify_all();
}

void FetchQueue::FailLocked(const arrow::Status& status) {
  if (ended_) return;
  status_ = status;
  ended_ = true;
  for (auto* stream : streams_) {
    if (stream->reader_ != nullptr) stream->reader_->Cancel();
  }
}

void FetchQueue::Fail(const arrow::Status& status) {
  {
    std::lock_guard lock(mutex_);
    FailLocked(status);
  }
  changed_.notify_all();
  budget_->Notify();
}

void FetchQueue::Cancel() {
  Fail(CancelledStatus("the task's input was cancelled", Cancelled::UNKNOWN));
}

bool FetchQueue::Sleep(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return ended_.load(); });
  return !ended_;
}

void FetchQueue::EndStalledLocked() {
  const auto now = Clock::now();
  for (auto* stream : streams_) {
    if (!stream->waiting_ || now - stream->since_ < stall_timeout_) continue;
    stream->stalled_ = true;
    if (stream->reader_ == nullptr) {
      FailLocked(stream->no_answer_);
    } else {
      stream->reader_->Cancel();
    }
  }
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> FetchQueue::Pop(Wait wait) {
  Entry entry;
  {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return ended_ || !entries_.empty() || producers_ == 0; };
    while (wait == Wait::kYes && !changed_.wait_for(lock, kStallCheck, ready)) {
      EndStalledLocked();
    }
    if (ended_) return status_;
    if (entries_.empty()) return nullptr;
    entry = std::move(entries_.front());
    entries_.pop_front();
    queued_ = static_cast<int64_t>(entries_.size());
  }
  budget_->Release(entry.bytes);
  return std::move(entry.batch);
}

std::shared_ptr<arrow::Schema> FetchQueue::schema() {
  std::unique_lock lock(mutex_);
  const auto known = [this] { return ended_ || schema_ != nullptr || producers_ == 0; };
  while (!changed_.wait_for(lock, kStallCheck, known)) EndStalledLocked();
  return schema_;
}

void FetchQueue::WaitForProducers(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return producers_ == 0; });
}

}  // namespace ballista::shuffle
