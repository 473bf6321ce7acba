// A session with a Ballista cluster, for programs in C++: SQL and DataFrames in, Arrow
// out.
//
//   ARROW_ASSIGN_OR_RAISE(auto session, ballista::Session::Connect("localhost:50050"));
//   ARROW_ASSIGN_OR_RAISE(auto table, session->Sql("SELECT 1 AS one"));
//
// Only Arrow's types are in these headers. Every error is an arrow::Status whose message
// is a sentence for people: Invalid for a statement that is wrong, NotImplemented,
// Cancelled, IOError where no scheduler answers.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ballista/client/data_frame.h"
#include "ballista/client/expression.h"

namespace ballista {

namespace internal {
class Connection;
class RunningQuery;
}  // namespace internal

struct SessionOptions {
  // TLS where one of these is set, or the address begins with grpc+tls://. Paths of PEM
  // files: what the server's certificate is checked by (default: the system's), and this
  // side's where the server wants one.
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  // Log in by user and password, or by a token.
  std::string user;
  std::string password;
  std::string token;
  // For the first answer, and for calls that carry no query.
  std::chrono::milliseconds timeout{5000};
};

struct IngestOptions {
  enum class IfExists { kFail, kAppend, kReplace };
  std::string schema;      // empty: the session's
  bool temporary = false;  // seen by this session alone, and gone with it
  bool create = true;      // where there is no such table; else that is an error
  // Of a table that is there; appended rows are matched by the names of columns.
  IfExists if_exists = IfExists::kFail;
};

// How far a query is.
struct QueryProgress {
  enum class State { kPlanning, kQueued, kRunning, kFinished, kFailed, kCancelled };
  State state = State::kPlanning;
  double fraction = 0;  // of the tasks known so far that have ended, 0 to 1
  int stages = 0;
  int stages_finished = 0;
  int tasks = 0;
  int tasks_finished = 0;
  std::chrono::microseconds elapsed{0};
  int queue_position = 0;   // 1: the next to run; 0: it does not wait for others
  std::string waiting_for;  // one sentence, where it waits
};

// A query under way. Movable; thread-safe, but for ToReader and ToTable, of which one may
// be called, once. A query whose last owner (this, or its reader) goes before the end is
// cancelled.
class Query {
 public:
  // Waits until it is planned.
  arrow::Result<std::shared_ptr<arrow::Schema>> Schema() const;
  // Waits until rows can be read without waiting for the cluster, or the query has ended.
  arrow::Status Wait() const;
  arrow::Result<QueryProgress> Progress() const;
  // Ends it everywhere. Does not wait; the reader and Wait end with Cancelled at once.
  void Cancel();

  // Streams; a slow reader holds the cluster back. After the end of the query's rows, or
  // an error, there is nothing more to read.
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> ToReader();
  arrow::Result<std::shared_ptr<arrow::Table>> ToTable();

  // Its id in the cluster, as logs, REST and the page have it; empty until it is planned,
  // and for a query that needed no task.
  std::string id() const;

 private:
  friend class internal::Connection;
  explicit Query(std::shared_ptr<internal::RunningQuery> running);
  std::shared_ptr<internal::RunningQuery> running_;
};

// One session: settings (SET), temporary views and prepared statements are its own.
// Thread-safe; statements run beside each other. Ends with its last owner, of which
// DataFrames and Querys are some.
class Session {
 public:
  // `address`: HOST:PORT (default port: 50050), or grpc://HOST:PORT,
  // grpc+tls://HOST:PORT; several with commas between where schedulers stand for each
  // other. Errors: Invalid for an address or option that is none; IOError where no
  // scheduler answers or lets this client in.
  static arrow::Result<std::shared_ptr<Session>> Connect(
      const std::string& address = "localhost:50050", const SessionOptions& options = {});
  ~Session();

  // ---- SQL
  // Waits for all rows.
  arrow::Result<std::shared_ptr<arrow::Table>> Sql(const std::string& sql);
  // Returns at once; errors of the statement come from the Query.
  Query Submit(const std::string& sql);
  arrow::Result<Query> Submit(const DataFrame& frame);
  // Runs a statement that changes something (DDL, COPY, INSERT): the number of rows, -1
  // where there is none.
  arrow::Result<int64_t> Update(const std::string& sql);

  // ---- DataFrames; each asks the scheduler for the columns. An error is the DataFrame's
  // status().
  // A file, a folder or a glob, as the cluster sees it.
  DataFrame ReadParquet(const std::string& path, const Options& options = {});
  DataFrame ReadCsv(const std::string& path, const Options& options = {});
  DataFrame ReadJson(const std::string& path, const Options& options = {});
  // Several of them. `format`: "parquet", "csv" or "json".
  DataFrame ReadFiles(const std::string& format, const std::vector<std::string>& paths,
                      const Options& options = {});
  // A table or view of the catalog.
  DataFrame Table(const std::string& name);
  DataFrame Table(const std::string& schema, const std::string& name);

  // ---- rows of this program
  // As a table of the cluster, streamed to the scheduler, which keeps many on its disk:
  // their number. All or nothing, but where `rows` itself fails: then those before may be
  // in the table. Errors: of `rows`; Invalid for a table that is there, or is not, or has
  // other columns.
  arrow::Result<int64_t> Ingest(const std::string& table, arrow::RecordBatchReader* rows,
                                const IngestOptions& options = {});
  // As a DataFrame, by a table of this session's that goes with the last DataFrame made
  // of it. Uploaded when this returns; an error is the DataFrame's status().
  DataFrame FromArrow(const std::shared_ptr<arrow::Table>& rows);
  DataFrame FromArrow(arrow::RecordBatchReader* rows);

  // Drops what the session holds at the scheduler; its queries end.
  arrow::Status Close();

 private:
  explicit Session(std::shared_ptr<internal::Connection> connection);
  std::shared_ptr<internal::Connection> connection_;
};

}  // namespace ballista
