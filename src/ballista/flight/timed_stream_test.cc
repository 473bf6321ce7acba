#include "ballista/flight/timed_stream.h"

#include <arrow/api.h>
#include <arrow/flight/api.h>
#include <arrow/ipc/options.h>
#include <arrow/util/compression.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "ballista/flight/client_pool.h"
#include "ballista/flight/status_transport.h"
#include "ballista/flight/test_claims_internal.h"

namespace ballista::flight {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

std::shared_ptr<arrow::RecordBatch> Batch(int64_t value) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.Append(value).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("v", arrow::int64())}), 1,
                                  {builder.Finish().ValueOrDie()});
}

// Gives `total` batches; from number `silent_from` on it says nothing until `over`.
class Batches : public arrow::RecordBatchReader {
 public:
  Batches(int total, int silent_from, const std::atomic<bool>* over)
      : total_(total), silent_from_(silent_from), over_(over) {}
  std::shared_ptr<arrow::Schema> schema() const override { return Batch(0)->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    while (next_ >= silent_from_ && !*over_) std::this_thread::sleep_for(milliseconds(5));
    *batch = next_ < total_ ? Batch(next_) : nullptr;
    ++next_;
    return arrow::Status::OK();
  }

 private:
  const int total_;
  const int silent_from_;
  const std::atomic<bool>* const over_;
  int next_ = 0;
};

// A ticket is "total,silent from"; silent before the schema where that is negative.
// "claim": one batch, compressed, that claims an exabyte.
class Server : public arrow::flight::FlightServerBase {
 public:
  Server() {
    arrow::flight::FlightServerOptions options(
        *arrow::flight::Location::ForGrpcTcp("127.0.0.1", 0));
    EXPECT_TRUE(Init(options).ok());
  }
  ~Server() override {
    over_ = true;
    EXPECT_TRUE(Shutdown().ok());
  }

  arrow::Status DoGet(const arrow::flight::ServerCallContext& context,
                      const arrow::flight::Ticket& ticket,
                      std::unique_ptr<arrow::flight::FlightDataStream>* stream) override {
    if (ticket.ticket == "claim") {
      auto options = arrow::ipc::IpcWriteOptions::Defaults();
      ARROW_ASSIGN_OR_RAISE(options.codec,
                            arrow::util::Codec::Create(arrow::Compression::ZSTD));
      *stream = std::make_unique<testing::ClaimingStream>(
          std::make_unique<arrow::flight::RecordBatchStream>(
              std::make_shared<Batches>(1, 2, &over_), options),
          int64_t{1} << 60);
      return arrow::Status::OK();
    }
    const size_t comma = ticket.ticket.find(',');
    if (comma == std::string::npos) {
      return ToFlightStatus(context, arrow::Status::KeyError("no such ticket"));
    }
    const int silent_from = std::stoi(ticket.ticket.substr(comma + 1));
    while (silent_from < 0 && !over_) std::this_thread::sleep_for(milliseconds(5));
    *stream = std::make_unique<arrow::flight::RecordBatchStream>(
        std::make_shared<Batches>(std::stoi(ticket.ticket), silent_from, &over_));
    return arrow::Status::OK();
  }

 private:
  std::atomic<bool> over_{false};
};

class TimedStreamTest : public ::testing::Test {
 protected:
  arrow::Result<std::unique_ptr<TimedStream>> Open(const std::string& ticket,
                                                   milliseconds limit = seconds(20)) {
    return TimedStream::Open(
        pool_.Get("127.0.0.1", static_cast<uint32_t>(server_.port())).ValueOrDie(),
        {ticket}, limit);
  }

  Server server_;
  ClientPool pool_;
};

TEST_F(TimedStreamTest, GivesTheBatchesInOrderToTheEnd) {
  auto stream = Open("20,99").ValueOrDie();
  EXPECT_EQ(stream->schema()->num_fields(), 1);
  for (int64_t i = 0; i < 20; ++i) {
    const auto batch = stream->Next().ValueOrDie();
    ASSERT_NE(batch, nullptr);
    EXPECT_TRUE(batch->Equals(*Batch(i)));
  }
  EXPECT_EQ(stream->Next().ValueOrDie(), nullptr);
  EXPECT_EQ(stream->Next().ValueOrDie(), nullptr);
}

TEST_F(TimedStreamTest, GivesTheServersError) {
  EXPECT_TRUE(Open("nonsense").status().IsKeyError());
}

TEST_F(TimedStreamTest, RefusesAClaimBeyondAllMemory) {
  auto stream = Open("claim").ValueOrDie();
  const auto status = stream->Next().status();
  EXPECT_TRUE(status.IsIOError()) << status.ToString();
  EXPECT_NE(status.message().find("claims 1152921504606846976 bytes"), std::string::npos);
}

TEST_F(TimedStreamTest, ASilentPeerIsGivenUpInTime) {
  const auto start = Clock::now();
  EXPECT_TRUE(IsTransient(Open("5,-1", milliseconds(200)).status()));
  auto stream = Open("5,2", milliseconds(200)).ValueOrDie();
  for (int i = 0; i < 2; ++i) EXPECT_NE(stream->Next().ValueOrDie(), nullptr);
  const auto status = stream->Next().status();
  EXPECT_TRUE(IsTransient(status)) << status.ToString();
  EXPECT_NE(status.message().find("nothing came for 200 ms"), std::string::npos);
  EXPECT_LT(Clock::now() - start, seconds(2));
}

TEST_F(TimedStreamTest, WaitsNoLongerThanItIsWanted) {
  const auto start = Clock::now();
  std::atomic<bool> wanted = true;
  auto stream =
      TimedStream::Open(
          pool_.Get("127.0.0.1", static_cast<uint32_t>(server_.port())).ValueOrDie(),
          {"5,2"}, seconds(20), [&] { return wanted.load(); })
          .ValueOrDie();
  wanted = false;
  for (int i = 0; i < 2; ++i) EXPECT_NE(stream->Next().ValueOrDie(), nullptr);
  EXPECT_TRUE(stream->Next().status().IsCancelled());
  EXPECT_LT(Clock::now() - start, seconds(5));
}

TEST_F(TimedStreamTest, EndsWithoutBeingReadToItsEnd) {
  const auto start = Clock::now();
  { auto stream = Open("1000,999").ValueOrDie(); }
  { EXPECT_NE(Open("1000,999").ValueOrDie()->Next().ValueOrDie(), nullptr); }
  EXPECT_LT(Clock::now() - start, seconds(2));
}

}  // namespace
}  // namespace ballista::flight
