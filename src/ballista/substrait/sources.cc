// What a plan reads: part of Translator.
#include <filesystem>

#include "ballista/substrait/translator_internal.h"

namespace ballista::substrait {
namespace {

using Item = pb::ReadRel::LocalFiles::FileOrFiles;

// The schema's names go through structs depth first; a column's own is before them.
arrow::Status SkipNames(const pb::Type& type, int depth, int* next) {
  if (depth > 50) return BadPlan("a type that is nested too deeply");
  if (type.has_struct_()) {
    for (const auto& field : type.struct_().types()) {
      ++*next;
      ARROW_RETURN_NOT_OK(SkipNames(field, depth + 1, next));
    }
  } else if (type.has_list()) {
    return SkipNames(type.list().type(), depth + 1, next);
  } else if (type.has_map()) {
    ARROW_RETURN_NOT_OK(SkipNames(type.map().key(), depth + 1, next));
    return SkipNames(type.map().value(), depth + 1, next);
  }
  return arrow::Status::OK();
}

arrow::Result<std::vector<std::string>> ColumnNames(const pb::NamedStruct& schema) {
  std::vector<std::string> names;
  int next = 0;
  for (const auto& type : schema.struct_().types()) {
    if (next >= schema.names_size()) break;
    names.push_back(schema.names(next++));
    ARROW_RETURN_NOT_OK(SkipNames(type, 0, &next));
  }
  if (static_cast<int>(names.size()) != schema.struct_().types_size() ||
      next != schema.names_size()) {
    return BadPlan("a schema of " + std::to_string(schema.names_size()) + " names for " +
                   std::to_string(schema.struct_().types_size()) + " columns");
  }
  return names;
}

arrow::Result<std::string> PathOf(const Item& item) {
  std::string path;
  switch (item.path_type_case()) {
    case Item::kUriPath:
      path = item.uri_path();
      break;
    case Item::kUriPathGlob:
      path = item.uri_path_glob();
      break;
    case Item::kUriFile:
      path = item.uri_file();
      break;
    case Item::kUriFolder:
      path = item.uri_folder();
      break;
    default:
      return BadPlan("a file without a path");
  }
  if (path.starts_with("file://")) path = path.substr(7);
  if (item.start() != 0 || item.length() != 0) {
    return NotSupported("the read of a part of the file " + path);
  }
  return path;
}

void AddOption(dataframe::Read* read, const std::string& name, plan::Value value) {
  auto* option = read->add_options();
  option->set_name(name);
  *option->mutable_value() = std::move(value);
}

arrow::Status AddTextOptions(const Item::DelimiterSeparatedTextReadOptions& text,
                             dataframe::Read* read) {
  if (text.header_lines_to_skip() > 1'000'000) {
    return NotSupported("a text file with so many lines before the rows");
  }
  const auto add = [read](const std::string& name, const std::string& value) {
    if (!value.empty()) AddOption(read, name, TextOf(value));
  };
  add("delim", text.field_delimiter());
  add("quote", text.quote());
  add("escape", text.escape());
  if (text.has_value_treated_as_null()) {
    AddOption(read, "nullstr", TextOf(text.value_treated_as_null()));
  }
  // The first of them has the names.
  if (text.header_lines_to_skip() > 1) {
    AddOption(read, "skip",
              IntegerOf(plan::MakeType(plan::Type::BIGINT),
                        static_cast<int64_t>(text.header_lines_to_skip()) - 1));
  }
  return arrow::Status::OK();
}

arrow::Status AddFile(const Item& item, dataframe::Read* read) {
  ARROW_ASSIGN_OR_RAISE(auto path, PathOf(item));
  std::string format;
  switch (item.file_format_case()) {
    case Item::kParquet:
      format = "parquet";
      break;
    case Item::kText:
      format = "csv";
      break;
    // What the name says.
    case Item::FILE_FORMAT_NOT_SET:
      if (std::filesystem::path(path).extension() == ".parquet") format = "parquet";
      if (std::filesystem::path(path).extension() == ".csv") format = "csv";
      break;
    default:
      break;
  }
  if (format.empty()) {
    return NotSupported("the file " + path + " of a format that is not Parquet or CSV");
  }
  if (!read->format().empty() && read->format() != format) {
    return NotSupported("files of several formats in one read");
  }
  if (read->format().empty() && format == "csv") {
    ARROW_RETURN_NOT_OK(AddTextOptions(item.text(), read));
  }
  read->set_format(format);
  read->add_paths(std::move(path));
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<Translated> Translator::Read(const pb::ReadRel& read) {
  const bool values = read.has_virtual_table();
  ARROW_ASSIGN_OR_RAISE(auto source, values ? Values(read) : ReadSource(read));
  if (read.has_filter()) {
    ARROW_ASSIGN_OR_RAISE(source, FilterOver(std::move(source), read.filter()));
  }
  if (!read.has_projection()) return source;
  std::vector<Column> kept;
  for (const auto& item : read.projection().select().struct_items()) {
    if (item.has_child()) return NotSupported("a read of a part of a column");
    if (item.field() < 0 || static_cast<size_t>(item.field()) >= source.columns.size()) {
      return BadPlan("a read of column " + std::to_string(item.field()) + " of " +
                     std::to_string(source.columns.size()));
    }
    kept.push_back(source.columns[item.field()]);
  }
  source.columns = std::move(kept);
  return source;
}

arrow::Result<Translated> Translator::ReadSource(const pb::ReadRel& read) {
  Translated source;
  ARROW_ASSIGN_OR_RAISE(auto names, ColumnNames(read.base_schema()));
  if (names.empty()) return NotSupported("a table without columns");
  google::protobuf::RepeatedPtrField<std::string>* columns = nullptr;
  switch (read.read_type_case()) {
    case pb::ReadRel::kNamedTable: {
      auto* table = source.relation.mutable_table();
      *table->mutable_name() = read.named_table().names();
      columns = table->mutable_columns();
      break;
    }
    case pb::ReadRel::kLocalFiles: {
      auto* files = source.relation.mutable_read();
      for (const auto& item : read.local_files().items()) {
        ARROW_RETURN_NOT_OK(AddFile(item, files));
      }
      if (files->paths().empty()) return BadPlan("a read of no files");
      columns = files->mutable_columns();
      break;
    }
    case pb::ReadRel::READ_TYPE_NOT_SET:
      return BadPlan("a read of nothing");
    default: {
      const auto* field =
          pb::ReadRel::descriptor()->FindFieldByNumber(read.read_type_case());
      return NotSupported("a read of the kind " + field->name());
    }
  }
  for (size_t i = 0; i < names.size(); ++i) {
    Column column;
    column.position = static_cast<uint32_t>(i);
    ARROW_ASSIGN_OR_RAISE(
        column.type, TypeOf(read.base_schema().struct_().types(static_cast<int>(i))));
    source.columns.push_back(std::move(column));
    columns->Add(std::move(names[i]));
  }
  source.width = static_cast<uint32_t>(source.columns.size());
  return source;
}

// A table without columns has one that nobody sees; one without rows a row that is
// filtered out.
arrow::Result<Translated> Translator::Values(const pb::ReadRel& read) {
  Translated source;
  const auto& types = read.base_schema().struct_().types();
  const auto& table = read.virtual_table();
  auto* values = source.relation.mutable_values();
  const Scope nothing;
  const auto begin_row = [&](int fields) -> arrow::Result<plan::Values::Row*> {
    if (fields != types.size()) {
      return BadPlan("a row of " + std::to_string(fields) + " values in a table of " +
                     std::to_string(types.size()) + " columns");
    }
    auto* row = values->add_rows();
    if (fields == 0) *row->add_cells() = LiteralOf(TruthOf(true));
    return row;
  };
  for (const auto& literals : table.values()) {
    ARROW_ASSIGN_OR_RAISE(auto* row, begin_row(literals.fields_size()));
    for (const auto& field : literals.fields()) {
      ARROW_ASSIGN_OR_RAISE(*row->add_cells(), LiteralOf(field));
    }
  }
  for (const auto& expressions : table.expressions()) {
    ARROW_ASSIGN_OR_RAISE(auto* row, begin_row(expressions.fields_size()));
    for (const auto& field : expressions.fields()) {
      ARROW_ASSIGN_OR_RAISE(auto cell, Expr(field, nothing));
      *row->add_cells() = std::move(cell.expression);
    }
  }
  const bool empty = values->rows().empty();
  if (empty) {
    auto* row = values->add_rows();
    for (int i = 0; i < types.size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(const auto type, TypeOf(types[i]));
      *row->add_cells() = LiteralOf(NullOf(type));
    }
    if (types.empty()) *row->add_cells() = LiteralOf(TruthOf(true));
  }
  for (int i = 0; i < types.size(); ++i) {
    Column column;
    column.position = static_cast<uint32_t>(i);
    ARROW_ASSIGN_OR_RAISE(column.type, TypeOf(types[i]));
    column.cast = column.type.id() != plan::Type::INVALID;
    source.columns.push_back(std::move(column));
  }
  source.width = std::max<uint32_t>(1, static_cast<uint32_t>(types.size()));
  if (!empty) return source;
  Translated filtered;
  *filtered.relation.add_inputs() = std::move(source.relation);
  *filtered.relation.mutable_filter()->add_predicates() = LiteralOf(TruthOf(false));
  filtered.width = source.width;
  filtered.columns = std::move(source.columns);
  return filtered;
}

}  // namespace ballista::substrait
