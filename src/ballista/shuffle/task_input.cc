#include "ballista/shuffle/task_input.h"

#include <arrow/flight/client.h>
#include <arrow/util/key_value_metadata.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/base/version.h"
#include "ballista/control.pb.h"
#include "ballista/flight/receive_pool.h"
#include "ballista/flight/status_transport.h"
#include "ballista/shuffle/batch_slice.h"
#include "ballista/shuffle/data_service.h"
#include "ballista/shuffle/fetch_queue.h"
#include "ballista/shuffle/output_reader.h"

namespace ballista::shuffle {
namespace {

using std::chrono::milliseconds;

// What a producer's batches measure; taken from the budget before their size is known.
constexpr int64_t kExpectedBatchBytes = 1 << 20;
// An input below it is not worth a second consumer.
constexpr int64_t kBytesPerConsumer = 4 << 20;

// Outputs that one executor holds, read by one call.
struct Part {
  job::ExecutorAddress executor;
  std::vector<job::TaskOutputRef> outputs;
  std::unique_ptr<OutputReader> local;  // where it is this process; then nothing is sent
};

// A FetchFailed names the executor as this task knows it.
arrow::Status WithExecutor(const arrow::Status& status, const std::string& executor_id) {
  const auto* detail = GetErrorDetail(status);
  if (detail == nullptr || !detail->has_fetch_failed()) return status;
  FetchFailed what = detail->fetch_failed();
  what.set_executor_id(executor_id);
  return FetchFailedStatus(status.message(), what);
}

// One input's streams. Shared by its threads and the source, so that a thread that is
// stuck in a connection attempt outlives the source harmlessly.
class Fetcher {
 public:
  // Of `input` only the ranges are looked at.
  Fetcher(const FetchContext& context, std::string job_id, job::TaskInput input)
      : context_(context),
        job_id_(std::move(job_id)),
        input_(std::move(input)),
        queue_(context.budget, context.stall_timeout) {}

  FetchQueue& queue() { return queue_; }
  int64_t fetched_bytes() const { return fetched_bytes_; }
  int64_t local_bytes() const { return local_bytes_; }

  // Of a range of keys how many rows there are is known where they are.
  bool IsKeyRange() const { return input_.has_lower_key() || input_.has_upper_key(); }
  std::vector<control::OutputRange> Ranges(const Part& part) const;
  // A batch of what this process holds; counted.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> NextLocal(OutputReader* reader);

  // Starts `threads` threads that work through the parts.
  static void Start(const std::shared_ptr<Fetcher>& self, std::vector<Part> parts,
                    int threads);

 private:
  arrow::Status ReadPart(Part* part);
  arrow::Status ReadLocal(OutputReader* reader);
  // What was given of a part, and how many rows there are; of a range of keys the peer
  // says how many.
  struct Progress {
    int64_t rows = 0;
    int64_t bytes = 0;
    int64_t expected = 0;
  };
  arrow::Status ReadRemote(const Part& part, Progress* progress);
  arrow::Status ReadAndReport(const Part& part);
  // Reads on to the end of the part. `*stalled`: it was given up because nothing came.
  arrow::Status ReadOnce(const Part& part, Progress* progress, bool* stalled);
  arrow::Result<int64_t> AnnouncedRows(const Part& part,
                                       const arrow::Schema& schema) const;
  arrow::Status Drain(FetchQueue::Stream* stream, Progress* progress);
  arrow::Status Failed(const Part& part, int64_t rows, const std::string& why) const;
  milliseconds Backoff(int attempt) const;

