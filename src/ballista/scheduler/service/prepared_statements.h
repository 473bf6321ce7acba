// Prepared statements of all sessions, by handle, with the parameters that are bound to
// them.
//
// A handle carries the statement's text (where it is short), so that one of another
// scheduler, or of this one before it was started again, is as good as one of this one's;
// what was bound to it is gone. Handles cannot be guessed.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace ballista::scheduler {

struct PreparedStatement {
  std::string session_id;
  std::string sql;
  // "$1" or "$name" each; null: not known here (the handle is another scheduler's).
  std::shared_ptr<arrow::Schema> parameters;
  std::shared_ptr<arrow::Table> bound;  // a row for each run; null: nothing was bound
  bool is_substrait = false;            // `sql` is a serialized Substrait plan
};

struct PreparedLimits {
  size_t statements_per_session = 1000;
  size_t statements = 100000;
  int64_t bound_bytes = int64_t{256} << 20;  // of all statements
};

// Thread-safe. Bounded: the oldest go first.
class PreparedStatements {
 public:
  using Limits = PreparedLimits;
  explicit PreparedStatements(const Limits& limits = {});

  // Gives the handle of a new one.
  std::string Add(PreparedStatement statement);
  // Errors: Invalid for a handle that is not known (any more).
  arrow::Result<PreparedStatement> Find(const std::string& handle) const;
  // In place of what was bound before; null: nothing. The statement is the caller's
  // session's from then on. Errors: as of Find; ResourcesExhausted.
  arrow::Status Bind(const std::string& handle, const std::string& session_id,
                     std::shared_ptr<arrow::Table> rows);
  void Remove(const std::string& handle);
  void CloseSession(const std::string& session_id);

 private:
  struct Entry {
    std::string key;
    PreparedStatement statement;
    int64_t bytes = 0;  // of what is bound
  };
  using Entries = std::map<uint64_t, Entry>;  // oldest first

  void PutLocked(std::string key, PreparedStatement statement);
  Entries::iterator EraseLocked(Entries::iterator entry);

  const Limits limits_;
  const std::string process_;  // part of each handle that was made here
  mutable std::mutex mutex_;
  uint64_t next_ = 1;
  int64_t bound_bytes_ = 0;
  Entries entries_;
  std::map<std::string, uint64_t> by_key_;
  std::map<std::string, size_t> of_session_;
};

}  // namespace ballista::scheduler
