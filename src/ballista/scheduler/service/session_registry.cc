#include "ballista/scheduler/service/session_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/base/log.h"
#include "ballista/base/unix_time.h"
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

struct Cookie {
  std::string id;
  uint64_t version = 0;
};

// "ID", or "ID.7".
Cookie ParseCookie(std::string_view header) {
  Cookie cookie{CookieValue(header)};
  const size_t dot = cookie.id.find('.');
  if (dot == std::string::npos) return cookie;
  const char* end = cookie.id.data() + cookie.id.size();
  (void)std::from_chars(cookie.id.data() + dot + 1, end, cookie.version);
  cookie.id.resize(dot);
  return cookie;
}

std::vector<sql::ChangedSetting> SettingsOf(const record::Session& record) {
  std::vector<sql::ChangedSetting> settings;
  for (const auto& one : record.settings()) {
    settings.push_back({one.name(), one.value(), one.variable()});
  }
  return settings;
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

std::string SessionRegistry::FindId(const arrow::flight::ServerCallContext& context,
                                    uint64_t* version) const {
  const auto owner = flight::IdentityOf(context).name;
  const auto is_owners = [&](const std::string& id) {
    const auto found = sessions_.find(id);
    return found != sessions_.end() && found->second.owner == owner;
  };
  const auto range = context.incoming_headers().equal_range("cookie");
  for (auto it = range.first; it != range.second; ++it) {
    Cookie cookie = ParseCookie(it->second);
    if (!is_owners(cookie.id)) continue;
    *version = cookie.version;
    return std::move(cookie.id);
  }
  const auto peer = by_peer_.find(context.peer());
  return peer == by_peer_.end() || !is_owners(peer->second) ? "" : peer->second;
}

arrow::Result<std::shared_ptr<sql::SqlSession>> SessionRegistry::ForCall(
    const arrow::flight::ServerCallContext& context) {
  const auto now = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  uint64_t version = 0;
  std::string id = FindId(context, &version);
  if (!id.empty()) {
    auto& entry = sessions_[id];
    entry.used = now;
    // A client that sends cookies is found by them alone: its port may be another
    // client's tomorrow.
    if (context.incoming_headers().count("cookie") > 0) by_peer_.erase(entry.peer);
    const bool changed_elsewhere = keeper_ != nullptr && version > entry.version;
    if (!changed_elsewhere && entry.kept && now - entry.kept_at > kUsedEvery) {
      Put(id, &entry);
    }
    auto session = entry.session;
    lock.unlock();
    if (changed_elsewhere) ARROW_RETURN_NOT_OK(Refresh(id, session.get()));
    return session;
  }
  if (keeper_ != nullptr) {
    lock.unlock();
    if (auto restored = Restore(context)) return restored;
    lock.lock();
  }
  EvictLocked(now);
  id = NewId();
  ARROW_ASSIGN_OR_RAISE(auto session, engine_->OpenSession(id));
  session->set_user(flight::IdentityOf(context).name);
  sessions_[id] = Entry{session, context.peer(), flight::IdentityOf(context).name, now};
  by_peer_[context.peer()] = id;
  context.AddHeader("set-cookie", std::string(kCookie) + "=" + id);
  return session;
}

bool SessionRegistry::Close(const arrow::flight::ServerCallContext& context) {
  const std::lock_guard lock(mutex_);
  uint64_t version = 0;
  const std::string id = FindId(context, &version);
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
  record.set_version(entry->version);
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

arrow::Status SessionRegistry::KeepSettings(
    const arrow::flight::ServerCallContext& context, sql::SqlSession* session) {
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
    ++found->second.version;
    Put(found->first, &found->second);
    if (keeper_->shared()) {
      context.AddHeader("set-cookie", fmt::format("{}={}.{}", kCookie, found->first,
                                                  found->second.version));
    }
  }
  return keeper_->Flush();
}

arrow::Status SessionRegistry::Refresh(const std::string& id, sql::SqlSession* session) {
  const auto kept = keeper_->backend()->Get(kSessions + id, state::In(kReadTimeout));
  if (!kept.ok()) {
    return arrow::Status::IOError(
        "this session's settings were changed at another scheduler and cannot be read "
        "now; try again: ",
        kept.status().message());
  }
  record::Session record;
  if (!kept->has_value() || !plan::ParseMessage((*kept)->value, &record).ok()) {
    return arrow::Status::OK();  // closed meanwhile, or the version is made up
  }
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || found->second.owner != record.user() ||
        found->second.version >= record.version()) {
      return arrow::Status::OK();
    }
  }
  // Twice, where two calls come at once, does no harm.
  const auto restored = session->RestoreSettings(SettingsOf(record));
  if (!restored.ok()) {
    LOG_WARN("scheduler", "a setting of a session from another scheduler is lost: {}",
             restored.message());
  }
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return arrow::Status::OK();
  found->second.version = std::max(found->second.version, record.version());
  found->second.kept_version = session->settings_version();
  found->second.kept = true;
  found->second.kept_at = std::chrono::steady_clock::now();
  return arrow::Status::OK();
}

std::shared_ptr<sql::SqlSession> SessionRegistry::Restore(
    const arrow::flight::ServerCallContext& context) {
  const auto owner = flight::IdentityOf(context).name;
  const auto range = context.incoming_headers().equal_range("cookie");
  for (auto it = range.first; it != range.second; ++it) {
    const std::string id = ParseCookie(it->second).id;
    if (!IsPlainName(id)) continue;
    const auto kept = keeper_->backend()->Get(kSessions + id, state::In(kReadTimeout));
    record::Session record;
    if (!kept.ok() || !kept->has_value() ||
        !plan::ParseMessage((*kept)->value, &record).ok() || record.user() != owner) {
      continue;
    }
    auto session = engine_->OpenSession(id);
    if (!session.ok()) return nullptr;
    (*session)->set_user(owner);
    const auto restored = (*session)->RestoreSettings(SettingsOf(record));
    if (!restored.ok()) {
      LOG_WARN("scheduler", "a setting of a session that is gone on with is lost: {}",
               restored.message());
    }
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    EvictLocked(now);
    Entry entry{
        *session,         context.peer(), owner, now, (*session)->settings_version(),
        record.version(), true,           now};
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
