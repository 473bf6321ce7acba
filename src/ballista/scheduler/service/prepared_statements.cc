#include "ballista/scheduler/service/prepared_statements.h"

#include <charconv>
#include <utility>

namespace ballista::scheduler {
namespace {

// 0 for what is no handle of ours.
uint64_t ParseHandle(const std::string& handle) {
  uint64_t number = 0;
  const char* end = handle.data() + handle.size();
  const auto [stop, error] = std::from_chars(handle.data(), end, number);
  return error == std::errc() && stop == end ? number : 0;
}

}  // namespace

std::string PreparedStatements::Add(std::string sql) {
  const std::lock_guard lock(mutex_);
  if (statements_.size() >= limit_) statements_.erase(statements_.begin());
  statements_[next_] = std::move(sql);
  return std::to_string(next_++);
}

arrow::Result<std::string> PreparedStatements::Find(const std::string& handle) const {
  const std::lock_guard lock(mutex_);
  const auto it = statements_.find(ParseHandle(handle));
  if (it == statements_.end()) {
    return arrow::Status::Invalid(
        "this prepared statement is not known to the scheduler (any more): prepare it "
        "again");
  }
  return it->second;
}

void PreparedStatements::Remove(const std::string& handle) {
  const std::lock_guard lock(mutex_);
  statements_.erase(ParseHandle(handle));
}

}  // namespace ballista::scheduler
