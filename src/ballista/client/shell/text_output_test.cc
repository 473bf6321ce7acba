#include <gtest/gtest.h>

#include "ballista/base/status.h"
#include "ballista/client/shell/error_text.h"
#include "ballista/client/shell/progress_text.h"
#include "ballista/client/shell/table_layout.h"
#include "ballista/client/shell/text_width.h"

namespace ballista::shell {
namespace {

TEST(TextWidth, CountsColumnsOfTheTerminal) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("Zürich"), 6);
  EXPECT_EQ(DisplayWidth("u\u0308"), 1);
  EXPECT_EQ(DisplayWidth("日本"), 4);
  EXPECT_EQ(DisplayWidth("🚀"), 2);
  EXPECT_EQ(DisplayWidth("\xFF\xC3"), 2);
}

TEST(TextWidth, TakesControlCharactersApart) {
  EXPECT_EQ(EscapeControls("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(EscapeControls("\x1B[31mred"), "\\x1B[31mred");
  EXPECT_EQ(EscapeControls("\u009B"), "\\x9B");
  EXPECT_EQ(EscapeControls("日本"), "日本");
}

TEST(TextWidth, CutsAtWholeCharacters) {
  EXPECT_EQ(TruncateToWidth("abcdef", 6), "abcdef");
  EXPECT_EQ(TruncateToWidth("abcdef", 4), "abc…");
  EXPECT_EQ(TruncateToWidth("日本語", 5), "日本…");
  EXPECT_EQ(TruncateToWidth("日本語", 4), "日…");
}

TEST(TableLayout, GivesEachColumnItsWidthWhereThereIsRoom) {
  EXPECT_EQ(LayOutTable({3, 50}, 0).widths, (std::vector<int>{3, 50}));
  EXPECT_EQ(LayOutTable({3, 10}, 20).widths, (std::vector<int>{3, 10}));
}

TEST(TableLayout, ShortensTheWidestFirst) {
  const auto layout = LayOutTable({3, 100, 60}, 60);
  // 60 less 10 of frames less 3 leaves 47 for two.
  EXPECT_EQ(layout.widths[0], 3);
  EXPECT_LE(layout.widths[1] + layout.widths[2], 47);
  EXPECT_GE(layout.widths[1] + layout.widths[2], 46);
  EXPECT_EQ(layout.omitted_first, layout.omitted_last);
}

TEST(TableLayout, LeavesOutColumnsInTheMiddle) {
  const auto layout = LayOutTable(std::vector<int>(20, 10), 60);
  EXPECT_EQ(layout.widths.front(), 8);
  EXPECT_EQ(layout.widths.back(), 8);
  EXPECT_GT(layout.omitted_last, layout.omitted_first);
  int total = 1 + 4;
  for (const int width : layout.widths) total += width > 0 ? width + 3 : 0;
  EXPECT_LE(total, 60);
  EXPECT_GT(total, 60 - 11);
  // The first column stays, whatever the room.
  EXPECT_EQ(LayOutTable({30, 30}, 5).widths, (std::vector<int>{8, 0}));
}

arrow::Status ErrorAt(int position) {
  return UserErrorStatus(UserError::BINDER, "no such column", position);
}

TEST(ErrorText, PointsAtThePlace) {
  EXPECT_EQ(RenderError(ErrorAt(7), {"select foo from t", "", 1}, 0),
            "Error: no such column\n"
            "LINE 1: select foo from t\n"
            "               ^\n");
}

TEST(ErrorText, CountsLinesOfTheStatementAndOfItsFile) {
  EXPECT_EQ(RenderError(ErrorAt(11), {"select 1,\n  foo\nfrom t", "", 1}, 0),
            "Error: no such column\n"
            "LINE 2:   foo\n"
            "         ^\n");
  EXPECT_EQ(RenderError(ErrorAt(12), {"select 1,\n  foo", "q.sql", 10}, 0),
            "Error: no such column\n"
            "q.sql:11:   foo\n"
            "            ^\n");
}

TEST(ErrorText, CountsCharactersRatherThanBytes) {
  const std::string sql = "select 'Zürich 日本', foo";
  EXPECT_EQ(RenderError(ErrorAt(static_cast<int>(sql.find("foo"))), {sql, "", 1}, 0),
            "Error: no such column\n"
            "LINE 1: select 'Zürich 日本', foo\n"
            "                              ^\n");
}

TEST(ErrorText, CutsLongLinesAroundThePlace) {
  const std::string sql =
      "select " + std::string(200, 'a') + ", foo, " + std::string(200, 'b');
  const auto text =
      RenderError(ErrorAt(static_cast<int>(sql.find("foo"))), {sql, "", 1}, 60);
  const auto lines_begin = text.find("LINE 1: …");
  ASSERT_NE(lines_begin, std::string::npos) << text;
  const auto line_end = text.find('\n', lines_begin);
  const auto line = text.substr(lines_begin, line_end - lines_begin);
  EXPECT_LE(DisplayWidth(line), 60);
  const auto caret = text.substr(line_end + 1);
  EXPECT_EQ(DisplayWidth(line.substr(0, line.find("foo"))), caret.find('^'));
}

TEST(ErrorText, EndOfTheStatementAndUnknownPlaces) {
  EXPECT_EQ(RenderError(ErrorAt(6), {"select", "", 1}, 0),
            "Error: no such column\n"
            "LINE 1: select\n"
            "              ^\n");
  EXPECT_EQ(RenderError(ErrorAt(-1), {"select", "", 1}, 0), "Error: no such column\n");
  EXPECT_EQ(RenderError(ErrorAt(99), {"select", "", 1}, 0), "Error: no such column\n");
  EXPECT_EQ(RenderError(arrow::Status::IOError("gone"), {"select", "", 1}, 0),
            "Error: gone\n");
}

TEST(ErrorText, DrawsThePlaceOnce) {
  const auto status =
      UserErrorStatus(UserError::SYNTAX, "syntax error\n\nLINE 1: selec 1\n        ^", 0);
  EXPECT_EQ(RenderError(status, {"selec 1", "", 1}, 0),
            "Error: syntax error\n"
            "LINE 1: selec 1\n"
            "        ^\n");
}

TEST(ProgressText, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1200000000), "1.2 GB");
  EXPECT_EQ(FormatBytes(999999), "1.0 MB");
  EXPECT_EQ(FormatBytes(64000000), "64 MB");
}

TEST(ProgressText, Elapsed) {
  EXPECT_EQ(FormatElapsed(std::chrono::milliseconds(3400)), "3.4 s");
  EXPECT_EQ(FormatElapsed(std::chrono::seconds(125)), "2 min 05 s");
}

profile::QueryProfile SomeProgress() {
  profile::QueryProfile progress;
  progress.mutable_job()->set_state(profile::JOB_STATE_RUNNING);
  // Planned again without this one.
  progress.add_stages()->set_state(profile::STAGE_STATE_NOT_NEEDED);
  auto* first = progress.add_stages();
  first->set_tasks(10);
  first->set_finished(10);
  first->set_bytes(1200000000);
  auto* second = progress.add_stages();
  second->set_tasks(10);
  second->set_finished(2);
  second->set_running(4);
  progress.add_stages()->set_tasks(0);
  return progress;
}

TEST(ProgressText, ShowsStagesAndTasks) {
  EXPECT_EQ(RenderProgress(SomeProgress(), std::chrono::milliseconds(3400), 65),
            "[==========>       ] 60% stage 2/3 · tasks 12/20 · 1.2 GB · 3.4 s");
  EXPECT_LE(
      DisplayWidth(RenderProgress(SomeProgress(), std::chrono::milliseconds(3400), 65)),
      65);
}

TEST(ProgressText, FitsNarrowTerminals) {
  EXPECT_EQ(RenderProgress(SomeProgress(), std::chrono::milliseconds(3400), 47),
            "60% stage 2/3 · tasks 12/20 · 1.2 GB · 3.4 s");
  EXPECT_EQ(RenderProgress(SomeProgress(), std::chrono::milliseconds(3400), 14),
            "60% stage 2/3…");
}

TEST(ProgressText, SaysWhatItWaitsForBeforeStagesAreKnown) {
  profile::QueryProfile progress;
  EXPECT_EQ(RenderProgress(progress, std::chrono::milliseconds(400), 80),
            "planning · 0.4 s");
  progress.mutable_job()->set_state(profile::JOB_STATE_QUEUED);
  EXPECT_EQ(RenderProgress(progress, std::chrono::milliseconds(400), 80),
            "queued · 0.4 s");
}

TEST(ProgressText, IsFullOnlyAtTheEnd) {
  profile::QueryProfile progress;
  auto* stage = progress.add_stages();
  stage->set_tasks(1000);
  stage->set_finished(999);
  EXPECT_EQ(RenderProgress(progress, std::chrono::milliseconds(0), 200)
                .find("[=======================================>] 99% "),
            0U);
}

}  // namespace
}  // namespace ballista::shell
