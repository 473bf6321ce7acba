// Settings of the process's malloc for moving batches over gRPC.
#pragma once

namespace ballista::flight {

// gRPC allocates a buffer for each message. With glibc's defaults those of a megabyte are
// mapped, faulted in and unmapped again each time, which costs more than the transfer.
// Keeps them in the heap instead. Call it once at the start of main.
void TuneAllocator();

}  // namespace ballista::flight
