#include "ballista/client/shell/result_writer.h"

#include <fmt/format.h>

#include <utility>

namespace ballista::shell {
namespace {

constexpr std::pair<Format, std::string_view> kFormats[] = {
    {Format::kTable, "table"},     {Format::kCsv, "csv"},     {Format::kJson, "json"},
    {Format::kParquet, "parquet"}, {Format::kArrow, "arrow"},
};

}  // namespace

arrow::Result<Format> ParseFormat(std::string_view name) {
  for (const auto& [format, format_name] : kFormats) {
    if (name == format_name) return format;
  }
  return arrow::Status::Invalid(fmt::format(
      "unknown format '{}': table, csv, json, parquet and arrow are known", name));
}

std::string_view FormatName(Format format) {
  for (const auto& [known, name] : kFormats) {
    if (known == format) return name;
  }
  return "";
}

bool IsBinary(Format format) {
  return format == Format::kParquet || format == Format::kArrow;
}

std::unique_ptr<ResultWriter> MakeResultWriter(Format format,
                                               const WriterOptions& options,
                                               arrow::io::OutputStream* out) {
  switch (format) {
    case Format::kTable:
      return MakeTableWriter(options, out);
    case Format::kCsv:
      return MakeCsvWriter(out);
    case Format::kJson:
      return MakeJsonWriter(out);
    case Format::kParquet:
      return MakeParquetWriter(out);
    case Format::kArrow:
      return MakeArrowWriter(options.arrow_file, out);
  }
  return nullptr;
}

}  // namespace ballista::shell
