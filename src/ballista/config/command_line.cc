#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>

#include "ballista/base/nearest_name.h"
#include "ballista/base/version.h"
#include "ballista/config/sources.h"

namespace ballista::config {
namespace {

using arrow::Status;

// What --help shows in the place of a value.
std::string Placeholder(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kNumber:
      return spec.name.ends_with("port") ? "PORT" : "N";
    case OptionType::kBytes:
      return "SIZE";
    case OptionType::kDuration:
      return "TIME";
    case OptionType::kEnum:
      return fmt::format("{}", fmt::join(spec.values, "|"));
    case OptionType::kPath:
      return "PATH";
    case OptionType::kString:
      return spec.name.ends_with("host") ? "HOST" : "TEXT";
    case OptionType::kBool:
      break;
  }
  return "";
}

// Text in lines of at most `width` bytes, broken between words.
std::string Wrap(const std::string& text, size_t width) {
  std::istringstream words(text);
  std::string out;
  size_t column = 0;
  for (std::string word; words >> word;) {
    const bool breaks = column > 0 && column + 1 + word.size() > width;
    if (column > 0) out += breaks ? '\n' : ' ';
    column = breaks || column == 0 ? word.size() : column + 1 + word.size();
    out += word;
  }
  return out;
}

std::string Description(const OptionSpec& spec) {
  std::string text = spec.doc;
  if (spec.type != OptionType::kBool) {
    text += " Default: " +
            (spec.default_text.empty() ? spec.default_value : spec.default_text);
    if (spec.default_text.empty() && !spec.share_of.empty()) {
      text += spec.share_of == "machine" ? " of the available memory"
                                         : " of " + spec.share_of;
    }
    text += ".";
  }
  constexpr size_t kWidth = 60;
  return Wrap(text, kWidth);
}

CLI::Option* Declare(const OptionSpec& spec, CLI::App* app) {
  const std::string flag = "--" + spec.name;
  const auto description = Description(spec);
  if (spec.type == OptionType::kBool) {
    return app->add_flag(flag)->description(description);
  }
  auto* option = app->add_option(flag)->description(description);
  option->type_name(Placeholder(spec));
  // One value an occurrence; that there is one occurrence alone is checked below, for a
  // message of our own.
  option->type_size(1)->expected(1);
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return option;
}

Status UnknownArgument(const ProgramSpec& program, const std::string& argument) {
  if (!argument.starts_with('-') || argument == "-" || argument == "--") {
    return Status::Invalid(fmt::format(
        "command line: unexpected argument \"{}\"; {} takes options alone, see --help",
        argument, program.name));
  }
  const std::string flag = argument.substr(0, argument.find('='));
  std::vector<std::string> known = {"--help", "--version"};
  for (const auto& spec : program.options) known.push_back("--" + spec.name);
  return Status::Invalid(
      fmt::format("command line: unknown option {}; the nearest known one is {}", flag,
                  NearestName(flag, known)));
}

std::string Footer(const ProgramSpec& program) {
  return fmt::format(
      "Each option is also a key of a TOML file, with underscores, and an environment\n"
      "variable ({}...). Later ones win: {},\n"
      "environment, --config-file, command line.",
      program.environment_prefix(), program.default_file());
}

// `--option=value` as two arguments, so that an empty value and one that looks like an
// option arrive whole. Flags stay as they are.
arrow::Result<std::vector<std::string>> SplitValues(
    const ProgramSpec& program, const std::vector<std::string>& arguments) {
  const auto known = [&](const std::string& argument) -> const OptionSpec* {
    const auto name = argument.substr(0, argument.find('='));
    return name.starts_with("--") ? program.Find(name.substr(2)) : nullptr;
  };
  std::vector<std::string> split;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto* spec = known(arguments[i]);
    const size_t equals = arguments[i].find('=');
    if (spec == nullptr || spec->type == OptionType::kBool) {
      split.push_back(arguments[i]);
    } else if (equals != std::string::npos) {
      split.insert(split.end(),
                   {arguments[i].substr(0, equals), arguments[i].substr(equals + 1)});
    } else if (i + 1 == arguments.size() || known(arguments[i + 1]) != nullptr) {
      return Status::Invalid(fmt::format("command line: {} needs a value", arguments[i]));
    } else {
      split.insert(split.end(), {arguments[i], arguments[i + 1]});
      ++i;
    }
  }
  return split;
}

// The option's text; nothing where it was not given.
arrow::Result<std::vector<std::string>> Given(const OptionSpec& spec,
                                              const CLI::Option& option) {
  if (option.count() == 0) return std::vector<std::string>{};
  if (option.count() > 1) {
    return Status::Invalid(
        fmt::format("command line: --{} is given more than once", spec.name));
  }
  return std::vector<std::string>{option.results().front()};
}

}  // namespace

arrow::Result<CommandLine> ReadCommandLine(const ProgramSpec& program,
                                           const std::vector<std::string>& arguments) {
  ARROW_ASSIGN_OR_RAISE(auto split, SplitValues(program, arguments));
  std::reverse(split.begin(), split.end());
  CLI::App app(program.about, program.name);
  const std::string version = fmt::format("Ballista v{} {}", kVersion, program.title);
  app.set_help_flag("-h,--help", "Shows this text and ends.");
  app.set_version_flag("--version", version, "Shows the version and ends.");
  app.footer(Footer(program));
  app.allow_extras();
  std::vector<CLI::Option*> options;
  for (const auto& spec : program.options) options.push_back(Declare(spec, &app));

  CommandLine out;
  try {
    // CLI11 takes the arguments last first.
    app.parse(std::move(split));
  } catch (const CLI::CallForHelp&) {
    out.message = app.help();
    return out;
  } catch (const CLI::CallForVersion&) {
    out.message = version + "\n";
    return out;
  } catch (const CLI::ParseError& error) {
    return Status::Invalid(fmt::format("command line: {}", error.what()));
  }
  const auto unknown = app.remaining();
  if (!unknown.empty()) return UnknownArgument(program, unknown.front());
  for (size_t i = 0; i < options.size(); ++i) {
    const auto& spec = program.options[i];
    ARROW_ASSIGN_OR_RAISE(const auto given, Given(spec, *options[i]));
    for (const auto& text : given) {
      out.values[spec.name] = {text, "command line", "--" + spec.name};
    }
  }
  return out;
}

}  // namespace ballista::config
