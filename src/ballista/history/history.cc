#include "ballista/history/history.h"

#include <arrow/util/compression.h>

#include <algorithm>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/unix_time.h"
#include "ballista/base/version.h"
#include "ballista/history/slow_log.h"
#include "ballista/profile/complete.h"

namespace ballista::history {
namespace {

constexpr size_t kMaxWaiting = 1000;
constexpr size_t kShortText = 500;
// Of one profile; one with more has no tasks in it, which are most of it.
constexpr size_t kMaxProfile = size_t{8} << 20;
// What a state backend takes in one piece, compressed.
constexpr size_t kMaxStored = 900 << 10;

// One for each use: a codec is not said to be thread-safe. Null where there is none.
std::unique_ptr<arrow::util::Codec> MakeCodec() {
  auto codec = arrow::util::Codec::Create(arrow::Compression::ZSTD, 1);
  return codec.ok() ? std::move(*codec) : nullptr;
}

std::string Compress(const std::string& bytes) {
  const auto codec = MakeCodec();
  const auto* input = reinterpret_cast<const uint8_t*>(bytes.data());
  const auto size = static_cast<int64_t>(bytes.size());
  std::string out(static_cast<size_t>(codec->MaxCompressedLen(size, input)), '\0');
  const auto length = codec->Compress(size, input, static_cast<int64_t>(out.size()),
                                      reinterpret_cast<uint8_t*>(out.data()));
  out.resize(length.ok() ? static_cast<size_t>(*length) : 0);
  out.shrink_to_fit();
  return out;
}

arrow::Result<std::shared_ptr<const profile::QueryProfile>> Uncompress(
    const std::string& compressed, size_t size) {
  std::string bytes(size, '\0');
  ARROW_RETURN_NOT_OK(
      MakeCodec()
          ->Decompress(static_cast<int64_t>(compressed.size()),
                       reinterpret_cast<const uint8_t*>(compressed.data()),
                       static_cast<int64_t>(size),
                       reinterpret_cast<uint8_t*>(bytes.data()))
          .status());
  auto profile = std::make_shared<profile::QueryProfile>();
  if (!profile->ParseFromString(bytes) || profile->format() != 1) {
    return arrow::Status::Invalid("this is no profile of a query");
  }
  return profile;
}

// In the store: the size before compression in decimal, a line end, the compressed bytes.
std::string ForStore(const std::string& compressed, size_t size) {
  return std::to_string(size) + "\n" + compressed;
}

arrow::Result<size_t> SizeInStore(const std::string& bytes, size_t* header) {
  const size_t end = bytes.find('\n');
  if (end == 0 || end > 10) return arrow::Status::Invalid("this is no profile");
  size_t size = 0;
  for (size_t i = 0; i < end; ++i) {
    if (bytes[i] < '0' || bytes[i] > '9') return arrow::Status::Invalid("no size");
    size = size * 10 + static_cast<size_t>(bytes[i] - '0');
  }
  if (size > 2 * kMaxProfile) return arrow::Status::Invalid("too large");
  *header = end + 1;
  return size;
}

std::shared_ptr<const profile::JobSummary> ShortSummary(const profile::JobSummary& full) {
  auto summary = std::make_shared<profile::JobSummary>(full);
  summary->set_statement(profile::Cut(full.statement(), kShortText));
  summary->set_error(profile::Cut(full.error(), kShortText));
  return summary;
}

void DropTasks(profile::QueryProfile* profile) {
  for (auto& stage : *profile->mutable_stages()) stage.clear_task_list();
}

// The bytes of the profile; of one that is too large, without its tasks.
std::string Serialize(profile::QueryProfile* profile) {
  if (profile->ByteSizeLong() > kMaxProfile) DropTasks(profile);
  return profile->SerializeAsString();
}

}  // namespace

History::History(const HistoryOptions& options, HistoryStore store)
    : options_(options), store_(std::move(store)), thread_([this] { Run(); }) {}

History::~History() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void History::Load(const std::vector<std::pair<std::string, std::string>>& entries) {
  struct Found {
    uint64_t ended_ms = 0;
    Entry entry;
  };
  std::vector<Found> all;
  std::vector<std::string> bad;
  for (const auto& [job_id, bytes] : entries) {
    size_t header = 0;
    const auto size = SizeInStore(bytes, &header);
    Found found;
    if (size.ok()) {
      found.entry.size = *size;
      found.entry.compressed = bytes.substr(header);
      const auto read = Uncompress(found.entry.compressed, *size);
      if (read.ok()) found.entry.summary = ShortSummary((*read)->job());
    }
    if (found.entry.summary == nullptr || found.entry.summary->job_id() != job_id) {
      bad.push_back(job_id);
      continue;
    }
    const auto& job = *found.entry.summary;
    found.ended_ms = job.submitted_ms() + job.elapsed_us() / 1000;
    all.push_back(std::move(found));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.ended_ms < b.ended_ms; });
  {
    const std::lock_guard lock(mutex_);
    for (auto& found : all) {
      bytes_ += found.entry.compressed.size();
      numbers_[found.entry.summary->job_id()] = next_;
      entries_[next_++] = std::move(found.entry);
    }
    for (auto& job_id : Trim()) bad.push_back(std::move(job_id));
  }
  for (const auto& job_id : bad) {
    if (store_.erase) store_.erase(job_id);
  }
}

