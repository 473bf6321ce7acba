#include "ballista/http/silent_connections.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

namespace ballista::http {

void CloseConnection(int socket) {
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
}

SilentConnections::SilentConnections(std::function<void(int)> speaks,
                                     std::chrono::milliseconds limit, size_t most)
    : speaks_(std::move(speaks)),
      limit_(limit),
      most_(most),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      thread_([this] { Watch(); }) {}

SilentConnections::~SilentConnections() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  for (const auto& one : connections_) CloseConnection(one.socket);
  ::close(wake_);
}

void SilentConnections::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void SilentConnections::Add(int socket) {
  {
    const std::lock_guard lock(mutex_);
    connections_.push_back({socket, Clock::now() + limit_});
  }
  Wake();
}

void SilentConnections::Watch() {
  while (true) {
    std::vector<pollfd> waited = {{wake_, POLLIN, 0}};
    int timeout = -1;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      for (const auto& one : connections_) waited.push_back({one.socket, POLLIN, 0});
      if (!connections_.empty()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            connections_.front().deadline - Clock::now());
        timeout = static_cast<int>(std::max<int64_t>(left.count(), 0));
      }
    }
    ::poll(waited.data(), waited.size(), timeout);
    uint64_t count = 0;
    [[maybe_unused]] const auto read = ::read(wake_, &count, sizeof count);
    std::vector<int> ready;
    for (size_t i = 1; i < waited.size(); ++i) {
      if (waited[i].revents != 0) ready.push_back(waited[i].fd);
    }
    std::vector<int> speaking;
    std::vector<int> late;
    {
      const std::lock_guard lock(mutex_);
      Sort(ready, &speaking, &late);
    }
    for (const int socket : late) CloseConnection(socket);
    for (const int socket : speaking) speaks_(socket);
  }
}

void SilentConnections::Sort(const std::vector<int>& ready, std::vector<int>* speaking,
                             std::vector<int>* late) {
  // No socket that was watched is closed by anybody else: its number is still its own.
  const std::set<int> spoke(ready.begin(), ready.end());
  const auto now = Clock::now();
  std::deque<Connection> left;
  for (const auto& one : connections_) {
    if (spoke.contains(one.socket)) {
      speaking->push_back(one.socket);
    } else if (one.deadline <= now) {
      late->push_back(one.socket);
    } else {
      left.push_back(one);
    }
  }
  while (left.size() > most_) {
    late->push_back(left.front().socket);
    left.pop_front();
  }
  connections_ = std::move(left);
}

}  // namespace ballista::http
