// What holds for every state backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ballista/state/fence.h"
#include "ballista/state/open.h"
#include "ballista/state/state_error.h"
#include "ballista/state/test_stores_internal.h"

namespace ballista::state {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLong{10000};

// One store, fresh for a test.
class Store {
 public:
  virtual ~Store() = default;
  virtual StateBackend* backend() = 0;
  // Null where there is no connection to lose.
  virtual TestProxy* proxy() { return nullptr; }
  // Another connection, not through the proxy.
  virtual StateBackend* other() { return backend(); }
  // Ends without warning and starts again; false where nothing would be left.
  virtual bool Restart() { return false; }
};

class MemoryStore : public Store {
 public:
  StateBackend* backend() override { return backend_.get(); }

 private:
  std::unique_ptr<StateBackend> backend_ = OpenMemory();
};

class SqliteStore : public Store {
 public:
  SqliteStore() { Restart(); }
  StateBackend* backend() override { return backend_.get(); }
  bool Restart() override {
    backend_.reset();
    backend_ = OpenSqlite(folder_.path() + "/state").ValueOrDie();
    return true;
  }

 private:
  TestFolder folder_;
  std::unique_ptr<StateBackend> backend_;
};

EtcdProcess& SharedEtcd() {
  static EtcdProcess etcd;
  return etcd;
}

class EtcdStore : public Store {
 public:
  EtcdStore() : proxy_(SharedEtcd().port()) {
    static int number = 0;
    const std::string root = "test-" + std::to_string(number++) + "/";
    backend_ = OpenEtcd({proxy_.url()}, root, In(kLong)).ValueOrDie();
    other_ = OpenEtcd({SharedEtcd().url()}, root, In(kLong)).ValueOrDie();
  }
  StateBackend* backend() override { return backend_.get(); }
  StateBackend* other() override { return other_.get(); }
  TestProxy* proxy() override { return &proxy_; }
  bool Restart() override {
    SharedEtcd().Kill();
    SharedEtcd().Start();
    return true;
  }

 private:
  TestProxy proxy_;
  std::unique_ptr<StateBackend> backend_;
  std::unique_ptr<StateBackend> other_;
};

class Conformance : public testing::TestWithParam<const char*> {
 protected:
  Conformance() {
    const std::string name = GetParam();
    if (name == "memory") store_ = std::make_unique<MemoryStore>();
    if (name == "sqlite") store_ = std::make_unique<SqliteStore>();
    if (name == "etcd") store_ = std::make_unique<EtcdStore>();
  }

  StateBackend* backend() { return store_->backend(); }
  // Of etcd's leases it is the least.
  milliseconds ttl() { return milliseconds(backend()->shared() ? 2000 : 300); }

  int64_t PutOne(const std::string& key, const std::string& value, LeaseId lease = 0) {
    Transaction transaction;
    transaction.puts.push_back({key, value, lease});
    return Must(transaction);
  }
  int64_t EraseOne(const std::string& key, bool prefix = false) {
    Transaction transaction;
    transaction.erases.push_back({key, prefix});
    return Must(transaction);
  }
  int64_t Must(const Transaction& transaction) {
    auto committed = store_->other()->Commit(transaction, In(kLong));
    EXPECT_TRUE(committed.ok()) << committed.status();
    EXPECT_TRUE(committed.ok() && committed->committed);
    return committed.ok() ? committed->revision : 0;
  }
  std::optional<std::string> ValueOf(const std::string& key) {
    auto entry = backend()->Get(key, In(kLong));
    EXPECT_TRUE(entry.ok()) << entry.status();
    if (!entry.ok() || !entry->has_value()) return std::nullopt;
    return (*entry)->value;
  }
  Snapshot ListAll(const std::string& prefix) {
    auto snapshot = backend()->List(prefix, In(kLong));
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot.ok() ? *snapshot : Snapshot{};
  }
  std::vector<std::string> KeysOf(const std::string& prefix) {
    std::vector<std::string> keys;
    for (const Entry& entry : ListAll(prefix).entries) keys.push_back(entry.key);
    return keys;
  }
  LeaseId Lease() { return Lease(ttl()); }
  LeaseId Lease(milliseconds ttl) {
    auto lease = backend()->GrantLease(ttl, In(kLong));
    EXPECT_TRUE(lease.ok()) << lease.status();
    return lease.ok() ? *lease : 0;
  }
  // Waits until the key is gone; how long that took.
  milliseconds UntilGone(const std::string& key, milliseconds at_most) {
    const auto start = std::chrono::steady_clock::now();
    while (ValueOf(key).has_value()) {
      const auto waited = std::chrono::steady_clock::now() - start;
      if (waited > at_most) {
        ADD_FAILURE() << key << " is still there after " << at_most.count() << " ms";
        break;
      }
      std::this_thread::sleep_for(milliseconds(20));
    }
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() -
                                                    start);
  }
  // "+key=value@revision" and "-key@revision" until `count` have come.
  static std::vector<std::string> Collect(Watch* watch, size_t count) {
    std::vector<std::string> seen;
    const Deadline deadline = In(kLong);
    while (seen.size() < count && std::chrono::steady_clock::now() < deadline) {
      auto changes = watch->Next(deadline);
      if (!changes.ok()) {
        seen.push_back(changes.status().ToString());
        break;
      }
      for (const Change& change : *changes) {
        const Entry& entry = change.entry;
        seen.push_back((change.erased ? "-" + entry.key : "+" + entry.key + "=") +
                       entry.value + "@" + std::to_string(entry.revision));
      }
    }
    return seen;
  }

  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Backends, Conformance,
                         testing::Values("memory", "sqlite", "etcd"),
                         [](const auto& info) { return std::string(info.param); });

