#include "ballista/flight/server.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "ballista/base/log.h"
#include "ballista/flight/client_pool.h"

namespace ballista::flight {
namespace {

// gRPC lets several servers share a port; a second scheduler on it must be an error. So
// the port is tried first.
arrow::Status CheckPortIsFree(const std::string& host, uint32_t port) {
  if (port == 0) return arrow::Status::OK();
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return arrow::Status::Invalid("cannot listen on ", FormatAddress(host, port), ": ",
                                  gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  const int fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  if (fd < 0) return arrow::Status::IOError("socket: ", std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool bound = bind(fd, found->ai_addr, found->ai_addrlen) == 0;
  const int reason = errno;
  close(fd);
  if (bound) return arrow::Status::OK();
  return arrow::Status::Invalid("cannot listen on ", FormatAddress(host, port), ": ",
                                std::strerror(reason));
}

}  // namespace

arrow::Status RunningServer::Start(arrow::flight::FlightServerBase* server,
                                   const std::string& host, uint32_t port,
                                   const ServerSecurity& security) {
  ARROW_RETURN_NOT_OK(CheckPortIsFree(host, port));
  ARROW_ASSIGN_OR_RAISE(auto location, MakeLocation(host, port, security.tls.on()));
  arrow::flight::FlightServerOptions options(location);
  Secure(security, &options);
  const auto status = server->Init(options);
  if (!status.ok()) {
    return arrow::Status::Invalid("cannot listen on ", FormatAddress(host, port), ": ",
                                  status.message());
  }
  server_ = server;
  thread_ = std::thread([server] {
    const auto served = server->Serve();
    if (!served.ok()) LOG_ERROR("flight", "the server ended: {}", served.ToString());
  });
  return arrow::Status::OK();
}

void RunningServer::Stop() {
  if (server_ == nullptr) return;
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(1);
  const auto status = server_->Shutdown(&deadline);
  if (!status.ok()) LOG_WARN("flight", "shutdown: {}", status.ToString());
  thread_.join();
  server_ = nullptr;
}

}  // namespace ballista::flight
