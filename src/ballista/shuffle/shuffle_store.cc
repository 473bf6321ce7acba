#include "ballista/shuffle/shuffle_store.h"

#include <arrow/util/byte_size.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

#include "ballista/base/disk_space.h"
#include "ballista/base/ids.h"
#include "ballista/base/status.h"
#include "ballista/base/work_folder.h"
#include "ballista/shuffle/output_reader.h"
#include "ballista/shuffle/partition_hash.h"
#include "ballista/shuffle/stored_output.h"

namespace ballista::shuffle {
namespace {

constexpr size_t kRemovedJobsKept = 4096;

}  // namespace

arrow::Result<arrow::Compression::type> ParseCompression(const std::string& name) {
  if (name == "none") return arrow::Compression::UNCOMPRESSED;
  if (name == "lz4") return arrow::Compression::LZ4_FRAME;
  if (name == "zstd") return arrow::Compression::ZSTD;
  return arrow::Status::Invalid("'", name,
                                "' is no compression: it is none, lz4 or zstd");
}

class StoreWriter : public TaskOutputWriter {
 public:
  StoreWriter(ShuffleStore* store, std::shared_ptr<StoredOutput> output)
      : store_(store), output_(std::move(output)) {}

  ~StoreWriter() override { Abort(); }

  arrow::Status SetSchema(std::shared_ptr<arrow::Schema> schema) override {
    return output_->SetSchema(std::move(schema));
  }

  arrow::Status Write(PartitionedBatch batch) override {
    if (batch.batch->num_rows() == 0) return arrow::Status::OK();
    const int64_t bytes = arrow::util::TotalBufferSize(*batch.batch);
    ARROW_ASSIGN_OR_RAISE(const size_t index, output_->Append(std::move(batch)));
    return store_->Keep({output_, index, bytes});
  }

  arrow::Result<job::OutputStatistics> Commit() override { return output_->Commit(); }

  void Abort() override {
    if (output_->committed()) return;
    output_->Remove();
    store_->Forget(output_->id());
  }

  int64_t spilled_bytes() const override { return output_->disk_bytes(); }