std::string At(const std::string& change, int64_t revision) {
  return change + "@" + std::to_string(revision);
}

TEST_P(Conformance, KeepsBytesInOrderOfKeys) {
  const std::string odd("\0\xff\n\"x", 5);
  const int64_t first = PutOne("a/2", odd);
  const int64_t second = PutOne("a/1", "");
  PutOne("b", "x");
  PutOne("a", "not below a/");
  EXPECT_GT(second, first);
  EXPECT_EQ(ValueOf("a/2"), odd);
  EXPECT_EQ(ValueOf("a/1"), "");
  EXPECT_EQ(ValueOf("a/3"), std::nullopt);
  EXPECT_THAT(KeysOf("a/"), testing::ElementsAre("a/1", "a/2"));
  EXPECT_THAT(KeysOf(""), testing::ElementsAre("a", "a/1", "a/2", "b"));
  const Snapshot snapshot = ListAll("a/");
  ASSERT_EQ(snapshot.entries.size(), 2);
  EXPECT_EQ(snapshot.entries[0].revision, second);
  EXPECT_EQ(snapshot.entries[1].revision, first);
  EXPECT_GE(snapshot.revision, second);
  EraseOne("a/", true);
  EraseOne("none");
  EXPECT_THAT(KeysOf(""), testing::ElementsAre("a", "b"));
}

TEST_P(Conformance, ListsMoreThanOnePage) {
  std::set<std::string> keys;
  Transaction transaction;
  for (int i = 0; i < 1100; ++i) {
    transaction.puts.push_back({"many/" + std::to_string(i), std::to_string(i)});
    keys.insert(transaction.puts.back().key);
    if (transaction.puts.size() < 100) continue;
    Must(transaction);
    transaction.puts.clear();
  }
  const auto listed = KeysOf("many/");
  EXPECT_TRUE(std::is_sorted(listed.begin(), listed.end()));
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), keys);
  EXPECT_EQ(listed.size(), keys.size());
}

TEST_P(Conformance, TransactionsAreAllOrNothing) {
  const int64_t revision = PutOne("x", "1");
  PutOne("old/1", "");
  PutOne("old/2", "");
  Transaction change;
  change.compares = {{"x", revision}, {"new", 0}};
  change.erases = {{"old/", true}};
  change.puts = {{"x", "2"}, {"new", "made"}};
  auto committed = backend()->Commit(change, In(kLong));
  ASSERT_TRUE(committed.ok() && committed->committed) << committed.status();
  EXPECT_GT(committed->revision, revision);
  EXPECT_EQ(ValueOf("x"), "2");
  EXPECT_THAT(KeysOf(""), testing::ElementsAre("new", "x"));
  // Neither of the compares holds any more, then one of them.
  for (const int64_t x : {revision, committed->revision}) {
    change.compares[0].revision = x;
    change.puts = {{"x", "3"}, {"other", ""}};
    auto again = backend()->Commit(change, In(kLong));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_FALSE(again->committed);
  }
  EXPECT_EQ(ValueOf("x"), "2");
  EXPECT_EQ(ValueOf("other"), std::nullopt);
}

