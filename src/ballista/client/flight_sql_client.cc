#include "ballista/client/flight_sql_client.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/flight/client.h>
#include <arrow/flight/client_cookie_middleware.h>
#include <arrow/flight/types_async.h>
#include <arrow/ipc/dictionary.h>
#include <fmt/format.h>
#include <google/protobuf/any.pb.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/client/alive_watch.h"
#include "ballista/client/server_error.h"
#include "ballista/client/statement_splitter.h"
#include "ballista/flight/auth_middleware.h"
#include "ballista/flight/client_pool.h"
#include "ballista/flight_sql.pb.h"

namespace ballista::client {
namespace {

namespace flight = arrow::flight;
namespace flight_sql = arrow::flight::protocol::sql;

// Read ahead by a Query: enough to hide the wire, little enough to hold the server back.
constexpr size_t kReadAheadBatches = 4;
constexpr size_t kReadAheadBytes = size_t{64} << 20;
// After a cancellation, for the server and the reading thread to know of it, before they
// are left to themselves.
constexpr std::chrono::seconds kStopDeadline{5};
// Where there are several servers: how long another one is looked for.
constexpr std::chrono::seconds kFailOver{30};
constexpr std::chrono::milliseconds kRetryDelay{200};

std::string PackedCommand(const google::protobuf::Message& command) {
  google::protobuf::Any any;
  any.PackFrom(command);
  return any.SerializeAsString();
}

flight::FlightDescriptor PackCommand(const google::protobuf::Message& command) {
  return flight::FlightDescriptor::Command(PackedCommand(command));
}

// Sent twice, it does no harm.
bool ChangesNothing(const std::string& sql) {
  const auto keyword = FirstKeyword(sql);
  return keyword == "SELECT" || keyword == "FROM" || keyword == "VALUES" ||
         keyword == "SHOW" || keyword == "DESCRIBE" || keyword == "SET";
}

arrow::Status Cancelled() {
  return CancelledStatus("the query was cancelled", ballista::Cancelled::CLIENT);
}

// Messages come in the transport's own slices, at any address.
flight::FlightCallOptions StreamCall() {
  flight::FlightCallOptions call;
  call.read_options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  return call;
}

size_t BatchBytes(const arrow::RecordBatch& batch) {
  size_t bytes = 0;
  for (const auto& column : batch.column_data()) {
    for (const auto& buffer : column->buffers) {
      if (buffer != nullptr) bytes += static_cast<size_t>(buffer->size());
    }
  }
  return bytes;
}

// One GetFlightInfo under way, which unlike the blocking call can be cancelled.
class InfoListener : public flight::AsyncListener<flight::FlightInfo> {
 public:
  void OnNext(flight::FlightInfo info) override {
    std::lock_guard lock(mutex_);
    info_ = std::make_unique<flight::FlightInfo>(std::move(info));
  }

  void OnFinish(arrow::Status status) override {
    std::lock_guard lock(mutex_);
    status_ = std::move(status);
    finished_ = true;
    changed_.notify_all();
  }

  arrow::Result<std::unique_ptr<flight::FlightInfo>> Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return finished_; });
    if (!status_.ok()) return FromServerError(status_);
    if (info_ == nullptr) return InternalStatus("the server sent no FlightInfo");
    return std::move(info_);
  }

  bool lost_server() {
    std::lock_guard lock(mutex_);
    return LostServer(status_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;
  arrow::Status status_;
  std::unique_ptr<flight::FlightInfo> info_;
};

arrow::Result<std::unique_ptr<flight::FlightClient>> OpenFlight(
    const flight::Location& location, const ClientOptions& connection,
    std::shared_ptr<flight::ClientMiddlewareFactory> cookies) {
  auto options = flight::FlightClientOptions::Defaults();
  options.tls_root_certs = connection.tls.ca;
  options.cert_chain = connection.tls.cert;
  options.private_key = connection.tls.key;
  // A query may take any time: keepalive tells whether the scheduler is still there.
  options.generic_options = ballista::flight::ClientOptions().generic_options;
  if (cookies != nullptr) {
    options.middleware.push_back(std::move(cookies));
    if (!connection.authorization.empty()) {
      options.middleware.push_back(
          ballista::flight::SendAuthorization(connection.authorization));
    }
  }
  return flight::FlightClient::Connect(location, options);
}

}  // namespace

