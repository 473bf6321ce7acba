#include "ballista/client/shell/shell.h"

#include <fmt/format.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "ballista/client/flight_sql_client.h"
#include "ballista/client/shell/interrupt.h"
#include "ballista/client/shell/repl.h"
#include "ballista/client/shell/shell_options.h"
#include "ballista/client/shell/statement_runner.h"
#include "ballista/flight/transport_setup.h"
#include "ballista/security/credential_file.h"
#include "ballista/security/secrets.h"
#include "ballista/trace/open.h"

namespace ballista::shell {
namespace {

constexpr int kFailure = 1;
constexpr int kUsageError = 2;
constexpr int kInterrupted = 130;

int Fail(const arrow::Status& status, int exit_code) {
  fmt::print(stderr, "Error: {}\n", status.message());
  return exit_code;
}

arrow::Result<std::unique_ptr<Output>> OpenOutput(const ShellOptions& options) {
  if (!options.output.empty()) return Output::File(options.output);
  return Output::StandardOutput();
}

int AddUser(const ShellOptions& options) {
  const auto password = client::ReadPassword("Password of " + options.add_user + ": ");
  if (!password.ok()) return Fail(password.status(), kFailure);
  const auto written =
      security::WritePassword(options.auth_file, options.add_user, *password);
  return written.ok() ? 0 : Fail(written, kFailure);
}

int AddToken(const ShellOptions& options) {
  const auto token = security::NewToken();
  const auto written = security::WriteToken(options.auth_file, options.add_token, token);
  if (!written.ok()) return Fail(written, kFailure);
  fmt::print("{}\n", token);
  return 0;
}

arrow::Result<Format> ChooseFormat(const ShellOptions& options,
                                   const client::Profile& profile) {
  if (options.format) return *options.format;
  return profile.Has("format") ? ParseFormat(profile.Text("format")) : Format::kTable;
}

std::string ServerNames(const client::ClientOptions& connection) {
  std::string names;
  for (const auto& server : connection.servers) {
    names += fmt::format("{}{}:{}", names.empty() ? "" : ",", server.host, server.port);
  }
  return names;
}

int ExitCode(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
    case Outcome::kOutputClosed:
      return 0;
    case Outcome::kInterrupted:
      return kInterrupted;
    case Outcome::kFailed:
      break;
  }
  return kFailure;
}

// -c and -f in their order, or standard input.
int RunScripts(const ShellOptions& options, StatementRunner* runner) {
  auto scripts = options.scripts;
  if (scripts.empty()) scripts.push_back({true, "-"});
  for (const auto& script : scripts) {
    Outcome outcome = Outcome::kDone;
    if (script.is_file) {
      const auto run = runner->RunFile(script.value);
      if (!run.ok()) return Fail(run.status(), kFailure);
      outcome = *run;
    } else {
      outcome = runner->RunScript(script.value, "");
    }
    if (outcome != Outcome::kDone) return ExitCode(outcome);
  }
  return 0;
}

}  // namespace

int RunShell(int argc, const char* const* argv) {
  flight::SetUpTransport();
  ShellOptions options;
  int exit_code = 0;
  if (!ParseShellOptions(argc, argv, &options, &exit_code)) return exit_code;
  if (!options.add_user.empty()) return AddUser(options);
  if (!options.add_token.empty()) return AddToken(options);
  const auto profile = client::Profile::Load(options.connection.profile);
  if (!profile.ok()) return Fail(profile.status(), kUsageError);
  const auto format = ChooseFormat(options, *profile);
  if (!format.ok()) return Fail(format.status(), kUsageError);
  const bool interactive = options.scripts.empty() && isatty(STDIN_FILENO) != 0;
  if (IsBinary(*format) && options.output.empty() && isatty(STDOUT_FILENO) != 0) {
    return Fail(
        arrow::Status::Invalid(fmt::format(
            "--format {} needs --output FILE on a terminal", FormatName(*format))),
        kUsageError);
  }
  const auto exporter =
      trace::OpenExporter(options.otlp_endpoint, "ballista", fmt::format("{}", getpid()));
  if (!exporter.ok()) {
    return Fail(
        exporter.status().WithMessage("--otlp-endpoint: ", exporter.status().message()),
        kUsageError);
  }
  std::setlocale(LC_CTYPE, "");
  // A reader that goes away is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  Interrupt::Install();

  auto warnings = profile->warnings();
  const auto connection =
      client::ResolveConnection(options.connection, *profile, &warnings);
  for (const auto& warning : warnings) fmt::print(stderr, "Warning: {}\n", warning);
  if (!connection.ok()) return Fail(connection.status(), kUsageError);
  auto client = client::FlightSqlClient::Connect(*connection);
  if (!client.ok()) return Fail(client.status(), kFailure);
  auto output = OpenOutput(options);
  if (!output.ok()) return Fail(output.status(), kFailure);
  RunnerOptions runner_options{*format, options.timing, options.progress,
                               options.max_rows};
  runner_options.exporter = *exporter;
  if (const char* parent = std::getenv("TRACEPARENT")) {
    runner_options.traceparent = parent;
  }
  StatementRunner runner(client->get(), runner_options, *std::move(output));

  exit_code = interactive ? RunRepl(ServerNames(*connection), client->get(), &runner)
                          : RunScripts(options, &runner);
  const auto closed = runner.Close();
  if (exit_code == 0 && !closed.ok() && !interactive) {
    exit_code = Fail(closed, kFailure);
  }
  // The session may be gone, or never have been there; nothing is lost.
  (void)(*client)->CloseSession();
  return exit_code;
}

}  // namespace ballista::shell
