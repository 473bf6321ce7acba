#include "ballista/client/shell/repl.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "ballista/base/version.h"
#include "ballista/client/shell/completion.h"
#include "ballista/client/shell/interrupt.h"
#include "ballista/client/shell/line_editor.h"
#include "ballista/client/shell/meta_command.h"
#include "ballista/client/statement_splitter.h"

namespace ballista::shell {
namespace {

constexpr std::string_view kPrompt = "ballista> ";
constexpr std::string_view kContinuation = "      -> ";

std::string HistoryFile() {
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : std::string(home) + "/.ballista_history";
}

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t;") - begin + 1);
}

class Repl {
 public:
  Repl(std::string servers, client::FlightSqlClient* client, StatementRunner* runner)
      : servers_(std::move(servers)),
        runner_(runner),
        names_(client),
        commands_(client, runner),
        editor_(HistoryFile(), [this](std::string_view line, size_t word_begin) {
          return CompleteWord(line, word_begin, names_.Get());
        }) {}

  int Run() {
    fmt::print("ballista {}, connected to {}. \\? for help, \\q to leave.\n", kVersion,
               servers_);
    std::fflush(stdout);
    while (true) {
      std::string line;
      switch (editor_.Read(input_.empty() ? kPrompt : kContinuation, &line)) {
        case LineEditor::Event::kInterrupt:
          input_.clear();
          std::puts("^C");
          continue;
        case LineEditor::Event::kEnd:
          std::puts("");
          return 0;
        case LineEditor::Event::kLine:
          break;
      }
      if (!TakeLine(line)) return 0;
    }
  }

 private:
  // False to leave.
  bool TakeLine(const std::string& line) {
    if (input_.empty()) {
      const auto command = Trim(line);
      if (command == "quit" || command == "exit") return false;
      if (!command.empty() && command.front() == '\\') {
        editor_.AddHistory(line);
        return commands_.Run(command) == MetaCommands::Result::kGoOn;
      }
    }
    // Nothing is open yet, and nothing opens.
    if (input_.empty() && client::SplitStatements(line).empty() &&
        !client::NeedsMoreInput(line)) {
      return true;
    }
    input_ += input_.empty() ? line : "\n" + line;
    if (client::NeedsMoreInput(input_)) return true;
    const std::string script = std::move(input_);
    input_.clear();
    editor_.AddHistory(client::JoinLines(script));
    Interrupt::Take();
    for (const auto& statement : client::SplitStatements(script)) {
      const Outcome outcome = runner_->Run({statement.text, "", 1});
      const std::string keyword = client::FirstKeyword(statement.text);
      if (keyword != "SELECT") names_.Invalidate();
      if (outcome != Outcome::kDone) break;
    }
    return true;
  }

  const std::string servers_;
  StatementRunner* const runner_;
  SchemaCache names_;
  MetaCommands commands_;
  LineEditor editor_;
  std::string input_;  // of the statement under way
};

}  // namespace

int RunRepl(std::string servers, client::FlightSqlClient* client,
            StatementRunner* runner) {
  return Repl(std::move(servers), client, runner).Run();
}

}  // namespace ballista::shell
