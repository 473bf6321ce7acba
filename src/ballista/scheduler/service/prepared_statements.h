// Prepared statements of all sessions, by handle. Bounded: the oldest go first.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace ballista::scheduler {

// Thread-safe.
class PreparedStatements {
 public:
  explicit PreparedStatements(size_t limit = 100000) : limit_(limit) {}

  // Gives the handle of a new one.
  std::string Add(std::string sql);
  // Errors: Invalid for a handle that is not known (any more).
  arrow::Result<std::string> Find(const std::string& handle) const;
  void Remove(const std::string& handle);

 private:
  const size_t limit_;
  mutable std::mutex mutex_;
  uint64_t next_ = 1;
  std::map<uint64_t, std::string> statements_;
};

}  // namespace ballista::scheduler
