#include "ballista/client/flight_sql_client.h"

#include <arrow/api.h>
#include <arrow/flight/server.h>
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "ballista/base/status.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight_sql.pb.h"

namespace ballista::client {
namespace {

namespace flight = arrow::flight;
namespace flight_sql = arrow::flight::protocol::sql;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

std::shared_ptr<arrow::Schema> NumberSchema() {
  return arrow::schema({arrow::field("n", arrow::int64())});
}

std::shared_ptr<arrow::RecordBatch> Numbers(int64_t first, int64_t count) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < count; ++i) EXPECT_TRUE(builder.Append(first + i).ok());
  return arrow::RecordBatch::Make(NumberSchema(), count, {*builder.Finish()});
}

// So many batches of so many rows; asks `next` before each, false for an error.
class SlowReader : public arrow::RecordBatchReader {
 public:
  SlowReader(int64_t batches, int64_t rows, std::function<bool()> next)
      : batches_(batches), rows_(rows), next_(std::move(next)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return NumberSchema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    *batch = nullptr;
    if (!next_()) return arrow::Status::Cancelled("cancelled at the server");
    if (read_ < batches_) *batch = Numbers(rows_ * read_, rows_);
    ++read_;
    return arrow::Status::OK();
  }

 private:
  int64_t batches_;
  int64_t rows_;
  int64_t read_ = 0;
  std::function<bool()> next_;
};

// Answers by the statement's text.
class FakeScheduler : public flight::FlightServerBase {
 public:
  ~FakeScheduler() override { Release(); }

  arrow::Status GetFlightInfo(const flight::ServerCallContext& context,
                              const flight::FlightDescriptor& descriptor,
                              std::unique_ptr<flight::FlightInfo>* info) override {
    flight_sql::CommandStatementQuery command;
    if (!Unpack(descriptor.cmd, &command)) return arrow::Status::Invalid("no statement");
    const std::string& sql = command.query();
    if (sql == "syntax error")
      return ballista::flight::ToFlightStatus(
          context, UserErrorStatus(UserError::SYNTAX, "bad", 7));
    if (sql == "plain error") return arrow::Status::KeyError("no table t");
    if (sql == "plans for ever") {
      planning_ = true;
      WaitUntil([&] { return context.is_cancelled() || released_; });
      planning_cancelled_ = context.is_cancelled();
      return arrow::Status::Cancelled("gave up");
    }
    std::vector<flight::FlightEndpoint> endpoints;
    if (sql == "two endpoints") {
      endpoints = {{{"3"}, {}, std::nullopt, ""},
                   {{"2"}, {Address("grpc://localhost:1"), own_address()}, {}, ""}};
    } else if (sql == "lost executor") {
      endpoints = {{{"3"}, {Address("grpc://localhost:1")}, std::nullopt, ""}};
    } else if (sql != "no rows") {
      endpoints = {{{sql}, {}, std::nullopt, ""}};
    }
    const auto schema = sql == "no rows" ? arrow::schema({}) : NumberSchema();
    ARROW_ASSIGN_OR_RAISE(
        auto made, flight::FlightInfo::Make(schema, descriptor, endpoints, 50, -1, true,
                                            "job-" + sql));
    *info = std::make_unique<flight::FlightInfo>(std::move(made));
    return arrow::Status::OK();
  }

  arrow::Status DoGet(const flight::ServerCallContext& context,
                      const flight::Ticket& ticket,
                      std::unique_ptr<flight::FlightDataStream>* stream) override {
    const std::string& what = ticket.ticket;
    int64_t batches = 1;
    std::function<bool()> next = [] { return true; };
    if (what == "fails at once") {
      return ballista::flight::ToFlightStatus(
          context, ExecutorLostStatus("executor e1 is gone", "e1"));
    }
    if (what == "no first batch") {
      WaitUntil([&] { return cancelled_ || released_; });
      return arrow::Status::Cancelled("cancelled at the server");
    }
    if (what == "never ends" || what == "never ends, in megabytes") {
      batches = 1 << 30;
      next = [&] {
        ++served_;
        return !cancelled_ && !released_;
      };
    } else if (what == "fails later") {
      next = [served = 0]() mutable { return ++served < 2; };
    } else if (what == "3" || what == "2") {
      batches = what[0] - '0';
    }
    *stream = std::make_unique<flight::RecordBatchStream>(std::make_shared<SlowReader>(
        batches, what == "never ends, in megabytes" ? 125000 : 10, std::move(next)));
    return arrow::Status::OK();
  }

  arrow::Status DoPut(const flight::ServerCallContext& context,
                      std::unique_ptr<flight::FlightMessageReader> reader,
                      std::unique_ptr<flight::FlightMetadataWriter> writer) override {
    flight_sql::CommandStatementUpdate command;
    if (!Unpack(reader->descriptor().cmd, &command)) {
      return arrow::Status::Invalid("no update");
    }
    if (command.query() == "bad update") {
      return ballista::flight::ToFlightStatus(
          context, UserErrorStatus(UserError::CATALOG, "no table t", 12));
    }
    flight_sql::DoPutUpdateResult result;
    result.set_record_count(3);
    return writer->WriteMetadata(*arrow::Buffer::FromString(result.SerializeAsString()));
  }

