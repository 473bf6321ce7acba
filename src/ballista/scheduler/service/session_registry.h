// The sessions of the scheduler's clients, by cookie, or by connection for clients
// without cookies.
#pragma once

#include <arrow/flight/server.h>
#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "ballista/sql/session.h"

namespace ballista::scheduler {

// Thread-safe.
class SessionRegistry {
 public:
  // A session not used for `idle_limit` is closed; so is the least recently used one
  // beyond `max_sessions`.
  // `on_close` is called with the id of each session that ends.
  SessionRegistry(sql::SqlEngine* engine, size_t max_sessions,
                  std::chrono::seconds idle_limit,
                  std::function<void(const std::string&)> on_close);

  // The session of the call: by its cookie, else by its connection (the peer's address
  // and port), else a new one. A new one's cookie is added to the answer's headers. A
  // session is its user's alone.
  arrow::Result<std::shared_ptr<sql::SqlSession>> ForCall(
      const arrow::flight::ServerCallContext& context);

  // Closes the call's session. False when it had none.
  bool Close(const arrow::flight::ServerCallContext& context);

 private:
  struct Entry {
    std::shared_ptr<sql::SqlSession> session;
    std::string peer;
    std::string owner;  // the user, where clients log in
    std::chrono::steady_clock::time_point used;
  };

  std::string FindId(const arrow::flight::ServerCallContext& context) const;
  void EvictLocked(std::chrono::steady_clock::time_point now);

  sql::SqlEngine* const engine_;
  const size_t max_sessions_;
  const std::chrono::seconds idle_limit_;
  const std::function<void(const std::string&)> on_close_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> sessions_;       // by id
  std::map<std::string, std::string> by_peer_;  // peer -> id, for clients without cookies
};

}  // namespace ballista::scheduler
