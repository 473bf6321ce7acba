// Prepared statements: part of FlightSqlService.
#include <arrow/util/byte_size.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "ballista/base/status.h"
#include "ballista/flight_sql.pb.h"
#include "ballista/scheduler/service/flight_sql_messages_internal.h"
#include "ballista/scheduler/service/flight_sql_service.h"
#include "ballista/substrait/translate.h"

namespace ballista::scheduler {
namespace {

namespace fl = arrow::flight;
namespace sqlp = arrow::flight::protocol::sql;

// Of rows that are bound to a query and kept until it runs.
constexpr int64_t kMaxBoundBytes = int64_t{16} << 20;
constexpr int64_t kMaxBoundRows = 10000;
// So many rows of an upload are values at a time.
constexpr int64_t kRowsAtOnce = 1024;

std::string Names(const arrow::Schema& schema) {
  return fmt::format("{}", fmt::join(schema.field_names(), ", "));
}

// "$name" and "name" are the same.
std::string_view Bare(std::string_view name) {
  if (name.starts_with('$')) name.remove_prefix(1);
  return name;
}

// The column that each parameter is taken from, by name where all columns are called as
// the parameters, which have names; else by position.
std::vector<int> ColumnsByName(const arrow::Schema& parameters,
                               const arrow::Schema& columns) {
  std::vector<int> order;
  for (const auto& parameter : parameters.fields()) {
    const auto name = Bare(parameter->name());
    for (int i = 0; i < columns.num_fields(); ++i) {
      if (Bare(columns.field(i)->name()) != name) continue;
      if (std::find(order.begin(), order.end(), i) != order.end()) return {};
      order.push_back(i);
      break;
    }
  }
  return order;
}

arrow::Result<std::vector<int>> MatchColumns(const arrow::Schema& parameters,
                                             const arrow::Schema& columns) {
  const int count = parameters.num_fields();
  if (count != columns.num_fields()) {
    return UserErrorStatus(
        UserError::BINDER,
        count == 0
            ? fmt::format("the statement takes no parameters, but rows of {} columns are "
                          "bound to it",
                          columns.num_fields())
            : fmt::format("the statement takes {} parameters ({}), but rows of {} "
                          "columns are bound to it",
                          count, Names(parameters), columns.num_fields()));
  }
  const bool numbered = std::any_of(
      parameters.fields().begin(), parameters.fields().end(), [](const auto& one) {
        const auto name = Bare(one->name());
        return name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0;
      });
  auto order = numbered ? std::vector<int>{} : ColumnsByName(parameters, columns);
  if (static_cast<int>(order.size()) != count) {
    order.clear();
    for (int i = 0; i < count; ++i) order.push_back(i);
  }
  return order;
}

bool IsJava(const fl::ServerCallContext& context) {
  const auto [begin, end] = context.incoming_headers().equal_range("user-agent");
  return std::any_of(begin, end, [](const auto& header) {
    return header.second.find("grpc-java") != std::string_view::npos;
  });
}

// The JDBC driver (18.3.0) puts milliseconds into parameters of every unit of time.
std::shared_ptr<arrow::DataType> InMilliseconds(
    const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() == arrow::Type::TIMESTAMP) {
    const auto& zone = static_cast<const arrow::TimestampType&>(*type).timezone();
    return arrow::timestamp(arrow::TimeUnit::MILLI, zone);
  }
  return type->id() == arrow::Type::TIME64 ? arrow::time32(arrow::TimeUnit::MILLI) : type;
}

// The types that a client is to bind values of.
std::shared_ptr<arrow::Schema> ParametersFor(
    const fl::ServerCallContext& context, const std::shared_ptr<arrow::Schema>& schema) {
  if (schema == nullptr || !IsJava(context)) return schema;
  arrow::FieldVector fields;
  for (const auto& field : schema->fields()) {
    fields.push_back(field->WithType(InMilliseconds(field->type())));
  }
  return arrow::schema(std::move(fields));
}

// Of a stream that may have none.
std::shared_ptr<arrow::Schema> SchemaOfUpload(fl::FlightMessageReader* reader) {
  return reader->GetSchema().ValueOr(arrow::schema(arrow::FieldVector{}));
}

}  // namespace

arrow::Result<PreparedStatement> FlightSqlService::FindPrepared(
    const std::string& handle, sql::SqlSession* session) {
  ARROW_ASSIGN_OR_RAISE(auto statement, prepared_.Find(handle));
  if (statement.is_substrait) {
    statement.parameters = arrow::schema(arrow::FieldVector{});
  } else if (statement.parameters == nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto description,
                          queries_->Describe(session, statement.sql));
    statement.parameters = description.parameters;
  }
  return statement;
}

arrow::Result<std::string> FlightSqlService::Close(std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(auto request,
                        ParseBody<sqlp::ActionClosePreparedStatementRequest>(body));
  prepared_.Remove(request.prepared_statement_handle());
  return "";
}

