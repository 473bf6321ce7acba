#include <algorithm>
#include <iterator>

#include "ballista/scheduler/fair_queue_internal.h"

namespace ballista::scheduler {

void FairQueue::Add(Entry* entry, uint64_t job, const std::string& session_id) {
  auto [it, added] = sessions_.try_emplace(session_id);
  Session& session = it->second;
  if (added) {
    session.id = session_id;
    session.number = next_session_++;
    session.turn = ++turns_;
  }
  ++session.jobs;
  *entry = {job, &session, 0, ++turns_, false};
}

void FairQueue::Remove(Entry* entry) {
  Update(entry, [&] {
    entry->ready = false;
    entry->session->running -= entry->running;
    if (entry->running > 0 && served_ == Served::kAtEnd) {
      entry->session->turn = ++turns_;
    }
    entry->running = 0;
  });
  Session* session = entry->session;
  entry->session = nullptr;
  if (--session->jobs == 0) sessions_.erase(sessions_.find(session->id));
}

void FairQueue::SetReady(Entry* entry, bool ready) {
  if (entry->ready == ready) return;
  Update(entry, [&] { entry->ready = ready; });
}

void FairQueue::TaskLaunched(Entry* entry) {
  Update(entry, [&] {
    ++entry->running;
    ++entry->session->running;
    entry->turn = entry->session->turn = ++turns_;
  });
}

void FairQueue::TaskEnded(Entry* entry) {
  Update(entry, [&] {
    --entry->running;
    --entry->session->running;
    if (served_ == Served::kAtEnd) entry->turn = entry->session->turn = ++turns_;
  });
}

size_t FairQueue::size() const {
  size_t size = 0;
  for (const auto& [key, session] : sessions_by_load_) size += session->ready.size();
  return size;
}

size_t FairQueue::Position(const Entry& entry) const {
  const auto& own = entry.session->ready;
  const auto index = static_cast<size_t>(
      std::distance(own.begin(), own.find(Key{entry.running, entry.turn, entry.job})));
  size_t before = index;
  bool own_passed = false;
  // Running jobs end in an order that nobody knows: from now on sessions take turns.
  for (const auto& [key, session] : sessions_by_load_) {
    if (session == entry.session) {
      own_passed = true;
      continue;
    }
    before += std::min(session->ready.size(), own_passed ? index : index + 1);
  }
  return before;
}

uint64_t FairQueue::Next() const {
  return std::get<2>(*sessions_by_load_.begin()->second->ready.begin());
}

// Takes the job and its session out of their orders, changes them, and puts them back.
template <typename Change>
void FairQueue::Update(Entry* entry, Change&& change) {
  Session* session = entry->session;
  if (!session->ready.empty()) {
    sessions_by_load_.erase({session->running, session->turn, session->number});
  }
  if (entry->ready) session->ready.erase({entry->running, entry->turn, entry->job});
  change();
  if (entry->ready) session->ready.emplace(entry->running, entry->turn, entry->job);
  if (!session->ready.empty()) {
    sessions_by_load_.emplace(Key{session->running, session->turn, session->number},
                              session);
  }
}

}  // namespace ballista::scheduler
