#include "ballista/flight/transport_log.h"

#include <cstdlib>

namespace ballista::flight {

void QuietTransport() {
  ::setenv("GRPC_VERBOSITY", "none", 0);
}

}  // namespace ballista::flight
