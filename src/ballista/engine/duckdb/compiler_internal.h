// The parts of the compiler. A part throws CompileError; CompileFragment turns it into
// the Status that it carries.
#pragma once

#include <functional>
#include <string>

#include "ballista/base/status.h"
#include "ballista/engine/duckdb/compiler.h"
#include "ballista/engine/duckdb/types.h"

namespace ballista::engine::compile {

using ExprPtr = duckdb::unique_ptr<duckdb::ParsedExpression>;
using QueryPtr = duckdb::unique_ptr<duckdb::QueryNode>;
using TablePtr = duckdb::unique_ptr<duckdb::TableRef>;
// Position of a column in the node's inputs -> how it is written.
using Columns = std::function<ExprPtr(uint32_t)>;

class CompileError : public std::runtime_error {
 public:
  explicit CompileError(arrow::Status status)
      : std::runtime_error(status.message()), status_(std::move(status)) {}
  const arrow::Status& status() const { return status_; }

 private:
  arrow::Status status_;
};

[[noreturn]] inline void Fail(const std::string& what) {
  throw CompileError(InternalStatus("the plan cannot be compiled: " + what));
}

template <typename T>
T Known(std::optional<T> term, const char* unknown) {
  if (!term) Fail(unknown);
  return *term;
}

template <typename T>
T OrThrow(arrow::Result<T> result) {
  if (!result.ok()) throw CompileError(result.status());
  return std::move(result).ValueUnsafe();
}

inline std::string ColumnName(uint64_t position) {
  return "c" + std::to_string(position);
}

// ---- expressions (expression_compiler.cc)
ExprPtr Column(const std::string& table, uint32_t position);
// Columns of one input that is called `table`.
Columns ColumnsOf(const std::string& table);
// No column may be used (VALUES, LIMIT).
Columns NoColumns();
ExprPtr Constant(duckdb::Value value);
ExprPtr CastTo(ExprPtr value, const plan::Type& type);
// All of them, or nullptr for none.
ExprPtr And(duckdb::vector<ExprPtr> parts);
duckdb::ExpressionType ComparisonType(plan::Comparison::Op op);
ExprPtr CompileExpression(const plan::Expression& expression, const Columns& columns);
duckdb::vector<duckdb::OrderByNode> CompileSortKeys(
    const google::protobuf::RepeatedPtrField<plan::SortKey>& keys,
    const Columns& columns);

// ---- nodes
// Compiles one fragment. Not thread-safe.
class NodeCompiler {
 public:
  explicit NodeCompiler(const FragmentSources& sources) : sources_(sources) {}

  QueryPtr Compile(const plan::Node& node);
  // The node as something to select from, called `alias`.
  TablePtr Reference(const plan::Node& node, const std::string& alias);

 private:
  using Select = duckdb::unique_ptr<duckdb::SelectNode>;

  // A SELECT over the node's first input, called t, without select list.
  Select SelectFromInput(const plan::Node& node);
  // The same, with all the input's columns selected.
  Select PassInput(const plan::Node& node);

  QueryPtr CompileFilter(const plan::Node& node);
  QueryPtr CompileProject(const plan::Node& node);
  QueryPtr CompileAggregate(const plan::Node& node);
  QueryPtr CompileSort(const plan::Node& node);
  QueryPtr CompileLimit(const plan::Node& node);
  QueryPtr CompileDistinct(const plan::Node& node);
  QueryPtr CompileWindow(const plan::Node& node);
  QueryPtr CompileUnnest(const plan::Node& node);
  QueryPtr CompileSample(const plan::Node& node);
  QueryPtr CompileSetOperation(const plan::Node& node);
  QueryPtr CompileShared(const plan::Node& node);
  QueryPtr CompileRecursiveCte(const plan::Node& node);
  plan::Node ShareInputsOfStep(const plan::Node& node);

  // join_compiler.cc
  QueryPtr CompileJoin(const plan::Node& node);
  TablePtr JoinTables(const plan::Node& node, ExprPtr condition);
  ExprPtr GroupedMark(const plan::Node& node);

  // source_compiler.cc
  QueryPtr CompileValues(const plan::Node& node);
  QueryPtr CompileEmpty(const plan::Node& node);
  QueryPtr CompileInput(const plan::Node& node);
  QueryPtr CompileScan(const plan::Node& node);
  QueryPtr CompileTableFunction(const plan::Node& node);
  QueryPtr ScanFiles(const plan::Node& node, const std::vector<std::string>& files);
  QueryPtr ScanRange(const plan::Node& node, const plan::FileSplit& split);

  const FragmentSources& sources_;
  // Above all that a plan uses.
  uint32_t next_shared_id_ = 1U << 31;
};

// Gives the select list its names c0, c1, ...
void NameColumns(duckdb::SelectNode* select);
// Selects c0 to c<columns - 1> of `table`.
void SelectAll(duckdb::SelectNode* select, const std::string& table, int columns);
// The call that reads `files`, called f, with the scan's options (source_compiler.cc).
TablePtr ReadFiles(const plan::Scan& scan, const std::vector<std::string>& files);
duckdb::unique_ptr<duckdb::SelectStatement> AsStatement(QueryPtr query);

}  // namespace ballista::engine::compile
