#include "ballista/engine/duckdb/streaming_aggregate.h"

#include <algorithm>

#include "duckdb/execution/aggregate_hashtable.hpp"
#include "duckdb/execution/operator/aggregate/physical_hash_aggregate.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace ballista::engine {
namespace {

using duckdb::DataChunk;
using duckdb::ExecutionContext;
using duckdb::idx_t;

// Groups of a table: with 40 bytes a group, the first ones fit a core's own cache.
constexpr idx_t kSmallTable = 16 << 10;
constexpr idx_t kLargeTable = 1 << 20;
constexpr idx_t kGrowth = 4;
// A table that has merged so many rows a group is large enough.
constexpr double kGoodReduction = 3;
// A larger one must merge so much more than the small one did.
constexpr double kWorthGrowth = 1.3;
constexpr idx_t kTableBytes = 64 << 20;

// How many groups a thread's table may have, learnt from what the last ones merged.
class TableSize {
 public:
  idx_t limit() const { return limit_; }

  // The table is full, of `rows` rows. Whether it is to grow, and not to be given out.
  bool Grow(double rows_per_group) {
    if (settled_) return false;
    if (limit_ == kSmallTable) small_reduction_ = rows_per_group;
    if (rows_per_group < kGoodReduction && limit_ < kLargeTable) {
      limit_ *= kGrowth;
      return true;
    }
    settled_ = true;
    if (rows_per_group < small_reduction_ * kWorthGrowth) limit_ = kSmallTable;
    return false;
  }

 private:
  idx_t limit_ = kSmallTable;
  double small_reduction_ = 0;
  bool settled_ = false;
};

class StreamingState : public duckdb::OperatorState {
 public:
  StreamingState(duckdb::ClientContext& context,
                 const duckdb::PhysicalHashAggregate& aggregate)
      : context_(context),
        aggregate_(aggregate),
        allocator_(duckdb::BufferAllocator::Get(context)) {
    const auto& data = aggregate.grouped_aggregate_data;
    groups_.InitializeEmpty(data.group_types);
    if (!data.payload_types.empty()) payload_.InitializeEmpty(data.payload_types);
    rows_out_.Initialize(allocator_, aggregate.types);
    for (idx_t i = 0; i < data.groups.size(); ++i) columns_.push_back(i);
  }

  ~StreamingState() override {
    // Of a query that ended early: aggregates may own memory.
    while (giving_out_ && layout().HasDestructor() && NextRows()) DestroyRows();
  }

  bool giving_out() const { return giving_out_; }

  void Add(DataChunk& input) {
    if (table_ == nullptr) NewTable();
    const auto& data = aggregate_.grouped_aggregate_data;
    for (idx_t i = 0; i < data.groups.size(); ++i) {
      groups_.data[i].Reference(Column(input, *data.groups[i]));
    }
    groups_.SetCardinality(input.size());
    idx_t next = 0;
    for (const auto& call : data.bindings) {
      for (const auto& child : call->children) {
        payload_.data[next++].Reference(Column(input, *child));
      }
    }
    for (const auto& call : data.bindings) {
      if (call->filter == nullptr) continue;
      const auto column = aggregate_.filter_indexes.at(call->filter.get());
      payload_.data[next++].Reference(input.data[column]);
    }
    payload_.SetCardinality(input.size());
    table_->AddChunk(groups_, payload_, aggregate_.non_distinct_filter);
    rows_ += input.size();
    const bool full = table_->Count() >= size_.limit() && !MayGrow();
    if (full || TableBytes() >= kTableBytes) GiveOut();
  }

  void GiveOut() {
    if (table_ == nullptr || table_->Count() == 0) return;
    given_ = table_->AcquirePartitionedData()->GetUnpartitioned();
    scan_ = duckdb::make_uniq<duckdb::TupleDataScanState>();
    given_->InitializeScan(*scan_, columns_,
                           duckdb::TupleDataPinProperties::DESTROY_AFTER_DONE);
    giving_out_ = true;
  }

  // The next groups; false: there are no more, and the table is empty.
  bool Next(DataChunk* output) {
    if (!NextRows()) {
      giving_out_ = false;
      scan_.reset();
      given_.reset();
      rows_ = 0;
      table_->Abandon();
      // Of another size, or with memory of the aggregates that only ends with it.
      const bool keeps_memory =
          table_->GetAggregateAllocator()->AllocationSize() > kTableBytes / 4;
      if (keeps_memory || table_->Capacity() > 2 * Capacity()) table_.reset();
      return false;
    }
    duckdb::RowOperationsState state(*table_->GetAggregateAllocator());
    duckdb::RowOperations::FinalizeStates(state, layout(), Locations(), rows_out_,
                                          groups_.ColumnCount());
    if (layout().HasDestructor()) DestroyRows();
    output->Reference(rows_out_);
    return true;
  }

 private:
  static duckdb::Vector& Column(DataChunk& input, const duckdb::Expression& reference) {
    return input.data[reference.Cast<duckdb::BoundReferenceExpression>().index];
  }

  duckdb::TupleDataLayout& layout() { return *table_->GetLayoutPtr(); }
  duckdb::Vector& Locations() { return scan_->chunk_state.row_locations; }

