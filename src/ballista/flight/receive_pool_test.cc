#include "ballista/flight/receive_pool.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/util/compression.h>
#include <gmock/gmock.h>

#include <bit>
#include <cstring>
#include <string>

namespace ballista::flight {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kLimit = 1 << 20;

// An IPC stream of `rows` numbers, compressed.
std::string Stream(int64_t rows, arrow::Compression::type codec) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < rows; ++i) EXPECT_TRUE(builder.Append(i % 3).ok());
  const auto schema = arrow::schema({arrow::field("v", arrow::int64())});
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.codec = arrow::util::Codec::Create(codec).ValueOrDie();
  auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  auto writer = arrow::ipc::MakeStreamWriter(sink, schema, options).ValueOrDie();
  EXPECT_TRUE(writer
                  ->WriteRecordBatch(*arrow::RecordBatch::Make(
                      schema, rows, {builder.Finish().ValueOrDie()}))
                  .ok());
  EXPECT_TRUE(writer->Close().ok());
  return sink->Finish().ValueOrDie()->ToString();
}

arrow::Status Read(std::string bytes, arrow::MemoryPool* pool) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = pool;
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ipc::RecordBatchStreamReader::Open(
                                         std::make_shared<arrow::io::BufferReader>(
                                             arrow::Buffer::FromString(std::move(bytes))),
                                         options));
  ARROW_ASSIGN_OR_RAISE(const auto batches, reader->ToRecordBatches());
  for (const auto& batch : batches) ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return arrow::Status::OK();
}

class Claims : public ::testing::TestWithParam<arrow::Compression::type> {};

TEST_P(Claims, AreRefusedBeyondTheLimit) {
  const auto pool = MakeReceivePool(kLimit);
  EXPECT_TRUE(Read(Stream(kLimit / 8, GetParam()), pool.get()).ok());
  const auto status = Read(Stream(kLimit / 8 + 1, GetParam()), pool.get());
  EXPECT_TRUE(status.IsIOError()) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("a received buffer claims 10486"));
  EXPECT_EQ(pool->bytes_allocated(), 0);
}

// The process's own limit: nothing that fits is refused, and nobody has an exabyte.
TEST_P(Claims, OfAnExabyteAreRefused) {
  const auto honest = Stream(1000, GetParam());
  EXPECT_TRUE(Read(honest, ReceivePool()).ok());
  static_assert(std::endian::native == std::endian::little);
  const int64_t length = 8000;
  const int64_t claim = int64_t{1} << 60;
  auto forged = honest;
  const auto at = forged.find(std::string(reinterpret_cast<const char*>(&length), 8));
  ASSERT_NE(at, std::string::npos);
  std::memcpy(forged.data() + at, &claim, sizeof(claim));
  const auto status = Read(forged, ReceivePool());
  EXPECT_TRUE(status.IsIOError()) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("claims 1152921504606846976 bytes"));
}

INSTANTIATE_TEST_SUITE_P(Codecs, Claims,
                         ::testing::Values(arrow::Compression::LZ4_FRAME,
                                           arrow::Compression::ZSTD));

}  // namespace
}  // namespace ballista::flight
