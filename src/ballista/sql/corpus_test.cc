// Statements from files, against what translation has to give; and a printer of plans.
//
//   BALLISTA_SQL="SELECT 1" BALLISTA_SQL_SETUP=setup.sql sql_test
//       --gtest_filter=Corpus.Print          prints the plan of a statement
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "ballista/sql/sql_test_internal.h"

namespace ballista::sql {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const char* Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

class Corpus : public SqlTest {
 protected:
  void RunSetup(const std::string& text) {
    const auto statements = engine_->SplitStatements(text).ValueOrDie();
    for (const auto& statement : statements) {
      const auto result = session_->Compile(statement);
      if (!result.ok()) {
        std::cout << statement << "\n  " << result.status().ToString() << "\n";
      }
    }
  }
};

TEST_F(Corpus, Print) {
  if (!*Environment("BALLISTA_SQL")) GTEST_SKIP() << "BALLISTA_SQL is not set";
  RunSetup(ReadFile(Environment("BALLISTA_SQL_SETUP")));
  for (const auto& sql :
       engine_->SplitStatements(Environment("BALLISTA_SQL")).ValueOrDie()) {
    const auto statement = session_->Compile(sql);
    if (!statement.ok()) {
      std::cout << statement.status().ToString() << "\n";
    } else if (statement->rows) {
      std::cout << statement->rows->ToString() << "\n";
    } else {
      std::cout << plan::ToString(statement->plan.root()) << "\n";
      if (*Environment("BALLISTA_SQL_RAW")) std::cout << statement->plan.DebugString();
    }
  }
}

// BALLISTA_SQL_FILE: statements; prints those that run whole as one task, and why.
TEST_F(Corpus, Survey) {
  if (!*Environment("BALLISTA_SQL_FILE")) GTEST_SKIP() << "BALLISTA_SQL_FILE is not set";
  RunSetup(ReadFile(Environment("BALLISTA_SQL_SETUP")));
  std::map<std::string, int> kinds;
  for (const auto& sql :
       engine_->SplitStatements(ReadFile(Environment("BALLISTA_SQL_FILE")))
           .ValueOrDie()) {
    const auto statement = session_->Compile(sql);
    const auto shown = sql.substr(0, 200);
    if (!statement.ok()) {
      ++kinds["error"];
      std::cout << "ERROR " << shown << "\n  " << statement.status().ToString() << "\n";
    } else if (statement->rows) {
      ++kinds["rows"];
    } else if (Count(statement->plan, plan::Node::kStatement) > 0) {
      ++kinds["whole"];
      std::string reason;
      plan::VisitNodes(statement->plan.root(), [&](const plan::Node& node) {
        if (node.has_statement()) reason = node.statement().reason();
      });
      std::cout << "WHOLE " << shown << "\n  " << reason << "\n";
    } else {
      ++kinds["plan"];
    }
  }
  for (const auto& [kind, count] : kinds) std::cout << kind << " " << count << "\n";
}

}  // namespace
}  // namespace ballista::sql