  bool NextRows() {
    rows_out_.Reset();
    return given_->Scan(*scan_, rows_out_);
  }

  void DestroyRows() {
    duckdb::RowOperationsState state(*table_->GetAggregateAllocator());
    duckdb::RowOperations::DestroyStates(state, layout(), Locations(), rows_out_.size());
  }

  idx_t Capacity() const {
    return duckdb::GroupedAggregateHashTable::GetCapacityForCount(size_.limit() +
                                                                  STANDARD_VECTOR_SIZE);
  }

  void NewTable() {
    const auto& data = aggregate_.grouped_aggregate_data;
    table_ = duckdb::make_uniq<duckdb::GroupedAggregateHashTable>(
        context_, allocator_, data.group_types, data.payload_types, data.bindings,
        Capacity());
  }

  bool MayGrow() {
    return size_.Grow(static_cast<double>(rows_) / static_cast<double>(table_->Count()));
  }

  idx_t TableBytes() const {
    return table_->GetPartitionedData().SizeInBytes() +
           table_->GetAggregateAllocator()->AllocationSize();
  }

  duckdb::ClientContext& context_;
  const duckdb::PhysicalHashAggregate& aggregate_;
  duckdb::Allocator& allocator_;
  TableSize size_;
  duckdb::unique_ptr<duckdb::GroupedAggregateHashTable> table_;
  idx_t rows_ = 0;  // that went into the table
  DataChunk groups_;
  DataChunk payload_;
  bool giving_out_ = false;
  duckdb::unique_ptr<duckdb::TupleDataCollection> given_;  // the groups to give out
  duckdb::unique_ptr<duckdb::TupleDataScanState> scan_;
  duckdb::vector<duckdb::column_t> columns_;
  DataChunk rows_out_;
};

class StreamingAggregate : public duckdb::PhysicalOperator {
 public:
  StreamingAggregate(duckdb::PhysicalPlan& plan, duckdb::PhysicalHashAggregate& aggregate)
      : PhysicalOperator(plan, duckdb::PhysicalOperatorType::EXTENSION, aggregate.types,
                         aggregate.estimated_cardinality),
        aggregate_(aggregate) {
    children.push_back(aggregate.children[0]);
  }

  std::string GetName() const override { return "STREAMING_GROUP_BY"; }
  bool ParallelOperator() const override { return true; }
  bool RequiresFinalExecute() const override { return true; }
  duckdb::OrderPreservationType OperatorOrder() const override {
    return duckdb::OrderPreservationType::NO_ORDER;
  }

  duckdb::unique_ptr<duckdb::OperatorState> GetOperatorState(
      ExecutionContext& context) const override {
    return duckdb::make_uniq<StreamingState>(context.client, aggregate_);
  }

  duckdb::OperatorResultType Execute(ExecutionContext&, DataChunk& input,
                                     DataChunk& output, duckdb::GlobalOperatorState&,
                                     duckdb::OperatorState& base) const override {
    auto& state = base.Cast<StreamingState>();
    // It is called with the same input until it has no more output.
    if (!state.giving_out()) state.Add(input);
    if (state.giving_out() && state.Next(&output)) {
      return duckdb::OperatorResultType::HAVE_MORE_OUTPUT;
    }
    return duckdb::OperatorResultType::NEED_MORE_INPUT;
  }

  duckdb::OperatorFinalizeResultType FinalExecute(
      ExecutionContext&, DataChunk& output, duckdb::GlobalOperatorState&,
      duckdb::OperatorState& base) const override {
    auto& state = base.Cast<StreamingState>();
    if (!state.giving_out()) state.GiveOut();
    if (state.giving_out() && state.Next(&output)) {
      return duckdb::OperatorFinalizeResultType::HAVE_MORE_OUTPUT;
    }
    return duckdb::OperatorFinalizeResultType::FINISHED;
  }

 private:
  const duckdb::PhysicalHashAggregate& aggregate_;
};

bool CanStream(const duckdb::PhysicalHashAggregate& aggregate) {
  const auto& data = aggregate.grouped_aggregate_data;
  if (aggregate.grouping_sets.size() != 1 || data.groups.empty() ||
      aggregate.grouping_sets[0].size() != data.groups.size() ||
      !data.grouping_functions.empty() || aggregate.distinct_collection_info) {
    return false;
  }
  return std::none_of(data.bindings.begin(), data.bindings.end(), [](const auto* call) {
    return call->IsDistinct() || call->order_bys != nullptr;
  });
}

}  // namespace

void StreamPartialAggregate(duckdb::PhysicalPlan* plan) {
  duckdb::PhysicalOperator* above = nullptr;
  duckdb::PhysicalOperator* at = &plan->Root();
  while (at->type == duckdb::PhysicalOperatorType::PROJECTION) {
    above = at;
    at = &at->children[0].get();
  }
  if (at->type != duckdb::PhysicalOperatorType::HASH_GROUP_BY) return;
  auto& aggregate = at->Cast<duckdb::PhysicalHashAggregate>();
  if (!CanStream(aggregate)) return;
  auto& streaming = plan->Make<StreamingAggregate>(aggregate);
  if (above == nullptr) {
    plan->SetRoot(streaming);
  } else {
    above->children[0] = streaming;
  }
}

}  // namespace ballista::engine
