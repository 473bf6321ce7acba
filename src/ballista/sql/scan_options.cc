#include "ballista/sql/scan_options.h"

#include <map>
#include <set>

#include "ballista/sql/unsupported_internal.h"
#include "ballista/sql/value_conversion.h"

namespace ballista::sql {
namespace {

using duckdb::LogicalTypeId;
using duckdb::Value;
using Options = std::map<std::string, Value>;

Value TypeNames(const duckdb::child_list_t<duckdb::LogicalType>& columns) {
  duckdb::child_list_t<Value> fields;
  for (const auto& [name, type] : columns) {
    fields.emplace_back(name, Value(type.ToString()));
  }
  return Value::STRUCT(std::move(fields));
}

// Columns that are in the files: not the file name, not hive partitions.
duckdb::child_list_t<duckdb::LogicalType> FileColumns(
    const duckdb::MultiFileBindData& data) {
  std::set<duckdb::idx_t> added;
  for (const auto& hive : data.reader_bind.hive_partitioning_indexes) {
    added.insert(hive.index);
  }
  if (data.reader_bind.filename_idx.IsValid()) {
    added.insert(data.reader_bind.filename_idx.GetIndex());
  }
  duckdb::child_list_t<duckdb::LogicalType> columns;
  for (duckdb::idx_t i = 0; i < data.names.size(); ++i) {
    if (!added.count(i)) columns.emplace_back(data.names[i], data.types[i]);
  }
  return columns;
}

void PinHive(const duckdb::MultiFileBindData& data, Options* options) {
  const auto& partitions = data.reader_bind.hive_partitioning_indexes;
  (*options)["hive_partitioning"] = Value::BOOLEAN(!partitions.empty());
  options->erase("hive_types");
  options->erase("hive_types_autocast");
  if (partitions.empty()) return;
  duckdb::child_list_t<duckdb::LogicalType> types;
  for (const auto& partition : partitions) {
    types.emplace_back(data.names[partition.index], data.types[partition.index]);
  }
  (*options)["hive_types"] = TypeNames(types);
}

std::string OneChar(char value) {
  return value ? std::string(1, value) : "";
}

void PinCsv(const duckdb::MultiFileBindData& data, Options* options) {
  const auto& csv = data.bind_data->Cast<duckdb::ReadCSVData>().options;
  if (csv.store_rejects.GetValue()) throw Unsupported("a CSV scan with a rejects table");
  const auto& machine = csv.dialect_options.state_machine_options;
  for (const char* gone :
       {"names", "column_names", "types", "dtypes", "column_types", "all_varchar", "sep",
        "delim", "nullstr", "dateformat", "date_format", "timestampformat",
        "timestamp_format", "sample_size", "normalize_names", "auto_type_candidates",
        "files_to_sniff", "skip", "new_line"}) {
    options->erase(gone);
  }
  (*options)["auto_detect"] = Value::BOOLEAN(false);
  (*options)["columns"] = TypeNames(FileColumns(data));
  (*options)["delim"] = Value(machine.delimiter.GetValue());
  (*options)["quote"] = Value(OneChar(machine.quote.GetValue()));
  (*options)["escape"] = Value(OneChar(machine.escape.GetValue()));
  (*options)["comment"] = Value(OneChar(machine.comment.GetValue()));
  (*options)["strict_mode"] = Value::BOOLEAN(machine.strict_mode.GetValue());
  (*options)["header"] = Value::BOOLEAN(csv.dialect_options.header.GetValue());
  (*options)["skip"] =
      Value::BIGINT(static_cast<int64_t>(csv.dialect_options.skip_rows.GetValue()));
  const auto new_line = csv.NewLineIdentifierToString();
  if (!new_line.empty()) (*options)["new_line"] = Value(new_line);
  duckdb::vector<Value> nulls;
  for (const auto& text : csv.null_str) nulls.emplace_back(text);
  (*options)["nullstr"] = Value::LIST(duckdb::LogicalType::VARCHAR, std::move(nulls));
  const auto format = [&](LogicalTypeId type, const char* name) {
    const auto found = csv.dialect_options.date_format.find(type);
    if (found == csv.dialect_options.date_format.end()) return;
    const auto& specifier = found->second.GetValue().format_specifier;
    if (!specifier.empty()) (*options)[name] = Value(specifier);
  };
  format(LogicalTypeId::DATE, "dateformat");
  format(LogicalTypeId::TIMESTAMP, "timestampformat");
}

void PinJson(const std::string& function, const duckdb::MultiFileBindData& data,
             Options* options) {
  if (function.find("objects") != std::string::npos) return;  // one column of type JSON
  for (const char* gone : {"auto_detect", "sample_size", "maximum_depth",
                           "field_appearance_threshold", "map_inference_threshold",
                           "convert_strings_to_integers", "maximum_sample_files"}) {
    options->erase(gone);
  }
  const auto columns = FileColumns(data);
  const bool values = columns.size() == 1 && columns[0].first == "json" &&
                      !options->count("columns") && !options->count("records");
  (*options)["columns"] = TypeNames(columns);
  if (!options->count("records")) {
    (*options)["records"] = Value(values ? "false" : "true");
  }
  if (!options->count("format")) {
    (*options)["format"] =
        Value(function.rfind("read_ndjson", 0) == 0 ? "newline_delimited" : "auto");
  }
}

}  // namespace

std::string FileFormatOf(const std::string& function) {
  if (function == "read_parquet" || function == "parquet_scan") return "parquet";
  if (function == "read_csv" || function == "read_csv_auto") return "csv";
  if (function.rfind("read_json", 0) == 0 || function.rfind("read_ndjson", 0) == 0) {
    return "json";
  }
  return "";
}

std::vector<plan::NamedValue> PinnedScanOptions(const std::string& format,
                                                const duckdb::LogicalGet& get,
                                                const duckdb::MultiFileBindData& data) {
  Options options;
  for (const auto& [name, value] : get.named_parameters) {
    options[duckdb::StringUtil::Lower(name)] = value;
  }
  options.erase("explicit_cardinality");
  PinHive(data, &options);
  if (format == "csv") PinCsv(data, &options);
  if (format == "json") PinJson(get.function.name, data, &options);
  if (data.reader_bind.filename_idx.IsValid()) {
    options["filename"] = Value(data.file_options.filename_column);
  }
  std::vector<plan::NamedValue> result;
  for (const auto& [name, value] : options) {
    plan::NamedValue named;
    named.set_name(name);
    *named.mutable_value() = ToPlanValue(value);
    result.push_back(std::move(named));
  }
  return result;
}

}  // namespace ballista::sql
