#include "ballista/sql/error_place.h"

#include <gtest/gtest.h>

#include "ballista/base/status.h"

namespace ballista::sql {
namespace {

int PlaceOf(UserError::Kind kind, const std::string& message, const std::string& sql) {
  const auto placed = PlaceError(UserErrorStatus(kind, message), sql);
  EXPECT_TRUE(placed.message().starts_with(message));
  EXPECT_EQ(GetErrorDetail(placed)->user().kind(), kind);
  return GetErrorDetail(placed)->user().position();
}

TEST(PlaceError, AtTheOneLiteralThatTheMessageQuotes) {
  EXPECT_EQ(PlaceOf(UserError::RUNTIME, "Could not convert string 'abc' to INT32",
                    "SELECT 'abc'::INT"),
            7);
  EXPECT_EQ(PlaceOf(UserError::NOT_FOUND,
                    "IO Error: No files found that match the pattern \"no/such\"",
                    "SELECT *\nFROM 'no/such'"),
            14);
}

TEST(PlaceError, NotWhereItIsNotSure) {
  EXPECT_EQ(PlaceOf(UserError::RUNTIME, "Could not convert string 'abc' to INT32",
                    "SELECT 'abc'::INT, 'abc'::DATE"),
            -1);
  EXPECT_EQ(PlaceOf(UserError::RUNTIME, "Could not convert string 'abc' to INT32",
                    "SELECT abc::INT FROM t"),
            -1);
  EXPECT_EQ(PlaceOf(UserError::RUNTIME, "Overflow in addition", "SELECT a + b"), -1);
  EXPECT_EQ(PlaceOf(UserError::CATALOG, "an unended quote \"a", "SELECT a"), -1);
}

TEST(PlaceError, AtTheNameThatIsMissing) {
  EXPECT_EQ(PlaceOf(UserError::CATALOG,
                    "Catalog Error: Table with name Nope does not exist!\nDid you mean "
                    "\"other\"?",
                    "INSERT INTO nope SELECT * FROM other"),
            12);
}

std::string Drawn(const std::string& sql, int position) {
  const auto once = PlaceError(UserErrorStatus(UserError::BINDER, "no", position), sql);
  EXPECT_EQ(PlaceError(once, sql).message(), once.message());
  return once.message();
}

TEST(PlaceError, DrawsThePlace) {
  EXPECT_EQ(Drawn("SELECT *\n\tFROM b", 15), "no\n\nLINE 2:  FROM b\n              ^");
  EXPECT_EQ(Drawn("SELECT 'ü', b", 13),
            "no\n\nLINE 1: SELECT 'ü', b\n                    ^");
  EXPECT_EQ(Drawn("SELECT", 6), "no\n\nLINE 1: SELECT\n              ^");
  EXPECT_EQ(Drawn("SELECT", 7), "no");
  const std::string wide = std::string(200, ' ') + "b" + std::string(200, 'c');
  EXPECT_EQ(Drawn(wide, 200), "no\n\nLINE 1: ..." + std::string(40, ' ') + "b" +
                                  std::string(79, 'c') + "...\n" + std::string(51, ' ') +
                                  "^");
}

TEST(PlaceError, AVeryLongMessageLeavesRoomForTheDrawing) {
  const auto placed = PlaceError(
      UserErrorStatus(UserError::BINDER, std::string(9000, 'x'), 7), "SELECT a");
  EXPECT_LT(placed.message().size(), 1100U);
  EXPECT_TRUE(placed.message().ends_with("...\n\nLINE 1: SELECT a\n               ^"));
}

TEST(PlaceError, LeavesOthersAlone) {
  EXPECT_TRUE(PlaceError(arrow::Status::OK(), "SELECT 1").ok());
  EXPECT_TRUE(PlaceError(arrow::Status::IOError("'x'"), "SELECT 'x'").IsIOError());
}

}  // namespace
}  // namespace ballista::sql
