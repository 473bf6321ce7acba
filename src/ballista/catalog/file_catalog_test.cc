#include "ballista/catalog/file_catalog.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "ballista/base/status.h"

namespace ballista::catalog {
namespace {

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("ballista_catalog_test_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // `rows` rows in row groups of 10.
  std::string WriteParquet(const std::string& name, int64_t rows) {
    arrow::Int64Builder builder;
    for (int64_t i = 0; i < rows; ++i) EXPECT_TRUE(builder.Append(i).ok());
    const auto table =
        arrow::Table::Make(arrow::schema({arrow::field("a", arrow::int64())}),
                           {builder.Finish().ValueOrDie()});
    auto path = (folder_ / name).string();
    const auto out = arrow::io::FileOutputStream::Open(path).ValueOrDie();
    EXPECT_TRUE(
        parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, 10).ok());
    EXPECT_TRUE(out->Close().ok());
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(Files, ParquetHasRowGroups) {
  FileCatalog catalog;
  const auto files =
      catalog.Describe("parquet", {WriteParquet("a", 25), WriteParquet("b", 0)});
  ASSERT_TRUE(files.ok()) << files.status().ToString();
  const auto& first = (*files)[0];
  EXPECT_EQ(first.total_rows(), 25u);
  ASSERT_EQ(first.row_group_ends_size(), 3);
  EXPECT_EQ(first.row_group_ends(1), 20u);
  EXPECT_EQ(first.row_group_ends(2), 25u);
  EXPECT_EQ(first.size_bytes(), std::filesystem::file_size(first.path()));
  EXPECT_EQ((*files)[1].total_rows(), 0u);
}

TEST_F(Files, FootersAreReadOnceForAVersion) {
  FileCatalog catalog;
  const auto path = WriteParquet("a", 5);
  ASSERT_TRUE(catalog.Describe("parquet", {path}).ok());
  ASSERT_TRUE(catalog.Describe("parquet", {path}).ok());
  EXPECT_EQ(catalog.footer_reads(), 1u);
  WriteParquet("a", 50);
  EXPECT_EQ((*catalog.Describe("parquet", {path}))[0].total_rows(), 50u);
  EXPECT_EQ(catalog.footer_reads(), 2u);
}

TEST_F(Files, TheCacheIsBounded) {
  FileCatalog catalog(2);
  std::vector<std::string> paths;
  for (int i = 0; i < 3; ++i) paths.push_back(WriteParquet(std::to_string(i), 1));
  ASSERT_TRUE(catalog.Describe("parquet", paths).ok());
  EXPECT_EQ(catalog.footer_reads(), 3u);
  ASSERT_TRUE(catalog.Describe("parquet", {paths[2]}).ok());
  EXPECT_EQ(catalog.footer_reads(), 3u);
  ASSERT_TRUE(catalog.Describe("parquet", {paths[0]}).ok());
  EXPECT_EQ(catalog.footer_reads(), 4u);
}

TEST_F(Files, WhatIsNoParquetIsOneSplit) {
  FileCatalog catalog;
  const auto path = (folder_ / "odd").string();
  std::ofstream(path) << "not parquet";
  const auto files = catalog.Describe("parquet", {path});
  ASSERT_TRUE(files.ok());
  EXPECT_EQ((*files)[0].row_group_ends_size(), 0);
  EXPECT_EQ((*files)[0].file_size(), 11u);
}

TEST_F(Files, AMissingFileIsAUserError) {
  FileCatalog catalog;
  const auto files = catalog.Describe("csv", {(folder_ / "gone").string()});
  ASSERT_FALSE(files.ok());
  const auto* detail = GetErrorDetail(files.status());
  ASSERT_TRUE(detail && detail->has_user());
  EXPECT_EQ(detail->user().kind(), UserError::NOT_FOUND);
}

}  // namespace
}  // namespace ballista::catalog
