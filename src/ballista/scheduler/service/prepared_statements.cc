#include "ballista/scheduler/service/prepared_statements.h"

#include <arrow/util/byte_size.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/status.h"

namespace ballista::scheduler {
namespace {

// A longer text does not travel with its handle.
constexpr size_t kMaxText = 64 << 10;

// "<id of the statement>.<id of the process>" or, with its text,
// "<id of the statement>.<id of the process>:<text>"; with ';' a Substrait plan's bytes.
struct Handle {
  std::string_view key;  // both ids
  std::string_view process;
  std::string_view sql;  // empty: the handle does not carry it
  bool is_substrait = false;
};

Handle ParseHandle(std::string_view handle) {
  Handle parsed;
  parsed.key = handle.substr(0, handle.find_first_of(":;"));
  if (parsed.key.size() < handle.size()) {
    parsed.is_substrait = handle[parsed.key.size()] == ';';
    parsed.sql = handle.substr(parsed.key.size() + 1);
  }
  const size_t point = parsed.key.find('.');
  if (point != std::string_view::npos) parsed.process = parsed.key.substr(point + 1);
  return parsed;
}

arrow::Status Unknown() {
  return arrow::Status::Invalid(
      "this prepared statement is not known to the scheduler (any more): prepare it "
      "again");
}

}  // namespace

PreparedStatements::PreparedStatements(const Limits& limits)
    : limits_(limits), process_(NewId()) {}

std::string PreparedStatements::Add(PreparedStatement statement) {
  std::string key = NewId() + "." + process_;
  std::string handle = key;
  if (statement.sql.size() <= kMaxText) {
    handle += (statement.is_substrait ? ";" : ":") + statement.sql;
  }
  const std::lock_guard lock(mutex_);
  PutLocked(std::move(key), std::move(statement));
  return handle;
}

void PreparedStatements::PutLocked(std::string key, PreparedStatement statement) {
  const std::string& session = statement.session_id;
  if (of_session_[session] >= limits_.statements_per_session) {
    const auto oldest = std::find_if(
        entries_.begin(), entries_.end(),
        [&](const auto& e) { return e.second.statement.session_id == session; });
    EraseLocked(oldest);
  }
  if (entries_.size() >= limits_.statements) EraseLocked(entries_.begin());
  ++of_session_[session];
  by_key_[key] = next_;
  entries_[next_++] = Entry{std::move(key), std::move(statement)};
}

PreparedStatements::Entries::iterator PreparedStatements::EraseLocked(
    Entries::iterator entry) {
  bound_bytes_ -= entry->second.bytes;
  by_key_.erase(entry->second.key);
  const auto count = of_session_.find(entry->second.statement.session_id);
  if (count != of_session_.end() && --count->second == 0) of_session_.erase(count);
  return entries_.erase(entry);
}

arrow::Result<PreparedStatement> PreparedStatements::Find(
    const std::string& handle) const {
  const auto parsed = ParseHandle(handle);
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(std::string(parsed.key));
  if (found != by_key_.end()) return entries_.at(found->second).statement;
  // One of this process was closed, or had to go for others.
  if (parsed.sql.empty() || parsed.process.empty() || parsed.process == process_) {
    return Unknown();
  }
  PreparedStatement statement;
  statement.sql = parsed.sql;
  statement.is_substrait = parsed.is_substrait;
  return statement;
}

arrow::Status PreparedStatements::Bind(const std::string& handle,
                                       const std::string& session_id,
                                       std::shared_ptr<arrow::Table> rows) {
  ARROW_ASSIGN_OR_RAISE(auto statement, Find(handle));
  const auto key = std::string(ParseHandle(handle).key);
  int64_t bytes = 0;
  if (rows != nullptr) bytes = arrow::util::TotalBufferSize(*rows);
  const std::lock_guard lock(mutex_);
  auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    statement.session_id = session_id;
    PutLocked(key, std::move(statement));
    found = by_key_.find(key);
  }
  auto& entry = entries_.at(found->second);
  if (bound_bytes_ - entry.bytes + bytes > limits_.bound_bytes) {
    return ResourcesExhaustedStatus(
        "the parameters that are bound to prepared statements take more than the "
        "scheduler keeps; run or close some of the statements first",
        ResourcesExhausted::MEMORY, static_cast<uint64_t>(limits_.bound_bytes));
  }
  bound_bytes_ += bytes - entry.bytes;
  entry.bytes = bytes;
  entry.statement.bound = std::move(rows);
  return arrow::Status::OK();
}

void PreparedStatements::Remove(const std::string& handle) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(std::string(ParseHandle(handle).key));
  if (found != by_key_.end()) EraseLocked(entries_.find(found->second));
}

void PreparedStatements::CloseSession(const std::string& session_id) {
  const std::lock_guard lock(mutex_);
  if (!of_session_.contains(session_id)) return;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const bool gone = entry->second.statement.session_id == session_id;
    entry = gone ? EraseLocked(entry) : std::next(entry);
  }
}

}  // namespace ballista::scheduler
