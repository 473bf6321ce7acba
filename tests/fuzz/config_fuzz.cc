// Options from a TOML file, a command line and the environment: values, or one sentence.
// The first byte chooses program and place; arguments and variables are lines.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/config/config.h"

namespace ballista::config {
namespace {

template <typename Config>
void Try(const Input& input) {
  const auto parsed = Parse<Config>(input);
  if (parsed.ok()) {
    if (parsed->message.empty()) (void)ToString(parsed->config);
    return;
  }
  const auto message = parsed.status().message();
  if (message.empty() || message.find('\n') != std::string::npos) std::abort();
}

void Run(unsigned choice, const std::string& text) {
  Input input;
  input.default_file = "/dev/null";
  input.available_memory = uint64_t{16} << 30;
  if (choice % 3 == 0) {
    const char* folder = std::getenv("FUZZ_FOLDER");
    input.default_file =
        std::string(folder == nullptr ? "/tmp" : folder) + "/config_fuzz.toml";
    std::ofstream(input.default_file, std::ios::binary) << text;
  } else {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (choice % 3 == 1) {
        // The file of another place is not this target's input.
        if (line.find("config-file") == std::string::npos)
          input.arguments.push_back(line);
        continue;
      }
      const size_t equals = line.find('=');
      if (equals == std::string::npos || line.find("CONFIG_FILE") != std::string::npos) {
        continue;
      }
      input.environment.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  if (choice / 3 % 2 == 0) {
    Try<SchedulerConfig>(input);
  } else {
    Try<ExecutorConfig>(input);
  }
}

}  // namespace
}  // namespace ballista::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ballista::config::Run(data[0], {reinterpret_cast<const char*>(data + 1), size - 1});
  return 0;
}
