#include "ballista/config/settings.h"

#include <fmt/format.h>

#include <filesystem>

#include "ballista/base/machine_resources.h"
#include "ballista/config/sources.h"

namespace ballista::config {
namespace {

using arrow::Status;

Status BadValue(const std::string& option, const std::string& source,
                const std::string& spelling, const std::string& text,
                std::string_view reason) {
  // The source of an environment variable names the option already.
  const bool named = spelling.empty() && source != "default";
  const std::string whose =
      named ? "" : fmt::format(" for {}", spelling.empty() ? "--" + option : spelling);
  return Status::Invalid(
      fmt::format("{}: bad value \"{}\"{}: {}", source, text, whose, reason));
}

// Messages quote what was given, which may hold any byte.
std::string OneLine(const std::string& message) {
  std::string line;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

// Whether the file of the lowest level is there. One that is there and cannot be read is
// an error later on, and not ignored.
bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

}  // namespace

const std::string& Settings::Text(const std::string& option) const {
  return std::get<std::string>(settings_.at(option).value);
}

uint64_t Settings::Number(const std::string& option) const {
  return std::get<uint64_t>(settings_.at(option).value);
}

std::chrono::milliseconds Settings::Duration(const std::string& option) const {
  return std::chrono::milliseconds(static_cast<int64_t>(Number(option)));
}

bool Settings::Flag(const std::string& option) const {
  return std::get<bool>(settings_.at(option).value);
}

const std::string& Settings::Source(const std::string& option) const {
  return settings_.at(option).source;
}

Status Settings::Refuse(const std::string& option, std::string_view reason) const {
  const auto& setting = settings_.at(option);
  return BadValue(option, setting.source, setting.spelling, setting.text, reason);
}

// Merges the levels and turns texts into values.
class Resolver {
 public:
  Resolver(const ProgramSpec& program, const Input& input)
      : program_(program), input_(input) {}

  arrow::Result<Resolution> Run() {
    ARROW_ASSIGN_OR_RAISE(auto command_line, ReadCommandLine(program_, input_.arguments));
    Resolution out;
    out.message = std::move(command_line.message);
    if (!out.message.empty()) return out;
    SetDefaults();
    const auto default_file =
        input_.default_file.empty() ? program_.default_file() : input_.default_file;
    if (Exists(default_file)) {
      ARROW_ASSIGN_OR_RAISE(auto file, ReadFile(program_, default_file));
      Overlay(std::move(file));
    }
    ARROW_ASSIGN_OR_RAISE(auto environment,
                          ReadEnvironment(program_, input_.environment));
    Overlay(std::move(environment));
    // --config-file may itself come from the environment or the command line.
    const auto named = command_line.values.find("config-file");
    const auto& path = named == command_line.values.end() ? values_.at("config-file").text
                                                          : named->second.text;
    if (!path.empty()) {
      ARROW_ASSIGN_OR_RAISE(auto file, ReadFile(program_, path));
      Overlay(std::move(file));
    }
    Overlay(std::move(command_line.values));
    ARROW_RETURN_NOT_OK(Parse());
    out.settings = std::move(settings_);
    return out;
  }

  // From `values` alone.
  arrow::Result<Settings> RunOn(SourceValues values) {
    SetDefaults();
    Overlay(std::move(values));
    ARROW_RETURN_NOT_OK(Parse());
    return std::move(settings_);
  }

 private:
  void SetDefaults() {
    for (const auto& spec : program_.options) {
      values_[spec.name] = {spec.default_value, "default", ""};
    }
  }

  void Overlay(SourceValues above) {
    for (auto& [option, value] : above) values_[option] = std::move(value);
  }

  uint64_t Whole(const OptionSpec& spec) const {
    if (spec.share_of.empty()) return 0;
    return spec.share_of == "machine" ? input_.available_memory
                                      : settings_.Number(spec.share_of);
  }

  // Bounds that are another option's value.
  Status CheckBounds(const OptionSpec& spec) const {
    if (!spec.at_most.empty() &&
        settings_.Number(spec.name) > settings_.Number(spec.at_most)) {
      return settings_.Refuse(spec.name, fmt::format("expected at most {}, which is {}",
                                                     spec.at_most, Show(spec.at_most)));
    }
    if (!spec.more_than.empty() &&
        settings_.Number(spec.name) <= settings_.Number(spec.more_than)) {
      return settings_.Refuse(
          spec.name, fmt::format("expected more than {}, which is {}", spec.more_than,
                                 Show(spec.more_than)));
    }
    return Status::OK();
  }

  std::string Show(const std::string& option) const {
    const auto number = settings_.Number(option);
    switch (program_.Find(option)->type) {
      case OptionType::kBytes:
        return FormatBytes(number);
      case OptionType::kDuration:
        return FormatDuration(settings_.Duration(option));
      default:
        return std::to_string(number);
    }
  }

  Status Parse() {
    for (const auto& spec : program_.options) {
      const auto& given = values_.at(spec.name);
      const auto value = ParseOptionValue(spec, given.text, Whole(spec));
      if (!value.ok()) {
        return BadValue(spec.name, given.source, given.spelling, given.text,
                        value.status().message());
      }
      settings_.settings_[spec.name] = {*value, given.text, given.source, given.spelling};
      ARROW_RETURN_NOT_OK(CheckBounds(spec));
    }
    return Status::OK();
  }

  const ProgramSpec& program_;
  const Input& input_;
  SourceValues values_;
  Settings settings_;
};

arrow::Result<Resolution> Resolve(const ProgramSpec& program, const Input& input) {
  auto resolution = Resolver(program, input).Run();
  if (resolution.ok()) return resolution;
  return resolution.status().WithMessage(OneLine(resolution.status().message()));
}

arrow::Result<std::optional<Settings>> ReadSection(const ProgramSpec& program,
                                                   const std::string& path,
                                                   const std::string& section,
                                                   std::vector<std::string>* known) {
  auto values = ReadFileSection(program, path, section, known);
  if (!values.ok()) {
    return values.status().WithMessage(OneLine(values.status().message()));
  }
  if (!*values) return std::nullopt;
  const Input nothing;
  auto settings = Resolver(program, nothing).RunOn(std::move(**values));
  if (settings.ok()) return std::optional<Settings>(*std::move(settings));
  return settings.status().WithMessage(OneLine(settings.status().message()));
}

Input ProcessInput(int argc, const char* const* argv, const char* const* environment) {
  Input input;
  for (int i = 1; i < argc; ++i) input.arguments.emplace_back(argv[i]);
  for (auto* variable = environment; variable != nullptr && *variable != nullptr;
       ++variable) {
    const std::string text = *variable;
    const size_t equals = text.find('=');
    if (equals == std::string::npos) continue;
    input.environment.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  input.available_memory = AvailableMemory();
  return input;
}

}  // namespace ballista::config
