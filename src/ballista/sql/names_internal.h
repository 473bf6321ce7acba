// Names as SQL text.
#pragma once

#include <duckdb.hpp>
#include <duckdb/parser/keyword_helper.hpp>
#include <string>

namespace ballista::sql {

inline std::string Quoted(const std::string& name) {
  return duckdb::KeywordHelper::WriteQuoted(name, '"');
}

// Catalog and schema are left out where they are empty.
inline std::string QualifiedName(const std::string& catalog, const std::string& schema,
                                 const std::string& name) {
  std::string text;
  if (!catalog.empty()) text += Quoted(catalog) + ".";
  if (!schema.empty()) text += Quoted(schema) + ".";
  return text + Quoted(name);
}

}  // namespace ballista::sql