arrow::Result<std::string> FlightSqlService::Prepare(const Context& context,
                                                     std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(auto request,
                        ParseBody<sqlp::ActionCreatePreparedStatementRequest>(body));
  ARROW_RETURN_NOT_OK(RefuseTransaction(request));
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_ASSIGN_OR_RAISE(auto description,
                        queries_->Describe(session.get(), request.query()));
  return KeepPrepared(
      {session->id(), request.query(), ParametersFor(context, description.parameters),
       /*bound=*/nullptr},
      description.is_query ? description.schema : nullptr);
}

arrow::Result<std::string> FlightSqlService::PrepareSubstrait(const Context& context,
                                                              std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(auto request,
                        ParseBody<sqlp::ActionCreatePreparedSubstraitPlanRequest>(body));
  ARROW_RETURN_NOT_OK(RefuseTransaction(request));
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  auto& plan = *request.mutable_plan()->mutable_plan();
  ARROW_ASSIGN_OR_RAISE(const auto frame, substrait::Translate(plan));
  ARROW_ASSIGN_OR_RAISE(const auto description, queries_->Describe(session.get(), frame));
  return KeepPrepared(
      {session->id(), std::move(plan), arrow::schema(arrow::FieldVector{}),
       /*bound=*/nullptr, /*is_substrait=*/true},
      description.schema);
}

// `rows`: their schema; null for an update.
arrow::Result<std::string> FlightSqlService::KeepPrepared(
    PreparedStatement statement, const std::shared_ptr<arrow::Schema>& rows) {
  sqlp::ActionCreatePreparedStatementResult result;
  // An empty schema says that there are no rows, which is how older drivers tell updates;
  // the count of an update is no row to them.
  ARROW_ASSIGN_OR_RAISE(*result.mutable_dataset_schema(), SchemaBytes(rows));
  ARROW_ASSIGN_OR_RAISE(*result.mutable_parameter_schema(),
                        SchemaBytes(statement.parameters));
  result.set_is_update(rows == nullptr);
  result.set_prepared_statement_handle(prepared_.Add(std::move(statement)));
  return Pack(result);
}

arrow::Result<PendingStatements::Work> FlightSqlService::PreparedWork(
    const std::string& handle, const std::shared_ptr<sql::SqlSession>& session) {
  using Abandoned = std::function<bool()>;
  ARROW_ASSIGN_OR_RAISE(const auto statement, prepared_.Find(handle));
  if (statement.is_substrait) {
    ARROW_ASSIGN_OR_RAISE(auto frame, substrait::Translate(statement.sql));
    return FrameWork(std::move(frame), session);
  }
  const auto rows = statement.bound;
  if (rows != nullptr && rows->num_rows() == 0) {
    ARROW_ASSIGN_OR_RAISE(const auto description,
                          queries_->Describe(session.get(), statement.sql));
    QueryHandle none;
    none.schema = description.schema != nullptr ? description.schema
                                                : arrow::schema(arrow::FieldVector{});
    return PendingStatements::Work(
        [none](const Abandoned&) -> arrow::Result<QueryHandle> { return none; });
  }
  if (rows != nullptr && rows->num_rows() > 1) {
    return PendingStatements::Work(
        [this, session, sql = statement.sql, rows](const Abandoned& abandoned) {
          return bound_.Begin(session, sql, rows, abandoned);
        });
  }
  std::vector<plan::Value> values;
  if (rows != nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto read, session->ReadParameters(rows));
    values = std::move(read.at(0));
  }
  return PendingStatements::Work(
      [this, session, sql = statement.sql,
       values = std::move(values)](const Abandoned& abandoned) {
        return queries_->Execute(session.get(), sql, values, abandoned);
      });
}

arrow::Result<std::shared_ptr<arrow::Schema>> FlightSqlService::PreparedSchema(
    const Context& context, const std::string& handle) {
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_ASSIGN_OR_RAISE(const auto statement, prepared_.Find(handle));
  if (statement.is_substrait) {
    ARROW_ASSIGN_OR_RAISE(const auto frame, substrait::Translate(statement.sql));
    ARROW_ASSIGN_OR_RAISE(const auto description,
                          queries_->Describe(session.get(), frame));
    return description.schema;
  }
  std::vector<plan::Value> values;
  if (statement.bound != nullptr && statement.bound->num_rows() > 0) {
    ARROW_ASSIGN_OR_RAISE(const auto first,
                          session->ReadParameters(statement.bound->Slice(0, 1)));
    values = first.at(0);
  }
  ARROW_ASSIGN_OR_RAISE(const auto description,
                        queries_->Describe(session.get(), statement.sql, values));
  if (description.schema != nullptr) return description.schema;
  return arrow::Status::Invalid(
      "the columns of this statement depend on its parameters: bind them first");
}

