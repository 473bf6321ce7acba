#include <arrow/api.h>
#include <arrow/flight/api.h>
#include <gtest/gtest.h>

#include "ballista/base/status.h"
#include "ballista/control.pb.h"
#include "ballista/flight/client_pool.h"
#include "ballista/flight/rpc.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight/transport_setup.h"

namespace ballista::flight {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Answers every method with the status that the request carries, encoded.
class EchoServer : public arrow::flight::FlightServerBase {
 public:
  EchoServer() {
    router_.Add<control::JobProfileRequest, control::JobProfileRequest>(
        "echo", [](const control::JobProfileRequest& request) {
          return arrow::Result<control::JobProfileRequest>(request);
        });
    router_.Add<control::HeartbeatRequest, control::HeartbeatResponse>(
        "heartbeat",
        [](const arrow::flight::ServerCallContext& context,
           const control::HeartbeatRequest&)
            -> arrow::Result<control::HeartbeatResponse> {
          control::HeartbeatResponse response;
          response.set_scheduler_id(context.peer());
          return response;
        });
    router_.AddRaw("fail", "",
                   [](const arrow::flight::ServerCallContext&, std::string_view body)
                       -> arrow::Result<std::string> { return DecodeStatus(body); });
    router_.Add<control::CancelJobRequest, control::HeartbeatResponse>(
        "sleep", [](const control::CancelJobRequest&) {
          std::this_thread::sleep_for(milliseconds(1500));
          return arrow::Result<control::HeartbeatResponse>(control::HeartbeatResponse());
        });
  }

  arrow::Status DoAction(const arrow::flight::ServerCallContext& context,
                         const arrow::flight::Action& action,
                         std::unique_ptr<arrow::flight::ResultStream>* result) override {
    return router_.Handle(context, action, result);
  }

  arrow::Status GetFlightInfo(const arrow::flight::ServerCallContext& context,
                              const arrow::flight::FlightDescriptor& request,
                              std::unique_ptr<arrow::flight::FlightInfo>* info) override {
    return ToFlightStatus(context, DecodeStatus(request.cmd));
  }

  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& ticket,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    return ToFlightStatus(context, DecodeStatus(ticket.ticket));
  }

 private:
  ActionRouter router_;
};

class FlightTest : public ::testing::Test {
 protected:
  void SetUp() override {
    arrow::flight::FlightServerOptions options(
        *arrow::flight::Location::ForGrpcTcp("127.0.0.1", 0));
    ASSERT_TRUE(server_.Init(options).ok());
    client_ = pool_.Get("127.0.0.1", static_cast<uint32_t>(server_.port())).ValueOrDie();
  }
  void TearDown() override { ASSERT_TRUE(server_.Shutdown().ok()); }

  arrow::Status Fail(const arrow::Status& status) {
    return CallRaw(client_.get(), "fail", EncodeStatus(status), seconds(10)).status();
  }

  EchoServer server_;
  ClientPool pool_;
  std::shared_ptr<arrow::flight::FlightClient> client_;
};

std::vector<arrow::Status> EveryKind() {
  FetchFailed fetch;
  fetch.set_job_id("job-1");
  fetch.set_stage_id(3);
  fetch.set_task_index(4);
  fetch.set_attempt(1);
  fetch.set_executor_id("executor-2");
  ErrorDetail version;
  version.mutable_version_mismatch()->set_ours(1);
  version.mutable_version_mismatch()->set_theirs(2);
  return {
      UserErrorStatus(UserError::BINDER,
                      "no column \"x\"\nLINE 1: SELECT x\n\t 100% \xc3\xa9", 17),
      UserErrorStatus(UserError::NOT_SUPPORTED, "not here"),
      FetchFailedStatus("gone", fetch),
      ExecutorLostStatus("lost", "executor-2"),
      ResourcesExhaustedStatus("full", ResourcesExhausted::DISK, 1 << 20),
      ResourcesExhaustedStatus("out of memory", ResourcesExhausted::MEMORY, 1 << 20),
      CancelledStatus("stopped", Cancelled::CLIENT),
      InternalStatus("a bug"),
      WithDetail(arrow::StatusCode::Invalid, "old", version),
      arrow::Status::KeyError("no such job"),
      arrow::Status::IOError("without detail"),
      arrow::Status::NotImplemented("without detail"),
  };
}

TEST(TransportSetupTest, LeavesWhatIsSetAlready) {
  ::setenv("GRPC_EXPERIMENTS", "-trace_record_callops", 1);
  SetUpTransport();
  EXPECT_STREQ(std::getenv("GRPC_EXPERIMENTS"), "-trace_record_callops");
  ::unsetenv("GRPC_EXPERIMENTS");
  SetUpTransport();
  EXPECT_STREQ(std::getenv("GRPC_EXPERIMENTS"),
               "-event_engine_client,-event_engine_listener");
  EXPECT_NE(std::getenv("GRPC_VERBOSITY"), nullptr);
}

