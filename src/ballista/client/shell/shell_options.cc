#include "ballista/client/shell/shell_options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "ballista/base/version.h"

namespace ballista::shell {
namespace {

constexpr int kUsageError = 2;

constexpr const char* kFooter =
    "\nWithout -c and -f, SQL is read from standard input: with an editor and history "
    "where "
    "that is a terminal (\\? shows its commands), else as one script.\n"
    "Exit code: 0, 1 after a failed statement (the rest is not run), 2 for a wrong "
    "command "
    "line.";

}  // namespace

bool ParseShellOptions(int argc, const char* const* argv, ShellOptions* options,
                       int* exit_code) {
  CLI::App app{"Runs SQL on a Ballista cluster.", "ballista"};
  // An option given again counts as given last.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_version_flag("-V,--version", std::string("ballista ") + kVersion,
                       "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  client::DeclareConnectionOptions(&app, &options->connection, true);
  auto* add_user =
      app.add_option("--add-user", options->add_user,
                     "Put the user with a password, asked for or read from standard "
                     "input, into --auth-file and exit")
          ->type_name("NAME");
  auto* add_token =
      app.add_option("--add-token", options->add_token,
                     "Put a new token of the user into --auth-file, print it and exit")
          ->type_name("NAME")
          ->excludes(add_user);
  auto* auth_file = app.add_option("--auth-file", options->auth_file,
                                   "The scheduler's file of users, for --add-...")
                        ->type_name("FILE");
  add_user->needs(auth_file);
  add_token->needs(auth_file);
  std::vector<std::string> commands;
  std::vector<std::string> files;
  auto* command_option = app.add_option("-c,--command", commands,
                                        "Run these statements and exit; may be repeated")
                             ->type_name("SQL");
  auto* file_option =
      app.add_option("-f,--file", files,
                     "Run the statements of a file and exit; may be repeated; - is "
                     "standard input")
          ->type_name("FILE");
  for (auto* option : {command_option, file_option}) {
    option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  std::string format;
  app.add_option("--format", format, "table, csv, json, parquet or arrow")
      ->envname("BALLISTA_FORMAT")
      ->type_name("FORMAT")
      ->default_str(std::string(FormatName(Format::kTable)));
  app.add_option("-o,--output", options->output, "Write results to a file")
      ->type_name("FILE");
  app.add_option("--maxrows", options->max_rows,
                 "Rows that a table shows on a terminal at most; 0 for all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_flag("--timing", options->timing,
               "Print the times of each statement on standard error");
  app.add_option("--otlp-endpoint", options->otlp_endpoint,
                 "URL of an OpenTelemetry collector that gets a span of each statement "
                 "by OTLP over HTTP, such as http://localhost:4318")
      ->envname("BALLISTA_OTLP_ENDPOINT")
      ->type_name("URL");
  bool no_progress = false;
  app.add_flag("--no-progress", no_progress, "Show no progress bar");
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError& error) {
    std::cerr << "ballista: " << client::WithoutValue(error.what()) << '\n';
    *exit_code = kUsageError;
    return false;
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? 0 : kUsageError;
    return false;
  }
  // -c and -f run in the order in which they stand.
  size_t next_command = 0;
  size_t next_file = 0;
  for (const CLI::Option* option : app.parse_order()) {
    if (option == command_option && next_command < commands.size()) {
      options->scripts.push_back({false, commands[next_command++]});
    } else if (option == file_option && next_file < files.size()) {
      options->scripts.push_back({true, files[next_file++]});
    }
  }
  options->progress = !no_progress;
  if (format.empty()) return true;
  const auto parsed = ParseFormat(format);
  if (!parsed.ok()) {
    std::cerr << "ballista: --format: " << parsed.status().message() << '\n';
    *exit_code = kUsageError;
    return false;
  }
  options->format = *parsed;
  return true;
}

}  // namespace ballista::shell
