#include "ballista/http/guarded_server.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ballista::http {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kThreads = 8;
// Requests that wait for a thread; more wait with the silent connections, and in the
// kernel's backlog.
constexpr size_t kMaxWaiting = 64;
constexpr size_t kMaxSilent = 512;
// For a whole request and its answer. Whoever is slower, by accident or on purpose, is
// cut off.
constexpr auto kRequestTime = std::chrono::seconds(5);

// Threads behind a queue with a bound: whoever adds to it waits while it is full.
class BoundedTasks : public httplib::TaskQueue {
 public:
  explicit BoundedTasks(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
  }

  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || tasks_.size() < kMaxWaiting; });
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }

  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void Work() {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      changed_.notify_all();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
};

// A connection until its deadline, plain or over TLS. The socket does not block.
class TimedStream : public httplib::Stream {
 public:
  TimedStream(socket_t socket, SSL* ssl)
      : socket_(socket), ssl_(ssl), deadline_(Clock::now() + kRequestTime) {}

  bool Handshake() {
    return ssl_ == nullptr || Complete([&] { return SSL_accept(ssl_); }) == 1;
  }
  bool is_readable() const override { return Wait(POLLIN); }
  bool is_writable() const override { return Wait(POLLOUT); }
  ssize_t read(char* bytes, size_t size) override {
    const int most = static_cast<int>(std::min<size_t>(size, 1 << 20));
    if (ssl_ != nullptr) return Complete([&] { return SSL_read(ssl_, bytes, most); });
    return Plain(POLLIN, [&] { return ::recv(socket_, bytes, size, 0); });
  }
  ssize_t write(const char* bytes, size_t size) override {
    const int most = static_cast<int>(std::min<size_t>(size, 1 << 20));
    if (ssl_ != nullptr) return Complete([&] { return SSL_write(ssl_, bytes, most); });
    return Plain(POLLOUT, [&] { return ::send(socket_, bytes, size, MSG_NOSIGNAL); });
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_; }

 private:
  bool Wait(int16_t events) const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0) return false;
    pollfd waited{socket_, events, 0};
    return ::poll(&waited, 1, static_cast<int>(left.count())) > 0;
  }

  template <typename Call>
  ssize_t Plain(int16_t events, Call call) {
    while (Wait(events)) {
      const auto result = call();
      if (result >= 0 || (errno != EAGAIN && errno != EINTR)) return result;
    }
    return -1;
  }

  template <typename Call>
  int Complete(Call call) {
    while (true) {
      ERR_clear_error();
      const int result = call();
      if (result > 0) return result;
      const int error = SSL_get_error(ssl_, result);
      if (error == SSL_ERROR_ZERO_RETURN) return 0;
      const bool wants_read = error == SSL_ERROR_WANT_READ;
      if (!wants_read && error != SSL_ERROR_WANT_WRITE) return -1;
      if (!Wait(wants_read ? POLLIN : POLLOUT)) return -1;
    }
  }

  const socket_t socket_;
  SSL* const ssl_;
  const Clock::time_point deadline_;
};

}  // namespace

GuardedServer::GuardedServer() {
  // It only passes connections on.
  new_task_queue = [] { return new BoundedTasks(1); };
  set_payload_max_length(64 << 10);
  answering_ = std::make_unique<BoundedTasks>(kThreads);
  silent_ = std::make_unique<SilentConnections>(
      [this](int socket) {
        answering_->enqueue([this, socket] {
          Serve(socket);
          CloseConnection(socket);
        });
      },
      kRequestTime, kMaxSilent);
}

GuardedServer::~GuardedServer() {
  Finish();
}

void GuardedServer::Finish() {
  silent_.reset();
  answering_->shutdown();
}

arrow::Result<std::unique_ptr<GuardedServer>> GuardedServer::Make(
    const security::TlsMaterial& tls) {
  std::unique_ptr<GuardedServer> server(new GuardedServer());
  if (tls.on()) ARROW_RETURN_NOT_OK(server->UseTls(tls));
  return server;
}

arrow::Status GuardedServer::UseTls(const security::TlsMaterial& tls) {
  using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
  const auto open = [](const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free_all);
  };
  tls_.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_min_proto_version(tls_.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(tls_.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  bool good = true;
  const auto chain = open(tls.cert);
  for (bool first = true;
       X509* one = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr);
       first = false) {
    good = good && (first ? SSL_CTX_use_certificate(tls_.get(), one)
                          : SSL_CTX_add1_chain_cert(tls_.get(), one)) == 1;
    X509_free(one);
  }
  EVP_PKEY* key = PEM_read_bio_PrivateKey(open(tls.key).get(), nullptr, nullptr, nullptr);
  good = good && SSL_CTX_use_PrivateKey(tls_.get(), key) == 1;
  EVP_PKEY_free(key);
  const auto roots = open(tls.client_ca);
  while (X509* one = PEM_read_bio_X509(roots.get(), nullptr, nullptr, nullptr)) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(tls_.get()), one);
    X509_free(one);
  }
  ERR_clear_error();
  if (!tls.client_ca.empty()) {
    SSL_CTX_set_verify(tls_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       nullptr);
  }
  return good ? arrow::Status::OK()
              : arrow::Status::Invalid("the certificate cannot be used for HTTP");
}

void GuardedServer::Serve(socket_t socket) {
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  const std::unique_ptr<SSL, FreeSsl> ssl(tls_ == nullptr ? nullptr
                                                          : SSL_new(tls_.get()));
  if (ssl != nullptr) SSL_set_fd(ssl.get(), socket);
  TimedStream stream(socket, ssl.get());
  if (!stream.Handshake()) return;
  bool closed = false;
  process_request(stream, true, closed, nullptr);
  if (ssl != nullptr) SSL_shutdown(ssl.get());
}

bool GuardedServer::process_and_close_socket(socket_t socket) {
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  silent_->Add(socket);
  return true;
}

}  // namespace ballista::http
