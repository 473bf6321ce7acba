// A Flight SQL client: one connection and one session with a scheduler.
//
// Results are Arrow record batches, streamed; every error is an arrow::Status with the
// ErrorDetail that the server gave it (base/status.h), so that a position in the
// statement or the reason of a cancellation survives.
#pragma once

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/control.pb.h"
#include "ballista/flight/address_list.h"
#include "ballista/profile.pb.h"
#include "ballista/security/tls_material.h"

namespace ballista::client {

struct ClientOptions {
  // Schedulers that stand for each other, in the order in which they are tried; at least
  // one.
  std::vector<flight::Address> servers = {{"localhost", 50050}};
  // Of security/tls_material.h; not on(): no TLS.
  security::TlsMaterial tls;
  // The authorization header of every call ("Basic ...", "Bearer ..."); empty: none.
  std::string authorization;
  // For the first answer of the server, and for the calls that carry no query.
  std::chrono::milliseconds timeout{5000};
};

class Query;

// Thread-safe. Outlives no Query: a Query keeps the connection that it needs.
//
// With several servers: when the one at hand does not answer any more, another one is
// asked, for up to half a minute. A query goes on there with its ticket as long as none
// of its rows has arrived; a statement that has not been planned yet is sent again if it
// changes nothing.
class FlightSqlClient {
 public:
  // Fails with IOError, in a sentence for people, where no scheduler answers in time.
  static arrow::Result<std::unique_ptr<FlightSqlClient>> Connect(
      const ClientOptions& options);
  ~FlightSqlClient();

  // Sends a statement of any kind and returns at once; its errors come from the Query.
  // `traceparent`: the header that names the span that it belongs to; empty: none.
  std::unique_ptr<Query> Start(std::string sql, std::string traceparent = "");

  // The same for a command of a Flight descriptor (an Any, packed). `changes_nothing`: it
  // may be sent a second time, to another server.
  std::unique_ptr<Query> StartCommand(std::string command, bool changes_nothing,
                                      std::string traceparent = "");

  // The columns that the command would give; nothing runs.
  arrow::Result<std::shared_ptr<arrow::Schema>> DescribeCommand(
      const std::string& command);

  // Runs a statement that changes something: the number of rows changed, -1 where the
  // server does not say.
  arrow::Result<int64_t> Update(const std::string& sql);

  // Streams rows into a table; the command is a CommandStatementIngest, packed. Gives
  // their number. Errors: also those of the rows; what has come before may be in the
  // table then, or not.
  arrow::Result<int64_t> Ingest(const std::string& command,
                                arrow::RecordBatchReader* rows);

  // How far a job is: its profile in outline (control.proto, JobProfileRequest).
  arrow::Result<profile::QueryProfile> Profile(const std::string& job_id);
  arrow::Result<std::vector<control::ExecutorMetadata>> ListExecutors();

  // Ends the session at the server; what it holds there is dropped.
  arrow::Status CloseSession();

 private:
  friend class Query;
  class Impl;
  explicit FlightSqlClient(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// A statement under way. Reads ahead on a thread of its own, a few batches at most, so a
// slow reader holds the server back. `Schema` and `Next` are for one thread; `Cancel`,
// `job_id` and `total_rows` for any. Destroying it before the end cancels the statement.
class Query {
 public:
  ~Query();

  // Waits until the statement is planned. A statement without rows may have no columns.
  arrow::Result<std::shared_ptr<arrow::Schema>> Schema();

  // The next batch, nullptr at the end. After `Cancel`: a Cancelled error.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next();

  // Waits until a batch can be read at once, or the statement has ended.
  arrow::Status Wait();

  // Whether the statement has ended, with or without error, and its rows have been read
  // from the server.
  bool ended() const;

  // Ends the statement at the server and unblocks the reader at once. Does not wait.
  void Cancel();

  // Empty until the server has named the job; empty for good where none was made.
  std::string job_id() const;

  // Rows of the whole result; -1 where the server did not say.
  int64_t total_rows() const;

 private:
  friend class FlightSqlClient;
  class State;
  explicit Query(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace ballista::client
