// For tests: an etcd process on free ports of loopback, and a proxy before it whose
// connections can be cut or frozen.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ballista/state/open.h"

namespace ballista::state {

// A folder that goes with the object.
class TestFolder {
 public:
  TestFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "state-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A listening socket on a free port.
inline int ListenAnywhere(int* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  sockaddr_in bound{};
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      listen(fd, 64) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  *port = ntohs(bound.sin_port);
  return fd;
}

inline int FreePort() {
  int port = 0;
  close(ListenAnywhere(&port));
  return port;
}

class EtcdProcess {
 public:
  EtcdProcess() : client_(FreePort()), peer_(FreePort()) { Start(); }
  ~EtcdProcess() { Kill(); }
  EtcdProcess(const EtcdProcess&) = delete;
  EtcdProcess& operator=(const EtcdProcess&) = delete;

  int port() const { return client_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(client_); }

  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  void Signal(int signal) { kill(pid_, signal); }

  // On the same ports and data; waits until it answers.
  void Start() {
    const std::string client = url();
    const std::string peer = "http://127.0.0.1:" + std::to_string(peer_);
    const std::string cluster = "default=" + peer;
    const std::string data = folder_.path() + "/data";
    const std::vector<std::string> words = {
        "etcd",        "--data-dir",
        data,          "--listen-client-urls",
        client,        "--advertise-client-urls",
        client,        "--listen-peer-urls",
        peer,          "--initial-advertise-peer-urls",
        peer,          "--initial-cluster",
        cluster,       "--unsafe-no-fsync",
        "--logger",    "zap",
        "--log-level", "error"};
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int log =
          open((folder_.path() + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      dup2(log, 1);
      dup2(log, 2);
      execvp("etcd", arguments.data());
      _exit(127);
    }
    auto opened = OpenEtcd({client}, "", In(std::chrono::seconds(30)));
    if (!opened.ok()) throw std::runtime_error(opened.status().ToString());
  }

 private:
  TestFolder folder_;
  const int client_;
  const int peer_;
  pid_t pid_ = 0;
};

// Passes connections on to a port of loopback, until told otherwise.
class TestProxy {
 public:
  explicit TestProxy(int target) : target_(target), listener_(ListenAnywhere(&port_)) {
    thread_ = std::thread([this] { Run(); });
  }
  ~TestProxy() {
    stopping_ = true;
    thread_.join();
    close(listener_);
  }
  TestProxy(const TestProxy&) = delete;
  TestProxy& operator=(const TestProxy&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // Resets every connection, and new ones at once.
  void Cut() { mode_ = kCut; }
  // Connections stand, and nothing moves.
  void Freeze() { mode_ = kFrozen; }
  void Restore() { mode_ = kOpen; }

 private:
  enum Mode { kOpen, kCut, kFrozen };
  struct Pair {
    int client;
    int server;
  };

  static bool Pump(int from, int to) {
    char bytes[16384];
    const ssize_t count = recv(from, bytes, sizeof(bytes), 0);
    for (ssize_t sent = 0; sent < count;) {
      const ssize_t now = send(to, bytes + sent, count - sent, MSG_NOSIGNAL);
      if (now <= 0) return false;
      sent += now;
    }
    return count > 0;
  }

  static void Close(const Pair& pair) {
    const linger reset{1, 0};
    setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(pair.client);
    close(pair.server);
  }

  void Accept() {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const Pair pair{client, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = Loopback(target_);
    if (mode_ == kCut || connect(pair.server, reinterpret_cast<const sockaddr*>(&address),
                                 sizeof(address)) != 0) {
      return Close(pair);
    }
    pairs_.push_back(pair);
  }

  void Run() {
    while (!stopping_) {
      const Mode mode = mode_;
      if (mode == kCut) {
        for (const Pair& pair : pairs_) Close(pair);
        pairs_.clear();
      }
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      if (mode == kOpen) {
        for (const Pair& pair : pairs_) {
          polled.push_back({pair.client, POLLIN, 0});
          polled.push_back({pair.server, POLLIN, 0});
        }
      }
      poll(polled.data(), polled.size(), 10);
      if (mode != mode_) continue;
      if (mode == kOpen) {
        size_t at = 1;
        for (auto it = pairs_.begin(); it != pairs_.end(); at += 2) {
          const bool alive =
              (polled[at].revents == 0 || Pump(it->client, it->server)) &&
              (polled[at + 1].revents == 0 || Pump(it->server, it->client));
          if (!alive) Close(*it);
          it = alive ? std::next(it) : pairs_.erase(it);
        }
      }
      if (polled[0].revents != 0) Accept();
    }
    for (const Pair& pair : pairs_) Close(pair);
  }

  const int target_;
  int port_ = 0;
  const int listener_;
  std::atomic<Mode> mode_{kOpen};
  std::atomic<bool> stopping_{false};
  std::list<Pair> pairs_;  // of the thread alone
  std::thread thread_;
};

}  // namespace ballista::state
