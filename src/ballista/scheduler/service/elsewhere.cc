// Queries of other schedulers that share the store: a client may come to any of them with
// its handle. Part of QueryService.
#include <google/protobuf/any.pb.h>

#include <functional>
#include <thread>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/flight/pooled_call.h"
#include "ballista/flight/receive_pool.h"
#include "ballista/flight/status_transport.h"
#include "ballista/scheduler/service/query_service.h"

namespace ballista::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How long a job may have no scheduler that answers for it.
constexpr auto kOwnerless = seconds(60);
constexpr auto kCallTimeout = seconds(5);
constexpr auto kPoll = milliseconds(50);
constexpr auto kRetryDelay = milliseconds(200);

// A result that another scheduler streams to this one. That one keeps it until `done` is
// called, at the end of this one's own stream to the client: until then the client may
// come back for it, whichever of the two ends.
class RemoteReader : public arrow::RecordBatchReader {
 public:
  RemoteReader(std::shared_ptr<arrow::flight::FlightClient> client,
               std::unique_ptr<arrow::flight::FlightStreamReader> stream,
               std::shared_ptr<arrow::Schema> schema,
               std::function<void(bool whole)> done)
      : client_(std::move(client)),
        stream_(std::move(stream)),
        schema_(std::move(schema)),
        done_(std::move(done)) {}
  ~RemoteReader() override {
    stream_->Cancel();
    if (!broken_) done_(at_end_);
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    auto chunk = stream_->Next();
    broken_ = !chunk.ok();
    if (broken_) return flight::FromFlightStatus(chunk.status());
    *batch = chunk->data;
    at_end_ = chunk->data == nullptr;
    return arrow::Status::OK();
  }

 private:
  const std::shared_ptr<arrow::flight::FlightClient> client_;
  const std::unique_ptr<arrow::flight::FlightStreamReader> stream_;
  const std::shared_ptr<arrow::Schema> schema_;
  const std::function<void(bool)> done_;
  bool broken_ = false;
  bool at_end_ = false;
};

