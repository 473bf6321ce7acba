#include "ballista/trace/open.h"

#include <cstdlib>

namespace ballista::trace {

arrow::Result<std::shared_ptr<Exporter>> OpenExporter(const std::string& endpoint,
                                                      const std::string& service,
                                                      const std::string& instance) {
  if (endpoint.empty()) return nullptr;
  const char* headers = std::getenv("OTEL_EXPORTER_OTLP_HEADERS");
  ExporterOptions options{.endpoint = endpoint,
                          .service = service,
                          .instance = instance,
                          .headers = headers == nullptr ? "" : headers};
  ARROW_ASSIGN_OR_RAISE(auto exporter, Exporter::Make(std::move(options)));
  return std::shared_ptr<Exporter>(std::move(exporter));
}

}  // namespace ballista::trace
