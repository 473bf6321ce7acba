#include "ballista/http/silent_connections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

namespace ballista::http {
namespace {

using std::chrono::milliseconds;

// Two ends of a connection.
struct Pair {
  Pair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }
  ~Pair() { ::close(ends[0]); }
  // Whether the other end is closed, within ten seconds.
  bool Closed() const {
    pollfd waited{ends[0], POLLIN, 0};
    char byte = 0;
    return ::poll(&waited, 1, 10'000) == 1 && ::recv(ends[0], &byte, 1, 0) == 0;
  }
  int ends[2];
};

TEST(SilentConnections, HandsOverWhatSpeaks) {
  const Pair silent;
  const Pair speaking;
  std::atomic<int> spoke{-1};
  SilentConnections watched([&](int socket) { spoke = socket; }, milliseconds(60'000),
                            100);
  watched.Add(silent.ends[1]);
  watched.Add(speaking.ends[1]);
  ASSERT_EQ(::write(speaking.ends[0], "x", 1), 1);
  while (spoke == -1) std::this_thread::yield();
  EXPECT_EQ(spoke, speaking.ends[1]);
  char byte = 0;
  EXPECT_EQ(::read(speaking.ends[1], &byte, 1), 1);
  CloseConnection(speaking.ends[1]);
  EXPECT_TRUE(speaking.Closed());
}

TEST(SilentConnections, ClosesWhatIsSilentForTooLong) {
  const Pair silent;
  SilentConnections watched([](int) { ADD_FAILURE(); }, milliseconds(20), 100);
  watched.Add(silent.ends[1]);
  EXPECT_TRUE(silent.Closed());
}

TEST(SilentConnections, ClosesTheOldestOfTooMany) {
  const Pair oldest;
  const Pair older;
  const Pair newest;
  SilentConnections watched([](int) { ADD_FAILURE(); }, milliseconds(60'000), 2);
  for (const Pair* one : {&oldest, &older, &newest}) watched.Add(one->ends[1]);
  EXPECT_TRUE(oldest.Closed());
}

TEST(SilentConnections, ClosesAllAtItsEnd) {
  const Pair silent;
  {
    SilentConnections watched([](int) { ADD_FAILURE(); }, milliseconds(60'000), 2);
    watched.Add(silent.ends[1]);
  }
  EXPECT_TRUE(silent.Closed());
}

}  // namespace
}  // namespace ballista::http