 private:
  ShuffleStore* const store_;
  const std::shared_ptr<StoredOutput> output_;
};

ShuffleStore::ShuffleStore(StoreOptions options,
                           std::vector<std::unique_ptr<WorkFolder>> folders)
    : options_(std::move(options)),
      folders_(std::move(folders)),
      ledger_(std::make_shared<DiskLedger>(options_.disk_quota)),
      totals_(std::make_shared<StoreTotals>()),
      memory_limit_(options_.memory_limit) {}

ShuffleStore::~ShuffleStore() {
  for (const auto& job_id : Jobs()) RemoveJob(job_id);
}

arrow::Result<std::unique_ptr<ShuffleStore>> ShuffleStore::Open(StoreOptions options) {
  std::vector<std::unique_ptr<WorkFolder>> folders;
  for (const auto& root : options.work_dirs) {
    ARROW_ASSIGN_OR_RAISE(folders.emplace_back(), WorkFolder::Create(root));
  }
  if (folders.empty()) return InternalStatus("a shuffle store without a work_dir");
  return std::unique_ptr<ShuffleStore>(
      new ShuffleStore(std::move(options), std::move(folders)));
}

const std::string& ShuffleStore::PickFolder() const {
  if (folders_.size() == 1) return folders_[0]->path();
  std::vector<double> free;
  for (const auto& folder : folders_) {
    free.push_back(static_cast<double>(FreeDiskBytes(folder->path())));
  }
  // By chance, in proportion: all on the emptiest disk would leave the others idle.
  thread_local std::minstd_rand random{std::random_device{}()};
  if (std::all_of(free.begin(), free.end(), [](double one) { return one <= 0; })) {
    return folders_[0]->path();
  }
  std::discrete_distribution<size_t> pick(free.begin(), free.end());
  return folders_[pick(random)]->path();
}

arrow::Result<std::unique_ptr<TaskOutputWriter>> ShuffleStore::CreateOutput(
    const job::TaskId& id, const job::Output& output, int64_t job_disk_quota) {
  // Job ids become folder names.
  if (!IsPlainName(id.job_id())) {
    return arrow::Status::Invalid("'", id.job_id(), "' is no job id");
  }
  if (output.kind() == job::Output::HASH &&
      (output.partitions() == 0 || output.partitions() > kMaxPartitions)) {
    return arrow::Status::Invalid("an output has 1 to ", kMaxPartitions,
                                  " partitions, not ", output.partitions());
  }
  auto path = fmt::format("{}/{}/{}-{}-{}.data", PickFolder(), id.job_id(), id.stage_id(),
                          id.task_index(), id.attempt());
  std::unique_ptr<RunIndex> run;
  if (output.kind() == job::Output::RANGE) {
    ARROW_ASSIGN_OR_RAISE(auto encoder, SortKeyEncoder::Make({output.sort_keys().begin(),
                                                              output.sort_keys().end()}));
    run = std::make_unique<RunIndex>(std::move(encoder));
  }
  auto stored = std::make_shared<StoredOutput>(
      id, output, std::move(run), std::move(path), options_.compression, totals_,
      std::make_shared<DiskShare>(ledger_, id.job_id(), job_disk_quota));
  std::lock_guard lock(mutex_);
  if (removed_jobs_.count(id.job_id()) > 0) {
    return CancelledStatus("the job " + id.job_id() + " has ended", Cancelled::UNKNOWN);
  }
  const OutputKey key(id.stage_id(), id.task_index(), id.attempt());
  if (!jobs_[id.job_id()].emplace(key, stored).second) {
    return arrow::Status::AlreadyExists(
        fmt::format("stage {} task {} attempt {} of job {} has an output already",
                    id.stage_id(), id.task_index(), id.attempt(), id.job_id()));
  }
  return std::make_unique<StoreWriter>(this, std::move(stored));
}

bool ShuffleStore::NextToSpill(int64_t target_bytes, SpillEntry* entry) {
  std::lock_guard lock(mutex_);
  if (totals_->memory_bytes - spilling_bytes_ <= target_bytes) return false;
  if (spill_queue_.empty()) return false;
  *entry = std::move(spill_queue_.front());
  spill_queue_.pop_front();
  spilling_bytes_ += entry->bytes;
  return true;
}

arrow::Status ShuffleStore::Keep(SpillEntry entry) {
  const auto output = entry.output.lock();
  {
    std::lock_guard lock(mutex_);
    spill_queue_.push_back(std::move(entry));
    // Entries of outputs that are gone would pile up where nothing is ever spilled.
    while (spill_queue_.front().output.expired()) spill_queue_.pop_front();
  }
  return SpillDownTo(memory_limit_, output == nullptr ? "" : output->id().job_id());
}

void ShuffleStore::SetMemoryLimit(int64_t bytes) {
  memory_limit_ = bytes;
}

arrow::Status ShuffleStore::Evict(int64_t target_bytes) {
  return SpillDownTo(target_bytes, "");
}

arrow::Status ShuffleStore::SpillDownTo(int64_t target_bytes, const std::string& job_id) {
  SpillEntry entry;
  std::vector<SpillEntry> passed_over;
  arrow::Status status;
  while (status.ok() && NextToSpill(target_bytes, &entry)) {
    const auto output = entry.output.lock();
    if (output != nullptr) status = output->Spill(entry.index);
    std::lock_guard lock(mutex_);
    spilling_bytes_ -= entry.bytes;
    if (status.ok()) continue;
    if (output->over_job_quota() && output->id().job_id() != job_id) {
      status = arrow::Status::OK();
    }
    passed_over.push_back(std::move(entry));
  }
  std::lock_guard lock(mutex_);
  spill_queue_.insert(spill_queue_.begin(), std::make_move_iterator(passed_over.begin()),
                      std::make_move_iterator(passed_over.end()));
  return status;
}

void ShuffleStore::Forget(const job::TaskId& id) {
  std::shared_ptr<StoredOutput> forgotten;
  std::lock_guard lock(mutex_);
  const auto job = jobs_.find(id.job_id());
  if (job == jobs_.end()) return;
  const auto found =
      job->second.find(OutputKey(id.stage_id(), id.task_index(), id.attempt()));
  if (found == job->second.end()) return;
  forgotten = std::move(found->second);
  job->second.erase(found);
  if (job->second.empty()) jobs_.erase(job);
}

std::shared_ptr<StoredOutput> ShuffleStore::Find(
    const std::string& job_id, const control::OutputRange& range) const {
  std::lock_guard lock(mutex_);
  const auto job = jobs_.find(job_id);
  if (job == jobs_.end()) return nullptr;
  const auto found =
      job->second.find(OutputKey(range.stage_id(), range.task_index(), range.attempt()));
  return found == job->second.end() ? nullptr : found->second;
}

arrow::Status ShuffleStore::FetchFailure(const std::string& job_id,
                                         const control::OutputRange& range,
                                         const std::string& why) const {
  FetchFailed what;
  what.set_job_id(job_id);
  what.set_stage_id(range.stage_id());
  what.set_task_index(range.task_index());
  what.set_attempt(range.attempt());
  what.set_executor_id(options_.executor_id);
  return FetchFailedStatus(
      fmt::format("executor {} {} stage {} task {} attempt {} of job {}",
                  options_.executor_id, why, range.stage_id(), range.task_index(),
                  range.attempt(), job_id),
      what);
}

namespace {

// The rows of a run that lie between the range's keys.
arrow::Status BoundRows(const control::OutputRange& range, OutputReader::Range* found) {
  found->by_rows = true;
  found->last_row = found->output->num_rows();
  if (range.has_lower_key()) {
    ARROW_ASSIGN_OR_RAISE(found->first_row, found->output->FindRow(range.lower_key()));
  }
  if (range.has_upper_key()) {
    ARROW_ASSIGN_OR_RAISE(found->last_row, found->output->FindRow(range.upper_key()));
  }
  found->last_row = std::max(found->first_row, found->last_row);
  return arrow::Status::OK();
}

arrow::Status CheckRange(const control::OutputRange& range, const StoredOutput& output) {
  if (range.first_partition() > range.last_partition() ||
      range.last_partition() > output.partitions()) {
    return arrow::Status::Invalid(fmt::format(
        "partitions [{}, {}) were asked of an output that has {}",
        range.first_partition(), range.last_partition(), output.partitions()));
  }
  if (!range.has_lower_key() && !range.has_upper_key()) return arrow::Status::OK();
  if (!output.is_run()) {
    return arrow::Status::Invalid(
        "a range of keys was asked of an output that is not "
        "sorted");
  }
  if (std::max(range.lower_key().size(), range.upper_key().size()) > kMaxBoundBytes) {
    return arrow::Status::Invalid(
        fmt::format("a bound of a range of keys has at most {} bytes", kMaxBoundBytes));
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<std::unique_ptr<OutputReader>> ShuffleStore::Read(
    const std::string& job_id, const std::vector<control::OutputRange>& ranges) {
  std::vector<OutputReader::Range> found;
  for (const auto& range : ranges) {
    auto output = Find(job_id, range);
    if (output == nullptr || !output->committed()) {
      return FetchFailure(job_id, range, "has no output of");
    }
    ARROW_RETURN_NOT_OK(CheckRange(range, *output));
    auto& added = found.emplace_back();
    added.output = std::move(output);
    added.first_partition = range.first_partition();
    added.last_partition = range.last_partition();
    if (!range.has_lower_key() && !range.has_upper_key()) continue;
    const auto bounded = BoundRows(range, &added);
    if (!bounded.ok()) {
      return FetchFailure(job_id, range, "cannot read (" + bounded.message() + ")");
    }
  }
  return OutputReader::Make(std::move(found), options_.executor_id);
}

void ShuffleStore::RemoveJob(const std::string& job_id) {
  JobOutputs outputs;
  {
    std::lock_guard lock(mutex_);
    const auto job = jobs_.find(job_id);
    if (job != jobs_.end()) {
      outputs.swap(job->second);
      jobs_.erase(job);
    }
    if (removed_jobs_.insert(job_id).second) removed_order_.push_back(job_id);
    if (removed_order_.size() > kRemovedJobsKept) {
      removed_jobs_.erase(removed_order_.front());
      removed_order_.pop_front();
    }
  }
  for (const auto& [key, output] : outputs) output->Remove();
  for (const auto& folder : folders_) {
    ::rmdir(fmt::format("{}/{}", folder->path(), job_id).c_str());
  }
}

void ShuffleStore::RemoveOutput(const job::TaskId& id) {
  std::shared_ptr<StoredOutput> output;
  {
    std::lock_guard lock(mutex_);
    const auto job = jobs_.find(id.job_id());
    if (job == jobs_.end()) return;
    const auto found = job->second.find({id.stage_id(), id.task_index(), id.attempt()});
    if (found == job->second.end() || !found->second->committed()) return;
    output = std::move(found->second);
    job->second.erase(found);
    if (job->second.empty()) jobs_.erase(job);
  }
  output->Remove();
}

StoreUsage ShuffleStore::Usage() const {
  StoreUsage usage;
  usage.memory_bytes = totals_->memory_bytes;
  usage.disk_bytes = totals_->disk_bytes;
  std::lock_guard lock(mutex_);
  for (const auto& [job_id, outputs] : jobs_) {
    usage.outputs += static_cast<int64_t>(outputs.size());
  }
  return usage;
}

StoreUsage ShuffleStore::Usage(const std::string& job_id) const {
  std::lock_guard lock(mutex_);
  StoreUsage usage;
  const auto job = jobs_.find(job_id);
  if (job == jobs_.end()) return usage;
  for (const auto& [key, output] : job->second) {
    usage.memory_bytes += output->memory_bytes();
    usage.disk_bytes += output->disk_bytes();
    ++usage.outputs;
  }
  return usage;
}

std::vector<std::string> ShuffleStore::Jobs() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [job_id, outputs] : jobs_) ids.push_back(job_id);
  return ids;
}

}  // namespace ballista::shuffle