TEST_F(FlightTest, EveryKindOfErrorThroughEveryMethod) {
  for (const auto& status : EveryKind()) {
    SCOPED_TRACE(status.ToString());
    const std::string encoded = EncodeStatus(status);
    const arrow::Status got[] = {
        Fail(status),
        FromFlightStatus(
            client_->GetFlightInfo(arrow::flight::FlightDescriptor::Command(encoded))
                .status()),
        FromFlightStatus(client_->DoGet(arrow::flight::Ticket{encoded}).status()),
    };
    for (const auto& result : got) {
      EXPECT_EQ(result.code(), status.code()) << result.ToString();
      EXPECT_EQ(result.message(), status.message());
      EXPECT_EQ(EncodeStatus(result), encoded);
      EXPECT_FALSE(IsTransient(result));
    }
  }
}

TEST_F(FlightTest, LongMessagesAreCutAndTheDetailIsNot) {
  const auto got = Fail(
      UserErrorStatus(UserError::SYNTAX, std::string(100'000, '\n') + "\xc3\xa9", 7));
  EXPECT_TRUE(got.IsInvalid()) << got.ToString();
  EXPECT_EQ(got.message(), std::string(kMaxMessageBytes, '\n') + "...");
  ASSERT_NE(GetErrorDetail(got), nullptr);
  EXPECT_EQ(GetErrorDetail(got)->user().position(), 7);
}

TEST_F(FlightTest, CallsCarryLargeBodies) {
  control::JobProfileRequest request;
  request.set_job_id(std::string(100 << 20, 'j'));
  const auto response =
      Call<control::JobProfileRequest>(client_.get(), "echo", request, seconds(60));
  ASSERT_TRUE(response.ok()) << response.status().ToString();
  EXPECT_EQ(response->job_id().size(), request.job_id().size());
}

TEST_F(FlightTest, VersionHandshake) {
  const auto same = Call<control::HeartbeatResponse>(
      client_.get(), "heartbeat", control::HeartbeatRequest(), seconds(10));
  ASSERT_TRUE(same.ok()) << same.status().ToString();
  EXPECT_FALSE(same->scheduler_id().empty());

  control::HeartbeatRequest other;
  other.set_wire_version(kWireVersion + 1);
  const auto refused =
      CallRaw(client_.get(), "heartbeat", other.SerializeAsString(), seconds(10))
          .status();
  ASSERT_NE(GetErrorDetail(refused), nullptr) << refused.ToString();
  EXPECT_EQ(GetErrorDetail(refused)->version_mismatch().theirs(), kWireVersion + 1);
  EXPECT_NE(refused.message().find("upgrade"), std::string::npos);
}

TEST_F(FlightTest, UnknownActionsAndBadBodies) {
  EXPECT_TRUE(
      CallRaw(client_.get(), "nothing", "", seconds(10)).status().IsNotImplemented());
  EXPECT_FALSE(CallRaw(client_.get(), "heartbeat", "\xff\xff\xff", seconds(10)).ok());
}

TEST_F(FlightTest, DeadlinesAndUnreachablePeersAreTransient) {
  const auto late = Call<control::HeartbeatResponse>(
      client_.get(), "sleep", control::CancelJobRequest(), milliseconds(200));
  EXPECT_TRUE(IsTransient(late.status())) << late.status().ToString();
  const auto nobody = pool_.Get("127.0.0.1", 1).ValueOrDie();
  const auto refused = Call<control::HeartbeatResponse>(
      nobody.get(), "heartbeat", control::HeartbeatRequest(), seconds(5));
  EXPECT_TRUE(IsTransient(refused.status())) << refused.status().ToString();
}

TEST_F(FlightTest, PoolSharesAndEvicts) {
  const auto port = static_cast<uint32_t>(server_.port());
  EXPECT_EQ(pool_.Get("127.0.0.1", port).ValueOrDie(), client_);
  pool_.Evict("127.0.0.1", port, client_);
  const auto fresh = pool_.Get("127.0.0.1", port).ValueOrDie();
  EXPECT_NE(fresh, client_);
  pool_.Evict("127.0.0.1", port, client_);
  EXPECT_EQ(pool_.Get("127.0.0.1", port).ValueOrDie(), fresh);
  pool_.Remove("127.0.0.1", port);
  EXPECT_EQ(pool_.size(), 0u);
  EXPECT_FALSE(pool_.Get("", 1).ok());
  EXPECT_FALSE(pool_.Get("host", 70'000).ok());
  EXPECT_EQ(FormatAddress("::1", 5), "[::1]:5");
}

}  // namespace
}  // namespace ballista::flight
