#include "ballista/client/shell/interrupt.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace ballista::shell {
namespace {

std::atomic<bool> raised{false};
int pipe_ends[2] = {-1, -1};

void OnSignal(int) {
  const int saved_errno = errno;
  raised = true;
  const char byte = 0;
  // A full pipe says the same.
  [[maybe_unused]] const auto written = write(pipe_ends[1], &byte, 1);
  errno = saved_errno;
}

}  // namespace

void Interrupt::Install() {
  if (pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC) != 0) return;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

bool Interrupt::Take() {
  char bytes[64];
  while (read(pipe_ends[0], bytes, sizeof(bytes)) > 0) {
  }
  return raised.exchange(false);
}

bool Interrupt::Raised() {
  return raised;
}

int Interrupt::file_descriptor() {
  return pipe_ends[0];
}

}  // namespace ballista::shell
