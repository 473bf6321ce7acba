#include "ballista/config/option_spec.h"

#include <algorithm>

namespace ballista::config {

std::string FileKey(const std::string& option) {
  std::string key = option;
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

std::string EnvironmentName(const std::string& option) {
  std::string name = FileKey(option);
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return name;
}

std::string ProgramSpec::environment_prefix() const {
  return "BALLISTA_" + EnvironmentName(name) + "_";
}

const OptionSpec* ProgramSpec::Find(const std::string& option) const {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const auto& spec) { return spec.name == option; });
  return found == options.end() ? nullptr : &*found;
}

}  // namespace ballista::config
