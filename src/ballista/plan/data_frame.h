// Data frames of clients (dataframe.proto): what a receiver demands before it looks at
// anything else, and a line for people.
//
// Thread-safe (no state).
#pragma once

#include <arrow/result.h>

#include <string>

#include "ballista/dataframe.pb.h"

namespace ballista::plan {

inline constexpr uint32_t kDataFrameVersion = 1;
// Of relations, and of the expressions of each. They bound the engine's recursion.
inline constexpr int kMaxRelationDepth = 200;
inline constexpr int kMaxFrameExpressionDepth = 200;

// How many columns the relation has, where it is a valid one; -1: a source without
// `columns`. Never crashes on any message.
arrow::Result<int> RelationColumns(const dataframe::Relation& relation);

// Errors: Invalid with the detail VersionMismatch; UserError (BINDER) for all else.
arrow::Status Validate(const dataframe::CommandDataFrame& frame);

// "DataFrame: limit(sort(filter(read_parquet /data/t)))": one line of at most a few KB.
std::string Summary(const dataframe::CommandDataFrame& frame);

// Within validate.cc: an expression over so many columns. Untyped, but for casts and
// literals.
arrow::Status ValidateUntyped(const Expression& expression, int64_t columns);

}  // namespace ballista::plan
