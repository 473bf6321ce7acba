#include "ballista/state/state_error.h"

#include <memory>
#include <set>

#include "ballista/state/state_backend.h"

namespace ballista::state {
namespace {

constexpr const char* kTypeId = "ballista::state::StateError";

class Detail : public arrow::StatusDetail {
 public:
  explicit Detail(StateError kind) : kind_(kind) {}
  const char* type_id() const override { return kTypeId; }
  std::string ToString() const override { return Name(); }
  StateError kind() const { return kind_; }

 private:
  const char* Name() const {
    switch (kind_) {
      case StateError::kUnavailable:
        return "state unavailable";
      case StateError::kCompacted:
        return "state compacted";
      case StateError::kLeaseGone:
        return "lease ended";
      case StateError::kFenced:
        return "fenced off";
      case StateError::kInUse:
        return "state in use";
      case StateError::kDamaged:
        return "state damaged";
    }
    return "state error";
  }

  const StateError kind_;
};

}  // namespace

arrow::Status MakeStateError(StateError kind, const std::string& message) {
  return arrow::Status::IOError(message).WithDetail(std::make_shared<Detail>(kind));
}

std::optional<StateError> GetStateError(const arrow::Status& status) {
  if (status.ok() || status.detail() == nullptr ||
      std::string_view(status.detail()->type_id()) != kTypeId) {
    return std::nullopt;
  }
  return static_cast<const Detail&>(*status.detail()).kind();
}

bool IsStateError(const arrow::Status& status, StateError kind) {
  return GetStateError(status) == kind;
}

arrow::Status CheckTransaction(const Transaction& transaction) {
  const size_t operations =
      transaction.compares.size() + transaction.erases.size() + transaction.puts.size();
  if (operations > kMaxOperations) {
    return arrow::Status::Invalid("a transaction has at most ", kMaxOperations,
                                  " operations; this one has ", operations);
  }
  size_t bytes = 0;
  std::set<std::string_view> keys;
  for (const Erase& erase : transaction.erases) {
    if (erase.key.empty()) {
      return arrow::Status::Invalid("an empty key cannot be removed");
    }
    bytes += erase.key.size();
    if (!keys.insert(erase.key).second) {
      return arrow::Status::Invalid("a transaction touches ", erase.key, " twice");
    }
  }
  for (const Put& put : transaction.puts) {
    if (put.key.empty()) return arrow::Status::Invalid("a key must not be empty");
    bytes += put.key.size() + put.value.size();
    bool twice = !keys.insert(put.key).second;
    for (const Erase& erase : transaction.erases) {
      twice = twice || (erase.prefix && put.key.starts_with(erase.key));
    }
    if (twice) return arrow::Status::Invalid("a transaction touches ", put.key, " twice");
  }
  if (bytes > kMaxTransactionBytes) {
    return arrow::Status::Invalid("a transaction has at most ", kMaxTransactionBytes,
                                  " bytes; this one has ", bytes);
  }
  return arrow::Status::OK();
}

}  // namespace ballista::state
