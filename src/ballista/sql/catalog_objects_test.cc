#include "ballista/sql/catalog_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "ballista/base/ids.h"

namespace ballista::sql {
namespace {

std::string Rows(SqlSession* session, const std::string& sql) {
  const auto statement = session->Compile(sql);
  if (!statement.ok()) return statement.status().ToString();
  if (statement->rows == nullptr) return "no rows at hand";
  std::string text;
  for (int64_t row = 0; row < statement->rows->num_rows(); ++row) {
    for (const auto& column : statement->rows->columns()) {
      text += column->GetScalar(row).ValueOrDie()->ToString() + " ";
    }
  }
  return text;
}

// Two processes' engines and a folder with a file.
class CatalogObjectsTest : public ::testing::Test {
 protected:
  CatalogObjectsTest() : folder_(std::filesystem::temp_directory_path() / NewId()) {
    std::filesystem::create_directory(folder_);
    std::ofstream(folder_ / "a.csv") << "k,v\n1,2\n";
    for (int i = 0; i < 2; ++i) {
      engines_.push_back(SqlEngine::Make({}).ValueOrDie());
      sessions_.push_back(engines_[i]->OpenSession(NewId()).ValueOrDie());
    }
  }
  ~CatalogObjectsTest() override { std::filesystem::remove_all(folder_); }

  void Run(const std::string& sql) {
    const auto done = sessions_[0]->Compile(sql);
    ASSERT_TRUE(done.ok()) << sql << ": " << done.status().ToString();
  }
  CatalogObjects Export(int engine) {
    return engines_[engine]->ExportCatalog().ValueOrDie();
  }

  const std::filesystem::path folder_;
  std::vector<std::unique_ptr<SqlEngine>> engines_;
  std::vector<std::shared_ptr<SqlSession>> sessions_;
};

TEST_F(CatalogObjectsTest, AnotherProcessHasTheSameOnes) {
  const auto location = (folder_ / "a.csv").string();
  Run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '" + location + "'");
  Run("CREATE VIEW v AS SELECT k + 1 AS k1 FROM t");
  Run("CREATE SCHEMA s");
  Run("CREATE VIEW s.\"a/b %\" AS SELECT 7 AS seven");
  Run("CREATE MACRO twice(x) AS x * 2");
  Run("CREATE MACRO rows_of(n) AS TABLE SELECT * FROM range(n)");
  Run("CREATE TYPE mood AS ENUM ('sad', 'happy')");
  Run("CREATE TABLE local (a INTEGER)");
  Run("CREATE TEMP VIEW mine AS SELECT 1");
  const auto objects = Export(0);
  std::vector<std::string> keys;
  for (const auto& [key, bytes] : objects) keys.push_back(key);
  EXPECT_THAT(keys,
              ::testing::ElementsAre("macro/main/twice", "schema/s/s",
                                     "table-macro/main/rows_of", "type/main/mood",
                                     "view/main/t", "view/main/v", "view/s/a%2fb%20%25"));
  ASSERT_EQ(engines_[1]->ImportCatalog(objects, {}), arrow::Status::OK());
  EXPECT_EQ(Export(1), objects);
  EXPECT_EQ(Rows(sessions_[1].get(), "SELECT * FROM s.\"a/b %\""), "7 ");
  EXPECT_EQ(Rows(sessions_[1].get(), "SELECT twice(4), 'sad'::mood::VARCHAR"), "8 sad ");
  // An external table is one, not a view.
  EXPECT_FALSE(sessions_[1]->Compile("DROP VIEW t").ok());
  EXPECT_TRUE(sessions_[1]->Compile("SELECT k1 FROM v").ok());
  EXPECT_TRUE(sessions_[1]->Compile("DROP TABLE t").ok());
}

TEST_F(CatalogObjectsTest, ChangesReplaceAndRemove) {
  Run("CREATE VIEW a AS SELECT 1 AS x");
  Run("CREATE SCHEMA s");
  Run("CREATE VIEW s.b AS SELECT 1 AS x");
  ASSERT_EQ(engines_[1]->ImportCatalog(Export(0), {}), arrow::Status::OK());
  Run("CREATE OR REPLACE VIEW a AS SELECT 2 AS x");
  Run("DROP SCHEMA s CASCADE");
  const auto now = Export(0);
  ASSERT_EQ(engines_[1]->ImportCatalog(now, {"view/s/b", "schema/s/s"}),
            arrow::Status::OK());
  EXPECT_EQ(Export(1), now);
  EXPECT_EQ(Rows(sessions_[1].get(), "SELECT x FROM a"), "2 ");
  EXPECT_TRUE(engines_[1]->ImportCatalog({}, {"view/main/never"}).ok());
}

TEST_F(CatalogObjectsTest, ATableWhoseFilesAreGoneForAWhileIsKept) {
  const auto location = (folder_ / "a.csv").string();
  Run("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '" + location + "'");
  const auto objects = Export(0);
  std::filesystem::rename(location, location + ".away");
  ASSERT_EQ(engines_[1]->ImportCatalog(objects, {}), arrow::Status::OK());
  EXPECT_FALSE(sessions_[1]->Compile("SELECT * FROM t").ok());
  std::filesystem::rename(location + ".away", location);
  const auto query = sessions_[1]->Compile("SELECT * FROM t");
  EXPECT_TRUE(query.ok()) << query.status().ToString();
}

TEST_F(CatalogObjectsTest, RefusesWhatIsNoObject) {
  EXPECT_FALSE(engines_[1]->ImportCatalog({{"view/main/x", "nonsense"}}, {}).ok());
  EXPECT_FALSE(engines_[1]->ImportCatalog({{"nonsense", ""}}, {}).ok());
  Run("CREATE VIEW a AS SELECT 1 AS x");
  const auto bytes = Export(0).at("view/main/a");
  EXPECT_FALSE(engines_[1]->ImportCatalog({{"macro/main/a", bytes}}, {}).ok());
  EXPECT_TRUE(Export(1).empty());
}

TEST_F(CatalogObjectsTest, SettingsAreSetAgainInAnotherSession) {
  Run("SET ballista.tasks_per_stage = 3");
  Run("SET TimeZone = 'Asia/Tokyo'");
  Run("SET default_null_order = 'nulls_first'");
  Run("SET VARIABLE \"my var\" = [1, 2]");
  Run("SET ballista.skew_factor = 7");
  const auto version = sessions_[0]->settings_version();
  Run("RESET ballista.skew_factor");
  EXPECT_NE(sessions_[0]->settings_version(), version);
  ASSERT_TRUE(sessions_[0]->SetOption("statement_timeout", "5s").ok());
  const auto settings = sessions_[0]->ChangedSettings();
  EXPECT_EQ(settings.size(), 5);
  ASSERT_TRUE(sessions_[1]->RestoreSettings(settings).ok());
  for (const char* name : {"ballista.tasks_per_stage", "TimeZone", "default_null_order",
                           "ballista.skew_factor", "ballista.statement_timeout"}) {
    EXPECT_EQ(sessions_[0]->GetOption(name).ValueOrDie(),
              sessions_[1]->GetOption(name).ValueOrDie())
        << name;
  }
  EXPECT_EQ(sessions_[1]->GetOption("ballista.tasks_per_stage").ValueOrDie(), "3");
  EXPECT_EQ(Rows(sessions_[1].get(), "SELECT getvariable('my var')[2]"), "2 ");
  EXPECT_FALSE(sessions_[1]->RestoreSettings({{"no.such", "1", false}}).ok());
}

}  // namespace
}  // namespace ballista::sql
