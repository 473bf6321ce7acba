// What a Flight server's errors mean to a client.
#pragma once

#include <arrow/status.h>

namespace ballista::client {

// The Status that the server meant: its code, message and ErrorDetail where it sent them,
// else the message without the transport's wrapping.
arrow::Status FromServerError(const arrow::Status& status);

// Whether nobody answered: the server is not there, or cannot be reached in time.
bool IsUnreachable(const arrow::Status& status);

// Whether the connection broke, or nobody answered: the server may be gone.
bool LostServer(const arrow::Status& status);

// Whether the server did not take the credentials, or wants some.
bool IsRefused(const arrow::Status& status);

}  // namespace ballista::client
