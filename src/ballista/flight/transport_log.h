// What the transport below Flight writes on standard error by itself.
#pragma once

namespace ballista::flight {

// gRPC reports failed handshakes in lines of its own form, one for each try of whoever
// connects. Our errors say the same; the environment variable GRPC_VERBOSITY (info,
// error) brings its lines back. Call it once at the start of main.
void QuietTransport();

}  // namespace ballista::flight
