// Connections that have not said anything yet. One thread watches all of them, so that
// they keep no thread from those that ask: browsers open connections ahead, and health
// checks have to be answered beside them.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace ballista::http {

class SilentConnections {
 public:
  // `speaks` takes over a socket that has something to read, or was closed by the peer.
  // It is called from the watching thread and must not wait long. One that is silent for
  // `limit` is closed, and so is the oldest of more than `most`.
  SilentConnections(std::function<void(int socket)> speaks,
                    std::chrono::milliseconds limit, size_t most);
  // Closes all.
  ~SilentConnections();

  // Takes over the socket.
  void Add(int socket);

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    int socket;
    Clock::time_point deadline;
  };

  void Watch();
  // What to hand over, and what to close, after a wait. Under the lock.
  void Sort(const std::vector<int>& ready, std::vector<int>* speaking,
            std::vector<int>* late);
  void Wake();

  const std::function<void(int)> speaks_;
  const std::chrono::milliseconds limit_;
  const size_t most_;
  int wake_;  // an eventfd
  std::mutex mutex_;
  std::deque<Connection> connections_;  // by deadline
  bool stopping_ = false;
  std::thread thread_;
};

// Ends a connection, whatever it is about.
void CloseConnection(int socket);

}  // namespace ballista::http