  const FetchContext context_;
  const std::string job_id_;
  const job::TaskInput input_;
  FetchQueue queue_;
  std::vector<Part> parts_;
  std::atomic<size_t> next_part_{0};
  std::atomic<int64_t> fetched_bytes_{0};
  std::atomic<int64_t> local_bytes_{0};
};

std::vector<control::OutputRange> Fetcher::Ranges(const Part& part) const {
  std::vector<control::OutputRange> ranges;
  for (const auto& output : part.outputs) {
    auto& range = ranges.emplace_back();
    range.set_stage_id(output.stage_id());
    range.set_task_index(output.task_index());
    range.set_attempt(output.attempt());
    range.set_first_partition(input_.first_partition());
    range.set_last_partition(input_.last_partition());
    if (input_.has_lower_key()) range.set_lower_key(input_.lower_key());
    if (input_.has_upper_key()) range.set_upper_key(input_.upper_key());
  }
  return ranges;
}

void Fetcher::Start(const std::shared_ptr<Fetcher>& self, std::vector<Part> parts,
                    int threads) {
  self->parts_ = std::move(parts);
  self->queue_.AddProducers(threads);
  for (int i = 0; i < threads; ++i) {
    std::thread([self] {
      while (!self->queue_.ended()) {
        const size_t index = self->next_part_.fetch_add(1);
        if (index >= self->parts_.size()) break;
        const auto status = self->ReadPart(&self->parts_[index]);
        if (!status.ok()) self->queue_.Fail(status);
      }
      self->queue_.RemoveProducer();
    }).detach();
  }
}

arrow::Status Fetcher::ReadPart(Part* part) {
  if (part->local != nullptr) return ReadLocal(part->local.get());
  if (context_.on_fetched) return ReadAndReport(*part);
  Progress progress;
  return ReadRemote(*part, &progress);
}

arrow::Status Fetcher::ReadAndReport(const Part& part) {
  FetchReport report;
  report.executor_id = part.executor.executor_id();
  report.address = flight::FormatAddress(part.executor.host(), part.executor.port());
  report.stage_id = part.outputs.front().stage_id();
  report.begin = std::chrono::system_clock::now();
  Progress progress;
  report.status = ReadRemote(part, &progress);
  report.end = std::chrono::system_clock::now();
  report.rows = progress.rows;
  report.bytes = progress.bytes;
  context_.on_fetched(report);
  return report.status;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> Fetcher::NextLocal(
    OutputReader* reader) {
  auto batch = reader->Next();
  if (!batch.ok()) return WithExecutor(batch.status(), context_.executor_id);
  if (*batch != nullptr) local_bytes_ += static_cast<int64_t>(BatchBytes(**batch));
  return batch;
}

arrow::Status Fetcher::ReadLocal(OutputReader* reader) {
  ARROW_RETURN_NOT_OK(queue_.SetSchema(reader->schema()));
  while (!queue_.ended()) {
    queue_.WaitForRoom(kExpectedBatchBytes);
    auto batch = NextLocal(reader);
    if (!batch.ok() || *batch == nullptr) {
      context_.budget->Release(kExpectedBatchBytes);
      return batch.status();
    }
    const auto bytes = static_cast<int64_t>(BatchBytes(**batch));
    queue_.Push(std::move(*batch), bytes, kExpectedBatchBytes);
  }
  return arrow::Status::OK();
}

arrow::Status Fetcher::Failed(const Part& part, int64_t rows,
                              const std::string& why) const {
  // The output in which the stream stopped.
  size_t index = 0;
  while (index + 1 < part.outputs.size() &&
         rows >= static_cast<int64_t>(part.outputs[index].rows())) {
    rows -= static_cast<int64_t>(part.outputs[index].rows());
    ++index;
  }
  const auto& output = part.outputs[index];
  FetchFailed what;
  what.set_job_id(job_id_);
  what.set_stage_id(output.stage_id());
  what.set_task_index(output.task_index());
  what.set_attempt(output.attempt());
  what.set_executor_id(part.executor.executor_id());
  return FetchFailedStatus(
      fmt::format("the output of stage {} task {} attempt {} could not be fetched from "
                  "executor {} at {}: {}",
                  output.stage_id(), output.task_index(), output.attempt(),
                  part.executor.executor_id(),
                  flight::FormatAddress(part.executor.host(), part.executor.port()), why),
      what);
}

milliseconds Fetcher::Backoff(int attempt) const {
  thread_local std::minstd_rand random{std::random_device{}()};
  const double jitter = std::uniform_real_distribution<>(0.5, 1.5)(random);
  const auto base = context_.backoff * (1 << std::min(attempt - 1, 5));
  return milliseconds(static_cast<int64_t>(static_cast<double>(base.count()) * jitter));
}

arrow::Status Fetcher::ReadRemote(const Part& part, Progress* progress) {
  const int64_t& rows = progress->rows;
  const int64_t& expected = progress->expected;
  for (const auto& output : part.outputs) {
    progress->expected += static_cast<int64_t>(output.rows());
  }
  auto last_progress = std::chrono::steady_clock::now();
  int stalls = 0;
  for (int attempt = 1;; ++attempt) {
    const int64_t before = rows;
    bool stalled = false;
    const auto status = ReadOnce(part, progress, &stalled);
    if (queue_.ended()) return arrow::Status::OK();
    if (status.ok()) {
      if (rows == expected) return arrow::Status::OK();
      return Failed(part, rows,
                    fmt::format("{} rows came where {} were announced", rows, expected));
    }
    if (GetErrorDetail(status) != nullptr || status.IsOutOfMemory()) {
      return WithExecutor(status, part.executor.executor_id());
    }
    // A broken stream shows in several ways; whatever the peer said on purpose is typed.
    const bool transient = flight::IsTransient(status) || status.IsIOError();
    const auto now = std::chrono::steady_clock::now();
    if (rows > before) {
      attempt = 1;
      stalls = 0;
      last_progress = now;
    }
    if (stalled && ++stalls >= context_.max_stalls) attempt = context_.max_attempts;
    if (!transient || attempt >= context_.max_attempts ||
        now - last_progress > context_.attempts_limit) {
      return Failed(part, rows, status.ToStringWithoutContextLines());
    }
    LOG_WARN("shuffle", "fetching from executor {} again, after: {}",
             part.executor.executor_id(), status.message());
    if (!queue_.Sleep(Backoff(attempt))) return arrow::Status::OK();
  }
}

arrow::Result<int64_t> Fetcher::AnnouncedRows(const Part& part,
                                              const arrow::Schema& schema) const {
  const auto& metadata = schema.metadata();
  const auto text =
      metadata == nullptr ? arrow::Result<std::string>("") : metadata->Get(kRowsMetadata);
  int64_t rows = -1;
  if (text.ok()) {
    const auto parsed = std::from_chars(text->data(), text->data() + text->size(), rows);
    if (parsed.ec != std::errc()) rows = -1;
  }
  if (rows < 0) return Failed(part, 0, "it did not say how many rows come");
  return rows;
}

arrow::Status Fetcher::ReadOnce(const Part& part, Progress* progress, bool* stalled) {
  const auto& executor = part.executor;
  ARROW_ASSIGN_OR_RAISE(const auto client,
                        context_.clients->Get(executor.host(), executor.port()));
  control::FetchTicket ticket;
  ticket.set_wire_version(kWireVersion);
  ticket.set_job_id(job_id_);
  for (auto& range : Ranges(part)) *ticket.add_outputs() = std::move(range);

  arrow::flight::FlightCallOptions options;
  options.read_options.use_threads = false;
  options.read_options.memory_pool = flight::ReceivePool();
  // Values of a message may lie anywhere in it; readers may rely on their alignment.
  options.read_options.ensure_alignment =
      arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  FetchQueue::Stream stream(
      &queue_, Failed(part, progress->rows,
                      fmt::format("no answer in {} ms", context_.stall_timeout.count())));
  auto reader = client->DoGet(options, {ticket.SerializeAsString()});
  if (!reader.ok()) {
    context_.clients->Evict(executor.host(), executor.port(), client);
    return flight::FromFlightStatus(reader.status());
  }
  stream.Attach(std::move(reader).ValueUnsafe());
  ARROW_ASSIGN_OR_RAISE(const auto schema,
                        flight::FromFlightResult(stream.reader()->GetSchema()));
  if (IsKeyRange()) {
    ARROW_ASSIGN_OR_RAISE(progress->expected, AnnouncedRows(part, *schema));
  }
  ARROW_RETURN_NOT_OK(queue_.SetSchema(schema));
  auto status = Drain(&stream, progress);
  *stalled = stream.stalled();
  if (*stalled) {
    status = arrow::Status::IOError("nothing came for ", context_.stall_timeout.count(),
                                    " ms");
  }
  if (!status.ok() && GetErrorDetail(status) == nullptr) {
    context_.clients->Evict(executor.host(), executor.port(), client);
  }
  return status;
}

arrow::Status Fetcher::Drain(FetchQueue::Stream* stream, Progress* progress) {
  int64_t skip = progress->rows;  // given by an earlier attempt
  while (!queue_.ended()) {
    queue_.WaitForRoom(kExpectedBatchBytes);
    auto chunk = stream->Next();
    if (!chunk.ok() || chunk->data == nullptr) {
      context_.budget->Release(kExpectedBatchBytes);
      return flight::FromFlightStatus(chunk.status());
    }
    auto batch = std::move(chunk->data);
    const int64_t skipped = std::min(skip, batch->num_rows());
    skip -= skipped;
    if (skipped == batch->num_rows()) {
      context_.budget->Release(kExpectedBatchBytes);
      continue;
    }
    if (skipped > 0) batch = batch->Slice(skipped);
    progress->rows += batch->num_rows();
    const auto bytes = static_cast<int64_t>(BatchBytes(*batch));
    progress->bytes += bytes;
    fetched_bytes_ += bytes;
    queue_.Push(std::move(batch), bytes, kExpectedBatchBytes);
  }
  return arrow::Status::OK();
}

class FetchingSource : public TaskInputSource {
 public:
  FetchingSource(std::shared_ptr<Fetcher> fetcher, std::unique_ptr<OutputReader> local,
                 std::shared_ptr<arrow::Schema> fallback_schema, int64_t num_rows,
                 int max_concurrency)
      : fetcher_(std::move(fetcher)),
        local_(std::move(local)),
        fallback_schema_(std::move(fallback_schema)),
        num_rows_(num_rows),
        max_concurrency_(max_concurrency) {}

  ~FetchingSource() override {
    Cancel();
    // Threads end at once unless they are connecting to a peer that does not answer.
    fetcher_->queue().WaitForProducers(std::chrono::seconds(2));
  }

  std::shared_ptr<arrow::Schema> schema() const override {
    auto schema = fetcher_->queue().schema();
    return schema == nullptr ? fallback_schema_ : schema;
  }
  int64_t num_rows() const override { return num_rows_; }
  int max_concurrency() const override { return max_concurrency_; }
  int64_t fetched_bytes() const override { return fetcher_->fetched_bytes(); }
  int64_t local_bytes() const override { return fetcher_->local_bytes(); }
  void Cancel() override { fetcher_->queue().Cancel(); }

  // What has arrived goes first, to keep the peers sending; then what is here.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    auto& queue = fetcher_->queue();
    ARROW_ASSIGN_OR_RAISE(auto arrived, queue.Pop(FetchQueue::Wait::kNo));
    if (arrived != nullptr) return arrived;
    if (local_ != nullptr) {
      auto batch = fetcher_->NextLocal(local_.get());
      if (!batch.ok()) queue.Fail(batch.status());
      if (!batch.ok() || *batch != nullptr) return batch;
    }
    return queue.Pop(FetchQueue::Wait::kYes);
  }

 private:
  const std::shared_ptr<Fetcher> fetcher_;
  const std::unique_ptr<OutputReader> local_;
  const std::shared_ptr<arrow::Schema> fallback_schema_;
  const int64_t num_rows_;
  const int max_concurrency_;
};

arrow::Status CheckReferences(const job::TaskDefinition& task,
                              const job::TaskInput& input) {
  if (input.first_partition() > input.last_partition()) {
    return InternalStatus("a task's input ends before its first partition");
  }
  for (const auto& output : input.outputs()) {
    if (output.executor() >= static_cast<uint32_t>(task.executors_size())) {
      return InternalStatus(fmt::format("a task's input is at executor {} of {}",
                                        output.executor(), task.executors_size()));
    }
  }
  return arrow::Status::OK();
}

arrow::Status CheckLocalRows(const Part& part) {
  int64_t announced = 0;
  for (const auto& output : part.outputs) {
    announced += static_cast<int64_t>(output.rows());
  }
  if (part.local->num_rows() == announced) return arrow::Status::OK();
  return InternalStatus(
      fmt::format("a task's input has {} rows here where {} were "
                  "announced",
                  part.local->num_rows(), announced));
}

// The outputs that have to be read: those with rows; without any, and nothing else to
// tell the schema, one that is empty.
std::vector<job::TaskOutputRef> Needed(const job::TaskInput& input, bool need_schema) {
  std::vector<job::TaskOutputRef> needed;
  const bool estimated = input.has_lower_key() || input.has_upper_key();
  for (const auto& output : input.outputs()) {
    if (output.rows() > 0 || estimated) needed.push_back(output);
  }
  if (needed.empty() && need_schema && !input.outputs().empty()) {
    needed.push_back(input.outputs(0));
  }
  return needed;
}

// In order: a part for each run of outputs at one executor. Else one for each executor.
std::vector<Part> MakeParts(const job::TaskDefinition& task,
                            std::vector<job::TaskOutputRef> outputs, bool in_order) {
  if (!in_order) {
    std::stable_sort(outputs.begin(), outputs.end(), [](const auto& a, const auto& b) {
      return a.executor() < b.executor();
    });
  }
  std::vector<Part> parts;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (i == 0 || outputs[i].executor() != outputs[i - 1].executor()) {
      parts.emplace_back().executor =
          task.executors(static_cast<int>(outputs[i].executor()));
    }
    parts.back().outputs.push_back(outputs[i]);
  }
  return parts;
}

}  // namespace

