#include "ballista/executor/memory_shares.h"

#include <gtest/gtest.h>

namespace ballista::executor {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr MemoryLimits kLimits{.process = 1024 * kMebibyte, .store = 200 * kMebibyte};

MemoryUse Use() {
  MemoryUse use;
  use.resident = 100 * kMebibyte;
  use.untracked = 100 * kMebibyte;
  use.engine_limit = 800 * kMebibyte;
  return use;
}

int64_t Sum(const MemoryShares& shares, const MemoryUse& use) {
  return shares.engine + std::max(use.store, shares.store) + use.fetch + use.untracked;
}

TEST(MemoryShares, IdleProcessGivesTheEngineMostAndTheStoreItsShare) {
  const auto use = Use();
  const auto shares = Divide(kLimits, use);
  EXPECT_EQ(shares.store, kLimits.store);
  EXPECT_EQ(shares.fetch, 64 * kMebibyte);
  EXPECT_GT(shares.engine, 600 * kMebibyte);
  EXPECT_LE(Sum(shares, use), kLimits.process);
  EXPECT_FALSE(shares.pressed);
}

TEST(MemoryShares, WhatTheStoreHoldsTheEngineLacks) {
  auto use = Use();
  const auto before = Divide(kLimits, use);
  use.store = 300 * kMebibyte;  // not evicted yet
  const auto after = Divide(kLimits, use);
  EXPECT_EQ(before.engine - after.engine, 100 * kMebibyte);
  EXPECT_LE(Sum(after, use), kLimits.process);
}

TEST(MemoryShares, RowsUnderWayAreTakenFromTheEngine) {
  auto use = Use();
  const auto before = Divide(kLimits, use);
  use.store = 50 * kMebibyte;
  use.pool = 130 * kMebibyte;
  const auto after = Divide(kLimits, use);
  EXPECT_EQ(before.engine - after.engine, 80 * kMebibyte);
}

TEST(MemoryShares, TheStoreGivesWayToAnEngineAtItsLimit) {
  auto use = Use();
  use.engine = 790 * kMebibyte;
  const auto shares = Divide(kLimits, use);
  EXPECT_LT(shares.store, kLimits.store);
  EXPECT_TRUE(shares.pressed);
}

TEST(MemoryShares, UntrackedMemoryIsTakenFromAll) {
  auto use = Use();
  use.untracked = 700 * kMebibyte;
  const auto shares = Divide(kLimits, use);
  EXPECT_LE(Sum(shares, use), kLimits.process);
  EXPECT_LT(shares.store, kLimits.store);
}

TEST(MemoryShares, TheEngineKeepsItsFloor) {
  auto use = Use();
  use.untracked = 2000 * kMebibyte;
  use.resident = use.untracked;
  const auto shares = Divide(kLimits, use);
  EXPECT_EQ(shares.engine, EngineFloor(kLimits.process));
  EXPECT_EQ(shares.store, 0);
  EXPECT_TRUE(shares.pressed);
}

TEST(MemoryShares, UntrackedIsWhatNobodyHolds) {
  MemoryUse use;
  use.resident = 500;
  use.engine = 200;
  use.store = 100;
  use.pool = 150;  // holds the store's batches and more
  use.fetch = 10;
  EXPECT_EQ(Untracked(use), 140);
  use.resident = 10;  // pages that were never touched
  EXPECT_EQ(Untracked(use), 0);
}

}  // namespace
}  // namespace ballista::executor
