#include "ballista/scheduler/service/result_reader.h"

#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include <algorithm>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/flight/receive_pool.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight/timed_stream.h"

namespace ballista::scheduler {
namespace {

// Calls for a part without a row more; of one that the scheduler believes to be lost.
constexpr int kTries = 3;
constexpr int kTriesOfLost = 2;
// A part that was computed again so often is given up; the scheduler's own limit is less.
constexpr int kMaxLosses = 20;

class ResultReader : public arrow::RecordBatchReader {
 public:
  // Of the tasks from `first` on and before `end`.
  ResultReader(std::unique_ptr<ResultSource> source, uint32_t first, uint32_t end,
               flight::ClientPool* clients, std::chrono::milliseconds limit,
               std::function<void(bool)> done)
      : source_(std::move(source)),
        end_task_(end),
        clients_(clients),
        limit_(limit),
        done_(std::move(done)),
        next_task_(first) {}

  ~ResultReader() override {
    ClosePart();
    done_(at_end_);
  }

  // Opens the first part, which tells the schema.
  arrow::Status Start() {
    auto status = OpenNext();
    // Another scheduler has it, or nobody: whoever asks that one wants it to be there.
    if (status.IsKeyError()) done_ = [](bool) {};
    ARROW_RETURN_NOT_OK(status);
    if (part_ == nullptr) return InternalStatus("a result without any part");
    return arrow::Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    while (part_ != nullptr) {
      auto next = NextOfPart();
      if (!next.ok()) {
        ARROW_RETURN_NOT_OK(GoOnAfter(next.status()));
        continue;
      }
      if (*next == nullptr) {
        next_task_ = part_->task_index + 1;
        losses_ = 0;
        ARROW_RETURN_NOT_OK(OpenNext());
        continue;
      }
      if (!Begin()) {
        // It was computed again before a row of it was given: from there, then.
        if (++losses_ > kMaxLosses)
          return Failed(InternalStatus("it changes and changes"));
        ARROW_RETURN_NOT_OK(OpenNext());
        continue;
      }
      rows_ += (*next)->num_rows();
      tries_ = 0;
      *batch = std::move(*next);
      return arrow::Status::OK();
    }
    at_end_ = true;
    return arrow::Status::OK();
  }

 private:
  bool Begin() {
    if (rows_ == 0) return source_->Begin(*part_);
    source_->Touch(*part_);
    return true;
  }

  void ClosePart() {
    stream_.reset();
    inline_.reset();
  }

  // Opens the first part that was not read yet; none: at the end.
  arrow::Status OpenNext() {
    rows_ = 0;
    tries_ = 0;
    ARROW_RETURN_NOT_OK(Locate());
    if (part_ == nullptr) return arrow::Status::OK();
    const auto status = OpenPart();
    return status.ok() ? status : GoOnAfter(status);
  }

  arrow::Status Locate() {
    ClosePart();
    part_ = nullptr;
    if (next_task_ >= end_task_) return arrow::Status::OK();
    auto result = source_->From(next_task_);
    // What was found before can be read as long as it is there.
    dropped_ = result.status().IsKeyError() && result_ != nullptr;
    if (!dropped_) {
      ARROW_ASSIGN_OR_RAISE(result_, std::move(result));
    }
    const auto& parts = result_->parts;
    const auto part = std::find_if(parts.begin(), parts.end(), [this](const auto& one) {
      return one.task_index >= next_task_;
    });
    if (part != parts.end() && part->task_index < end_task_) part_ = &*part;
    return arrow::Status::OK();
  }

  arrow::Status OpenPart() {
    ClosePart();
    if (part_->inline_result == nullptr) {
      ARROW_RETURN_NOT_OK(OpenRemote());
    } else {
      // Owned: batches point into it, and outlive the part.
      auto buffer = arrow::Buffer::FromString(*part_->inline_result);
      auto options = arrow::ipc::IpcReadOptions::Defaults();
      options.memory_pool = flight::ReceivePool();
      ARROW_ASSIGN_OR_RAISE(
          inline_, arrow::ipc::RecordBatchStreamReader::Open(
                       std::make_shared<arrow::io::BufferReader>(buffer), options));
    }
    if (schema_ == nullptr) {
      schema_ = inline_ != nullptr ? inline_->schema() : stream_->schema();
    }
    return arrow::Status::OK();
  }