// The connections: one to the scheduler, and one to each other server that holds results.
class FlightSqlClient::Impl {
 public:
  static arrow::Result<std::shared_ptr<Impl>> Make(const ClientOptions& options) {
    auto impl = std::make_shared<Impl>();
    impl->options_ = options;
    impl->cookies_ = flight::GetCookieFactory();
    for (const auto& server : options.servers) {
      ARROW_ASSIGN_OR_RAISE(auto location,
                            options.tls.on()
                                ? flight::Location::ForGrpcTls(server.host, server.port)
                                : flight::Location::ForGrpcTcp(server.host, server.port));
      impl->locations_.push_back(std::move(location));
    }
    if (impl->locations_.empty()) return arrow::Status::Invalid("there is no server");
    ARROW_RETURN_NOT_OK(impl->Use(0));
    return impl;
  }

  // The one at hand, and which of the servers it is.
  std::shared_ptr<flight::FlightClient> scheduler(size_t* server = nullptr) {
    std::lock_guard lock(mutex_);
    if (server != nullptr) *server = server_;
    return scheduler_;
  }

  bool has_several() const { return locations_.size() > 1; }

  // Makes another server than `from` the one at hand, if it is so still. One that does
  // not answer is left by the next call.
  void Leave(size_t from) {
    std::lock_guard lock(mutex_);
    if (server_ == from) ARROW_UNUSED(Use((from + 1) % locations_.size()));
  }

  // Whether the server at hand answers anything at all.
  bool IsAlive(flight::FlightClient* client) const {
    auto actions = client->ListActions(ShortCall());
    return actions.ok() || !IsUnreachable(actions.status());
  }

  flight::FlightCallOptions ShortCall() const {
    flight::FlightCallOptions call;
    call.timeout = std::chrono::duration<double>(options_.timeout);
    return call;
  }

  // The one result of an action.
  arrow::Result<std::string> Call(const std::string& action, const std::string& body) {
    auto results =
        scheduler()->DoAction(ShortCall(), {action, arrow::Buffer::FromString(body)});
    if (!results.ok()) return FromServerError(results.status());
    auto result = (*results)->Next();
    if (!result.ok()) return FromServerError(result.status());
    if (*result == nullptr) {
      return InternalStatus(fmt::format("the server did not answer {}", action));
    }
    return (*result)->body->ToString();
  }

  // The server of an endpoint: the first of its locations that can be opened.
  arrow::Result<std::shared_ptr<flight::FlightClient>> ClientOf(
      const flight::Location& location) {
    std::lock_guard lock(mutex_);
    if (location == locations_[server_] ||
        location == flight::Location::ReuseConnection()) {
      return scheduler_;
    }
    auto& client = executors_[location.ToString()];
    if (client == nullptr) {
      ARROW_ASSIGN_OR_RAISE(client, OpenFlight(location, options_, nullptr));
    }
    return client;
  }

 private:
  arrow::Status Use(size_t server) {
    ARROW_ASSIGN_OR_RAISE(scheduler_, OpenFlight(locations_[server], options_, cookies_));
    server_ = server;
    return arrow::Status::OK();
  }

  ClientOptions options_;
  std::vector<flight::Location> locations_;
  // One for all servers: a session is known to each of them.
  std::shared_ptr<flight::ClientMiddlewareFactory> cookies_;
  std::mutex mutex_;
  size_t server_ = 0;
  std::shared_ptr<flight::FlightClient> scheduler_;
  std::map<std::string, std::shared_ptr<flight::FlightClient>> executors_;
};

// Shared by a Query and its reading thread, which may outlive it for a moment.
class Query::State : public std::enable_shared_from_this<Query::State> {
 public:
  // `again`: the command may be sent twice.
  State(std::shared_ptr<FlightSqlClient::Impl> connections, std::string command,
        bool again, std::string traceparent)
      : connections_(std::move(connections)),
        command_(std::move(command)),
        again_(again),
        traceparent_(std::move(traceparent)) {}

  // The reading thread.
  void Run() {
    arrow::Status status = Read();
    std::lock_guard lock(mutex_);
    status_ = cancelled_ ? Cancelled() : std::move(status);
    done_ = true;
    changed_.notify_all();
  }