  arrow::Status DoAction(const flight::ServerCallContext&, const flight::Action& action,
                         std::unique_ptr<flight::ResultStream>* results) override {
    std::string body;
    if (action.type == "CancelFlightInfo") {
      ARROW_ASSIGN_OR_RAISE(auto request, flight::CancelFlightInfoRequest::Deserialize(
                                              std::string_view(*action.body)));
      cancelled_job_ = request.info->app_metadata();
      cancelled_ = true;
      flight::CancelFlightInfoResult result{flight::CancelStatus::kCancelled};
      ARROW_ASSIGN_OR_RAISE(body, result.SerializeToString());
    } else if (action.type == "job_profile") {
      control::JobProfileRequest request;
      request.ParseFromString(action.body->ToString());
      profile::QueryProfile profile;
      profile.mutable_job()->set_job_id(request.job_id());
      profile.mutable_job()->set_state(profile::JOB_STATE_RUNNING);
      body = profile.SerializeAsString();
    } else if (action.type == "list_executors") {
      control::ListExecutorsResponse response;
      response.add_executors()->set_host("somewhere");
      body = response.SerializeAsString();
    } else {
      return arrow::Status::NotImplemented(action.type);
    }
    *results = std::make_unique<flight::SimpleResultStream>(
        std::vector<flight::Result>{{arrow::Buffer::FromString(body)}});
    return arrow::Status::OK();
  }

  void Release() { released_ = true; }

  std::atomic<bool> planning_{false};
  std::atomic<bool> planning_cancelled_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<int64_t> served_{0};
  std::string cancelled_job_;

  static void WaitUntil(const std::function<bool()>& condition) {
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    while (!condition() && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

 private:
  static bool Unpack(const std::string& bytes, google::protobuf::Message* message) {
    google::protobuf::Any any;
    return any.ParseFromString(bytes) && any.UnpackTo(message);
  }

  static flight::Location Address(const std::string& uri) {
    return *flight::Location::Parse(uri);
  }

  flight::Location own_address() const {
    return *flight::Location::ForGrpcTcp("127.0.0.1", port());
  }

  std::atomic<bool> released_{false};
};

class FlightSqlClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    flight::FlightServerOptions options(*flight::Location::ForGrpcTcp("127.0.0.1", 0));
    ASSERT_TRUE(server_.Init(options).ok());
    ClientOptions client;
    client.servers = {{"127.0.0.1", static_cast<uint16_t>(server_.port())}};
    auto connected = FlightSqlClient::Connect(client);
    ASSERT_TRUE(connected.ok()) << connected.status();
    client_ = *std::move(connected);
  }

  void TearDown() override {
    client_.reset();
    server_.Release();
    ASSERT_TRUE(server_.Shutdown().ok());
  }

  arrow::Result<std::vector<int64_t>> Rows(const std::string& sql) {
    auto query = client_->Start(sql);
    std::vector<int64_t> rows;
    while (true) {
      ARROW_ASSIGN_OR_RAISE(auto batch, query->Next());
      if (batch == nullptr) return rows;
      const auto& column = static_cast<const arrow::Int64Array&>(*batch->column(0));
      for (int64_t i = 0; i < column.length(); ++i) rows.push_back(column.Value(i));
    }
  }

  FakeScheduler server_;
  std::unique_ptr<FlightSqlClient> client_;
};

TEST_F(FlightSqlClientTest, StreamsTheRowsOfAStatement) {
  auto rows = Rows("select 10");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 10U);
  EXPECT_EQ(rows->back(), 9);
}

TEST_F(FlightSqlClientTest, ReadsEndpointsInOrderAndTriesEachLocation) {
  auto rows = Rows("two endpoints");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 50U);
  EXPECT_EQ((*rows)[29], 29);
  EXPECT_EQ((*rows)[30], 0);
  EXPECT_EQ((*rows)[49], 19);
}

TEST_F(FlightSqlClientTest, NamesTheServerThatDoesNotAnswer) {
  auto rows = Rows("lost executor");
  ASSERT_FALSE(rows.ok());
  EXPECT_THAT(rows.status().message(), HasSubstr("grpc://localhost:1"));
}

TEST_F(FlightSqlClientTest, TellsTheSchemaJobAndRowsBeforeTheFirstBatch) {
  auto query = client_->Start("select 10");
  auto schema = query->Schema();
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_TRUE((*schema)->Equals(*NumberSchema()));
  EXPECT_EQ(query->job_id(), "job-select 10");
  EXPECT_EQ(query->total_rows(), 50);
}

TEST_F(FlightSqlClientTest, AStatementWithoutRowsHasNoColumns) {
  auto query = client_->Start("no rows");
  auto schema = query->Schema();
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_EQ((*schema)->num_fields(), 0);
  auto end = query->Next();
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(*end, nullptr);
}

