#include "ballista/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace ballista::log {
namespace {

class LogTest : public testing::Test {
 protected:
  ~LogTest() override {
    ::unsetenv("BALLISTA_LOG");
    Configure({});
  }
};

TEST_F(LogTest, LevelFromEnvironment) {
  ::setenv("BALLISTA_LOG", "warn", 1);
  ASSERT_TRUE(ConfigureFromEnvironment(false).ok());
  EXPECT_FALSE(Enabled(Level::kInfo));
  EXPECT_TRUE(Enabled(Level::kWarn));
  ::unsetenv("BALLISTA_LOG");
  ASSERT_TRUE(ConfigureFromEnvironment(false).ok());
  EXPECT_TRUE(Enabled(Level::kInfo));
  EXPECT_FALSE(Enabled(Level::kDebug));
}

TEST_F(LogTest, BadLevelIsRefused) {
  ::setenv("BALLISTA_LOG", "inof", 1);
  EXPECT_EQ(
      ConfigureFromEnvironment(false).message(),
      "environment variable BALLISTA_LOG: bad value \"inof\": expected trace, debug, "
      "info, warn, error or off; the nearest is \"info\"");
}

TEST_F(LogTest, Lines) {
  Configure({Level::kInfo, false});
  testing::internal::CaptureStderr();
  LOG_INFO("scheduler", "listening on {}", 5);
  LOG_DEBUG("scheduler", "not shown");
  const auto text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.substr(0, 1), "[");
  EXPECT_EQ(text.substr(text.find(' ')), " INFO scheduler] listening on 5\n");
  testing::internal::CaptureStderr();
  LOG_INFO("scheduler", "a\n[2026");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::EndsWith(" INFO scheduler] a\\n[2026\n"));
  Configure({Level::kInfo, true});
  testing::internal::CaptureStderr();
  LOG_WARN("executor", "a \"b\"\n");
  const auto json = testing::internal::GetCapturedStderr();
  EXPECT_EQ(
      json.substr(json.find("\"level\"")),
      "\"level\":\"WARN\",\"target\":\"executor\",\"message\":\"a \\\"b\\\"\\u000a\"}"
      "\n");
}

}  // namespace
}  // namespace ballista::log
