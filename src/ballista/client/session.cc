#include "ballista/client/session.h"

#include <google/protobuf/any.pb.h>

#include <algorithm>
#include <utility>

#include "ballista/base/ids.h"
#include "ballista/client/connection_options.h"
#include "ballista/client/session_internal.h"
#include "ballista/flight_sql.pb.h"
#include "ballista/plan/data_frame.h"

namespace ballista {

using internal::Connection;
using internal::FrameAccess;
using internal::RunningQuery;

namespace {

constexpr uint16_t kDefaultPort = 50050;
constexpr int64_t kUploadedRows = 65536;

arrow::Status BadAddress(const std::string& address, const std::string& what) {
  return arrow::Status::Invalid("the address '", address, "': ", what);
}

// `tls` is set where the address says so.
arrow::Result<std::vector<flight::Address>> ParseAddress(const std::string& address,
                                                         bool* tls) {
  auto rest = address;
  const size_t scheme_end = rest.find("://");
  if (scheme_end != std::string::npos) {
    const auto scheme = rest.substr(0, scheme_end);
    if (scheme != "grpc" && scheme != "grpc+tcp" && scheme != "grpc+tls") {
      return BadAddress(address, "a URL begins with grpc:// or grpc+tls://");
    }
    *tls = *tls || scheme == "grpc+tls";
    rest = rest.substr(scheme_end + 3);
    if (!rest.empty() && rest.back() == '/') rest.pop_back();
  }
  if (rest.empty()) return BadAddress(address, "it names no host");
  auto servers = flight::ParseAddressList(rest, kDefaultPort);
  if (!servers.ok()) return BadAddress(address, servers.status().message());
  return servers;
}

arrow::Result<client::ClientOptions> ClientOptionsOf(const std::string& address,
                                                     const SessionOptions& options) {
  client::ClientOptions result;
  bool tls =
      !options.tls_ca.empty() || !options.tls_cert.empty() || !options.tls_key.empty();
  ARROW_ASSIGN_OR_RAISE(result.servers, ParseAddress(address, &tls));
  if (tls) {
    const auto refuse = [](const std::string& option, std::string_view reason) {
      return arrow::Status::Invalid(option, ": ", std::string(reason));
    };
    ARROW_ASSIGN_OR_RAISE(
        result.tls, security::LoadClientTls(
                        {options.tls_cert, options.tls_key, options.tls_ca, ""}, refuse));
  }
  if (!options.user.empty() && !options.token.empty()) {
    return arrow::Status::Invalid("a token stands for a user: leave out one of them");
  }
  if (!options.user.empty()) {
    result.authorization = client::BasicAuthorization(options.user, options.password);
  } else if (!options.token.empty()) {
    result.authorization = "Bearer " + options.token;
  }
  result.timeout = options.timeout;
  return result;
}

std::string Pack(const dataframe::CommandDataFrame& frame) {
  google::protobuf::Any any;
  any.PackFrom(frame);
  return any.SerializeAsString();
}

std::string PackIngest(const std::string& table, const IngestOptions& options) {
  namespace sqlp = arrow::flight::protocol::sql;
  using Definition = sqlp::CommandStatementIngest::TableDefinitionOptions;
  sqlp::CommandStatementIngest command;
  command.set_table(table);
  if (!options.schema.empty()) command.set_schema(options.schema);
  command.set_temporary(options.temporary);
  auto* definition = command.mutable_table_definition_options();
  definition->set_if_not_exist(options.create ? Definition::TABLE_NOT_EXIST_OPTION_CREATE
                                              : Definition::TABLE_NOT_EXIST_OPTION_FAIL);
  switch (options.if_exists) {
    case IngestOptions::IfExists::kFail:
      definition->set_if_exists(Definition::TABLE_EXISTS_OPTION_FAIL);
      break;
    case IngestOptions::IfExists::kAppend:
      definition->set_if_exists(Definition::TABLE_EXISTS_OPTION_APPEND);
      break;
    case IngestOptions::IfExists::kReplace:
      definition->set_if_exists(Definition::TABLE_EXISTS_OPTION_REPLACE);
      break;
  }
  google::protobuf::Any any;
  any.PackFrom(command);
  return any.SerializeAsString();
}

}  // namespace

// ------------------------------------------------------------------------- Connection

namespace internal {

ballista::Query Connection::Start(const std::string& sql) {
  return ballista::Query(
      std::make_shared<RunningQuery>(shared_from_this(), flight_->Start(sql)));
}

ballista::Query Connection::Start(const dataframe::CommandDataFrame& frame,
                                  std::vector<std::shared_ptr<const void>> tables) {
  auto query = flight_->StartCommand(Pack(frame), /*changes_nothing=*/!frame.has_write());
  return ballista::Query(std::make_shared<RunningQuery>(
      shared_from_this(), std::move(query), std::move(tables)));
}

arrow::Result<std::shared_ptr<arrow::Schema>> Connection::Describe(
    const dataframe::CommandDataFrame& frame) {
  return flight_->DescribeCommand(Pack(frame));
}

namespace {

// Dropped with its last owner.
struct UploadedTable {
  std::shared_ptr<Connection> connection;
  std::string name;
  ~UploadedTable() {
    ARROW_UNUSED(connection->flight()->Update("DROP TABLE IF EXISTS temp.main." + name));
  }
};

}  // namespace

DataFrame Connection::Upload(arrow::RecordBatchReader* rows) {
  auto table = std::make_shared<UploadedTable>();
  table->connection = shared_from_this();
  table->name = "frame_" + NewId();
  std::replace(table->name.begin(), table->name.end(), '-', '_');
  IngestOptions options;
  options.temporary = true;
  const auto done = flight_->Ingest(PackIngest(table->name, options), rows);
  if (!done.ok()) return FrameAccess::Failed(shared_from_this(), done.status());
  dataframe::Relation source;
  for (const auto* part : {"temp", "main"}) source.mutable_table()->add_name(part);
  source.mutable_table()->add_name(table->name);
  return Source(std::move(source), {std::move(table)});
}

DataFrame Connection::Source(dataframe::Relation source,
                             std::vector<std::shared_ptr<const void>> tables) {
  dataframe::CommandDataFrame frame;
  frame.set_version(plan::kDataFrameVersion);
  *frame.mutable_root() = source;
  const auto schema = Describe(frame);
  if (!schema.ok()) return FrameAccess::Failed(shared_from_this(), schema.status());
  FrameNode node;
  node.connection = shared_from_this();
  node.names = (*schema)->field_names();
  node.tables = std::move(tables);
  for (const auto& name : node.names) {
    if (source.has_read()) {
      source.mutable_read()->add_columns(name);
    } else {
      source.mutable_table()->add_columns(name);
    }
  }
  node.relation = std::move(source);
  return FrameAccess::Make(std::move(node));
}

}  // namespace internal

// ------------------------------------------------------------------------- Session

Session::Session(std::shared_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
Session::~Session() = default;

arrow::Result<std::shared_ptr<Session>> Session::Connect(const std::string& address,
                                                         const SessionOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const auto client_options, ClientOptionsOf(address, options));
  ARROW_ASSIGN_OR_RAISE(auto flight, client::FlightSqlClient::Connect(client_options));
  return std::shared_ptr<Session>(
      new Session(std::make_shared<Connection>(std::move(flight))));
}

arrow::Result<std::shared_ptr<arrow::Table>> Session::Sql(const std::string& sql) {
  return connection_->Start(sql).ToTable();
}

Query Session::Submit(const std::string& sql) {
  return connection_->Start(sql);
}

arrow::Result<Query> Session::Submit(const DataFrame& frame) {
  return frame.Submit();
}

arrow::Result<int64_t> Session::Update(const std::string& sql) {
  return connection_->flight()->Update(sql);
}

DataFrame Session::ReadFiles(const std::string& format,
                             const std::vector<std::string>& paths,
                             const Options& options) {
  dataframe::Relation source;
  auto* read = source.mutable_read();
  read->set_format(format);
  for (const auto& path : paths) read->add_paths(path);
  const auto filled = internal::FillOptions(options, read->mutable_options());
  if (!filled.ok()) return FrameAccess::Failed(connection_, filled);
  return connection_->Source(std::move(source));
}

DataFrame Session::ReadParquet(const std::string& path, const Options& options) {
  return ReadFiles("parquet", {path}, options);
}
DataFrame Session::ReadCsv(const std::string& path, const Options& options) {
  return ReadFiles("csv", {path}, options);
}
DataFrame Session::ReadJson(const std::string& path, const Options& options) {
  return ReadFiles("json", {path}, options);
}

DataFrame Session::Table(const std::string& name) {
  dataframe::Relation source;
  source.mutable_table()->add_name(name);
  return connection_->Source(std::move(source));
}

DataFrame Session::Table(const std::string& schema, const std::string& name) {
  dataframe::Relation source;
  source.mutable_table()->add_name(schema);
  source.mutable_table()->add_name(name);
  return connection_->Source(std::move(source));
}

arrow::Result<int64_t> Session::Ingest(const std::string& table,
                                       arrow::RecordBatchReader* rows,
                                       const IngestOptions& options) {
  return connection_->flight()->Ingest(PackIngest(table, options), rows);
}

DataFrame Session::FromArrow(const std::shared_ptr<arrow::Table>& rows) {
  // Batches that the wire takes well.
  arrow::TableBatchReader reader(*rows);
  reader.set_chunksize(kUploadedRows);
  return connection_->Upload(&reader);
}

DataFrame Session::FromArrow(arrow::RecordBatchReader* rows) {
  return connection_->Upload(rows);
}

arrow::Status Session::Close() {
  return connection_->flight()->CloseSession();
}

// ------------------------------------------------------------------------- Query

namespace {

// Owns its query.
class QueryReader : public arrow::RecordBatchReader {
 public:
  QueryReader(std::shared_ptr<RunningQuery> running,
              std::shared_ptr<arrow::Schema> schema)
      : running_(std::move(running)), schema_(std::move(schema)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    ARROW_ASSIGN_OR_RAISE(*batch, running_->query()->Next());
    return arrow::Status::OK();
  }

