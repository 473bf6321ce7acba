#include "ballista/scheduler/service/session_registry.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/flight/auth_middleware.h"
#include "ballista/plan/plan.h"
#include "ballista/scheduler/service/state_keys_internal.h"

namespace ballista::scheduler {
namespace {

constexpr std::string_view kCookie = "ballista_session";
constexpr auto kReadTimeout = std::chrono::seconds(5);
// How far behind the record of a session may be about when it was used.
constexpr auto kUsedEvery = std::chrono::minutes(10);

// The value of our cookie in a Cookie header ("a=b; ballista_session=ID"); empty: not
// there.
std::string CookieValue(std::string_view header) {
  while (!header.empty()) {
    const size_t end = header.find(';');
    std::string_view pair = header.substr(0, end);
    header = end == std::string_view::npos ? "" : header.substr(end + 1);
    while (!pair.empty() && pair.front() == ' ') pair.remove_prefix(1);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != kCookie) continue;
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"')
      value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return "";
}

}  // namespace

SessionRegistry::SessionRegistry(sql::SqlEngine* engine, size_t max_sessions,
                                 std::chrono::seconds idle_limit,
                                 std::function<void(const std::string&)> on_close,
                                 StateKeeper* keeper)
    : engine_(engine),
      max_sessions_(max_sessions),
      idle_limit_(idle_limit),
      on_close_(std::move(on_close)),
      keeper_(keeper) {}

std::string SessionRegistry::FindId(
    const arrow::flight::ServerCallContext& context) const {
  const auto owner = flight::IdentityOf(context).name;
  const auto is_owners = [&](const std::string& id) {
    const auto found = sessions_.find(id);
    return found != sessions_.end() && found->second.owner == owner;
  };
  const auto range = context.incoming_headers().equal_range("cookie");
  for (auto it = range.first; it != range.second; ++it) {
    std::string id = CookieValue(it->second);
    if (is_owners(id)) return id;
  }
  const auto peer = by_peer_.find(context.peer());
  return peer == by_peer_.end() || !is_owners(peer->second) ? "" : peer->second;
}

arrow::Result<std::shared_ptr<sql::SqlSession>> SessionRegistry::ForCall(
    const arrow::flight::ServerCallContext& context) {
  const auto now = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  std::string id = FindId(context);
  if (!id.empty()) {
    auto& entry = sessions_[id];
    entry.used = now;
    // A client that sends cookies is found by them alone: its port may be another
    // client's tomorrow.
    if (context.incoming_headers().count("cookie") > 0) by_peer_.erase(entry.peer);
    if (entry.kept && now - entry.kept_at > kUsedEvery) Put(id, &entry);
    return entry.session;
  }
  if (keeper_ != nullptr) {
    lock.unlock();
    if (auto restored = Restore(context)) return restored;
    lock.lock();
  }
  EvictLocked(now);
  id = NewId();
  ARROW_ASSIGN_OR_RAISE(auto session, engine_->OpenSession(id));
  sessions_[id] = Entry{session, context.peer(), flight::IdentityOf(context).name, now};
  by_peer_[context.peer()] = id;
  context.AddHeader("set-cookie", std::string(kCookie) + "=" + id);
  return session;
}

bool SessionRegistry::Close(const arrow::flight::ServerCallContext& context) {
  const std::lock_guard lock(mutex_);
  const std::string id = FindId(context);
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return false;
  by_peer_.erase(it->second.peer);
  if (it->second.kept) keeper_->ErasePrefix(kSessions + id);
  sessions_.erase(it);
  on_close_(id);
  return true;
}

void SessionRegistry::Put(const std::string& id, Entry* entry) {
  record::Session record;
  record.set_user(entry->owner);
  record.set_used_unix_s(UnixMs() / 1000);
  for (const auto& one : entry->session->ChangedSettings()) {
    auto* setting = record.add_settings();
    setting->set_name(one.name);
    setting->set_value(one.value);
    setting->set_variable(one.variable);
  }
  keeper_->Put(kSessions + id, record.SerializeAsString());
  entry->kept = true;
  entry->kept_at = std::chrono::steady_clock::now();
}

arrow::Status SessionRegistry::KeepSettings(sql::SqlSession* session) {
  if (keeper_ == nullptr) return arrow::Status::OK();
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(session->id());
    if (found == sessions_.end() || found->second.session.get() != session) {
      return arrow::Status::OK();
    }
    const uint64_t version = session->settings_version();
    if (found->second.kept_version == version) return arrow::Status::OK();
    found->second.kept_version = version;
    Put(found->first, &found->second);
  }
  return keeper_->Flush();
}

std::shared_ptr<sql::SqlSession> SessionRegistry::Restore(
    const arrow::flight::ServerCallContext& context) {
  const auto owner = flight::IdentityOf(context).name;
  const auto range = context.incoming_headers().equal_range("cookie");
  for (auto it = range.first; it != range.second; ++it) {
    const std::string id = CookieValue(it->second);
    if (!IsPlainName(id)) continue;
    const auto kept = keeper_->backend()->Get(kSessions + id, state::In(kReadTimeout));
    record::Session record;
    if (!kept.ok() || !kept->has_value() ||
        !plan::ParseMessage((*kept)->value, &record).ok() || record.user() != owner) {
      continue;
    }
    auto session = engine_->OpenSession(id);
    if (!session.ok()) return nullptr;
    std::vector<sql::ChangedSetting> settings;
    for (const auto& one : record.settings()) {
      settings.push_back({one.name(), one.value(), one.variable()});
    }
    const auto restored = (*session)->RestoreSettings(settings);
    if (!restored.ok()) {
      LOG_WARN("scheduler", "a setting of a session that is gone on with is lost: {}",
               restored.message());
    }
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    EvictLocked(now);
    Entry entry{
        *session, context.peer(), owner, now, (*session)->settings_version(), true, now};
    return sessions_.try_emplace(id, std::move(entry)).first->second.session;
  }
  return nullptr;
}

void SessionRegistry::ForgetKept() {
  const std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [](const auto& one) { return one.second.kept; });
  std::erase_if(by_peer_,
                [this](const auto& one) { return !sessions_.contains(one.second); });
}

void SessionRegistry::ForgetOldSessions() {
  if (keeper_ == nullptr) return;
  const auto kept = keeper_->backend()->List(kSessions, state::In(kReadTimeout));
  if (!kept.ok()) return;
  const uint64_t now = UnixMs() / 1000;
  const auto limit = static_cast<uint64_t>(
      (idle_limit_ + std::chrono::duration_cast<std::chrono::seconds>(2 * kUsedEvery))
          .count());
  for (const auto& entry : kept->entries) {
    record::Session record;
    const bool read = plan::ParseMessage(entry.value, &record).ok();
    if (!read || record.used_unix_s() + limit < now) keeper_->ErasePrefix(entry.key);
  }
}

void SessionRegistry::EvictLocked(std::chrono::steady_clock::time_point now) {
  const auto evict = [this](std::map<std::string, Entry>::iterator it) {
    const auto peer = by_peer_.find(it->second.peer);
    if (peer != by_peer_.end() && peer->second == it->first) by_peer_.erase(peer);
    if (it->second.kept) keeper_->ErasePrefix(kSessions + it->first);
    on_close_(it->first);
    return sessions_.erase(it);
  };
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    it = now - it->second.used > idle_limit_ ? evict(it) : std::next(it);
  }
  if (sessions_.size() < max_sessions_) return;
  evict(std::min_element(
      sessions_.begin(), sessions_.end(),
      [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
}

}  // namespace ballista::scheduler
