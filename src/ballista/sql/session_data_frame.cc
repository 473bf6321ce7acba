// Data frames of clients: part of Session. They go the way of SQL from the parse tree on.
#include "ballista/base/status.h"
#include "ballista/plan/data_frame.h"
#include "ballista/sql/data_frame_statement.h"
#include "ballista/sql/error_conversion.h"
#include "ballista/sql/folder_files.h"
#include "ballista/sql/session_internal.h"

namespace ballista::sql {

arrow::Result<Session::Parsed> Session::ParseFrame(
    const dataframe::CommandDataFrame& frame) {
  ARROW_ASSIGN_OR_RAISE(auto statement, MakeStatement(frame, engine_->guard.get()));
  ARROW_RETURN_NOT_OK(ExpandFolders(statement.get(), engine_->guard.get()));
  return statement;
}

arrow::Result<Statement> Session::CompileFrame(const dataframe::CommandDataFrame& frame) {
  ARROW_RETURN_NOT_OK(plan::Validate(frame));
  Guard guard(*this, /*alone=*/frame.has_write());
  ARROW_RETURN_NOT_OK(guard.status());
  return Guarded([&]() -> arrow::Result<Statement> {
    ARROW_ASSIGN_OR_RAISE(auto statement, ParseFrame(frame));
    auto compiled = CompileParsed(std::move(statement), {});
    if (compiled.ok()) HoldUploads(&*compiled);
    return compiled;
  });
}

arrow::Result<SqlSession::Description> Session::DescribeFrame(
    const dataframe::CommandDataFrame& frame) {
  ARROW_RETURN_NOT_OK(plan::Validate(frame));
  Guard guard(*this, /*alone=*/false);
  ARROW_RETURN_NOT_OK(guard.status());
  return Guarded([&]() -> arrow::Result<Description> {
    ARROW_ASSIGN_OR_RAISE(auto statement, ParseFrame(frame));
    return DescribeParsed(std::move(statement), {});
  });
}

}  // namespace ballista::sql