TEST_P(Conformance, RefusesTransactionsThatAreTooLargeOrTouchAKeyTwice) {
  Transaction many;
  for (size_t i = 0; i <= kMaxOperations; ++i) many.puts.push_back({std::to_string(i)});
  EXPECT_TRUE(backend()->Commit(many, In(kLong)).status().IsInvalid());
  many.puts.pop_back();
  Must(many);
  Transaction large;
  large.puts = {{"k", std::string(kMaxTransactionBytes, 'x')}};
  EXPECT_TRUE(backend()->Commit(large, In(kLong)).status().IsInvalid());
  large.puts[0].value.pop_back();
  Must(large);
  Transaction twice;
  twice.puts = {{"a/b", ""}};
  twice.erases = {{"a/", true}};
  EXPECT_TRUE(backend()->Commit(twice, In(kLong)).status().IsInvalid());
}

TEST_P(Conformance, CountsRightUnderConcurrentCompareAndSwap) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 25;
  PutOne("counter", "0");
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int done = 0; done < kTimes;) {
        auto entry = backend()->Get("counter", In(kLong));
        if (!entry.ok() || !entry->has_value()) return;
        Transaction step;
        step.compares = {{"counter", (*entry)->revision}};
        step.puts = {{"counter", std::to_string(std::stoi((*entry)->value) + 1)}};
        auto committed = backend()->Commit(step, In(kLong));
        if (!committed.ok()) return;
        done += committed->committed ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ValueOf("counter"), std::to_string(kThreads * kTimes));
}

TEST_P(Conformance, LeasesEndWhenNobodyKeepsThemAlive) {
  const LeaseId dying = Lease();
  const LeaseId kept = Lease();
  PutOne("dying", "x", dying);
  PutOne("kept", "x", kept);
  PutOne("taken over", "x", dying);
  PutOne("taken over", "y");  // has no lease any more
  std::atomic<bool> stop{false};
  std::thread keeper([&] {
    while (!stop) {
      EXPECT_TRUE(backend()->KeepAlive(kept, In(kLong)).ok());
      std::this_thread::sleep_for(ttl() / 8);
    }
  });
  const milliseconds gone = UntilGone("dying", 3 * ttl());
  EXPECT_GT(gone, ttl() / 2);
  std::this_thread::sleep_for(ttl() / 2);
  stop = true;
  keeper.join();
  EXPECT_EQ(ValueOf("kept"), "x");
  EXPECT_EQ(ValueOf("taken over"), "y");
  EXPECT_TRUE(
      IsStateError(backend()->KeepAlive(dying, In(kLong)), StateError::kLeaseGone));
  Transaction late;
  late.puts = {{"late", "x", dying}};
  EXPECT_TRUE(
      IsStateError(backend()->Commit(late, In(kLong)).status(), StateError::kLeaseGone));
  EXPECT_EQ(ValueOf("late"), std::nullopt);
}

TEST_P(Conformance, RevokedLeasesEndAtOnce) {
  const LeaseId lease = Lease(seconds(60));
  PutOne("leased/1", "x", lease);
  PutOne("leased/2", "x", lease);
  ASSERT_TRUE(backend()->RevokeLease(lease, In(kLong)).ok());
  EXPECT_THAT(KeysOf("leased/"), testing::IsEmpty());
  EXPECT_TRUE(backend()->RevokeLease(lease, In(kLong)).ok());
  EXPECT_TRUE(
      IsStateError(backend()->KeepAlive(lease, In(kLong)), StateError::kLeaseGone));
}

