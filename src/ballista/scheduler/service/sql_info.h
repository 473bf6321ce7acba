// What CommandGetSqlInfo and CommandGetXdbcTypeInfo tell of this server.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>

#include <memory>

#include "ballista/flight_sql.pb.h"

namespace ballista::scheduler {

std::shared_ptr<arrow::Schema> SqlInfoSchema();
// In the order in which they are asked for; those that this server does not know are left
// out. Without names: all.
arrow::Result<std::shared_ptr<arrow::Table>> SqlInfoRows(
    const arrow::flight::protocol::sql::CommandGetSqlInfo& command);

std::shared_ptr<arrow::Schema> XdbcTypeInfoSchema();
// By their number; of one, where the command names one.
arrow::Result<std::shared_ptr<arrow::Table>> XdbcTypeInfoRows(
    const arrow::flight::protocol::sql::CommandGetXdbcTypeInfo& command);

}  // namespace ballista::scheduler
