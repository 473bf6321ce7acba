// The plan IR as C++ sees it: the protobuf messages of plan.proto are the in-memory form.
// Here is what works on them: building, walking, validating, printing, types to Arrow.
//
// All functions are thread-safe (they have no state).
#pragma once

#include <arrow/result.h>
#include <arrow/type.h>
#include <google/protobuf/message_lite.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/job.pb.h"
#include "ballista/plan.pb.h"

namespace ballista::plan {

// A plan nested deeper than this is refused; it bounds the recursion of every walker.
inline constexpr int kMaxDepth = 3000;

// In TableFunction.columns: no column is read, the value is TRUE.
inline constexpr uint32_t kRowMarker = 0xffffffffu;

// ---- build
Type MakeType(Type::Id id);
Type DecimalType(uint32_t precision, uint32_t scale);
Type ListType(Type element);
Expression ColumnRef(uint32_t column, const Type& type);
Expression BigintLiteral(int64_t value);
Expression CastTo(Expression value,
                  const Type& type);  // the value itself where the type is already right
Expression MakeCall(std::string name, const Type& type, std::vector<Expression> args);
Node WithInput(Node input);  // a node without kind over one input, types copied from it

// ---- compare
bool TypesEqual(const Type& a, const Type& b);
bool ExpressionsEqual(const Expression& a, const Expression& b);

// ---- walk
// Calls `visit` for each expression that the node itself holds (not its inputs'),
// outermost first; sub-expressions are not visited: use VisitExpression for those.
void ForEachExpression(const Node& node,
                       const std::function<void(const Expression&)>& visit);
void ForEachExpression(Node* node, const std::function<void(Expression*)>& visit);
// Every direct sub-expression: args, and the filters, keys, bounds of aggregates and
// windows.
void ForEachChild(const Expression& expression,
                  const std::function<void(const Expression&)>& visit);
void ForEachChild(Expression* expression, const std::function<void(Expression*)>& visit);
// Depth first, parents before children. For a node: itself, then its inputs.
void VisitExpression(const Expression& expression,
                     const std::function<void(const Expression&)>& visit);
void VisitNodes(const Node& node, const std::function<void(const Node&)>& visit);
void VisitNodes(Node* node, const std::function<void(Node*)>& visit);
// Replaces every column reference c by mapping[c]. Errors: Internal for a column that is
// not mapped (negative).
arrow::Status RemapColumns(Expression* expression, const std::vector<int>& mapping);
bool IsVolatile(const Expression& expression);

// ---- check
// What a receiver demands before it looks at anything else: known kinds, right numbers of
// inputs and args, positions within range, types present, depth bounded, shared
// references resolved. Never crashes on any message.
arrow::Status Validate(const Plan& plan);
// Of a fragment of a stage, whose exchange reads refer to `num_inputs` inputs.
arrow::Status ValidateFragment(const Node& root, int num_inputs);
arrow::Status ValidateGraph(const job::JobGraph& graph);

// Parses bytes without protobuf's default nesting limit (kMaxDepth of our nodes holds
// instead).
arrow::Status ParseMessage(std::string_view bytes,
                           google::protobuf::MessageLite* message);

// ---- show
// One line per node, indented; expressions in SQL-like text with #i for column i.
std::string ToString(const Node& node);
std::string ToString(const Expression& expression);
std::string ToString(const Type& type);
std::string ToString(const Value& value);
// The staged plan of EXPLAIN: each stage with its parallelism, exchanges and fragment.
std::string ToString(const job::JobGraph& graph);

// ---- Arrow
// How a column of a type travels in Arrow between processes: docs/plan-ir.md, "Types in
// Arrow".
// `time_zone` is that of TIMESTAMP_TZ columns.
arrow::Result<std::shared_ptr<arrow::DataType>> ToArrowType(
    const Type& type, const std::string& time_zone = "UTC");
// The schema of a result: the root's types under `Plan.names`; every column nullable.
arrow::Result<std::shared_ptr<arrow::Schema>> ResultSchema(const Plan& plan);

// Bytes of one row of these types in Arrow, guessed (strings: 24 bytes of data each).
double EstimatedRowBytes(const google::protobuf::RepeatedPtrField<Type>& types);

}  // namespace ballista::plan