  arrow::Result<std::shared_ptr<arrow::Schema>> Schema() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return schema_ != nullptr || done_ || cancelled_; });
    if (cancelled_) return Cancelled();
    if (schema_ != nullptr) return schema_;
    ARROW_RETURN_NOT_OK(status_);
    return arrow::schema({});
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !batches_.empty() || done_ || cancelled_; });
    if (cancelled_) return Cancelled();
    if (batches_.empty()) {
      ARROW_RETURN_NOT_OK(status_);
      return nullptr;
    }
    auto batch = std::move(batches_.front());
    batches_.pop_front();
    queued_bytes_ -= BatchBytes(*batch);
    changed_.notify_all();
    return batch;
  }

  arrow::Status Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !batches_.empty() || done_ || cancelled_; });
    if (cancelled_) return Cancelled();
    return batches_.empty() ? status_ : arrow::Status::OK();
  }

  bool ended() const {
    std::lock_guard lock(mutex_);
    return done_ || cancelled_;
  }

  void Cancel() {
    std::shared_ptr<flight::FlightStreamReader> reader;
    std::shared_ptr<InfoListener> listener;
    std::shared_ptr<flight::FlightInfo> info;
    {
      std::lock_guard lock(mutex_);
      if (cancelled_ || done_) return;
      cancelled_ = true;
      reader = reader_;
      listener = listener_;
      info = info_;
      telling_server_ = info != nullptr;
      changed_.notify_all();
    }
    if (listener != nullptr) listener->TryCancel();
    if (info == nullptr) return;
    // By a thread of its own: whoever cancels does not wait.
    std::thread([self = shared_from_this(), info, reader] {
      self->TellServer(*info);
      if (reader != nullptr) reader->Cancel();
    }).detach();
  }

  // Until the reading thread has ended, and the server knows of a cancellation. False
  // where that takes longer.
  bool WaitForEnd(std::chrono::milliseconds deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, deadline,
                             [this] { return done_ && !telling_server_; });
  }

  std::string job_id() const {
    std::lock_guard lock(mutex_);
    return info_ == nullptr ? std::string() : info_->app_metadata();
  }

  int64_t total_rows() const {
    std::lock_guard lock(mutex_);
    return info_ == nullptr ? -1 : info_->total_records();
  }

 private:
  // Before the stream is dropped, which the server would take for a lost client.
  void TellServer(const flight::FlightInfo& info) {
    flight::CancelFlightInfoRequest request(std::make_unique<flight::FlightInfo>(info));
    // Whatever the answer, the statement is over for this client.
    (void)connections_->scheduler()->CancelFlightInfo(connections_->ShortCall(), request);
    std::lock_guard lock(mutex_);
    telling_server_ = false;
    changed_.notify_all();
  }

  arrow::Status Read() {
    ARROW_RETURN_NOT_OK(ReadInfo());
    for (const auto& endpoint : info_->endpoints()) {
      ARROW_RETURN_NOT_OK(ReadEndpoint(endpoint));
    }
    return arrow::Status::OK();
  }

  // Runs `attempt` until it succeeds, fails with something else than that the server is
  // gone, or there has been no server for too long. `attempt` gets the server, and says
  // in its last parameter whether another one may be asked.
  template <typename Attempt>
  arrow::Status WithFailOver(Attempt&& attempt) {
    const auto deadline = std::chrono::steady_clock::now() + kFailOver;
    while (true) {
      size_t server = 0;
      const auto client = connections_->scheduler(&server);
      bool elsewhere = false;
      arrow::Status status = attempt(client, &elsewhere);
      if (status.ok() || !elsewhere || !connections_->has_several()) return status;
      {
        std::lock_guard lock(mutex_);
        if (cancelled_) return Cancelled();
      }
      if (std::chrono::steady_clock::now() > deadline) return status;
      connections_->Leave(server);
      std::this_thread::sleep_for(kRetryDelay);
    }
  }

  arrow::Status ReadInfo() {
    return WithFailOver([this](const std::shared_ptr<flight::FlightClient>& client,
                               bool* elsewhere) { return TryInfo(client, elsewhere); });
  }

  arrow::Status TryInfo(const std::shared_ptr<flight::FlightClient>& client,
                        bool* elsewhere) {
    // Otherwise it is sent to a server that answers, and only once.
    const bool again = again_;
    if (connections_->has_several() && !again && !connections_->IsAlive(client.get())) {
      *elsewhere = true;
      return arrow::Status::IOError("the scheduler does not answer");
    }
    auto listener = std::make_shared<InfoListener>();
    {
      std::lock_guard lock(mutex_);
      if (cancelled_) return Cancelled();
      flight::FlightCallOptions call;
      if (!traceparent_.empty()) call.headers.emplace_back("traceparent", traceparent_);
      client->GetFlightInfoAsync(call, flight::FlightDescriptor::Command(command_),
                                 listener);
      listener_ = listener;
    }
    AliveWatch watch(
        connections_->has_several() && again,
        [this, client] { return connections_->IsAlive(client.get()); },
        [listener] { listener->TryCancel(); });
    auto result = listener->Wait();
    const bool gave_up = watch.Stop();
    std::lock_guard lock(mutex_);
    listener_ = nullptr;
    if (!result.ok()) {
      *elsewhere = again && (gave_up || listener->lost_server());
      return result.status();
    }
    info_ = *std::move(result);
    if (!info_->serialized_schema().empty()) {
      arrow::ipc::DictionaryMemo memo;
      ARROW_ASSIGN_OR_RAISE(schema_, info_->GetSchema(&memo));
    }
    changed_.notify_all();
    return arrow::Status::OK();
  }

  arrow::Status ReadEndpoint(const flight::FlightEndpoint& endpoint) {
    return WithFailOver(
        [&](const std::shared_ptr<flight::FlightClient>&, bool* elsewhere) {
          return TryEndpoint(endpoint, elsewhere);
        });
  }

  arrow::Status TryEndpoint(const flight::FlightEndpoint& endpoint, bool* elsewhere) {
    std::shared_ptr<flight::FlightClient> client;
    ARROW_ASSIGN_OR_RAISE(const auto reader, OpenEndpoint(endpoint, &client, elsewhere));
    {
      std::lock_guard lock(mutex_);
      if (cancelled_) {
        reader->Cancel();
        return Cancelled();
      }
      reader_ = reader;
    }
    AliveWatch watch(
        connections_->has_several(),
        [this, client] { return connections_->IsAlive(client.get()); },
        [reader] { reader->Cancel(); });
    arrow::Status status = ReadStream(reader.get());
    const bool gave_up = watch.Stop();
    std::lock_guard lock(mutex_);
    reader_ = nullptr;
    if (status.ok()) return status;
    // From the beginning, so not once rows have been handed on.
    *elsewhere = !any_rows_ && (gave_up || LostServer(status));
    auto error = FromServerError(status);
    if (!any_rows_ || !(gave_up || LostServer(status))) return error;
    return error.WithMessage(
        "the scheduler was lost while its result was read; run the query again: ",
        error.message());
  }

  arrow::Result<std::shared_ptr<flight::FlightStreamReader>> OpenEndpoint(
      const flight::FlightEndpoint& endpoint,
      std::shared_ptr<flight::FlightClient>* client, bool* lost) {
    std::vector<flight::Location> locations = endpoint.locations;
    if (locations.empty()) locations.push_back(flight::Location::ReuseConnection());
    arrow::Status failure;
    for (const auto& location : locations) {
      auto found = connections_->ClientOf(location);
      if (!found.ok()) {
        failure = found.status();
        continue;
      }
      *client = *found;
      auto reader = (*client)->DoGet(StreamCall(), endpoint.ticket);
      if (reader.ok()) return std::shared_ptr(*std::move(reader));
      *lost = LostServer(reader.status());
      failure = FromServerError(reader.status());
      // What an executor does not have (any more) another location may have.
      if (&location == &locations.back() && !IsUnreachable(reader.status())) {
        return failure;
      }
      failure = failure.WithMessage("cannot read the result at ", location.ToString(),
                                    ": ", failure.message());
    }
    return failure;
  }

  // Errors are as Flight gave them.
  arrow::Status ReadStream(flight::FlightStreamReader* reader) {
    auto schema = reader->GetSchema();
    ARROW_RETURN_NOT_OK(schema.status());
    {
      std::lock_guard lock(mutex_);
      if (schema_ == nullptr) schema_ = *schema;
      changed_.notify_all();
    }
    while (true) {
      ARROW_ASSIGN_OR_RAISE(auto chunk, reader->Next());
      if (chunk.data == nullptr) {
        if (chunk.app_metadata != nullptr) continue;
        return arrow::Status::OK();
      }
      ARROW_RETURN_NOT_OK(Enqueue(std::move(chunk.data)));
    }
  }

  arrow::Status Enqueue(std::shared_ptr<arrow::RecordBatch> batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] {
      return cancelled_ ||
             (batches_.size() < kReadAheadBatches && queued_bytes_ < kReadAheadBytes);
    });
    if (cancelled_) return Cancelled();
    queued_bytes_ += BatchBytes(*batch);
    any_rows_ = true;
    batches_.push_back(std::move(batch));
    changed_.notify_all();
    return arrow::Status::OK();
  }

  const std::shared_ptr<FlightSqlClient::Impl> connections_;
  const std::string command_;
  const bool again_;
  const std::string traceparent_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<InfoListener> listener_;              // while GetFlightInfo runs
  std::shared_ptr<flight::FlightInfo> info_;            // then never changes
  std::shared_ptr<flight::FlightStreamReader> reader_;  // of the endpoint being read
  std::shared_ptr<arrow::Schema> schema_;
  std::deque<std::shared_ptr<arrow::RecordBatch>> batches_;
  size_t queued_bytes_ = 0;
  bool any_rows_ = false;  // have been handed on
  bool cancelled_ = false;
  bool done_ = false;
  bool telling_server_ = false;
  arrow::Status status_;
};

