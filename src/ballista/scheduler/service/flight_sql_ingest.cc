// Bulk ingest: part of FlightSqlService.
//
// Few rows become a local table, which is in memory and travels with the queries that
// read it. More than that go to files as they come, which executors read from here.
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
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
// Rows of one file of a table that is larger.
constexpr int64_t kFileBytes = int64_t{32} << 20;
// Of an uploaded file, for an executor at once.
constexpr uint64_t kMaxRead = uint64_t{16} << 20;

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

// The rows of one upload: in memory while they are few, then in files.
class UploadedRows {
 public:
  UploadedRows(sql::SqlSession* session, sql::IngestTarget target,
               std::shared_ptr<arrow::Schema> schema, const RowsBudget* budget)
      : session_(session),
        target_(std::move(target)),
        schema_(std::move(schema)),
        budget_(budget),
        share_(budget->Open()) {}

  arrow::Status Add(const std::shared_ptr<arrow::RecordBatch>& batch) {
    const int64_t bytes = arrow::util::TotalBufferSize(*batch);
    ARROW_RETURN_NOT_OK(share_.Take(bytes, "an upload"));
    // A message has buffers of its own, which all its slices have in common.
    const int64_t pieces = std::max<int64_t>(bytes / kFileBytes, 1);
    const int64_t rows = std::max<int64_t>(batch->num_rows() / pieces, 1);
    for (int64_t at = 0; at < batch->num_rows(); at += rows) {
      held_.push_back(batch->Slice(at, rows));
      held_bytes_ += bytes / pieces;
      if (held_bytes_ > (files_ == nullptr ? kMaxTableBytes : kFileBytes)) {
        ARROW_RETURN_NOT_OK(Flush());
      }
    }
    count_ += batch->num_rows();
    return arrow::Status::OK();
  }

  arrow::Status Finish() {
    if (files_ != nullptr) {
      ARROW_RETURN_NOT_OK(Flush());
      return files_->Finish();
    }
    ARROW_ASSIGN_OR_RAISE(const auto rows, arrow::Table::FromRecordBatches(
                                               schema_, {held_.begin(), held_.end()}));
    return session_->Ingest(target_, rows);
  }

  int64_t count() const { return count_; }

 private:
  arrow::Status Flush() {
    if (held_.empty()) return arrow::Status::OK();
    if (files_ == nullptr) {
      ARROW_ASSIGN_OR_RAISE(files_, session_->BeginUpload(target_, schema_));
    }
    std::vector<std::shared_ptr<arrow::RecordBatch>> file;
    int64_t bytes = 0;
    const int64_t of_one = held_bytes_ / static_cast<int64_t>(held_.size()) + 1;
    while (!held_.empty()) {
      file.push_back(std::move(held_.front()));
      held_.pop_front();
      bytes += of_one;
      if (bytes < kFileBytes && !held_.empty()) continue;
      ARROW_ASSIGN_OR_RAISE(auto rows, arrow::Table::FromRecordBatches(schema_, file));
      ARROW_RETURN_NOT_OK(files_->Add(rows));
      file.clear();
      bytes = 0;
    }
    held_bytes_ = 0;
    share_ = budget_->Open();
    return arrow::Status::OK();
  }

  sql::SqlSession* const session_;
  const sql::IngestTarget target_;
  const std::shared_ptr<arrow::Schema> schema_;
  const RowsBudget* const budget_;
  RowsBudget::Share share_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> held_;
  int64_t held_bytes_ = 0;
  int64_t count_ = 0;
  std::unique_ptr<sql::SqlSession::Upload> files_;  // null: they fit into memory
};

}  // namespace

arrow::Result<int64_t> FlightSqlService::Ingest(
    const Context& context, const sqlp::CommandStatementIngest& command,
    fl::FlightMessageReader* reader) {
  ARROW_RETURN_NOT_OK(RefuseTransaction(command));
  ARROW_ASSIGN_OR_RAISE(const auto target, TargetOf(command));
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_RETURN_NOT_OK(session->CheckIngest(target));
  ARROW_ASSIGN_OR_RAISE(const auto schema, reader->GetSchema());
  UploadedRows rows(session.get(), target, schema, budget_);
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto chunk, reader->Next());
    if (chunk.data != nullptr) {
      ARROW_RETURN_NOT_OK(rows.Add(chunk.data));
    } else if (chunk.app_metadata == nullptr) {
      break;
    }
  }
  // A stream that was given up ends like one that is whole.
  if (context.is_cancelled()) {
    return CancelledStatus("the upload to " + target.table + " was given up",
                           Cancelled::CLIENT);
  }
  ARROW_RETURN_NOT_OK(rows.Finish());
  queries_->DropHolds();
  return rows.count();
}

void FlightSqlService::AddUploadActions() {
  using upload::ReadRequest;
  using upload::ReadResponse;
  router_.Add<ReadRequest, ReadResponse>(
      "read_upload", [this](const auto& request) { return ReadUpload(request); });
}

arrow::Result<upload::ReadResponse> FlightSqlService::ReadUpload(
    const upload::ReadRequest& request) {
  upload::ReadResponse response;
  const auto file =
      uploads_ == nullptr
          ? arrow::Result<UploadReader::File>(arrow::Status::KeyError("no uploads"))
          : uploads_->Stat(request.path());
  if (!file.ok()) return response;
  response.set_found(true);
  response.set_size(static_cast<uint64_t>(file->size));
  response.set_modified_us(file->modified_us);
  if (request.length() == 0) return response;
  if (request.length() > kMaxRead ||
      request.offset() > static_cast<uint64_t>(file->size)) {
    return arrow::Status::Invalid("at most ", kMaxRead,
                                  " bytes of an uploaded file are read at once, and none "
                                  "behind its end");
  }
  ARROW_ASSIGN_OR_RAISE(
      *response.mutable_data(),
      uploads_->Read(request.path(), static_cast<int64_t>(request.offset()),
                     static_cast<int64_t>(request.length())));
  return response;
}

}  // namespace ballista::scheduler
