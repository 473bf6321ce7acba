// What Tab offers at the prompt: SQL keywords, and the names of tables and columns.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/client/flight_sql_client.h"

namespace ballista::shell {

struct SchemaNames {
  std::vector<std::string> tables;
  std::vector<std::string> columns;
};

// The words that begin with `line` from `word_begin` on, sorted. After FROM, JOIN and the
// like: tables; after `.`: columns; else all, keywords in the case of what was typed.
std::vector<std::string> CompleteWord(std::string_view line, size_t word_begin,
                                      const SchemaNames& names);

// The names of the catalog, fetched when first asked for and again after Invalidate.
// Thread-safe. The client outlives every fetch: the destructor waits for one under way.
class SchemaCache {
 public:
  explicit SchemaCache(client::FlightSqlClient* client) : client_(client) {}
  ~SchemaCache();

  // Waits a second at most; then what is known, while the fetch goes on.
  SchemaNames Get();
  void Invalidate();

 private:
  struct Shared;
  client::FlightSqlClient* const client_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace ballista::shell
