// What is particular to one backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "ballista/state/etcd_client_internal.h"
#include "ballista/state/open.h"
#include "ballista/state/state_error.h"
#include "ballista/state/test_stores_internal.h"

namespace ballista::state {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr milliseconds kLong{10000};

TEST(Sqlite, ASecondProcessIsTurnedAway) {
  TestFolder folder;
  auto first = OpenSqlite(folder.path());
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = OpenSqlite(folder.path());
  ASSERT_TRUE(IsStateError(second.status(), StateError::kInUse)) << second.status();
  EXPECT_THAT(second.status().message(),
              HasSubstr("in use by another scheduler (process " +
                        std::to_string(getpid()) + ")"));
  first->reset();
  EXPECT_TRUE(OpenSqlite(folder.path()).ok());
}

TEST(Sqlite, SaysWhatIsWrongWithAFile) {
  TestFolder folder;
  std::ofstream(folder.path() + "/state.sqlite") << std::string(5000, 'x');
  auto opened = OpenSqlite(folder.path());
  EXPECT_TRUE(IsStateError(opened.status(), StateError::kDamaged)) << opened.status();
  EXPECT_THAT(opened.status().message(), HasSubstr("move it away"));
  EXPECT_TRUE(OpenSqlite("/proc/no/such").status().IsIOError());
}

// Acknowledged commits are there after SIGKILL, and the lock is free.
TEST(Sqlite, OutlivesAKill) {
  TestFolder folder;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto backend = OpenSqlite(folder.path()).ValueOrDie();
    for (int i = 0;; ++i) {
      Transaction write;
      write.puts = {{"k/" + std::to_string(i), "x"}};
      if (!backend->Commit(write, In(kLong)).ok()) _exit(1);
      if (::write(pipe_ends[1], &i, sizeof(i)) != sizeof(i)) _exit(1);
    }
  }
  close(pipe_ends[1]);
  int last = -1;
  while (last < 50 && read(pipe_ends[0], &last, sizeof(last)) == sizeof(last)) {
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  while (read(pipe_ends[0], &last, sizeof(last)) == sizeof(last)) {
  }
  close(pipe_ends[0]);
  ASSERT_GE(last, 50);
  auto backend = OpenSqlite(folder.path());
  ASSERT_TRUE(backend.ok()) << backend.status();
  for (int i = 0; i <= last; ++i) {
    auto entry = (*backend)->Get("k/" + std::to_string(i), In(kLong));
    ASSERT_TRUE(entry.ok() && entry->has_value()) << i;
  }
}

TEST(Etcd, GoesToAnotherUrl) {
  EtcdProcess etcd;
  TestProxy frozen(etcd.port());
  frozen.Freeze();
  const std::string refused = "http://127.0.0.1:" + std::to_string(FreePort());
  for (const std::string& bad : {refused, frozen.url()}) {
    auto backend = OpenEtcd({bad, etcd.url()}, "x/", In(kLong));
    ASSERT_TRUE(backend.ok()) << backend.status();
    Transaction write;
    write.puts = {{"k", bad}};
    auto committed = (*backend)->Commit(write, In(kLong));
    ASSERT_TRUE(committed.ok()) << committed.status();
    auto watch = (*backend)->StartWatch("k", committed->revision);
    auto changes = (*watch)->Next(In(kLong));
    ASSERT_TRUE(changes.ok());
    ASSERT_EQ(changes->size(), 1);
    EXPECT_EQ((*changes)[0].entry.value, bad);
  }
}

TEST(Etcd, SaysWhereItLookedInTime) {
  const std::string url = "http://127.0.0.1:" + std::to_string(FreePort());
  const auto before = std::chrono::steady_clock::now();
  auto backend = OpenEtcd({url}, "", In(milliseconds(300)));
  EXPECT_TRUE(IsStateError(backend.status(), StateError::kUnavailable));
  EXPECT_THAT(backend.status().message(), HasSubstr(url));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(2));
}

TEST(Etcd, KeepsTheFailureBeforeACallThatTheDeadlineCutOff) {
  // The first caller is turned away, the second one gets no answer.
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(server, generic, size), 0);
  ASSERT_EQ(listen(server, 8), 0);
  ASSERT_EQ(getsockname(server, generic, &size), 0);
  std::thread first([server] { close(accept(server, nullptr, nullptr)); });
  const std::string url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  auto backend = OpenEtcd({url}, "", In(seconds(2)));
  first.join();
  close(server);
  EXPECT_TRUE(IsStateError(backend.status(), StateError::kUnavailable));
  EXPECT_THAT(backend.status().message(), HasSubstr("did not answer in time"));
  EXPECT_THAT(backend.status().message(), testing::Not(HasSubstr("Timeout")));
}

TEST(Etcd, ReadsLists) {
  EXPECT_EQ(ParseEtcdUrls("a:2379,https://b:1").ValueOrDie(),
            (std::vector<std::string>{"http://a:2379", "https://b:1"}));
  for (const char* bad :
       {"", "a", "a:", ":1", "a:1,", "a:x", "http://a:1/path", "u@a:1"}) {
    EXPECT_TRUE(ParseEtcdUrls(bad).status().IsInvalid()) << bad;
  }
}

TEST(Base64, IsThatOfTheStandard) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {std::string("\0\xff\xfe", 3), "AP/+"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(Base64(bytes), text);
    EXPECT_EQ(FromBase64(text).ValueOrDie(), bytes);
  }
  EXPECT_FALSE(FromBase64("Zg").ok());
  EXPECT_FALSE(FromBase64("Z*==").ok());
}

}  // namespace
}  // namespace ballista::state
