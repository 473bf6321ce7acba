#include "ballista/client/shell/completion.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <set>
#include <thread>

#include "ballista/client/shell/value_text.h"

namespace ballista::shell {
namespace {

constexpr std::chrono::seconds kPatience{1};

constexpr std::string_view kKeywords[] = {
    "ALL",       "ALTER",    "ANALYZE",   "AND",      "ANTI",      "ANY",       "AS",
    "ASC",       "ASOF",     "BETWEEN",   "BY",       "CASE",      "CAST",      "COPY",
    "COUNT",     "CREATE",   "CROSS",     "CSV",      "CUBE",      "CURRENT",   "DELETE",
    "DESC",      "DESCRIBE", "DISTINCT",  "DROP",     "ELSE",      "END",       "EXCEPT",
    "EXCLUDE",   "EXISTS",   "EXPLAIN",   "EXTERNAL", "FALSE",     "FILTER",    "FIRST",
    "FOLLOWING", "FORMAT",   "FROM",      "FULL",     "GROUP",     "GROUPING",  "HAVING",
    "ILIKE",     "IN",       "INNER",     "INSERT",   "INTERSECT", "INTERVAL",  "INTO",
    "IS",        "JOIN",     "JSON",      "LAST",     "LATERAL",   "LEFT",      "LIKE",
    "LIMIT",     "LOCATION", "NATURAL",   "NOT",      "NULL",      "NULLS",     "OFFSET",
    "ON",        "OPTIONS",  "OR",        "ORDER",    "OUTER",     "OVER",      "PARQUET",
    "PARTITION", "PIVOT",    "PRECEDING", "QUALIFY",  "RANGE",     "RECURSIVE", "REPLACE",
    "RESET",     "RIGHT",    "ROLLUP",    "ROWS",     "SELECT",    "SEMI",      "SET",
    "SETS",      "SHOW",     "STORED",    "TABLE",    "TABLES",    "TEMP",      "THEN",
    "TO",        "TRUE",     "UNBOUNDED", "UNION",    "UNNEST",    "UNPIVOT",   "UPDATE",
    "USING",     "VALUES",   "VIEW",      "WHEN",     "WHERE",     "WINDOW",    "WITH",
};

constexpr std::string_view kCommands[] = {"d",       "dt", "executors", "format", "i",
                                          "maxrows", "o",  "q",         "timing"};

char Lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}
char Upper(char c) {
  return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}

bool BeginsWith(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(),
                    [](char a, char b) { return Lower(a) == Lower(b); });
}

// The word before `line`'s end, in upper case.
std::string WordBefore(std::string_view line) {
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  size_t begin = line.size();
  while (begin > 0 && std::isalpha(static_cast<unsigned char>(line[begin - 1])) != 0) {
    --begin;
  }
  std::string word(line.substr(begin));
  std::transform(word.begin(), word.end(), word.begin(), Upper);
  return word;
}

}  // namespace

std::vector<std::string> CompleteWord(std::string_view line, size_t word_begin,
                                      const SchemaNames& names) {
  const std::string_view word = line.substr(word_begin);
  const std::string_view before = line.substr(0, word_begin);
  std::set<std::string> found;
  auto offer = [&](const auto& candidates) {
    for (const auto& candidate : candidates) {
      if (BeginsWith(candidate, word)) found.emplace(candidate);
    }
  };
  if (before == "\\") {
    offer(kCommands);
    return {found.begin(), found.end()};
  }
  if (!before.empty() && before.back() == '.') {
    offer(names.columns);
    return {found.begin(), found.end()};
  }
  const std::string previous = WordBefore(before);
  const bool wants_table = previous == "FROM" || previous == "JOIN" ||
                           previous == "INTO" || previous == "TABLE" ||
                           previous == "DESCRIBE" || previous == "UPDATE" ||
                           BeginsWith(before, "\\d ");
  offer(names.tables);
  if (wants_table && !found.empty()) return {found.begin(), found.end()};
  offer(names.columns);
  const bool lower =
      !word.empty() && std::islower(static_cast<unsigned char>(word[0])) != 0;
  for (const auto keyword : kKeywords) {
    if (word.empty() || !BeginsWith(keyword, word)) continue;
    std::string text(keyword);
    if (lower) std::transform(text.begin(), text.end(), text.begin(), Lower);
    found.insert(std::move(text));
  }
  return {found.begin(), found.end()};
}

struct SchemaCache::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool fetching = false;
  bool stale = true;
  SchemaNames names;
};

namespace {

// Failures leave the names empty: completion is a convenience.
SchemaNames FetchNames(client::FlightSqlClient* client) {
  std::set<std::string> tables;
  std::set<std::string> columns;
  auto query =
      client->Start("SELECT table_name, column_name FROM information_schema.columns");
  while (true) {
    const auto batch = query->Next();
    if (!batch.ok() || *batch == nullptr || (*batch)->num_columns() != 2) break;
    for (int64_t row = 0; row < (*batch)->num_rows(); ++row) {
      std::string table;
      std::string column;
      AppendText(*(*batch)->column(0), row, &table);
      AppendText(*(*batch)->column(1), row, &column);
      tables.insert(std::move(table));
      columns.insert(std::move(column));
    }
  }
  return {{tables.begin(), tables.end()}, {columns.begin(), columns.end()}};
}

}  // namespace

SchemaCache::~SchemaCache() {
  if (shared_ == nullptr) return;
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [this] { return !shared_->fetching; });
}

SchemaNames SchemaCache::Get() {
  if (shared_ == nullptr) shared_ = std::make_shared<Shared>();
  std::unique_lock lock(shared_->mutex);
  if (shared_->stale && !shared_->fetching) {
    shared_->fetching = true;
    shared_->stale = false;
    std::thread([shared = shared_, client = client_] {
      auto names = FetchNames(client);
      std::lock_guard guard(shared->mutex);
      shared->names = std::move(names);
      shared->fetching = false;
      shared->changed.notify_all();
    }).detach();
  }
  shared_->changed.wait_for(lock, kPatience, [this] { return !shared_->fetching; });
  return shared_->names;
}

void SchemaCache::Invalidate() {
  if (shared_ == nullptr) return;
  std::lock_guard lock(shared_->mutex);
  shared_->stale = true;
}

}  // namespace ballista::shell
