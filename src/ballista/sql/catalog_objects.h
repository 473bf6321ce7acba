// The objects of a catalog as bytes, so that another process can have the same ones:
// external tables, views, macros, types, schemas. (Not local tables: they hold rows.)
//
// An object's bytes are DuckDB's own form of it, which later versions read. It is made
// from them as it was, without binding: a view whose files are not there for a while is a
// view all the same.
#pragma once

#include <arrow/result.h>

#include <string>

#include "ballista/sql/pch_internal.h"
#include "ballista/sql/session.h"

namespace ballista::sql {

// All objects of the default database that clients have made, by key. The caller keeps
// the catalog from being changed meanwhile.
arrow::Result<CatalogObjects> ExportObjects(duckdb::Connection& connection);

// Makes the object, in place of one that has its name.
arrow::Status PutObject(duckdb::Connection& connection, const std::string& key,
                        const std::string& bytes);

// No error where there is none.
arrow::Status DropObject(duckdb::Connection& connection, const std::string& key);

// Keys in the order in which objects can be made: what others may need comes first.
bool ComesBefore(const std::string& a, const std::string& b);

}  // namespace ballista::sql