Query::Query(std::shared_ptr<State> state) : state_(std::move(state)) {
  std::thread([state = state_] { state->Run(); }).detach();
}

Query::~Query() {
  state_->Cancel();
  // A reading thread that hangs in a call of Flight's keeps the state for itself.
  (void)state_->WaitForEnd(kStopDeadline);
}

arrow::Result<std::shared_ptr<arrow::Schema>> Query::Schema() {
  return state_->Schema();
}
arrow::Result<std::shared_ptr<arrow::RecordBatch>> Query::Next() {
  return state_->Next();
}
arrow::Status Query::Wait() {
  return state_->Wait();
}
bool Query::ended() const {
  return state_->ended();
}
void Query::Cancel() {
  state_->Cancel();
}
std::string Query::job_id() const {
  return state_->job_id();
}
int64_t Query::total_rows() const {
  return state_->total_rows();
}

FlightSqlClient::FlightSqlClient(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
FlightSqlClient::~FlightSqlClient() = default;

arrow::Result<std::unique_ptr<FlightSqlClient>> FlightSqlClient::Connect(
    const ClientOptions& options) {
  ARROW_ASSIGN_OR_RAISE(auto impl, Impl::Make(options));
  // Flight connects at the first call. Which answer comes does not matter here: one does.
  arrow::Status failure;
  for (size_t server = 0; server < options.servers.size(); ++server) {
    if (server > 0) impl->Leave(server - 1);
    const auto& at = options.servers[server];
    auto actions = impl->scheduler()->ListActions(impl->ShortCall());
    if (!actions.ok() && IsRefused(actions.status())) {
      return arrow::Status::IOError(
          fmt::format("the scheduler at {}:{} does not let this client in: {}", at.host,
                      at.port, FromServerError(actions.status()).message()));
    }
    if (actions.ok() || !IsUnreachable(actions.status())) {
      return std::unique_ptr<FlightSqlClient>(new FlightSqlClient(std::move(impl)));
    }
    const auto reason =
        security::ExplainTlsFailure(actions.status().message(), options.tls.on());
    if (!reason.empty()) {
      failure = arrow::Status::IOError(fmt::format(
          "cannot talk to the scheduler at {}:{}: {}", at.host, at.port, reason));
    } else if (failure.ok()) {
      failure = arrow::Status::IOError(
          fmt::format("cannot reach the scheduler at {0}:{1}: start one with `scheduler "
                      "--port {1}`, or name another with --host and --port",
                      at.host, at.port));
    }
  }
  if (options.servers.size() == 1) return failure;
  return failure.WithMessage(fmt::format("none of the {} schedulers answers; {}",
                                         options.servers.size(), failure.message()));
}

std::unique_ptr<Query> FlightSqlClient::Start(std::string sql, std::string traceparent) {
  const bool again = ChangesNothing(sql);
  flight_sql::CommandStatementQuery command;
  command.set_query(std::move(sql));
  return StartCommand(PackedCommand(command), again, std::move(traceparent));
}

std::unique_ptr<Query> FlightSqlClient::StartCommand(std::string command,
                                                     bool changes_nothing,
                                                     std::string traceparent) {
  auto state = std::make_shared<Query::State>(impl_, std::move(command), changes_nothing,
                                              std::move(traceparent));
  return std::unique_ptr<Query>(new Query(std::move(state)));
}

arrow::Result<std::shared_ptr<arrow::Schema>> FlightSqlClient::DescribeCommand(
    const std::string& command) {
  const auto client = impl_->scheduler();
  auto result = client->GetSchema({}, flight::FlightDescriptor::Command(command));
  if (!result.ok()) return FromServerError(result.status());
  arrow::ipc::DictionaryMemo memo;
  return (*result)->GetSchema(&memo);
}

namespace {

// Ends an upload: the count that the server gives.
arrow::Result<int64_t> CountOf(flight::FlightClient::DoPutResult* put,
                               arrow::Status status) {
  if (status.ok()) status = put->writer->DoneWriting();
  std::shared_ptr<arrow::Buffer> answer;
  // An error of the statement comes with the answer; that of the half-closed stream would
  // only say that the server has hung up.
  const auto read = put->reader->ReadMetadata(&answer);
  const auto close = put->writer->Close();
  for (const auto& outcome : {close, read, status}) {
    if (!outcome.ok()) return FromServerError(outcome);
  }
  flight_sql::DoPutUpdateResult result;
  if (answer == nullptr ||
      !result.ParseFromArray(answer->data(), static_cast<int>(answer->size()))) {
    return InternalStatus("the server's answer to an update is no DoPutUpdateResult");
  }
  return result.record_count();
}

}  // namespace

arrow::Result<int64_t> FlightSqlClient::Update(const std::string& sql) {
  flight_sql::CommandStatementUpdate command;
  command.set_query(sql);
  auto put = impl_->scheduler()->DoPut({}, PackCommand(command), arrow::schema({}));
  if (!put.ok()) return FromServerError(put.status());
  return CountOf(&*put, arrow::Status::OK());
}

arrow::Result<int64_t> FlightSqlClient::Ingest(const std::string& command,
                                               arrow::RecordBatchReader* rows) {
  auto put = impl_->scheduler()->DoPut({}, flight::FlightDescriptor::Command(command),
                                       rows->schema());
  if (!put.ok()) return FromServerError(put.status());
  arrow::Status sent;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (sent.ok()) {
    const auto read = rows->ReadNext(&batch);
    if (!read.ok()) {
      ARROW_UNUSED(put->writer->Close());
      return read;
    }
    if (batch == nullptr) break;
    sent = put->writer->WriteRecordBatch(*batch);
  }
  return CountOf(&*put, sent);
}

arrow::Result<profile::QueryProfile> FlightSqlClient::Profile(const std::string& job_id) {
  control::JobProfileRequest request;
  request.set_job_id(job_id);
  ARROW_ASSIGN_OR_RAISE(auto body,
                        impl_->Call("job_profile", request.SerializeAsString()));
  profile::QueryProfile profile;
  if (!profile.ParseFromString(body)) {
    return InternalStatus("the server's answer is no QueryProfile");
  }
  return profile;
}

arrow::Result<std::vector<control::ExecutorMetadata>> FlightSqlClient::ListExecutors() {
  ARROW_ASSIGN_OR_RAISE(
      auto body,
      impl_->Call("list_executors", control::ListExecutorsRequest().SerializeAsString()));
  control::ListExecutorsResponse response;
  if (!response.ParseFromString(body)) {
    return InternalStatus("the server's answer is no ListExecutorsResponse");
  }
  return std::vector<control::ExecutorMetadata>(response.executors().begin(),
                                                response.executors().end());
}

arrow::Status FlightSqlClient::CloseSession() {
  auto closed = impl_->scheduler()->CloseSession(impl_->ShortCall(), {});
  return closed.ok() ? arrow::Status::OK() : FromServerError(closed.status());
}

}  // namespace ballista::client