TEST_F(FlightSqlClientTest, KeepsTheDetailOfErrors) {
  auto planned = client_->Start("syntax error")->Schema();
  ASSERT_TRUE(planned.status().IsInvalid()) << planned.status();
  EXPECT_EQ(planned.status().message(), "bad");
  const auto* detail = GetErrorDetail(planned.status());
  ASSERT_NE(detail, nullptr);
  EXPECT_EQ(detail->user().kind(), UserError::SYNTAX);
  EXPECT_EQ(detail->user().position(), 7);

  auto read = Rows("fails at once");
  const auto* lost = GetErrorDetail(read.status());
  ASSERT_NE(lost, nullptr) << read.status();
  EXPECT_EQ(lost->executor_lost().executor_id(), "e1");
}

TEST_F(FlightSqlClientTest, TakesTheTransportsWordsOffPlainErrors) {
  auto planned = client_->Start("plain error")->Schema();
  EXPECT_EQ(planned.status().message(), "no table t") << planned.status();
}

TEST_F(FlightSqlClientTest, AStreamThatFailsGivesItsRowsAndThenTheError) {
  auto query = client_->Start("fails later");
  auto first = query->Next();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->num_rows(), 10);
  EXPECT_FALSE(query->Next().ok());
}

TEST_F(FlightSqlClientTest, CancelEndsAReadingStatementAtTheServer) {
  auto query = client_->Start("never ends");
  ASSERT_TRUE(query->Next().ok());
  query->Cancel();
  auto next = query->Next();
  ASSERT_TRUE(next.status().IsCancelled()) << next.status();
  ASSERT_NE(GetErrorDetail(next.status()), nullptr);
  EXPECT_EQ(GetErrorDetail(next.status())->cancelled().reason(), Cancelled::CLIENT);
  FakeScheduler::WaitUntil([&] { return server_.cancelled_.load(); });
  EXPECT_TRUE(server_.cancelled_);
  EXPECT_EQ(server_.cancelled_job_, "job-never ends");
  // The session goes on.
  query.reset();
  server_.cancelled_ = false;
  EXPECT_TRUE(Rows("select 10").ok());
}

TEST_F(FlightSqlClientTest, CancelUnblocksAReaderWithoutRowsAtOnce) {
  auto query = client_->Start("no first batch");
  ASSERT_TRUE(query->Schema().ok());
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    query->Cancel();
  });
  EXPECT_TRUE(query->Next().status().IsCancelled());
  canceller.join();
  FakeScheduler::WaitUntil([&] { return server_.cancelled_.load(); });
  EXPECT_TRUE(server_.cancelled_);
}

TEST_F(FlightSqlClientTest, CancelReachesAServerThatStillPlans) {
  auto query = client_->Start("plans for ever");
  FakeScheduler::WaitUntil([&] { return server_.planning_.load(); });
  query->Cancel();
  EXPECT_TRUE(query->Schema().status().IsCancelled());
  FakeScheduler::WaitUntil([&] { return server_.planning_cancelled_.load(); });
  EXPECT_TRUE(server_.planning_cancelled_);
}

TEST_F(FlightSqlClientTest, DroppingAQueryCancelsIt) {
  client_->Start("never ends")->Schema().ValueOrDie();
  FakeScheduler::WaitUntil([&] { return server_.cancelled_.load(); });
  EXPECT_TRUE(server_.cancelled_);
}

TEST_F(FlightSqlClientTest, ASlowReaderHoldsTheServerBack) {
  auto query = client_->Start("never ends, in megabytes");
  ASSERT_TRUE(query->Next().ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  // What is read ahead, and what the transport buffers.
  EXPECT_LE(server_.served_, 30);
}

TEST_F(FlightSqlClientTest, UpdatesCountTheirRows) {
  auto count = client_->Update("insert");
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(*count, 3);
  auto failed = client_->Update("bad update");
  ASSERT_NE(GetErrorDetail(failed.status()), nullptr) << failed.status();
  EXPECT_EQ(GetErrorDetail(failed.status())->user().position(), 12);
}

TEST_F(FlightSqlClientTest, AsksForProfilesAndExecutors) {
  auto profile = client_->Profile("j1");
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->job().job_id(), "j1");
  EXPECT_EQ(profile->job().state(), profile::JOB_STATE_RUNNING);
  auto executors = client_->ListExecutors();
  ASSERT_TRUE(executors.ok()) << executors.status();
  ASSERT_EQ(executors->size(), 1U);
  EXPECT_EQ(executors->front().host(), "somewhere");
}

TEST(FlightSqlClient, SaysHowToStartASchedulerWhereNoneAnswers) {
  ClientOptions options;
  options.servers = {{"127.0.0.1", 1}};
  auto connected = FlightSqlClient::Connect(options);
  ASSERT_TRUE(connected.status().IsIOError());
  EXPECT_THAT(connected.status().message(),
              HasSubstr("cannot reach the scheduler at 127.0.0.1:1: start one with"));
}

}  // namespace
}  // namespace ballista::client
