// A DoGet whose waits for the peer are timed.
//
// Flight's own stream cannot be interrupted while it opens, and its reader has no time
// limit but one of the whole call, which a long result would exceed. Here a thread of the
// stream's own does both, and reads a little ahead.
#pragma once

#include <arrow/flight/client.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace ballista::flight {

// Not thread-safe. The destructor ends the call; where the peer does not even answer, a
// thread is left that ends with the connection.
class TimedStream {
 public:
  // Waits for the schema. Errors: the server's, typed; a transport error; TimedOut of
  // Flight (IsTransient) where nothing came for `limit`, here and in Next. `wanted` (may
  // be empty) is asked now and then, while it waits here or in Next; once it says false
  // the wait ends with Cancelled.
  static arrow::Result<std::unique_ptr<TimedStream>> Open(
      std::shared_ptr<arrow::flight::FlightClient> client, arrow::flight::Ticket ticket,
      std::chrono::milliseconds limit, std::function<bool()> wanted = {});
  ~TimedStream();
  TimedStream(const TimedStream&) = delete;
  TimedStream& operator=(const TimedStream&) = delete;

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

  // Null at the end.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next();

 private:
  struct State;
  TimedStream(std::shared_ptr<State> state, std::chrono::milliseconds limit,
              std::function<bool()> wanted);
  // Until `ready`. Errors: TimedOut, Cancelled.
  template <typename Ready>
  arrow::Status Wait(std::unique_lock<std::mutex>* lock, Ready&& ready);

  const std::shared_ptr<State> state_;
  const std::chrono::milliseconds limit_;
  const std::function<bool()> wanted_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace ballista::flight