TEST_P(Conformance, WatchesTellEachChangeOnceInOrder) {
  const int64_t r1 = PutOne("w/a", "1");
  const int64_t r2 = PutOne("w/b", "2");
  auto from_start = backend()->StartWatch("w/", r1);
  auto from_second = backend()->StartWatch("w/", r2);
  ASSERT_TRUE(from_start.ok() && from_second.ok());
  PutOne("elsewhere", "x");
  Transaction both;
  both.erases = {{"w/a"}};
  both.puts = {{"w/c", "3"}};
  const int64_t r3 = Must(both);
  const LeaseId lease = Lease(seconds(60));
  const int64_t r4 = PutOne("w/d", "4", lease);
  ASSERT_TRUE(backend()->RevokeLease(lease, In(kLong)).ok());
  const auto seen = Collect(from_start->get(), 6);
  ASSERT_EQ(seen.size(), 6) << testing::PrintToString(seen);
  EXPECT_EQ(seen[0], At("+w/a=1", r1));
  EXPECT_EQ(seen[1], At("+w/b=2", r2));
  EXPECT_THAT(std::vector<std::string>(seen.begin() + 2, seen.begin() + 4),
              testing::UnorderedElementsAre(At("-w/a", r3), At("+w/c=3", r3)));
  EXPECT_EQ(seen[4], At("+w/d=4", r4));
  EXPECT_TRUE(seen[5].starts_with("-w/d@")) << seen[5];
  EXPECT_EQ(Collect(from_second->get(), 5),
            std::vector<std::string>(seen.begin() + 1, seen.end()));
  auto nothing = (*from_start)->Next(In(milliseconds(100)));
  ASSERT_TRUE(nothing.ok());
  EXPECT_TRUE(nothing->empty());
}

TEST_P(Conformance, WatchesSayWhenChangesAreNotKept) {
  const int64_t first = PutOne("c/a", "1");
  auto running = backend()->StartWatch("c/", first);
  ASSERT_TRUE(running.ok());
  EXPECT_EQ(Collect(running->get(), 1).size(), 1);
  PutOne("c/a", "2");
  const int64_t third = PutOne("c/a", "3");
  EXPECT_EQ(Collect(running->get(), 2).size(), 2);
  ASSERT_TRUE(backend()->Compact(third, In(kLong)).ok());
  auto late = backend()->StartWatch("c/", first);
  ASSERT_TRUE(late.ok());
  auto changes = (*late)->Next(In(kLong));
  EXPECT_TRUE(IsStateError(changes.status(), StateError::kCompacted)) << changes.status();
  changes = (*late)->Next(In(kLong));
  EXPECT_TRUE(IsStateError(changes.status(), StateError::kCompacted));
  // What to do then.
  const Snapshot snapshot = ListAll("c/");
  ASSERT_EQ(snapshot.entries.size(), 1);
  EXPECT_EQ(snapshot.entries[0].value, "3");
  auto anew = backend()->StartWatch("c/", snapshot.revision + 1);
  ASSERT_TRUE(anew.ok());
  const int64_t fourth = PutOne("c/b", "4");
  const std::vector<std::string> expected{At("+c/b=4", fourth)};
  EXPECT_EQ(Collect(anew->get(), 1), expected);
  EXPECT_EQ(Collect(running->get(), 1), expected);
}

TEST_P(Conformance, FencesKeepFormerOwnersOut) {
  const LeaseId first = Lease();
  const LeaseId second = Lease(seconds(60));
  auto fence = Claim(backend(), "owner", "first", first, In(kLong));
  ASSERT_TRUE(fence.ok() && fence->has_value()) << fence.status();
  auto again = Claim(backend(), "owner", "first", first, In(kLong));
  ASSERT_TRUE(again.ok() && again->has_value());
  EXPECT_EQ((*again)->token, (*fence)->token);
  auto refused = Claim(backend(), "owner", "second", second, In(kLong));
  ASSERT_TRUE(refused.ok());
  EXPECT_FALSE(refused->has_value());
  Transaction write;
  write.puts = {{"guarded", "by first"}};
  EXPECT_TRUE(CommitFenced(backend(), **fence, write, In(kLong)).ok());
  // The first sleeps until its lease has ended.
  UntilGone("owner", 3 * ttl());
  auto next = Claim(backend(), "owner", "second", second, In(kLong));
  ASSERT_TRUE(next.ok() && next->has_value()) << next.status();
  EXPECT_GT((*next)->token, (*fence)->token);
  write.puts[0].value = "by second";
  EXPECT_TRUE(CommitFenced(backend(), **next, write, In(kLong)).ok());
  write.puts[0].value = "by first, late";
  EXPECT_TRUE(IsStateError(CommitFenced(backend(), **fence, write, In(kLong)).status(),
                           StateError::kFenced));
  EXPECT_EQ(ValueOf("guarded"), "by second");
}

