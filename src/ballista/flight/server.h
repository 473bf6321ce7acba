// Runs a Flight server on a thread of its own.
#pragma once

#include <arrow/flight/server.h>
#include <arrow/status.h>

#include <cstdint>
#include <string>
#include <thread>

#include "ballista/flight/auth_middleware.h"

namespace ballista::flight {

class RunningServer {
 public:
  RunningServer() = default;
  ~RunningServer() { Stop(); }

  // Listens on return; calls are served until Stop. Borrows the server.
  // Errors: Invalid, half a sentence that goes on from the address, for a port in use or
  // an address that is none of this machine's.
  arrow::Status Start(arrow::flight::FlightServerBase* server, const std::string& host,
                      uint32_t port, const ServerSecurity& security = {});

  // Ends the calls under way and waits for the thread. Idempotent.
  void Stop();

 private:
  arrow::flight::FlightServerBase* server_ = nullptr;
  std::thread thread_;
};

}  // namespace ballista::flight