// The rows of parameters for the next runs of a query.
arrow::Result<std::string> FlightSqlService::BindParameters(
    const Context& context, const std::string& handle, fl::FlightMessageReader* reader) {
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_ASSIGN_OR_RAISE(const auto statement, FindPrepared(handle, session.get()));
  const auto schema = SchemaOfUpload(reader);
  ARROW_ASSIGN_OR_RAISE(const auto order, MatchColumns(*statement.parameters, *schema));
  if (order.empty()) {
    ARROW_RETURN_NOT_OK(prepared_.Bind(handle, session->id(), nullptr));
    return sqlp::DoPutPreparedStatementResult().SerializeAsString();
  }
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  int64_t bytes = 0;
  int64_t rows = 0;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto chunk, reader->Next());
    if (chunk.data == nullptr) {
      if (chunk.app_metadata != nullptr) continue;
      break;
    }
    bytes += arrow::util::TotalBufferSize(*chunk.data);
    rows += chunk.data->num_rows();
    if (bytes > kMaxBoundBytes || rows > kMaxBoundRows) {
      return ResourcesExhaustedStatus(
          fmt::format("a query takes at most {} rows of parameters of {} bytes; put them "
                      "into a table and join it",
                      kMaxBoundRows, kMaxBoundBytes),
          ResourcesExhausted::MEMORY, kMaxBoundBytes);
    }
    batches.push_back(chunk.data);
  }
  ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches(schema, batches));
  ARROW_ASSIGN_OR_RAISE(table, table->SelectColumns(order));
  ARROW_RETURN_NOT_OK(prepared_.Bind(handle, session->id(), std::move(table)));
  sqlp::DoPutPreparedStatementResult result;
  result.set_prepared_statement_handle(handle);
  return result.SerializeAsString();
}

// Runs the statement for each row of the upload, as they come; once where it takes no
// parameters. Gives the count of all runs, -1 where there is none.
arrow::Result<int64_t> FlightSqlService::PreparedUpdate(const Context& context,
                                                        const std::string& handle,
                                                        fl::FlightMessageReader* reader) {
  ARROW_ASSIGN_OR_RAISE(auto session, sessions_->ForCall(context));
  ARROW_ASSIGN_OR_RAISE(const auto statement, FindPrepared(handle, session.get()));
  if (statement.is_substrait) {
    return UserErrorStatus(UserError::BINDER,
                           "a Substrait plan is a query, which changes nothing: run it "
                           "as one");
  }
  const auto schema = SchemaOfUpload(reader);
  const bool earlier = schema->num_fields() == 0 && statement.bound != nullptr;
  if (earlier)
    return UpdateForRows(context, session.get(), statement, *statement.bound, 0);
  ARROW_ASSIGN_OR_RAISE(const auto order, MatchColumns(*statement.parameters, *schema));
  if (order.empty()) return Update(context, session.get(), statement.sql, {});
  int64_t total = 0;
  int64_t done = 0;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto chunk, reader->Next());
    if (chunk.data == nullptr) {
      if (chunk.app_metadata != nullptr) continue;
      return total;
    }
    ARROW_ASSIGN_OR_RAISE(auto table, arrow::Table::FromRecordBatches({chunk.data}));
    ARROW_ASSIGN_OR_RAISE(table, table->SelectColumns(order));
    ARROW_ASSIGN_OR_RAISE(const int64_t count,
                          UpdateForRows(context, session.get(), statement, *table, done));
    total = count < 0 || total < 0 ? -1 : total + count;
    done += table->num_rows();
  }
}

arrow::Result<int64_t> FlightSqlService::UpdateForRows(const Context& context,
                                                       sql::SqlSession* session,
                                                       const PreparedStatement& statement,
                                                       const arrow::Table& rows,
                                                       int64_t done) {
  int64_t total = 0;
  for (int64_t begin = 0; begin < rows.num_rows(); begin += kRowsAtOnce) {
    ARROW_ASSIGN_OR_RAISE(const auto values,
                          session->ReadParameters(rows.Slice(begin, kRowsAtOnce)));
    for (const auto& row : values) {
      const auto count = Update(context, session, statement.sql, row);
      if (!count.ok()) {
        if (done == 0) return count.status();
        return count.status().WithMessage(
            "row ", done + 1, " of the parameters (the ", done,
            " before have taken effect): ", count.status().message());
      }
      total = *count < 0 || total < 0 ? -1 : total + *count;
      ++done;
    }
  }
  return total;
}

arrow::Result<int64_t> FlightSqlService::Update(const Context& context,
                                                sql::SqlSession* session,
                                                const std::string& sql,
                                                const std::vector<plan::Value>& values) {
  ARROW_ASSIGN_OR_RAISE(const int64_t count,
                        queries_->ExecuteUpdate(session, sql, values,
                                                [&] { return context.is_cancelled(); }));
  ARROW_RETURN_NOT_OK(sessions_->KeepSettings(context, session));
  return count;
}

}  // namespace ballista::scheduler
