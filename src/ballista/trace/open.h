// The exporter of a process, as its options and its environment say.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>

#include "ballista/trace/exporter.h"

namespace ballista::trace {

// Null where `endpoint` is empty. The headers are those of OTEL_EXPORTER_OTLP_HEADERS.
// Errors: Invalid, half a sentence, for an endpoint or headers that cannot be.
arrow::Result<std::shared_ptr<Exporter>> OpenExporter(const std::string& endpoint,
                                                      const std::string& service,
                                                      const std::string& instance);

}  // namespace ballista::trace
