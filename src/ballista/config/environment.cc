#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ballista/base/nearest_name.h"
#include "ballista/config/sources.h"

namespace ballista::config {
namespace {

constexpr std::string_view kServiceHost = "_SERVICE_HOST";

// Kubernetes sets, for each service NAME of a namespace, NAME_SERVICE_HOST,
// NAME_SERVICE_PORT..., NAME_PORT=tcp://... and NAME_PORT_80_TCP...: a service called
// ballista-scheduler would otherwise be taken for the scheduler's options.
class ServiceVariables {
 public:
  explicit ServiceVariables(
      const std::vector<std::pair<std::string, std::string>>& environment) {
    for (const auto& [name, value] : environment) {
      if (name.ends_with(kServiceHost)) {
        services_.insert(name.substr(0, name.size() - kServiceHost.size()));
      }
    }
  }

  bool Contains(const std::string& name, const std::string& value) const {
    return std::any_of(services_.begin(), services_.end(), [&](const auto& service) {
      if (!name.starts_with(service)) return false;
      const auto rest = std::string_view(name).substr(service.size());
      const bool numbered_port = rest.starts_with("_PORT_") && rest.size() > 6 &&
                                 rest[6] >= '0' && rest[6] <= '9';
      const bool address = rest == "_PORT" && value.find("://") != std::string::npos;
      return rest == kServiceHost || rest == "_SERVICE_PORT" ||
             rest.starts_with("_SERVICE_PORT_") || numbered_port || address;
    });
  }

 private:
  std::set<std::string> services_;
};

}  // namespace

arrow::Result<SourceValues> ReadEnvironment(
    const ProgramSpec& program,
    const std::vector<std::pair<std::string, std::string>>& environment) {
  const std::string prefix = program.environment_prefix();
  const ServiceVariables services(environment);
  SourceValues values;
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(prefix) || services.Contains(name, value)) continue;
    std::vector<std::string> known;
    for (const auto& spec : program.options) {
      known.push_back(prefix + EnvironmentName(spec.name));
    }
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      return arrow::Status::Invalid(
          fmt::format("environment variable {}: no such option of the {}; the nearest "
                      "known one is {}",
                      name, program.name, NearestName(name, known)));
    }
    const auto& spec = program.options[static_cast<size_t>(found - known.begin())];
    values[spec.name] = {value, "environment variable " + name, ""};
  }
  return values;
}

}  // namespace ballista::config
