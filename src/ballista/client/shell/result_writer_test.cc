#include "ballista/client/shell/result_writer.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/json/from_string.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

namespace ballista::shell {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<arrow::RecordBatch> Batch(const arrow::FieldVector& fields,
                                          std::string_view json) {
  const auto type = arrow::struct_(fields);
  auto array = arrow::json::ArrayFromJSONString(type, json);
  EXPECT_TRUE(array.ok()) << array.status();
  return *arrow::RecordBatch::FromStructArray(*array);
}

arrow::Result<std::string> Written(Format format, const WriterOptions& options,
                                   const arrow::RecordBatchVector& batches) {
  ARROW_ASSIGN_OR_RAISE(auto stream, arrow::io::BufferOutputStream::Create());
  const auto writer = MakeResultWriter(format, options, stream.get());
  ARROW_RETURN_NOT_OK(writer->Begin(batches.front()->schema()));
  for (const auto& batch : batches) ARROW_RETURN_NOT_OK(writer->Write(*batch));
  ARROW_RETURN_NOT_OK(writer->Finish());
  ARROW_ASSIGN_OR_RAISE(auto buffer, stream->Finish());
  return buffer->ToString();
}

std::string Text(Format format, const arrow::RecordBatchVector& batches,
                 const WriterOptions& options = {}) {
  auto text = Written(format, options, batches);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ValueOr("");
}

std::shared_ptr<arrow::RecordBatch> Cities() {
  return Batch(
      {arrow::field("city", arrow::utf8()), arrow::field("people", arrow::int64())},
      R"([["Zürich", 421878], ["東京", null], ["a\nb", 7]])");
}

TEST(TableWriter, AlignsColumns) {
  EXPECT_EQ(Text(Format::kTable, {Cities()}),
            "┌────────┬────────┐\n"
            "│ city   │ people │\n"
            "├────────┼────────┤\n"
            "│ Zürich │ 421878 │\n"
            "│ 東京   │   NULL │\n"
            "│ a\\nb   │      7 │\n"
            "└────────┴────────┘\n");
}

TEST(TableWriter, ShowsTheHeaderOfAnEmptyResult) {
  EXPECT_EQ(Text(Format::kTable, {Cities()->Slice(0, 0)}),
            "┌──────┬────────┐\n"
            "│ city │ people │\n"
            "├──────┼────────┤\n"
            "└──────┴────────┘\n");
}

TEST(TableWriter, FitsTheTerminal) {
  const auto wide =
      Batch({arrow::field("text", arrow::utf8())}, R"([["abcdefghijklmnopqrstuvwxyz"]])");
  EXPECT_EQ(Text(Format::kTable, {wide}, {.width = 20}),
            "┌──────────────────┐\n"
            "│ text             │\n"
            "├──────────────────┤\n"
            "│ abcdefghijklmno… │\n"
            "└──────────────────┘\n");
  const auto many = Batch(
      {arrow::field("first", arrow::int32()), arrow::field("second", arrow::int32()),
       arrow::field("third", arrow::int32())},
      "[[1, 2, 3]]");
  EXPECT_EQ(Text(Format::kTable, {many}, {.width = 22}),
            "┌───────┬───┬───────┐\n"
            "│ first │ … │ third │\n"
            "├───────┼───┼───────┤\n"
            "│     1 │ … │     3 │\n"
            "└───────┴───┴───────┘\n");
}

TEST(TableWriter, StopsAtItsLimit) {
  auto stream = *arrow::io::BufferOutputStream::Create();
  const auto writer = MakeTableWriter({.max_rows = 2}, stream.get());
  ASSERT_TRUE(writer->Begin(Cities()->schema()).ok());
  EXPECT_TRUE(writer->WantsMore());
  ASSERT_TRUE(writer->Write(*Cities()).ok());
  EXPECT_FALSE(writer->WantsMore());
  EXPECT_EQ(writer->rows(), 2);
  ASSERT_TRUE(writer->Finish().ok());
  const auto text = (*stream->Finish())->ToString();
  EXPECT_THAT(text, HasSubstr("東京"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("a\\nb")));
}

TEST(TableWriter, StreamsWhatComesAfterTheSample) {
  arrow::RecordBatchVector batches(600, Cities());
  const auto text = Text(Format::kTable, batches);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 600 * 3 + 4);
}

TEST(CsvWriter, QuotesAsRfc4180) {
  const auto batch =
      Batch({arrow::field("a,b", arrow::utf8()), arrow::field("n", arrow::float64())},
            R"([["x", 1.5], ["say \"hi\"", null], ["", 2], [null, NaN],
                               ["two\nlines", 0], ["NULL", 1]])");
  EXPECT_EQ(Text(Format::kCsv, {batch}),
            "\"a,b\",n\n"
            "x,1.5\n"
            "\"say \"\"hi\"\"\",\n"
            "\"\",2.0\n"
            ",nan\n"
            "\"two\nlines\",0.0\n"
            "NULL,1.0\n");
}

TEST(JsonWriter, WritesAnObjectALine) {
  const auto batch =
      Batch({arrow::field("a", arrow::int32()), arrow::field("b", arrow::utf8()),
             arrow::field("c", arrow::list(arrow::decimal128(38, 2)))},
            R"([[1, "x\ny", ["1.50", null]], [null, null, null]])");
  EXPECT_EQ(Text(Format::kJson, {batch, batch->Slice(1)}),
            "{\"a\":1,\"b\":\"x\\ny\",\"c\":[1.50,null]}\n"
            "{\"a\":null,\"b\":null,\"c\":null}\n"
            "{\"a\":null,\"b\":null,\"c\":null}\n");
}

