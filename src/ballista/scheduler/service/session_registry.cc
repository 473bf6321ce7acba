#include "ballista/scheduler/service/session_registry.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/flight/auth_middleware.h"

namespace ballista::scheduler {
namespace {

constexpr std::string_view kCookie = "ballista_session";

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
                                 std::function<void(const std::string&)> on_close)
    : engine_(engine),
      max_sessions_(max_sessions),
      idle_limit_(idle_limit),
      on_close_(std::move(on_close)) {}

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
  const std::lock_guard lock(mutex_);
  std::string id = FindId(context);
  if (!id.empty()) {
    auto& entry = sessions_[id];
    entry.used = now;
    // A client that sends cookies is found by them alone: its port may be another
    // client's tomorrow.
    if (context.incoming_headers().count("cookie") > 0) by_peer_.erase(entry.peer);
    return entry.session;
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
  sessions_.erase(it);
  on_close_(id);
  return true;
}

void SessionRegistry::EvictLocked(std::chrono::steady_clock::time_point now) {
  const auto evict = [this](std::map<std::string, Entry>::iterator it) {
    const auto peer = by_peer_.find(it->second.peer);
    if (peer != by_peer_.end() && peer->second == it->first) by_peer_.erase(peer);
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