  arrow::Status OpenRemote() {
    control::FetchTicket ticket;
    ticket.set_wire_version(kWireVersion);
    ticket.set_job_id(result_->job_id);
    auto* range = ticket.add_outputs();
    range->set_stage_id(part_->stage_id);
    range->set_task_index(part_->task_index);
    range->set_attempt(part_->attempt);
    range->set_last_partition(part_->partitions);
    const auto& host = part_->executor.host();
    LOG_DEBUG("scheduler", "reading the result of job {} (task {}) from executor {}",
              result_->job_id, part_->task_index, part_->executor.executor_id());
    ARROW_ASSIGN_OR_RAISE(const auto client, clients_->Get(host, part_->executor.port()));
    auto stream = flight::TimedStream::Open(
        client, {ticket.SerializeAsString()}, limit_,
        // Without a row it is not worth the wait once it is computed elsewhere.
        [this] { return rows_ > 0 || source_->Has(*part_); });
    if (!stream.ok()) {
      clients_->Evict(host, part_->executor.port(), client);
      return stream.status();
    }
    stream_ = std::move(*stream);
    skip_ = rows_;
    return arrow::Status::OK();
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> NextOfPart() {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (inline_ != nullptr) {
      ARROW_RETURN_NOT_OK(inline_->ReadNext(&batch));
      return batch;
    }
    while (true) {
      ARROW_ASSIGN_OR_RAISE(batch, stream_->Next());
      if (batch == nullptr) return batch;
      // An output's rows have a fixed order: those that were given are passed over.
      const int64_t skipped = std::min(skip_, batch->num_rows());
      skip_ -= skipped;
      if (skipped == batch->num_rows()) continue;
      return skipped > 0 ? batch->Slice(skipped) : batch;
    }
  }

  // OK: the part, or the one in its place, is open again.
  arrow::Status GoOnAfter(arrow::Status failure) {
    while (true) {
      ClosePart();
      const int tries = source_->Has(*part_) ? kTries : kTriesOfLost;
      if (!flight::IsTransient(failure) || ++tries_ >= tries) {
        ARROW_RETURN_NOT_OK(GiveUp(failure));
        tries_ = 0;
        ARROW_RETURN_NOT_OK(Locate());
        if (part_ == nullptr) return arrow::Status::OK();
      } else {
        LOG_WARN("scheduler", "reading the result of job {} from executor {} again: {}",
                 result_->job_id, part_->executor.executor_id(), failure.message());
      }
      failure = OpenPart();
      if (failure.ok()) return failure;
    }
  }

  // OK: the part will be somewhere else. Else what the client is told: why the job has
  // ended meanwhile, which took the part away from its executor, or that the executor is
  // gone with a part of which the client has rows.
  arrow::Status GiveUp(const arrow::Status& failure) {
    ARROW_RETURN_NOT_OK(source_->WhyEnded());
    if (rows_ > 0 || dropped_ || part_->inline_result != nullptr ||
        ++losses_ > kMaxLosses) {
      return Failed(failure);
    }
    source_->Lose(*part_, failure.message());
    return source_->WhyEnded();
  }

  arrow::Status Failed(const arrow::Status& failure) const {
    const auto* detail = GetErrorDetail(failure);
    if (detail != nullptr && !detail->has_fetch_failed()) return failure;
    const auto& executor = part_->executor;
    return ExecutorLostStatus("the result of job " + result_->job_id +
                                  " could not be read to its end from the executor at " +
                                  executor.host() + ":" +
                                  std::to_string(executor.port()) +
                                  "; run the query again: " + failure.message(),
                              executor.executor_id());
  }

  const std::unique_ptr<ResultSource> source_;
  const uint32_t end_task_;
  flight::ClientPool* const clients_;
  const std::chrono::milliseconds limit_;
  std::function<void(bool)> done_;
  std::shared_ptr<const JobFinished> result_;
  bool at_end_ = false;               // there is nothing more to be given
  bool dropped_ = false;              // by its scheduler, which knows nothing more of it
  uint32_t next_task_;                // of the result stage; those before it were read
  const ResultPart* part_ = nullptr;  // of result_; null: at the end
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> inline_;
  std::unique_ptr<flight::TimedStream> stream_;
  int64_t rows_ = 0;  // of the part, that were given
  int64_t skip_ = 0;  // of these, what the stream at hand begins with
  int tries_ = 0;     // calls for the part since its last row
  int losses_ = 0;    // of the part, before it was read
};

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenResultReader(
    std::unique_ptr<ResultSource> source, flight::ClientPool* clients,
    std::chrono::milliseconds limit, std::function<void(bool)> done,
    std::optional<uint32_t> task) {
  auto reader = std::make_shared<ResultReader>(std::move(source), task.value_or(0),
                                               task ? *task + 1 : kWholeResult, clients,
                                               limit, std::move(done));
  ARROW_RETURN_NOT_OK(reader->Start());
  return reader;
}

}  // namespace ballista::scheduler
