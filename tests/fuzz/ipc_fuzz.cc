// Damaged files of the shuffle store, and forged inline results: reading ends with rows
// or with an error. The first byte chooses the schema and the codec.
#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "ballista/shuffle/output_file.h"

namespace ballista::shuffle {
namespace {

std::shared_ptr<arrow::Schema> SchemaOf(unsigned choice) {
  using arrow::field;
  switch (choice % 4) {
    case 0:
      return arrow::schema({field("a", arrow::int64()), field("s", arrow::utf8())});
    case 1:
      return arrow::schema({field("l", arrow::list(arrow::int32())),
                            field("t", arrow::struct_({field("x", arrow::boolean())}))});
    case 2:
      return arrow::schema({field("d", arrow::dictionary(arrow::int8(), arrow::utf8()))});
    default:
      return arrow::schema(
          {field("v", arrow::utf8_view()), field("m", arrow::decimal128(20, 3))});
  }
}

void ReadPiece(unsigned choice, std::string_view bytes) {
  constexpr arrow::Compression::type kCodecs[] = {arrow::Compression::UNCOMPRESSED,
                                                  arrow::Compression::LZ4_FRAME,
                                                  arrow::Compression::ZSTD};
  const char* folder = std::getenv("FUZZ_FOLDER");
  const auto path = std::string(folder == nullptr ? "/tmp" : folder) + "/ipc_fuzz.data";
  auto share =
      std::make_shared<DiskShare>(std::make_shared<DiskLedger>(), "job", /*job_quota=*/0);
  auto file = OutputFile::Create(path, SchemaOf(choice), kCodecs[choice / 4 % 3],
                                 std::move(share))
                  .ValueOrDie();
  std::ofstream(path, std::ios::binary | std::ios::in)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const auto batch = file->Read({0, static_cast<int64_t>(bytes.size())});
  if (batch.ok() && *batch != nullptr) (void)(*batch)->ValidateFull();
}

void ReadInline(std::string_view bytes) {
  auto buffer = std::make_shared<arrow::io::BufferReader>(
      arrow::Buffer::FromString(std::string(bytes)));
  auto reader = arrow::ipc::RecordBatchStreamReader::Open(buffer);
  if (!reader.ok()) return;
  while (true) {
    const auto batch = (*reader)->Next();
    if (!batch.ok() || *batch == nullptr) return;
    (void)(*batch)->ValidateFull();
  }
}

}  // namespace
}  // namespace ballista::shuffle

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] >= 128) {
    ballista::shuffle::ReadInline(bytes);
  } else {
    ballista::shuffle::ReadPiece(data[0], bytes);
  }
  return 0;
}
