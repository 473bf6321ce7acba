// Serves the outputs of a ShuffleStore to other processes: the DoGet of an executor.
//
// A ticket is a FetchTicket (control.proto); the stream has the outputs' schema, also
// when there is no row. Batches are about 1 MB, in the fixed order of OutputReader,
// compressed as the store is configured. Errors are typed, before and within the stream:
// FetchFailed (which output), VersionMismatch, Invalid.
#pragma once

#include <arrow/flight/server.h>

#include <functional>
#include <memory>
#include <string>

#include "ballista/shuffle/shuffle_store.h"

namespace ballista::shuffle {

// In the schema of a stream of a range of keys: the number of rows that will come, in
// decimal.
inline constexpr const char* kRowsMetadata = "ballista.rows";

// For FlightServerBase::DoGet. Thread-safe; the stream is the call's.
arrow::Status ServeFetch(ShuffleStore* store,
                         const arrow::flight::ServerCallContext& context,
                         const arrow::flight::Ticket& ticket,
                         std::unique_ptr<arrow::flight::FlightDataStream>* stream);

// Is told how far a client is with a part of a result; from the call's thread.
using PartWatch = std::function<void(control::PartReading::State)>;

// The same for one output as a stock client takes it: not compressed, and cut into
// messages that are not too large for it (flight/bounded_batches.h). `watch` hears that
// the client reads, once a minute as long as it takes rows, and how that ended. Errors:
// as of ShuffleStore::Read, not in Flight's form yet.
arrow::Status ServePart(ShuffleStore* store,
                        const arrow::flight::ServerCallContext& context,
                        const std::string& job_id, const control::OutputRange& output,
                        PartWatch watch,
                        std::unique_ptr<arrow::flight::FlightDataStream>* stream);

}  // namespace ballista::shuffle
