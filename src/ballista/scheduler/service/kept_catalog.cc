#include "ballista/scheduler/service/kept_catalog.h"

#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/status.h"
#include "ballista/scheduler/service/state_keys_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::scheduler {
namespace {

constexpr auto kReadTimeout = std::chrono::seconds(5);
constexpr auto kWatchStep = std::chrono::milliseconds(500);
constexpr int kMaxAttempts = 5;
constexpr size_t kMaxChanges = state::kMaxOperations / 2 - 1;

}  // namespace

KeptCatalog::KeptCatalog(sql::SqlEngine* engine, StateKeeper* keeper)
    : engine_(engine), keeper_(keeper) {}

KeptCatalog::~KeptCatalog() {
  stopping_ = true;
  if (follower_.joinable()) follower_.join();
}

arrow::Status KeptCatalog::Load() {
  const std::lock_guard lock(mutex_);
  ARROW_RETURN_NOT_OK(RefreshLocked().status());
  if (keeper_->shared()) {
    follower_ = std::thread([this, from = revision_ + 1] { Follow(from); });
  }
  return arrow::Status::OK();
}

// Something is not there, or there already: perhaps by another scheduler's doing.
bool KeptCatalog::MayBeElsewhere(const arrow::Status& status) const {
  const auto* detail = GetErrorDetail(status);
  return keeper_->shared() && detail != nullptr && detail->has_user() &&
         detail->user().kind() == UserError::CATALOG;
}

template <typename Attempt>
auto KeptCatalog::WithRefresh(Attempt&& attempt) -> decltype(attempt()) {
  auto result = attempt();
  if (result.ok() || !MayBeElsewhere(result.status())) return result;
  const auto changed = Refresh();
  if (!changed.ok() || !*changed) return result;
  return attempt();
}

arrow::Result<sql::Statement> KeptCatalog::Compile(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters) {
  if (sql::SqlEngine::MayChangeCatalog(sql)) {
    return CompileChange(session, sql, parameters);
  }
  return WithRefresh([&] { return session->Compile(sql, parameters); });
}

arrow::Result<sql::Statement> KeptCatalog::Compile(
    sql::SqlSession* session, const dataframe::CommandDataFrame& frame) {
  return WithRefresh([&] { return session->CompileFrame(frame); });
}

arrow::Result<sql::SqlSession::Description> KeptCatalog::Describe(
    sql::SqlSession* session, const dataframe::CommandDataFrame& frame) {
  return WithRefresh([&] { return session->DescribeFrame(frame); });
}

arrow::Result<sql::SqlSession::Description> KeptCatalog::Describe(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters) {
  return WithRefresh([&] { return session->Describe(sql, parameters); });
}

arrow::Result<sql::Statement> KeptCatalog::CompileChange(
    sql::SqlSession* session, const std::string& sql,
    const std::vector<plan::Value>& parameters) {
  const std::lock_guard lock(mutex_);
  bool refreshed = false;
  for (int attempt = 1;; ++attempt) {
    auto statement = session->Compile(sql, parameters);
    if (!statement.ok()) {
      // What it is about may be there, or gone, by another scheduler's doing.
      const bool look =
          !std::exchange(refreshed, true) && MayBeElsewhere(statement.status());
      const auto changed = look ? RefreshLocked() : arrow::Result<bool>(false);
      if (changed.ok() && *changed) continue;
      return statement;
    }
    ARROW_ASSIGN_OR_RAISE(const auto now, engine_->ExportCatalog());
    const auto kept = Keep(now);
    if (kept.ok() && *kept) return statement;
    TakeBack(now);
    ARROW_RETURN_NOT_OK(kept.status());
    ARROW_RETURN_NOT_OK(RefreshLocked().status());
    if (attempt == kMaxAttempts) {
      return UserErrorStatus(
          UserError::CATALOG,
          "other schedulers change the same object of the catalog all the time; run the "
          "statement again");
    }
  }
}

state::Transaction KeptCatalog::Difference(const sql::CatalogObjects& now) const {
  state::Transaction change;
  for (const auto& [key, bytes] : now) {
    const auto kept = kept_.find(key);
    if (kept != kept_.end() && kept->second.bytes == bytes) continue;
    change.compares.push_back(
        {kCatalog + key, kept == kept_.end() ? 0 : kept->second.revision});
    change.puts.push_back({kCatalog + key, bytes});
  }
  for (const auto& [key, kept] : kept_) {
    if (now.contains(key)) continue;
    change.compares.push_back({kCatalog + key, kept.revision});
    change.erases.push_back({kCatalog + key});
  }
  return change;
}

