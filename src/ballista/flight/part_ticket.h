// Tickets for one part of a query's result, which its client reads from the executor that
// keeps it, or from the scheduler.
//
// A ticket is sealed with the job's key: whoever shows it may read that part, and nobody
// can make one for another part. The key is random, made with the job; it travels to the
// executors with the job's tasks, as a setting of its graph, and is forgotten with the
// job. Thread-safe: no function here has state.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <optional>
#include <string>

#include "ballista/control.pb.h"
#include "ballista/job.pb.h"

namespace ballista::flight {

// The setting of a job's graph that holds its key.
inline constexpr const char* kResultKeySetting = "ballista.result_key";

// Of a job's graph or of one of its stages; empty: its results are read through the
// scheduler alone.
std::string FindResultKey(
    const google::protobuf::RepeatedPtrField<plan::Setting>& settings);

// The bytes of a Flight ticket, a ResultPartTicket packed in an Any. Clients tell nobody
// when they have a ticket: it is good for as long as a result may wait for its reader.
std::string SealPart(
    control::ResultPartRange part, const std::string& key,
    std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

// Whether the bytes claim to be such a ticket; else they are one of another kind.
bool IsPartTicket(const std::string& ticket);

struct SealedPart {
  control::ResultPartRange part;  // what the ticket says, of which nothing is proved yet
  control::ResultPartTicket ticket;
};
// Errors: Invalid for what cannot be such a ticket.
arrow::Result<SealedPart> ParsePart(const std::string& ticket);

// Errors: Invalid, one sentence for the client, where the ticket was not sealed with this
// key, or has expired. An empty key has sealed nothing.
arrow::Status CheckSeal(
    const SealedPart& sealed, const std::string& key,
    std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

}  // namespace ballista::flight
