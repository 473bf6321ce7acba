#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "ballista/client/shell/completion.h"
#include "ballista/client/shell/meta_command.h"
#include "ballista/client/shell/shell_options.h"

namespace ballista::shell {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

struct Parsed {
  bool go_on = false;
  int exit_code = -1;
  ShellOptions options;
};

Parsed Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "ballista");
  Parsed parsed;
  parsed.go_on = ParseShellOptions(static_cast<int>(arguments.size()), arguments.data(),
                                   &parsed.options, &parsed.exit_code);
  return parsed;
}

TEST(ShellOptions, HaveDefaults) {
  const auto parsed = Parse({});
  ASSERT_TRUE(parsed.go_on);
  EXPECT_FALSE(parsed.options.connection.host.has_value());
  EXPECT_FALSE(parsed.options.connection.port.has_value());
  EXPECT_FALSE(parsed.options.format.has_value());
  EXPECT_TRUE(parsed.options.progress);
  EXPECT_EQ(parsed.options.max_rows, 1000);
}

TEST(ShellOptions, KeepScriptsInTheirOrder) {
  const auto parsed = Parse({"-c", "select 1; select 2", "-f", "a.sql", "--command",
                             "select 3", "--format", "csv", "-o", "out", "--no-progress",
                             "--timing", "--maxrows", "0"});
  ASSERT_TRUE(parsed.go_on);
  ASSERT_EQ(parsed.options.scripts.size(), 3U);
  EXPECT_EQ(parsed.options.scripts[0].value, "select 1; select 2");
  EXPECT_TRUE(parsed.options.scripts[1].is_file);
  EXPECT_EQ(parsed.options.scripts[1].value, "a.sql");
  EXPECT_EQ(parsed.options.scripts[2].value, "select 3");
  EXPECT_EQ(parsed.options.format, Format::kCsv);
  EXPECT_EQ(parsed.options.output, "out");
  EXPECT_FALSE(parsed.options.progress);
  EXPECT_TRUE(parsed.options.timing);
  EXPECT_EQ(parsed.options.max_rows, 0);
}

TEST(ShellOptions, TakeTheServerFromTheEnvironmentUnlessGiven) {
  setenv("BALLISTA_HOST", "somewhere", 1);
  setenv("BALLISTA_PORT", "1234", 1);
  const auto from_environment = Parse({});
  const auto given = Parse({"--host", "here", "-p", "99"});
  unsetenv("BALLISTA_HOST");
  unsetenv("BALLISTA_PORT");
  EXPECT_EQ(from_environment.options.connection.host, "somewhere");
  EXPECT_EQ(from_environment.options.connection.port, 1234);
  EXPECT_EQ(given.options.connection.host, "here");
  EXPECT_EQ(given.options.connection.port, 99);
}

TEST(ShellOptions, RefuseWhatIsWrong) {
  EXPECT_EQ(Parse({"--prot", "1"}).exit_code, 2);
  EXPECT_EQ(Parse({"--port", "0"}).exit_code, 2);
  EXPECT_EQ(Parse({"--port", "70000"}).exit_code, 2);
  EXPECT_EQ(Parse({"--format", "xml"}).exit_code, 2);
  EXPECT_EQ(Parse({"--help"}).exit_code, 0);
  EXPECT_EQ(Parse({"--version"}).exit_code, 0);
}

const SchemaNames kNames{{"lineitem", "orders"}, {"l_orderkey", "o_orderkey", "l_tax"}};

TEST(Completion, OffersTablesAfterFrom) {
  EXPECT_THAT(CompleteWord("select * from ", 14, kNames),
              ElementsAre("lineitem", "orders"));
  EXPECT_THAT(CompleteWord("select * from l", 14, kNames), ElementsAre("lineitem"));
  EXPECT_THAT(CompleteWord("\\d o", 3, kNames), ElementsAre("orders"));
}

TEST(Completion, OffersColumnsAfterADot) {
  EXPECT_THAT(CompleteWord("select t.l_", 9, kNames), ElementsAre("l_orderkey", "l_tax"));
}

TEST(Completion, KeepsTheCaseOfKeywords) {
  EXPECT_THAT(CompleteWord("sel", 0, kNames), ElementsAre("select"));
  EXPECT_THAT(CompleteWord("SEL", 0, kNames), ElementsAre("SELECT"));
  EXPECT_THAT(CompleteWord("xyz", 0, kNames), IsEmpty());
}

TEST(Completion, OffersEverythingElsewhere) {
  const auto words = CompleteWord("select o", 7, kNames);
  EXPECT_THAT(words, Contains("o_orderkey"));
  EXPECT_THAT(words, Contains("orders"));
  EXPECT_THAT(words, Contains("order"));
  EXPECT_THAT(words, Not(Contains("lineitem")));
}

TEST(Completion, OffersCommandsAfterABackslash) {
  EXPECT_THAT(CompleteWord("\\t", 1, kNames), ElementsAre("timing"));
}

TEST(MetaCommands, WordsMayBeQuoted) {
  EXPECT_THAT(SplitWords("\\i  'my file.sql' \"x y\"z "),
              ElementsAre("\\i", "my file.sql", "x yz"));
  EXPECT_THAT(SplitWords("\\o ''"), ElementsAre("\\o", ""));
}

}  // namespace
}  // namespace ballista::shell