TEST_P(Conformance, ALostConnectionCostsNoChangeAndNoCallItsDeadline) {
  if (store_->proxy() == nullptr) GTEST_SKIP() << "it has no connection";
  const int64_t start = PutOne("l/0", "");
  auto watch = backend()->StartWatch("l/", start);
  ASSERT_TRUE(watch.ok());
  EXPECT_EQ(Collect(watch->get(), 1).size(), 1);
  for (const bool freeze : {false, true}) {
    if (freeze) {
      store_->proxy()->Freeze();
    } else {
      store_->proxy()->Cut();
    }
    PutOne(freeze ? "l/2" : "l/1", "written meanwhile");
    const auto before = std::chrono::steady_clock::now();
    auto lost = backend()->Get("l/0", In(milliseconds(500)));
    EXPECT_TRUE(IsStateError(lost.status(), StateError::kUnavailable)) << lost.status();
    Transaction write;
    write.puts = {{"l/3", ""}};
    auto unsure = backend()->Commit(write, In(milliseconds(500)));
    EXPECT_TRUE(IsStateError(unsure.status(), StateError::kUnavailable));
    EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(3));
    store_->proxy()->Restore();
    EXPECT_TRUE(ValueOf("l/0").has_value());
  }
  EraseOne("l/0");
  std::vector<std::string> seen = Collect(watch->get(), 3);
  while (!seen.empty() && !seen.back().starts_with("-l/0")) {
    const auto more = Collect(watch->get(), 1);
    if (more.empty()) break;
    seen.insert(seen.end(), more.begin(), more.end());
  }
  std::erase_if(seen, [](const auto& change) { return change.starts_with("+l/3"); });
  ASSERT_EQ(seen.size(), 3) << testing::PrintToString(seen);
  EXPECT_TRUE(seen[0].starts_with("+l/1=written meanwhile"));
  EXPECT_TRUE(seen[1].starts_with("+l/2=written meanwhile"));
}

TEST_P(Conformance, WhatIsCommittedOutlivesARestart) {
  const LeaseId lease = Lease();
  const int64_t revision = PutOne("kept", "x");
  PutOne("leased", "x", lease);
  if (!store_->Restart()) GTEST_SKIP() << "it ends with the process";
  EXPECT_EQ(ValueOf("kept"), "x");
  EXPECT_GT(PutOne("after", "x"), revision);
  // The lease has its time again, and ends if nobody keeps it alive.
  EXPECT_TRUE(backend()->KeepAlive(lease, In(kLong)).ok());
  EXPECT_EQ(ValueOf("leased"), "x");
  UntilGone("leased", 4 * ttl());
}

TEST_P(Conformance, ARestartUnderLoadLosesNothingThatWasAcknowledged) {
  if (store_->proxy() == nullptr) GTEST_SKIP() << "it has no process of its own";
  const int64_t start = PutOne("r/", "");
  auto watch = backend()->StartWatch("r/", start + 1);
  ASSERT_TRUE(watch.ok());
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::set<std::string> acknowledged;
  std::vector<std::thread> writers;
  for (int t = 0; t < 3; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        Transaction write;
        write.puts = {{"r/" + std::to_string(t) + "/" + std::to_string(i), "x"}};
        auto committed = backend()->Commit(write, In(kLong));
        if (!committed.ok()) continue;
        const std::lock_guard lock(mutex);
        acknowledged.insert(write.puts[0].key);
      }
    });
  }
  size_t before = 0;
  for (int restarts = 0; restarts < 2; ++restarts) {
    std::this_thread::sleep_for(milliseconds(300));
    ASSERT_TRUE(store_->Restart());
  }
  {
    const std::lock_guard lock(mutex);
    before = acknowledged.size();
  }
  std::this_thread::sleep_for(milliseconds(300));
  stop = true;
  for (auto& writer : writers) writer.join();
  EXPECT_GT(acknowledged.size(), before) << "it goes on after the restart";
  const auto listed = KeysOf("r/");
  const std::set<std::string> kept(listed.begin(), listed.end());
  for (const auto& key : acknowledged) EXPECT_TRUE(kept.contains(key)) << key;
  // The watch has seen each of them once, in order.
  std::set<std::string> seen;
  int64_t last = start;
  while (seen.size() + 1 < kept.size()) {
    auto changes = (*watch)->Next(In(kLong));
    ASSERT_TRUE(changes.ok()) << changes.status();
    ASSERT_FALSE(changes->empty());
    for (const Change& change : *changes) {
      EXPECT_GT(change.entry.revision, last);
      last = change.entry.revision;
      EXPECT_TRUE(seen.insert(change.entry.key).second) << change.entry.key;
    }
  }
}

}  // namespace
}  // namespace ballista::state
