#include "ballista/flight/bounded_batches.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/table.h>
#include <arrow/util/byte_size.h>
#include <gtest/gtest.h>

namespace ballista::flight {
namespace {

std::shared_ptr<arrow::RecordBatch> Strings(const std::vector<size_t>& lengths) {
  arrow::StringBuilder builder;
  for (const size_t length : lengths) {
    EXPECT_TRUE(builder.Append(std::string(length, 'x')).ok());
  }
  const auto array = *builder.Finish();
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("s", arrow::utf8())}),
                                  array->length(), {array});
}

TEST(BoundBatches, CutsLargeBatchesAndKeepsEveryRow) {
  const auto big = Strings(std::vector<size_t>(1000, 100));
  const auto reader =
      BoundBatches(*arrow::RecordBatchReader::Make({big, Strings({1, 2}), big}), 10000);
  int64_t rows = 0;
  while (auto batch = *reader->Next()) {
    EXPECT_LE(*arrow::util::ReferencedBufferSize(*batch), 10000);
    EXPECT_GT(batch->num_rows(), 0);
    rows += batch->num_rows();
  }
  EXPECT_EQ(rows, 2002);
}

TEST(BoundBatches, LetsAnOversizedRowPassAlone) {
  const auto reader =
      BoundBatches(*arrow::RecordBatchReader::Make({Strings({10, 50000, 10})}), 1000);
  const auto table = *reader->ToTable();
  EXPECT_EQ(table->num_rows(), 3);
}

}  // namespace
}  // namespace ballista::flight
