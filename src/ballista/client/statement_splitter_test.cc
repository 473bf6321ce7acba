#include "ballista/client/statement_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ballista::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Texts(std::string_view script) {
  std::vector<std::string> texts;
  for (const auto& statement : SplitStatements(script))
    texts.emplace_back(statement.text);
  return texts;
}

TEST(StatementSplitter, EndsStatementsAtSemicolons) {
  EXPECT_THAT(Texts("select 1; select 2 ;\n select 3"),
              ElementsAre("select 1", "select 2", "select 3"));
  EXPECT_THAT(Texts(""), IsEmpty());
  EXPECT_THAT(Texts(" ;; ; -- nothing\n /* here */"), IsEmpty());
}

TEST(StatementSplitter, KeepsSemicolonsOfStringsAndIdentifiers) {
  EXPECT_THAT(Texts("select ';', 'it''s;' ; x"),
              ElementsAre("select ';', 'it''s;'", "x"));
  EXPECT_THAT(Texts(R"(select ";""";y)"), ElementsAre(R"(select ";""")", "y"));
  EXPECT_THAT(Texts(R"(select E'\';', e'a\\';y)"),
              ElementsAre(R"(select E'\';', e'a\\')", "y"));
  // Only the lone letter is a prefix; in a plain string the backslash is text.
  EXPECT_THAT(Texts(R"(select type'\'; y)"), ElementsAre(R"(select type'\')", "y"));
}

TEST(StatementSplitter, KeepsSemicolonsOfDollarQuotes) {
  EXPECT_THAT(Texts("select $$a;b$$; y"), ElementsAre("select $$a;b$$", "y"));
  EXPECT_THAT(Texts("select $t$a;$$;$t$; y"), ElementsAre("select $t$a;$$;$t$", "y"));
  EXPECT_THAT(Texts("select $1; select $2"), ElementsAre("select $1", "select $2"));
  // No quote opens within an identifier.
  EXPECT_THAT(Texts("select a$b$; y$b$"), ElementsAre("select a$b$", "y$b$"));
}

TEST(StatementSplitter, SkipsComments) {
  EXPECT_THAT(Texts("-- a;b\nselect 1 -- c;\n; /* d; /* e; */ ; */ select 2"),
              ElementsAre("select 1", "select 2"));
  EXPECT_THAT(Texts("select 1 /* x; */ + 1;"), ElementsAre("select 1 /* x; */ + 1"));
  EXPECT_THAT(Texts("select 4 - -1; select 8 / 2"),
              ElementsAre("select 4 - -1", "select 8 / 2"));
}

TEST(StatementSplitter, ReportsOffsetsAndTermination) {
  const auto statements = SplitStatements("-- ä\nselect 1;\n  select 2");
  ASSERT_EQ(statements.size(), 2U);
  EXPECT_EQ(statements[0].offset, 6U);
  EXPECT_TRUE(statements[0].terminated);
  EXPECT_EQ(statements[1].offset, 18U);
  EXPECT_FALSE(statements[1].terminated);
}

TEST(StatementSplitter, KnowsWhenMoreIsNeeded) {
  EXPECT_TRUE(NeedsMoreInput("select 1"));
  EXPECT_TRUE(NeedsMoreInput("select 1; select"));
  EXPECT_TRUE(NeedsMoreInput("select ';"));
  EXPECT_TRUE(NeedsMoreInput("/* open ;"));
  EXPECT_TRUE(NeedsMoreInput("select $$;"));
  EXPECT_FALSE(NeedsMoreInput("select 1;"));
  EXPECT_FALSE(NeedsMoreInput("select 1; -- done"));
  EXPECT_FALSE(NeedsMoreInput("  \n"));
}

TEST(StatementSplitter, JoinsLinesWhereThatKeepsTheMeaning) {
  EXPECT_EQ(JoinLines("select\n  1,\n2"), "select   1, 2");
  EXPECT_EQ(JoinLines("select 'a\nb'"), "select 'a\nb'");
  EXPECT_EQ(JoinLines("select 1 -- one\n, 2"), "select 1 -- one\n, 2");
}

TEST(StatementSplitter, FindsTheFirstKeyword) {
  EXPECT_EQ(FirstKeyword("/* x */ -- y\n insert into t"), "INSERT");
  EXPECT_EQ(FirstKeyword("'text'"), "");
  EXPECT_EQ(FirstKeyword("  "), "");
}

}  // namespace
}  // namespace ballista::client
