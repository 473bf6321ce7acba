#include "ballista/flight/interruptible_caller.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <optional>

#include "ballista/control.pb.h"

namespace ballista::flight {
namespace {

using std::chrono::seconds;

// Takes connections, and says nothing.
class SilentPort {
 public:
  SilentPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { ::close(fd_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  uint32_t port() const { return port_; }

 private:
  const int fd_;
  uint32_t port_ = 0;
};

arrow::Status CallIt(InterruptibleCaller* caller, uint32_t port) {
  return caller
      ->Call<control::HeartbeatResponse>("127.0.0.1", port, "heartbeat",
                                         control::HeartbeatRequest(), seconds(60))
      .status();
}

TEST(InterruptibleCaller, EndsACallThatIsNotAnswered) {
  const SilentPort silent;
  ClientPool clients;
  std::optional<InterruptibleCaller> caller(&clients);
  auto call =
      std::async(std::launch::async, [&] { return CallIt(&*caller, silent.port()); });
  EXPECT_EQ(call.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  caller->Interrupt();
  // Long before the call's deadline, and before the connection is given up.
  ASSERT_EQ(call.wait_for(seconds(3)), std::future_status::ready);
  EXPECT_TRUE(call.get().IsCancelled());
  EXPECT_TRUE(CallIt(&*caller, silent.port()).IsCancelled());
  caller.reset();
}

TEST(InterruptibleCaller, GivesTheErrorsOfCalls) {
  ClientPool clients;
  InterruptibleCaller caller(&clients);
  uint32_t port = 0;
  {
    const SilentPort closed;
    port = closed.port();
  }
  for (int i = 0; i < 2; ++i) {
    const auto status = CallIt(&caller, port);
    EXPECT_TRUE(IsTransient(status)) << status;
    EXPECT_EQ(clients.size(), 0u);
  }
}

}  // namespace
}  // namespace ballista::flight