arrow::Result<std::unique_ptr<TaskInputSource>> MakeTaskInput(
    const FetchContext& context, const job::TaskDefinition& task,
    const job::TaskInput& input, const TaskInputOptions& options) {
  ARROW_RETURN_NOT_OK(CheckReferences(task, input));
  auto outputs = Needed(input, options.fallback_schema == nullptr);
  int64_t num_rows = 0;
  int64_t num_bytes = 0;
  for (const auto& output : outputs) {
    num_rows += static_cast<int64_t>(output.rows());
    num_bytes += static_cast<int64_t>(output.bytes());
  }
  job::TaskInput ranges = input;
  ranges.clear_outputs();
  auto fetcher =
      std::make_shared<Fetcher>(context, task.id().job_id(), std::move(ranges));
  std::unique_ptr<OutputReader> local;
  std::vector<Part> streamed;
  for (auto& part : MakeParts(task, std::move(outputs), options.in_order)) {
    if (part.executor.executor_id() == context.executor_id) {
      auto reader = context.store->Read(task.id().job_id(), fetcher->Ranges(part));
      if (!reader.ok()) return WithExecutor(reader.status(), context.executor_id);
      part.local = std::move(reader).ValueUnsafe();
      if (!fetcher->IsKeyRange()) ARROW_RETURN_NOT_OK(CheckLocalRows(part));
      ARROW_RETURN_NOT_OK(fetcher->queue().SetSchema(part.local->schema()));
      if (!options.in_order) {
        local = std::move(part.local);
        continue;
      }
    }
    streamed.push_back(std::move(part));
  }
  if (!options.in_order && !streamed.empty()) {
    // The tasks of a stage start together: each begins at another executor.
    std::rotate(streamed.begin(),
                streamed.begin() + task.id().task_index() % streamed.size(),
                streamed.end());
  }
  const int threads =
      options.in_order
          ? std::min<int>(1, static_cast<int>(streamed.size()))
          : std::min<int>(context.max_streams, static_cast<int>(streamed.size()));
  Fetcher::Start(fetcher, std::move(streamed), threads);
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int consumers = options.in_order ? 1
                                         : static_cast<int>(std::clamp<int64_t>(
                                               num_bytes / kBytesPerConsumer, 1, cores));
  return std::make_unique<FetchingSource>(std::move(fetcher), std::move(local),
                                          options.fallback_schema, num_rows, consumers);
}

}  // namespace ballista::shuffle
