#include "ballista/flight/transport_setup.h"

#include <cstdlib>

namespace ballista::flight {

void SetUpTransport() {
  ::setenv("GRPC_VERBOSITY", "none", 0);
  ::setenv("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener", 0);
}

}  // namespace ballista::flight
