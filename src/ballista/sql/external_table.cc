#include "ballista/sql/external_table.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

#include "ballista/base/status.h"
#include "ballista/sql/folder_files.h"
#include "ballista/sql/lexer_internal.h"

namespace ballista::sql {
namespace {

std::string Lower(std::string text) {
  for (auto& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string StringLiteral(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  return quoted + "'";
}

std::string QuotedName(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

class Parser {
 public:
  explicit Parser(const std::string& sql) : sql_(sql), tokens_(Tokenize(sql)) {}

  arrow::Result<std::optional<ExternalTable>> Parse() {
    if (!Accept("CREATE")) return std::nullopt;
    if (Accept("OR")) {
      if (!Accept("REPLACE")) return std::nullopt;
      table_.or_replace = true;
    }
    if (!Accept("EXTERNAL")) return std::nullopt;
    ARROW_RETURN_NOT_OK(Expect("TABLE"));
    if (Accept("IF")) {
      ARROW_RETURN_NOT_OK(Expect("NOT"));
      ARROW_RETURN_NOT_OK(Expect("EXISTS"));
      table_.if_not_exists = true;
    }
    ARROW_RETURN_NOT_OK(ParseName());
    if (Now().Is("(")) ARROW_RETURN_NOT_OK(ParseColumns());
    while (!Now().Is(";") && Now().kind != Token::Kind::kEnd) {
      ARROW_RETURN_NOT_OK(ParseClause());
    }
    Accept(";");
    if (Now().kind != Token::Kind::kEnd) return Unexpected("the end of the statement");
    if (table_.format.empty()) return Unexpected("STORED AS PARQUET, CSV or JSON");
    if (table_.location.empty()) return Unexpected("LOCATION '...'");
    return std::optional<ExternalTable>(std::move(table_));
  }

 private:
  const Token& Now() const { return tokens_[at_]; }
  bool Accept(const char* word) {
    if (!Now().Is(word)) return false;
    ++at_;
    return true;
  }
  arrow::Status Expect(const char* word) {
    if (Accept(word)) return arrow::Status::OK();
    return Unexpected(word);
  }
  arrow::Status Unexpected(const std::string& wanted) const {
    const bool at_end = Now().kind == Token::Kind::kEnd;
    const auto found =
        at_end ? std::string("the end of the statement")
               : "\"" + sql_.substr(Now().begin, Now().end - Now().begin) + "\"";
    return UserErrorStatus(
        UserError::SYNTAX,
        "CREATE EXTERNAL TABLE: expected " + wanted + ", found " + found,
        static_cast<int>(Now().begin));
  }
  arrow::Result<std::string> Name() {
    if (!Now().IsName()) return Unexpected("a name");
    return tokens_[at_++].text;
  }
  arrow::Result<std::string> String() {
    if (Now().kind != Token::Kind::kString) return Unexpected("a string");
    return tokens_[at_++].text;
  }

  arrow::Status ParseName() {
    const size_t begin = Now().begin;
    ARROW_RETURN_NOT_OK(Name());
    while (Accept(".")) ARROW_RETURN_NOT_OK(Name());
    table_.name = sql_.substr(begin, tokens_[at_ - 1].end - begin);
    return arrow::Status::OK();
  }

  // A column's type is kept as text: everything up to the comma or bracket that ends it.
  arrow::Status ParseColumns() {
    ARROW_RETURN_NOT_OK(Expect("("));
    do {
      ARROW_ASSIGN_OR_RAISE(auto name, Name());
      const size_t first = at_;
      int depth = 0;
      while (Now().kind != Token::Kind::kEnd) {
        if (depth == 0 && (Now().Is(",") || Now().Is(")") || Now().Is("NOT"))) break;
        if (Now().Is("(")) ++depth;
        if (Now().Is(")")) --depth;
        ++at_;
      }
      if (at_ == first) return Unexpected("a type");
      const size_t begin = tokens_[first].begin;
      table_.columns.emplace_back(std::move(name),
                                  sql_.substr(begin, tokens_[at_ - 1].end - begin));
      if (Accept("NOT")) ARROW_RETURN_NOT_OK(Expect("NULL"));
    } while (Accept(","));
    return Expect(")");
  }

  arrow::Status ParseClause() {
    if (Accept("STORED")) {
      ARROW_RETURN_NOT_OK(Expect("AS"));
      return ParseFormat();
    }
    if (Accept("LOCATION")) {
      ARROW_ASSIGN_OR_RAISE(table_.location, String());
      if (table_.location.empty()) return Unexpected("a location");
      return arrow::Status::OK();
    }
    if (Accept("OPTIONS")) return ParseOptions();
    if (Accept("PARTITIONED")) {
      ARROW_RETURN_NOT_OK(Expect("BY"));
      return ParsePartitions();
    }
    if (Accept("WITH")) {
      ARROW_RETURN_NOT_OK(Expect("HEADER"));
      ARROW_RETURN_NOT_OK(Expect("ROW"));
      table_.header_row = true;
      return arrow::Status::OK();
    }
    if (Accept("DELIMITER")) {
      ARROW_ASSIGN_OR_RAISE(auto delimiter, String());
      table_.options.emplace_back("delim", std::move(delimiter));
      return arrow::Status::OK();
    }
    return Unexpected(
        "STORED AS, LOCATION, OPTIONS, PARTITIONED BY, DELIMITER or WITH HEADER ROW");
  }

  arrow::Status ParseFormat() {
    if (Now().Is("PARQUET") || Now().Is("CSV") || Now().Is("JSON")) {
      table_.format = Lower(tokens_[at_++].text);
      return arrow::Status::OK();
    }
    if (Accept("NDJSON") || Accept("JSONL")) {
      table_.format = "json";
      table_.newline_delimited = true;
      return arrow::Status::OK();
    }
    return Unexpected("PARQUET, CSV, JSON or NDJSON");
  }

  arrow::Status ParseOptions() {
    ARROW_RETURN_NOT_OK(Expect("("));
    do {
      const bool as_string = Now().kind == Token::Kind::kString;
      ARROW_ASSIGN_OR_RAISE(auto key, as_string ? String() : Name());
      while (Accept(".")) {
        ARROW_ASSIGN_OR_RAISE(key, Name());  // 'format.delimiter': the last part counts
      }
      Accept("=");
      std::string value;
      while (Now().kind != Token::Kind::kEnd && !Now().Is(",") && !Now().Is(")")) {
        value += tokens_[at_++].text;
      }
      table_.options.emplace_back(Lower(std::move(key)), std::move(value));
    } while (Accept(","));
    return Expect(")");
  }

  arrow::Status ParsePartitions() {
    ARROW_RETURN_NOT_OK(Expect("("));
    do {
      ARROW_ASSIGN_OR_RAISE(auto name, Name());
      // A type here declares the column, as in (year INTEGER).
      const size_t first = at_;
      while (Now().kind != Token::Kind::kEnd && !Now().Is(",") && !Now().Is(")")) ++at_;
      if (at_ > first) {
        const size_t begin = tokens_[first].begin;
        table_.columns.emplace_back(name,
                                    sql_.substr(begin, tokens_[at_ - 1].end - begin));
      }
      table_.partitions.push_back(std::move(name));
    } while (Accept(","));
    return Expect(")");
  }

  const std::string& sql_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  ExternalTable table_;
};

// ---------------------------------------------------------------------- location

arrow::Result<std::vector<std::string>> FilesOf(const ExternalTable& table) {
  std::string path = table.location;
  if (path.rfind("file://", 0) == 0) path = path.substr(7);
  if (path.find("://") != std::string::npos) return std::vector<std::string>{path};
  path = std::filesystem::absolute(path).lexically_normal().string();
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return FolderGlobs(path, table.format);
  }
  const bool is_glob = path.find_first_of("*?[") != std::string::npos;
  if (!is_glob && !std::filesystem::exists(path, error)) {
    return UserErrorStatus(UserError::NOT_FOUND, "the location " + path +
                                                     " of the external table " +
                                                     table.name + " does not exist");
  }
  return std::vector<std::string>{path};
}

// ---------------------------------------------------------------------- the view

std::string OptionName(const std::string& name) {
  static const std::map<std::string, std::string> others = {
      {"delimiter", "delim"},
      {"sep", "delim"},
      {"has_header", "header"},
      {"null_value", "nullstr"},
      {"null", "nullstr"},
      {"date_format", "dateformat"},
      {"timestamp_format", "timestampformat"}};
  const auto last = name.substr(name.rfind('.') + 1);
  const auto found = others.find(last);
  return found == others.end() ? last : found->second;
}

std::string ColumnTypes(const std::vector<std::pair<std::string, std::string>>& columns) {
  std::string text;
  for (const auto& [name, type] : columns) {
    text += (text.empty() ? "" : ", ") + StringLiteral(name) + ": " + StringLiteral(type);
  }
  return "{" + text + "}";
}

std::string ReaderArguments(const ExternalTable& table,
                            const std::vector<std::string>& files) {
  std::string list;
  for (const auto& file : files) list += (list.empty() ? "" : ", ") + StringLiteral(file);
  std::string arguments = "[" + list + "]";
  std::vector<std::pair<std::string, std::string>> in_files, in_paths;
  for (const auto& column : table.columns) {
    const bool partition = std::find(table.partitions.begin(), table.partitions.end(),
                                     column.first) != table.partitions.end();
    (partition ? in_paths : in_files).push_back(column);
  }
  if (!table.partitions.empty()) {
    arguments += ", hive_partitioning = true";
    if (!in_paths.empty()) arguments += ", hive_types = " + ColumnTypes(in_paths);
  }
  if (table.format != "parquet" && !in_files.empty()) {
    arguments += ", columns = " + ColumnTypes(in_files);
  }
  if (table.header_row) arguments += ", header = true";
  if (table.newline_delimited) arguments += ", format = 'newline_delimited'";
  for (const auto& [name, value] : table.options) {
    arguments += ", " + OptionName(name) + " = " + StringLiteral(value);
  }
  return arguments;
}

}  // namespace

arrow::Result<std::optional<ExternalTable>> ParseExternalTable(const std::string& sql) {
  return Parser(sql).Parse();
}

arrow::Result<std::string> ExternalTableView(const ExternalTable& table) {
  ARROW_ASSIGN_OR_RAISE(auto files, FilesOf(table));
  std::string columns;
  for (const auto& [name, type] : table.columns) {
    const auto quoted = QuotedName(name);
    columns += (columns.empty() ? "" : ", ") +
               ("CAST(" + quoted + " AS " + type + ") AS " + quoted);
  }
  if (columns.empty()) columns = "*";
  return std::string("CREATE ") + (table.or_replace ? "OR REPLACE " : "") + "VIEW " +
         (table.if_not_exists ? "IF NOT EXISTS " : "") + table.name + " AS SELECT " +
         columns + " FROM read_" + table.format + "(" + ReaderArguments(table, files) +
         ")";
}

}  // namespace ballista::sql
