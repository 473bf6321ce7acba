// What Session, DataFrame and Query share.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>
#include <vector>

#include "ballista/client/flight_sql_client.h"
#include "ballista/client/session.h"
#include "ballista/dataframe.pb.h"

namespace ballista::internal {

// The connection of a session, kept by whatever was made with it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(std::unique_ptr<client::FlightSqlClient> flight)
      : flight_(std::move(flight)) {}

  client::FlightSqlClient* flight() { return flight_.get(); }

  ballista::Query Start(const std::string& sql);
  // `tables`: what must be there until the query has ended.
  ballista::Query Start(const dataframe::CommandDataFrame& frame,
                        std::vector<std::shared_ptr<const void>> tables);
  arrow::Result<std::shared_ptr<arrow::Schema>> Describe(
      const dataframe::CommandDataFrame& frame);
  // The rows of a source, all columns; of no column where that fails, with the error.
  DataFrame Source(dataframe::Relation source,
                   std::vector<std::shared_ptr<const void>> tables = {});
  // The rows as a temporary table, which goes with the last data frame made of it.
  DataFrame Upload(arrow::RecordBatchReader* rows);

 private:
  const std::unique_ptr<client::FlightSqlClient> flight_;
};

// A query under way, and the connection that it runs over.
class RunningQuery {
 public:
  RunningQuery(std::shared_ptr<Connection> connection,
               std::unique_ptr<client::Query> query,
               std::vector<std::shared_ptr<const void>> tables = {})
      : connection_(std::move(connection)),
        tables_(std::move(tables)),
        query_(std::move(query)) {}

  client::FlightSqlClient* flight() { return connection_->flight(); }
  client::Query* query() { return query_.get(); }

 private:
  const std::shared_ptr<Connection> connection_;
  const std::vector<std::shared_ptr<const void>> tables_;
  const std::unique_ptr<client::Query> query_;  // the first to end
};

// What a DataFrame holds. Never changes.
struct FrameNode {
  std::shared_ptr<Connection> connection;
  dataframe::Relation relation;
  std::vector<std::string> names;
  // Tables that go with the last frame that reads them.
  std::vector<std::shared_ptr<const void>> tables;
  arrow::Status error;  // then nothing else counts
};

// Makes DataFrames, and looks into them.
class FrameAccess {
 public:
  static DataFrame Make(FrameNode node);
  static DataFrame Failed(std::shared_ptr<Connection> connection, arrow::Status error);
  static const FrameNode& Look(const DataFrame& frame) { return *frame.node_; }
};

// What is sent for a DataFrame that is no error.
dataframe::CommandDataFrame CommandOf(const FrameNode& frame);

// Constants by name. Errors: UserError where one is no constant.
arrow::Status FillOptions(const Options& options,
                          google::protobuf::RepeatedPtrField<plan::NamedValue>* named);

// Lines of text, with a frame.
std::string TextTable(const arrow::Table& table);

}  // namespace ballista::internal
