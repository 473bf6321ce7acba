#include <algorithm>

#include "ballista/state/local_backend_internal.h"

namespace ballista::state {
namespace {

class MemoryStorage : public Storage {
 public:
  std::string Describe() const override { return "the scheduler's memory"; }
  bool durable() const override { return false; }
  arrow::Result<Contents> Load() override { return Contents{}; }

  arrow::Result<std::optional<Entry>> Get(const std::string& key) override {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return std::nullopt;
    return it->second;
  }

  arrow::Result<std::vector<Entry>> List(const std::string& prefix) override {
    std::vector<Entry> entries;
    for (auto it = entries_.lower_bound(prefix);
         it != entries_.end() && it->first.starts_with(prefix); ++it) {
      entries.push_back(it->second);
    }
    return entries;
  }

  arrow::Status Apply(const Batch& batch) override {
    for (const std::string& key : batch.erased) entries_.erase(key);
    for (const Entry& entry : batch.put) entries_[entry.key] = entry;
    return arrow::Status::OK();
  }

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace

std::unique_ptr<Storage> MakeMemoryStorage() {
  return std::make_unique<MemoryStorage>();
}

}  // namespace ballista::state