 private:
  const std::shared_ptr<RunningQuery> running_;
  const std::shared_ptr<arrow::Schema> schema_;
};

QueryProgress::State StateOf(profile::JobState state, bool ended) {
  switch (state) {
    case profile::JOB_STATE_QUEUED:
      return QueryProgress::State::kQueued;
    case profile::JOB_STATE_RUNNING:
      return QueryProgress::State::kRunning;
    case profile::JOB_STATE_FAILED:
      return QueryProgress::State::kFailed;
    case profile::JOB_STATE_CANCELLED:
      return QueryProgress::State::kCancelled;
    case profile::JOB_STATE_FINISHED:
      return QueryProgress::State::kFinished;
    default:  // not there any more: its rows have been read
      return ended ? QueryProgress::State::kFinished : QueryProgress::State::kRunning;
  }
}

}  // namespace

Query::Query(std::shared_ptr<RunningQuery> running) : running_(std::move(running)) {}

arrow::Result<std::shared_ptr<arrow::Schema>> Query::Schema() const {
  return running_->query()->Schema();
}

arrow::Status Query::Wait() const {
  return running_->query()->Wait();
}

arrow::Result<QueryProgress> Query::Progress() const {
  QueryProgress progress;
  auto* query = running_->query();
  if (query->ended()) {
    const auto outcome = query->Wait();
    progress.state = outcome.ok()            ? QueryProgress::State::kFinished
                     : outcome.IsCancelled() ? QueryProgress::State::kCancelled
                                             : QueryProgress::State::kFailed;
    progress.fraction = outcome.ok() ? 1 : 0;
  }
  const auto job = query->job_id();
  if (job.empty()) return progress;
  ARROW_ASSIGN_OR_RAISE(const auto answer, running_->flight()->Profile(job));
  if (!query->ended()) progress.state = StateOf(answer.job().state(), false);
  double all = 0;
  double done = 0;
  for (const auto& stage : answer.stages()) {
    if (stage.state() == profile::STAGE_STATE_NOT_NEEDED) continue;
    const auto tasks = static_cast<int>(stage.tasks() + stage.skipped());
    const auto finished = static_cast<int>(stage.finished() + stage.skipped());
    progress.stages += 1;
    progress.stages_finished += tasks > 0 && finished == tasks ? 1 : 0;
    progress.tasks += tasks;
    progress.tasks_finished += finished;
    // A stage whose tasks are not known yet counts as one.
    all += std::max(tasks, 1);
    done += finished;
  }
  if (all > 0) progress.fraction = std::min(done / all, 1.0);
  if (progress.state == QueryProgress::State::kFinished) progress.fraction = 1;
  progress.elapsed =
      std::chrono::microseconds(static_cast<int64_t>(answer.job().elapsed_us()));
  progress.queue_position = static_cast<int>(answer.job().queue_position());
  progress.waiting_for = answer.job().waiting_for();
  return progress;
}

void Query::Cancel() {
  running_->query()->Cancel();
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> Query::ToReader() {
  ARROW_ASSIGN_OR_RAISE(auto schema, Schema());
  return std::make_shared<QueryReader>(running_, std::move(schema));
}

arrow::Result<std::shared_ptr<arrow::Table>> Query::ToTable() {
  ARROW_ASSIGN_OR_RAISE(auto reader, ToReader());
  return reader->ToTable();
}

std::string Query::id() const {
  return running_->query()->job_id();
}

}  // namespace ballista