// An owner that does not hear of it drops the job in its time.
// `whole`: its rows were sent to the end.
void ReleaseAt(flight::ClientPool* clients, const record::Scheduler& owner,
               const std::string& job_id, bool whole) {
  control::CancelJobRequest request;
  request.set_job_id(job_id);
  (void)flight::CallPeer<control::CancelJobRequest>(
      clients, owner.host(), owner.port(), whole ? "own_job_was_read" : "release_own_job",
      request, kCallTimeout);
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenTicketAt(
    flight::ClientPool* clients, const record::Scheduler& owner, std::string ticket,
    std::function<void(bool whole)> done) {
  ARROW_ASSIGN_OR_RAISE(auto client, clients->Get(owner.host(), owner.port()));
  arrow::flight::FlightCallOptions options;
  options.read_options.memory_pool = flight::ReceivePool();
  auto stream = client->DoGet(options, {std::move(ticket)});
  if (!stream.ok()) return flight::FromFlightStatus(stream.status());
  auto schema = (*stream)->GetSchema();
  if (!schema.ok()) return flight::FromFlightStatus(schema.status());
  return std::make_shared<RemoteReader>(std::move(client), std::move(*stream), *schema,
                                        std::move(done));
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> OpenRemote(
    flight::ClientPool* clients, const record::Scheduler& owner,
    const std::string& job_id) {
  control::ResultTicket ticket;
  ticket.set_job_id(job_id);
  google::protobuf::Any any;
  any.PackFrom(ticket);
  return OpenTicketAt(
      clients, owner, any.SerializeAsString(),
      [clients, owner, job_id](bool whole) { ReleaseAt(clients, owner, job_id, whole); });
}

arrow::Result<profile::QueryProfile> OutlineAt(flight::ClientPool* clients,
                                               const record::Scheduler& owner,
                                               const std::string& job_id) {
  control::JobProfileRequest request;
  request.set_job_id(job_id);
  return flight::CallPeer<profile::QueryProfile>(
      clients, owner.host(), owner.port(), "own_job_profile", request, kCallTimeout);
}

}  // namespace

std::optional<record::Scheduler> QueryService::OwnerOf(const std::string& job_id) {
  if (keeper_ == nullptr || !keeper_->shared()) return std::nullopt;
  const auto found = keeper_->FindJob(job_id);
  if (!found.ok() || found->here) return std::nullopt;
  return found->owner;
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> QueryService::OpenElsewhere(
    const std::string& job_id, const std::function<bool()>& abandoned) {
  auto deadline = std::chrono::steady_clock::now() + kOwnerless;
  while (true) {
    auto own = OpenOwnJob(job_id, abandoned, /*release=*/true);
    if (!own.status().IsKeyError()) return own;
    const auto found = keeper_->FindJob(job_id);
    if (found.ok() && !found->known)
      return arrow::Status::Invalid(own.status().message());
    if (found.ok() && !found->failure.ok()) {
      if (found->owner.has_value()) ReleaseAt(clients_, *found->owner, job_id, false);
      return found->failure;
    }
    if (found.ok() && found->owner.has_value() && !found->here) {
      auto reader = TryOwner(job_id, *found->owner, abandoned, &deadline);
      if (!reader.ok() || *reader != nullptr) return reader;
    }
    if (std::chrono::steady_clock::now() > deadline) {
      ARROW_RETURN_NOT_OK(found.status());
      return arrow::Status::IOError("no scheduler answers for job ", job_id,
                                    ": ask again, or run the query again");
    }
    if (abandoned && abandoned()) {
      return CancelledStatus("nobody waits for job " + job_id + " any more",
                             Cancelled::CLIENT);
    }
    std::this_thread::sleep_for(kRetryDelay);
  }
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> QueryService::TryOwner(
    const std::string& job_id, const record::Scheduler& owner,
    const std::function<bool()>& abandoned,
    std::chrono::steady_clock::time_point* deadline) {
  while (true) {
    const auto outline = OutlineAt(clients_, owner, job_id);
    if (!outline.ok()) return nullptr;
    const profile::JobState state = outline->job().state();
    if (state == profile::JOB_STATE_UNKNOWN) return nullptr;
    *deadline = std::chrono::steady_clock::now() + kOwnerless;
    if (abandoned && abandoned()) {
      CancelElsewhere(job_id);
      return CancelledStatus("nobody waits for job " + job_id + " any more",
                             Cancelled::CLIENT);
    }
    if (state != profile::JOB_STATE_QUEUED && state != profile::JOB_STATE_RUNNING) break;
    std::this_thread::sleep_for(kPoll);
  }
  auto reader = OpenRemote(clients_, owner, job_id);
  if (!reader.ok() &&
      (reader.status().IsKeyError() || flight::IsTransient(reader.status()))) {
    return nullptr;
  }
  return reader;
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> QueryService::OpenPartElsewhere(
    const std::string& job_id, const std::string& ticket) {
  const auto owner = OwnerOf(job_id);
  if (!owner) return arrow::Status::Invalid(JobService::NoSuchJob(job_id).message());
  // That one hears how its own stream ends.
  return OpenTicketAt(clients_, *owner, ticket, [](bool) {});
}

profile::QueryProfile QueryService::Outline(const std::string& job_id) {
  auto outline = jobs_->Outline(job_id);
  if (outline.job().state() != profile::JOB_STATE_UNKNOWN) return outline;
  if (const auto owner = OwnerOf(job_id)) {
    auto there = OutlineAt(clients_, *owner, job_id);
    if (there.ok()) return *std::move(there);
  }
  return outline;
}

bool QueryService::CancelElsewhere(const std::string& job_id) {
  const auto owner = OwnerOf(job_id);
  if (!owner) return false;
  control::CancelJobRequest request;
  request.set_job_id(job_id);
  return flight::CallPeer<control::CancelJobRequest>(clients_, owner->host(),
                                                     owner->port(), "cancel_own_job",
                                                     request, kCallTimeout)
      .ok();
}

void QueryService::Release(const std::string& job_id, bool whole) {
  if (jobs_->Knows(job_id) || !jobs_->HasMoved(job_id)) {
    whole ? jobs_->ReleaseRead(job_id) : jobs_->Release(job_id);
    return DropHolds();
  }
  // Its rows have been read here; whoever has it now need keep it no longer.
  if (const auto owner = OwnerOf(job_id)) ReleaseAt(clients_, *owner, job_id, whole);
}

}  // namespace ballista::scheduler
