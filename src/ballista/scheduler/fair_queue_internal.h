// Whose turn it is: sessions share the slots evenly, and so do the jobs of one session.
// The next launch goes to the session with the fewest running tasks, and of it to the job
// with the fewest; among equals to the one that was served, or else came, longest ago.
// O(log n) each call. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>

namespace ballista::scheduler {

class FairQueue {
 public:
  struct Session;

  // When one that runs a task was served.
  enum class Served {
    kAtLaunch,  // nobody who comes later overtakes a job between two of its stages
    kAtEnd,     // whoever waits while another's runs goes before what that one has next
  };
  explicit FairQueue(Served served) : served_(served) {}

  // A job's place in the queue; part of the job.
  struct Entry {
    uint64_t job = 0;
    Session* session = nullptr;
    uint32_t running = 0;
    uint64_t turn = 0;
    bool ready = false;
  };

  void Add(Entry* entry, uint64_t job, const std::string& session_id);
  void Remove(Entry* entry);

  // A ready job has a task that could run now.
  void SetReady(Entry* entry, bool ready);
  void TaskLaunched(Entry* entry);
  void TaskEnded(Entry* entry);

  bool empty() const { return sessions_by_load_.empty(); }
  // Jobs that are ready.
  size_t size() const;
  // How many ready jobs will have their turn before this one, as things stand.
  size_t Position(const Entry& entry) const;
  // The job whose turn it is; only where not empty.
  uint64_t Next() const;

 private:
  using Key = std::tuple<uint32_t, uint64_t, uint64_t>;  // running, turn, number
  template <typename Change>
  void Update(Entry* entry, Change&& change);

  const Served served_;
  uint64_t next_session_ = 0;
  uint64_t turns_ = 0;
  std::map<std::string, Session> sessions_;
  std::map<Key, Session*> sessions_by_load_;  // those with a ready job
};

struct FairQueue::Session {
  std::string id;
  uint64_t number = 0;
  uint32_t running = 0;
  uint64_t turn = 0;
  uint32_t jobs = 0;
  std::set<Key> ready;
};

}  // namespace ballista::scheduler
