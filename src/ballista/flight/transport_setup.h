// Settings of gRPC, which is below Flight, for this process.
#pragma once

namespace ballista::flight {

// Call it once at the start of main, before there is another thread. What it sets are
// environment variables; those that are set already stay.
//
// GRPC_VERBOSITY: gRPC reports failed handshakes in lines of its own form, one for each
// try of whoever connects. Our errors say the same; info or error brings its lines back.
//
// GRPC_EXPERIMENTS: by default its sockets are read by threads of its own, which wake the
// thread that waits for the call, once for each read. Without these two, that thread
// reads the socket itself: less than half as many context switches in a stream of
// batches, and a small call takes two thirds of the time.
void SetUpTransport();

}  // namespace ballista::flight
