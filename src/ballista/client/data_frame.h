// DataFrames: queries built by calls in place of SQL text.
//
//   auto lines = session->ReadParquet("/data/lineitem");
//   auto revenue = lines.Filter(Col("l_shipdate") <= Date("1998-09-02"))
//                      .Aggregate({"l_returnflag"}, {Sum("l_quantity").As("quantity")})
//                      .Sort({"l_returnflag"});
//   ARROW_ASSIGN_OR_RAISE(auto table, revenue.Collect());
//
// A DataFrame is a description: each call gives a new one, nothing runs before Collect,
// ToReader, Submit, Show, Count or one of the writes. It is sent as a typed, positional
// plan (no text is parsed), planned by the same rules as SQL (its joins are ordered, its
// columns pruned, its filters pushed into the files) and run on the cluster.
//
// Errors: a call that cannot be (an unknown column) gives a DataFrame whose status() says
// why, and so does everything made of it; what the scheduler finds (a function that does
// not take a type) comes from Schema, Explain or a run. All are arrow::Status.
//
// Values: copying is cheap; thread-safe. They keep their session open.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table.h>
#include <arrow/type.h>

#include <iosfwd>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ballista/client/expression.h"

namespace ballista {

class Query;
class Session;

namespace internal {
class FrameAccess;
struct FrameNode;
}  // namespace internal

enum class JoinType { kInner, kLeft, kRight, kFull, kSemi, kAnti };

// Arguments of SQL's readers (read_csv's `delim`, ...) and of COPY ... TO (`compression`,
// ...), by name.
using Options = std::vector<std::pair<std::string, Operand>>;

class DataFrame {
 public:
  // The columns' names, in order; none where status() is an error.
  const std::vector<std::string>& columns() const;
  arrow::Status status() const;

  // Asks the scheduler. The types that Collect gives.
  arrow::Result<std::shared_ptr<arrow::Schema>> Schema() const;

  // ---- steps
  DataFrame Select(const std::vector<Expr>& expressions) const;
  DataFrame Filter(const Expr& condition) const;
  // Adds a column at the end, or puts it in the place of one of that name.
  DataFrame WithColumn(const std::string& name, const Expr& expression) const;
  // Adds window functions (Expr::Over) at the end. Select and WithColumn take them too.
  DataFrame Window(const std::vector<Expr>& calls) const;
  DataFrame Rename(const std::string& from, const std::string& to) const;
  DataFrame Drop(const std::vector<std::string>& columns) const;
  // One row a group: the groups, then the aggregates, which may compute with several
  // aggregate functions. Without groups: one row.
  DataFrame Aggregate(const std::vector<Expr>& groups,
                      const std::vector<Expr>& aggregates) const;

  // On equal columns of the same names, which come out once. The left's columns, then the
  // right's others; of a semi or anti join the left's.
  DataFrame Join(const DataFrame& right, const std::vector<std::string>& keys,
                 JoinType type = JoinType::kInner) const;
  // On a condition; Left("x") and Right("x") tell columns of the same name apart. All
  // columns of both sides.
  DataFrame JoinOn(const DataFrame& right, const Expr& condition,
                   JoinType type = JoinType::kInner) const;
  DataFrame CrossJoin(const DataFrame& right) const;

  // By position, with the left's names. Types are made alike as in SQL.
  DataFrame Union(const DataFrame& other) const;  // keeps duplicates (UNION ALL)
  DataFrame UnionDistinct(const DataFrame& other) const;
  DataFrame Except(const DataFrame& other) const;  // without duplicates
  DataFrame ExceptAll(const DataFrame& other) const;
  DataFrame Intersect(const DataFrame& other) const;  // without duplicates
  DataFrame IntersectAll(const DataFrame& other) const;

  DataFrame Distinct() const;
  DataFrame Sort(const std::vector<SortKey>& keys) const;
  DataFrame Limit(int64_t rows, int64_t offset = 0) const;

  // ---- runs; each waits for the cluster
  arrow::Result<std::shared_ptr<arrow::Table>> Collect() const;
  // Streams; the reader owns the query, which ends with it.
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> ToReader() const;
  // Returns at once.
  arrow::Result<Query> Submit() const;
  arrow::Result<int64_t> Count() const;
  // The first rows as a table of text; to standard output in the first form.
  arrow::Status Show(int64_t rows = 20) const;
  arrow::Status Show(std::ostream& out, int64_t rows = 20) const;

  // The stages that it becomes; with `analyze` it is run, and rows, bytes and times are
  // told.
  arrow::Result<std::string> Explain(bool analyze = false) const;

  // As COPY ... TO: written by the executors; a file, or a folder of files where
  // `partition_by` or the path (no extension) says so. Gives the number of rows.
  arrow::Result<int64_t> WriteParquet(
      const std::string& path, const Options& options = {},
      const std::vector<std::string>& partition_by = {}) const;
  arrow::Result<int64_t> WriteCsv(
      const std::string& path, const Options& options = {},
      const std::vector<std::string>& partition_by = {}) const;
  arrow::Result<int64_t> WriteJson(
      const std::string& path, const Options& options = {},
      const std::vector<std::string>& partition_by = {}) const;

 private:
  friend class internal::FrameAccess;
  explicit DataFrame(std::shared_ptr<const internal::FrameNode> node);
  std::shared_ptr<const internal::FrameNode> node_;
};

}  // namespace ballista