arrow::Result<bool> KeptCatalog::Keep(const sql::CatalogObjects& now) {
  const auto change = Difference(now);
  if (change.compares.empty()) return true;
  if (change.compares.size() > kMaxChanges) {
    return UserErrorStatus(UserError::NOT_SUPPORTED,
                           "one statement changes at most " +
                               std::to_string(kMaxChanges) +
                               " objects of the catalog; this one would change " +
                               std::to_string(change.compares.size()));
  }
  ARROW_ASSIGN_OR_RAISE(const auto committed, keeper_->CommitIf(change));
  if (!committed.committed) return false;
  for (const auto& put : change.puts) {
    kept_[put.key.substr(kCatalog.size())] = {put.value, committed.revision};
  }
  for (const auto& erase : change.erases) {
    const std::string key = erase.key.substr(kCatalog.size());
    kept_.erase(key);
    if (keeper_->shared()) erased_[key] = committed.revision;
  }
  return true;
}

void KeptCatalog::TakeBack(const sql::CatalogObjects& now) {
  sql::CatalogObjects put;
  std::vector<std::string> erased;
  for (const auto& [key, kept] : kept_) {
    const auto found = now.find(key);
    if (found == now.end() || found->second != kept.bytes) put[key] = kept.bytes;
  }
  for (const auto& [key, bytes] : now) {
    if (!kept_.contains(key)) erased.push_back(key);
  }
  const auto status = engine_->ImportCatalog(put, erased);
  if (!status.ok()) {
    LOG_ERROR("scheduler", "a change of the catalog is not taken back: {}",
              status.message());
  }
}

// ----------------------------------------------------------------- changes of others

arrow::Result<bool> KeptCatalog::Refresh() {
  const std::lock_guard lock(mutex_);
  return RefreshLocked();
}

arrow::Result<bool> KeptCatalog::RefreshLocked() {
  ARROW_ASSIGN_OR_RAISE(auto there,
                        keeper_->backend()->List(kCatalog, state::In(kReadTimeout)));
  revision_ = there.revision;
  std::vector<state::Change> changes;
  std::map<std::string, Kept> gone = kept_;
  for (auto& entry : there.entries) {
    gone.erase(entry.key.substr(kCatalog.size()));
    changes.push_back({false, std::move(entry)});
  }
  for (const auto& [key, kept] : gone) {
    changes.push_back({true, {kCatalog + key, "", there.revision}});
  }
  std::erase_if(changes, [this](const state::Change& one) {
    const auto kept = kept_.find(one.entry.key.substr(kCatalog.size()));
    return kept != kept_.end() && kept->second.revision >= one.entry.revision;
  });
  Take(changes);
  return !changes.empty();
}

// Those that are known already are left out. Under the lock.
void KeptCatalog::Take(const std::vector<state::Change>& changes) {
  sql::CatalogObjects put;
  std::vector<std::string> erased;
  for (const auto& change : changes) {
    const std::string key = change.entry.key.substr(kCatalog.size());
    const auto kept = kept_.find(key);
    const auto gone = erased_.find(key);
    const int64_t known = kept != kept_.end()     ? kept->second.revision
                          : gone != erased_.end() ? gone->second
                                                  : 0;
    if (change.entry.revision <= known) continue;
    if (change.erased) {
      if (kept == kept_.end()) continue;
      kept_.erase(kept);
      put.erase(key);
      erased.push_back(key);
    } else {
      kept_[key] = {change.entry.value, change.entry.revision};
      put[key] = change.entry.value;
      std::erase(erased, key);
    }
  }
  if (put.empty() && erased.empty()) return;
  const auto status = engine_->ImportCatalog(put, erased);
  if (!status.ok()) {
    LOG_WARN("scheduler", "objects of the catalog in {} cannot be had here: {}",
             keeper_->Describe(), status.message());
  }
}

void KeptCatalog::Follow(int64_t revision) {
  std::unique_ptr<state::Watch> watch;
  while (!stopping_) {
    if (watch == nullptr) {
      auto started = keeper_->backend()->StartWatch(kCatalog, revision);
      if (started.ok()) {
        watch = std::move(*started);
      } else {
        std::this_thread::sleep_for(kWatchStep);
        continue;
      }
    }
    const auto changes = watch->Next(state::In(kWatchStep));
    const std::lock_guard lock(mutex_);
    if (changes.ok()) {
      // One that is older than the last look at everything says nothing new.
      std::vector<state::Change> later;
      for (const auto& change : *changes) {
        if (change.entry.revision > revision_) later.push_back(change);
      }
      Take(later);
      if (changes->empty()) continue;
      std::erase_if(erased_, [&](const auto& one) {
        return one.second <= changes->back().entry.revision;
      });
      continue;
    }
    watch.reset();
    if (RefreshLocked().ok()) {
      revision = revision_ + 1;
    } else {
      std::this_thread::sleep_for(kWatchStep);
    }
  }
}

}  // namespace ballista::scheduler
