// Bulk ingest: part of FlightSqlService.
//
// The rows become a local table, which travels with the queries that read it; so an
// upload is in memory once, and bounded.
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/flight_sql.pb.h"
#include "ballista/scheduler/service/flight_sql_messages_internal.h"
#include "ballista/scheduler/service/flight_sql_service.h"

namespace ballista::scheduler {
namespace {

namespace fl = arrow::flight;
namespace sqlp = arrow::flight::protocol::sql;
using IngestOptions = sqlp::CommandStatementIngest::TableDefinitionOptions;

// What a query can take along of one local table; see sql/query_planner.h.
constexpr int64_t kMaxTableBytes = int64_t{64} << 20;

arrow::Result<sql::IngestTarget> TargetOf(const sqlp::CommandStatementIngest& command) {
  sql::IngestTarget target;
  target.catalog = command.catalog();
  target.schema = command.schema();
  target.table = command.table();
  target.temporary = command.temporary();
  const auto& options = command.table_definition_options();
  switch (options.if_not_exist()) {
    case IngestOptions::TABLE_NOT_EXIST_OPTION_FAIL:
      target.create = false;
      break;
    case IngestOptions::TABLE_NOT_EXIST_OPTION_UNSPECIFIED:
    case IngestOptions::TABLE_NOT_EXIST_OPTION_CREATE:
      break;
    default:
      return arrow::Status::Invalid("the upload has an unknown if_not_exist option: ",
                                    static_cast<int>(options.if_not_exist()));
  }
  switch (options.if_exists()) {
    case IngestOptions::TABLE_EXISTS_OPTION_APPEND:
      target.if_exists = sql::IngestTarget::IfExists::kAppend;
      break;
    case IngestOptions::TABLE_EXISTS_OPTION_REPLACE:
      target.if_exists = sql::IngestTarget::IfExists::kReplace;
      break;
    case IngestOptions::TABLE_EXISTS_OPTION_UNSPECIFIED:
    case IngestOptions::TABLE_EXISTS_OPTION_FAIL:
      break;
    default:
      return arrow::Status::Invalid("the upload has an unknown if_exists option: ",
                                    static_cast<int>(options.if_exists()));
  }
  if (command.options_size() > 0) {
    return arrow::Status::Invalid("the upload has the option ",
                                  command.options().begin()->first,
                                  ", which this server does not know");
  }
  return target;
}

}  // namespace

arrow::Result<int64_t> FlightSqlService::Ingest(
    const Context& context, const sqlp::CommandStatementIngest& command,
    fl::FlightMessageReader* reader) {
  ARROW_RETURN_NOT_OK(RefuseTransaction(command));
  ARROW_ASSIGN_OR_RAISE(const auto target, TargetOf(command));
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_RETURN_NOT_OK(session->CheckIngest(target));
  ARROW_ASSIGN_OR_RAISE(const auto schema, reader->GetSchema());
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  auto share = budget_->Open();
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto chunk, reader->Next());
    if (chunk.data == nullptr) {
      if (chunk.app_metadata != nullptr) continue;
      break;
    }
    const int64_t bytes = arrow::util::TotalBufferSize(*chunk.data);
    if (share.taken() + bytes > kMaxTableBytes) {
      return ResourcesExhaustedStatus(
          fmt::format("the upload to {} is too large for a local table, which takes at "
                      "most {} bytes; write the rows to Parquet files that the cluster "
                      "sees, and read those",
                      target.table, kMaxTableBytes),
          ResourcesExhausted::MEMORY, kMaxTableBytes);
    }
    ARROW_RETURN_NOT_OK(share.Take(bytes, "an upload"));
    batches.push_back(chunk.data);
  }
  ARROW_ASSIGN_OR_RAISE(const auto rows,
                        arrow::Table::FromRecordBatches(schema, batches));
  ARROW_RETURN_NOT_OK(session->Ingest(target, rows));
  return rows->num_rows();
}

}  // namespace ballista::scheduler
