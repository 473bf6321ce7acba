// Changes, as etcd streams them. A thread reads the stream and makes it again where it
// breaks, from the revision after the last one that it has seen.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "ballista/state/etcd_backend_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::state {
namespace {

using nlohmann::json;

// Read and not taken yet; beyond it the stream is not read, and etcd keeps the rest.
constexpr size_t kMaxQueued = 10000;
constexpr std::chrono::milliseconds kReconnectDelay{100};

class EtcdWatch : public Watch {
 public:
  EtcdWatch(EtcdClient* client, std::string root, std::string prefix, int64_t next)
      : client_(client),
        root_(std::move(root)),
        prefix_(std::move(prefix)),
        next_(next),
        thread_([this] { Run(); }) {}

  ~EtcdWatch() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  arrow::Result<std::vector<Change>> Next(Deadline deadline) override {
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, deadline, [this] { return !queue_.empty() || !end_.ok(); });
    std::vector<Change> changes(std::make_move_iterator(queue_.begin()),
                                std::make_move_iterator(queue_.end()));
    queue_.clear();
    wake_.notify_all();
    if (changes.empty()) ARROW_RETURN_NOT_OK(end_);
    return changes;
  }

 private:
  void Run() {
    const auto stopped = [this] {
      const std::lock_guard lock(mutex_);
      return stopping_;
    };
    while (!stopped()) {
      json create = RangeOf(root_ + prefix_);
      create["start_revision"] = std::to_string(next_);
      ARROW_UNUSED(client_->Stream(
          "/v3/watch", {{"create_request", create}},
          [this](std::string_view line) { return TakeLine(line); }, stopped));
      std::unique_lock lock(mutex_);
      if (!end_.ok()) return;
      wake_.wait_for(lock, kReconnectDelay, [this] { return stopping_; });
    }
  }

  // False: the stream is of no more use.
  bool TakeLine(std::string_view line) {
    const json message = json::parse(line, nullptr, false);
    if (!message.is_object() || !message.contains("result")) return false;
    const json& result = message["result"];
    const int64_t compacted = NumberAt(result, "compact_revision");
    if (compacted > 0) {
      End(MakeStateError(StateError::kCompacted,
                         "etcd does not keep the changes before "
                         "revision " +
                             std::to_string(compacted) + " any more"));
      return false;
    }
    if (result.contains("canceled")) return false;
    if (!result.contains("events")) return true;
    std::vector<Change> changes;
    for (const json& event : result["events"]) {
      auto entry = ReadEntry(event.value("kv", json::object()), root_);
      if (!entry.ok()) {
        End(entry.status());
        return false;
      }
      const auto type = event.find("type");
      changes.push_back({type != event.end() && *type == "DELETE", std::move(*entry)});
    }
    return Add(std::move(changes));
  }

  bool Add(std::vector<Change> changes) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || queue_.size() < kMaxQueued; });
    if (stopping_) return false;
    for (Change& change : changes) {
      next_ = std::max(next_, change.entry.revision + 1);
      queue_.push_back(std::move(change));
    }
    wake_.notify_all();
    return true;
  }

  void End(arrow::Status status) {
    const std::lock_guard lock(mutex_);
    end_ = std::move(status);
    wake_.notify_all();
  }

  EtcdClient* const client_;
  const std::string root_;
  const std::string prefix_;
  int64_t next_;  // of the thread alone

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Change> queue_;
  arrow::Status end_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Watch> StartEtcdWatch(EtcdClient* client, const std::string& root,
                                      const std::string& prefix, int64_t from_revision) {
  return std::make_unique<EtcdWatch>(client, root, prefix, from_revision);
}

}  // namespace ballista::state
