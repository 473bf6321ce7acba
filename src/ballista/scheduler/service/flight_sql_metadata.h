// The metadata commands of Flight SQL: catalogs, schemas, tables, table types, keys
// (there are none), server information.
#pragma once

#include <arrow/result.h>
#include <arrow/table.h>
#include <google/protobuf/any.pb.h>

#include <memory>
#include <optional>

#include "ballista/sql/session.h"

namespace ballista::scheduler {

// The schema of a metadata command's result; null when `command` is no metadata command.
arrow::Result<std::shared_ptr<arrow::Schema>> MetadataSchema(
    const google::protobuf::Any& command);

// The rows of a metadata command. Errors: Invalid for a command that is none.
arrow::Result<std::shared_ptr<arrow::Table>> MetadataRows(
    sql::SqlSession* session, const google::protobuf::Any& command);

}  // namespace ballista::scheduler
