#include "ballista/client/shell/query_watch.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "ballista/client/shell/interrupt.h"
#include "ballista/client/shell/progress_text.h"

namespace ballista::shell {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{50};
constexpr std::chrono::milliseconds kPollInterval{100};
// Shorter statements show no progress: it would only flicker.
constexpr std::chrono::milliseconds kQuietTime{300};

}  // namespace

int TerminalWidth(int file_descriptor) {
  if (isatty(file_descriptor) == 0) return 0;
  struct winsize size = {};
  if (ioctl(file_descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

QueryWatch::QueryWatch(client::FlightSqlClient* client, client::Query* query,
                       bool show_progress)
    : client_(client),
      query_(query),
      start_(Clock::now()),
      drawing_(show_progress),
      thread_([this] { Run(); }) {}

QueryWatch::~QueryWatch() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  thread_.join();
  Erase();
}

void QueryWatch::StopDrawing() {
  std::lock_guard lock(mutex_);
  drawing_ = false;
  Erase();
}

bool QueryWatch::interrupted() const {
  std::lock_guard lock(mutex_);
  return interrupted_;
}

void QueryWatch::Run() {
  auto next_poll = start_ + kQuietTime;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kTick, [this] { return stopped_; })) {
    if (!interrupted_ && Interrupt::Take()) {
      interrupted_ = true;
      drawing_ = false;
      Erase();
      query_->Cancel();
    }
    if (!drawing_ || Clock::now() < next_poll) continue;
    lock.unlock();
    Draw();
    next_poll = Clock::now() + kPollInterval;
    lock.lock();
  }
}

void QueryWatch::Draw() {
  profile::QueryProfile profile;
  if (const std::string job_id = query_->job_id(); !job_id.empty()) {
    // A server that cannot tell is no reason to disturb the statement.
    if (auto answer = client_->Profile(job_id); answer.ok()) profile = *answer;
  }
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start_);
  const int width = TerminalWidth(STDERR_FILENO);
  const std::string line = RenderProgress(profile, elapsed, width - 1);
  std::lock_guard lock(mutex_);
  if (!drawing_ || stopped_) return;
  std::fprintf(stderr, "\r%s\x1B[K", line.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void QueryWatch::Erase() {
  if (!drawn_) return;
  std::fputs("\r\x1B[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace ballista::shell
