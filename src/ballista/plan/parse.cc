#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include <limits>

#include "ballista/base/status.h"
#include "ballista/plan/plan.h"

namespace ballista::plan {

arrow::Status ParseMessage(std::string_view bytes,
                           google::protobuf::MessageLite* message) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return arrow::Status::CapacityError("a message of ", bytes.size(),
                                        " bytes is over the limit of 2 GiB");
  }
  // The error returned says what is wrong; protobuf would also write to standard error.
  const google::protobuf::LogSilencer silence;
  google::protobuf::io::CodedInputStream input(
      reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  // A node or an expression takes at most three levels of messages.
  input.SetRecursionLimit(3 * kMaxDepth + 100);
  if (!message->MergeFromCodedStream(&input) || !input.ConsumedEntireMessage()) {
    return arrow::Status::SerializationError(
        "the bytes received are no ", message->GetTypeName(), " (", bytes.size(),
        " bytes): the peer may be of another version, or the data is damaged");
  }
  return arrow::Status::OK();
}

}  // namespace ballista::plan