TEST(JsonWriter, KeepsColumnsOfOneNameApart) {
  const auto column = *arrow::json::ArrayFromJSONString(arrow::int32(), "[1]");
  const auto field = arrow::field("a", arrow::int32());
  const auto taken = arrow::field("a_1", arrow::int32());
  const auto batch = arrow::RecordBatch::Make(arrow::schema({field, field, taken, field}),
                                              1, {column, column, column, column});
  EXPECT_EQ(Text(Format::kJson, {batch}), "{\"a\":1,\"a_2\":1,\"a_1\":1,\"a_3\":1}\n");
}

TEST(PlainWriter, ShowsTextAsItIs) {
  auto stream = *arrow::io::BufferOutputStream::Create();
  const auto writer = MakePlainWriter(stream.get());
  const auto plan =
      Batch({arrow::field("kind", arrow::utf8()), arrow::field("plan", arrow::utf8())},
            R"([["logical", "Stage 1\n  scan\t\u001b"], ["x", "Stage 2\n"]])");
  ASSERT_TRUE(writer->Begin(plan->schema()).ok());
  ASSERT_TRUE(writer->Write(*plan).ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ((*stream->Finish())->ToString(), "Stage 1\n  scan\\t\\x1B\nStage 2\n");
}

TEST(ArrowWriter, ReadsBack) {
  const auto stream_bytes = Text(Format::kArrow, {Cities(), Cities()});
  arrow::io::BufferReader input(arrow::Buffer::FromString(stream_bytes));
  auto reader = *arrow::ipc::RecordBatchStreamReader::Open(&input);
  EXPECT_TRUE((*reader->Next())->Equals(*Cities()));

  const auto file_bytes = Text(Format::kArrow, {Cities()}, {.arrow_file = true});
  auto file =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(file_bytes));
  auto file_reader = *arrow::ipc::RecordBatchFileReader::Open(file);
  EXPECT_TRUE((*file_reader->ReadRecordBatch(0))->Equals(*Cities()));
}

arrow::Result<std::shared_ptr<arrow::Table>> ReadParquet(const std::string& bytes) {
  auto file = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes));
  ARROW_ASSIGN_OR_RAISE(auto reader,
                        parquet::arrow::OpenFile(file, arrow::default_memory_pool()));
  return reader->ReadTable();
}

TEST(ParquetWriter, ReadsBackEveryTypeThatDuckDbGives) {
  const auto batch = Batch(
      {arrow::field("i", arrow::int8()), arrow::field("u", arrow::uint64()),
       arrow::field("d", arrow::decimal64(10, 2)),
       arrow::field("w", arrow::decimal128(38, 2)), arrow::field("s", arrow::utf8()),
       arrow::field("v", arrow::utf8_view()), arrow::field("b", arrow::binary_view()),
       arrow::field("t", arrow::time64(arrow::TimeUnit::MICRO)),
       arrow::field("z", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
       arrow::field("l", arrow::list(arrow::int32())),
       arrow::field("m", arrow::map(arrow::utf8(), arrow::int32())),
       arrow::field("f", arrow::fixed_size_list(arrow::int32(), 2)),
       arrow::field("n", arrow::null())},
      R"([[1, 18446744073709551615, "1.50", "2.25", "x", "y", "z", 5, 7, [1], [["k", 2]], [3, 4], null],
          [null, null, null, null, null, null, null, null, null, null, null, null, null]])");
  auto table = ReadParquet(Text(Format::kParquet, {batch, batch}));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 4);
  for (const char* name : {"i", "u", "w", "s", "t", "z", "l"}) {
    const auto expected = batch->GetColumnByName(name);
    const auto chunks = (*table)->GetColumnByName(name);
    EXPECT_TRUE(chunks->Slice(0, 2)->Equals(arrow::ChunkedArray({expected})))
        << name << ": " << chunks->ToString();
  }
  EXPECT_THAT((*(*table)->GetColumnByName("d")->GetScalar(0))->ToString(),
              HasSubstr("1.50"));
}

TEST(ParquetWriter, WritesAsTextWhatParquetCannotHold) {
  const auto batch =
      Batch({arrow::field("i", arrow::month_day_nano_interval()),
             arrow::field("u", arrow::sparse_union({arrow::field("n", arrow::int32())}))},
            "[[[1, 0, 0], [0, 7]], [null, [0, null]]]");
  auto table = ReadParquet(Text(Format::kParquet, {batch}));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*(*table)->column(0)->GetScalar(0))->ToString(), "1 month");
  EXPECT_EQ((*(*table)->column(1)->GetScalar(0))->ToString(), "7");
  EXPECT_EQ((*table)->column(1)->null_count(), 1);
}

TEST(Formats, NamesAndErrors) {
  for (const auto* name : {"table", "csv", "json", "parquet", "arrow"}) {
    auto format = ParseFormat(name);
    ASSERT_TRUE(format.ok());
    EXPECT_EQ(FormatName(*format), name);
  }
  EXPECT_THAT(ParseFormat("xml").status().message(), HasSubstr("unknown format 'xml'"));
}

}  // namespace
}  // namespace ballista::shell