void History::Add(profile::QueryProfile raw, job::JobGraph graph) {
  auto summary = ShortSummary(raw.job());
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kMaxWaiting) {
      ++left_out_;
      return;
    }
    queue_.push_back({std::move(raw), std::move(graph), std::move(summary)});
  }
  changed_.notify_all();
}

void History::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Ended ended = std::move(queue_.front());
    queue_.pop_front();
    in_work_ = ended.summary;
    lock.unlock();
    Keep(std::move(ended));
    lock.lock();
    in_work_.reset();
    changed_.notify_all();
  }
}

void History::Keep(Ended ended) {
  profile::QueryProfile& profile = ended.profile;
  profile.set_version(kVersion);
  profile::AddPlan(ended.graph, &profile);
  profile::AddFigures(&profile);
  const auto limit = static_cast<uint64_t>(options_.slow_query_log.count()) * 1000;
  if (limit > 0 && profile.job().elapsed_us() >= limit) {
    LOG_WARN("scheduler", "{}", SlowQueryLine(profile));
  }
  if (options_.max_jobs == 0 || MakeCodec() == nullptr) return;
  Entry entry;
  std::string bytes = Serialize(&profile);
  entry.size = bytes.size();
  entry.summary = ShortSummary(profile.job());
  entry.compressed = Compress(bytes);
  const std::string job_id = profile.job().job_id();
  if (store_.put) {
    std::string stored = ForStore(entry.compressed, entry.size);
    if (stored.size() > kMaxStored) {
      DropTasks(&profile);
      bytes = profile.SerializeAsString();
      stored = ForStore(Compress(bytes), bytes.size());
    }
    if (stored.size() <= kMaxStored) store_.put(job_id, std::move(stored));
  }
  std::vector<std::string> dropped;
  {
    const std::lock_guard lock(mutex_);
    in_work_.reset();  // in favour of the entry
    bytes_ += entry.compressed.size();
    numbers_[job_id] = next_;
    entries_[next_++] = std::move(entry);
    dropped = Trim();
  }
  for (const auto& one : dropped) {
    if (store_.erase) store_.erase(one);
  }
}

std::vector<std::string> History::Trim() {
  const auto age = static_cast<uint64_t>(options_.max_age.count());
  const uint64_t now = UnixMs();
  std::vector<std::string> dropped;
  while (!entries_.empty()) {
    const auto first = entries_.begin();
    const auto& job = *first->second.summary;
    const uint64_t ended = job.submitted_ms() + job.elapsed_us() / 1000;
    const bool old = age > 0 && ended + age < now;
    if (!old && entries_.size() <= options_.max_jobs && bytes_ <= options_.max_bytes)
      break;
    bytes_ -= first->second.compressed.size();
    numbers_.erase(job.job_id());
    dropped.push_back(job.job_id());
    entries_.erase(first);
  }
  return dropped;
}

std::vector<std::shared_ptr<const profile::JobSummary>> History::Summaries() const {
  const auto age = static_cast<uint64_t>(options_.max_age.count());
  const uint64_t now = UnixMs();
  std::vector<std::shared_ptr<const profile::JobSummary>> all;
  const std::lock_guard lock(mutex_);
  all.reserve(entries_.size() + queue_.size() + 1);
  for (const auto& [number, entry] : entries_) {
    // What is too old is dropped with the next one that comes, and not shown until then.
    const auto& job = *entry.summary;
    if (age > 0 && job.submitted_ms() + job.elapsed_us() / 1000 + age < now) continue;
    all.push_back(entry.summary);
  }
  if (options_.max_jobs == 0) return all;
  if (in_work_ != nullptr) all.push_back(in_work_);
  for (const auto& ended : queue_) all.push_back(ended.summary);
  return all;
}

arrow::Result<std::shared_ptr<const profile::QueryProfile>> History::Find(
    const std::string& job_id) const {
  std::string compressed;
  size_t size = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto number = numbers_.find(job_id);
    if (number == numbers_.end()) {
      return arrow::Status::KeyError("there is no job '", profile::Cut(job_id, 100),
                                     "', or it ended too long ago");
    }
    const Entry& entry = entries_.at(number->second);
    compressed = entry.compressed;
    size = entry.size;
  }
  return Uncompress(compressed, size);
}

size_t History::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

size_t History::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void History::WaitUntilIdle(std::chrono::milliseconds time) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return queue_.empty() && in_work_ == nullptr; });
}

}  // namespace ballista::history
