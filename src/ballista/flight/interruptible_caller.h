// Calls, one after the other, that another thread can interrupt.
//
// Flight has no way to end an action's call before its deadline, and one to a host that
// is gone ends only then. Here it runs on a thread of the caller's own, which is left
// behind with it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "ballista/base/version.h"
#include "ballista/flight/client_pool.h"
#include "ballista/flight/rpc.h"
#include "ballista/flight/status_transport.h"

namespace ballista::flight {

// One thread calls; any may interrupt. Borrows the pool. The destructor interrupts; where
// a call is under way then, a thread is left that ends with it, and touches nothing but
// its connection.
class InterruptibleCaller {
 public:
  explicit InterruptibleCaller(ClientPool* clients);
  ~InterruptibleCaller();
  InterruptibleCaller(const InterruptibleCaller&) = delete;
  InterruptibleCaller& operator=(const InterruptibleCaller&) = delete;

  // As CallPeer. Errors: also Cancelled, once it was interrupted.
  template <typename Response, typename Request>
  arrow::Result<Response> Call(const std::string& host, uint32_t port,
                               std::string_view action, Request request,
                               std::chrono::milliseconds timeout) {
    if constexpr (requires { request.set_wire_version(kWireVersion); }) {
      request.set_wire_version(kWireVersion);
    }
    ARROW_ASSIGN_OR_RAISE(
        const std::string body,
        CallRaw(host, port, action, request.SerializeAsString(), timeout));
    Response response;
    ARROW_RETURN_NOT_OK(plan::ParseMessage(body, &response));
    return response;
  }

  // The call under way ends at once, and so does each from now on.
  void Interrupt();

 private:
  struct State;
  arrow::Result<std::string> CallRaw(const std::string& host, uint32_t port,
                                     std::string_view action, std::string body,
                                     std::chrono::milliseconds timeout);

  ClientPool* const clients_;
  const std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace ballista::flight
