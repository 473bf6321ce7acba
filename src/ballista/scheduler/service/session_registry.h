// The sessions of the scheduler's clients, by cookie, or by connection for clients
// without cookies.
//
// Where several schedulers share a store, the cookie also has the version of the
// session's settings. A scheduler that knows an older one reads them again: what a client
// has set at one of them holds at the next one that it calls.
#pragma once

#include <arrow/flight/server.h>
#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "ballista/scheduler/service/state_keeper.h"
#include "ballista/sql/session.h"

namespace ballista::scheduler {

// Thread-safe.
class SessionRegistry {
 public:
  // A session not used for `idle_limit` is closed; so is the least recently used one
  // beyond `max_sessions`.
  // `on_close` is called with the id of each session that ends. `keeper`: where the
  // settings of sessions are kept beyond the process; null: nowhere.
  SessionRegistry(sql::SqlEngine* engine, size_t max_sessions,
                  std::chrono::seconds idle_limit,
                  std::function<void(const std::string&)> on_close,
                  StateKeeper* keeper = nullptr);

  // The session of the call: by its cookie, else by its connection (the peer's address
  // and port), else a new one. A new one's cookie is added to the answer's headers. A
  // session is its user's alone.
  arrow::Result<std::shared_ptr<sql::SqlSession>> ForCall(
      const arrow::flight::ServerCallContext& context);

  // Has the session's settings kept, where they have changed; they are durable on return.
  // Tells the call's client their version.
  arrow::Status KeepSettings(const arrow::flight::ServerCallContext& context,
                             sql::SqlSession* session);

  // Another scheduler may have changed what is kept of sessions: they are read again.
  void ForgetKept();

  // Removes what is kept of sessions that nobody has used for long.
  void ForgetOldSessions();

  // Closes the call's session. False when it had none.
  bool Close(const arrow::flight::ServerCallContext& context);

 private:
  struct Entry {
    std::shared_ptr<sql::SqlSession> session;
    std::string peer;
    std::string owner;  // the user, where clients log in
    std::chrono::steady_clock::time_point used;
    uint64_t kept_version = 0;  // of its settings
    uint64_t version = 0;       // of its settings, for all schedulers
    bool kept = false;          // there is a record of it
    std::chrono::steady_clock::time_point kept_at;
  };

  // The session that another scheduler, or this one before it was started again, has had
  // by a cookie of the call; null: there is none.
  std::shared_ptr<sql::SqlSession> Restore(
      const arrow::flight::ServerCallContext& context);
  void Put(const std::string& id, Entry* entry);
  // Takes the settings that another scheduler has kept for the session. Errors: IOError,
  // where they cannot be read.
  arrow::Status Refresh(const std::string& id, sql::SqlSession* session);
  // `version`: of its settings, as far as the client knows.
  std::string FindId(const arrow::flight::ServerCallContext& context,
                     uint64_t* version) const;
  void EvictLocked(std::chrono::steady_clock::time_point now);

  sql::SqlEngine* const engine_;
  const size_t max_sessions_;
  const std::chrono::seconds idle_limit_;
  const std::function<void(const std::string&)> on_close_;
  StateKeeper* const keeper_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> sessions_;       // by id
  std::map<std::string, std::string> by_peer_;  // peer -> id, for clients without cookies
};

}  // namespace ballista::scheduler
