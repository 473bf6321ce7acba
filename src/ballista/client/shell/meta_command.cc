#include "ballista/client/shell/meta_command.h"

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/type.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdio>

#include "ballista/client/shell/progress_text.h"

namespace ballista::shell {
namespace {

constexpr const char* kHelp =
    R"(Statements end with ; and may take several lines. Ctrl-C cancels a running statement.
  \d, \dt        tables and views       \d NAME        columns of a table
  \executors     executors of the cluster
  \timing [on|off]                      print the times of each statement
  \format [table|csv|json|parquet|arrow]
  \maxrows N     rows that a table shows on a terminal, 0 for all
  \o [FILE]      write results to FILE, or to the terminal again
  \i FILE        run the statements of a file
  \?             this help              \q, quit, exit leave
)";

// An SQL string literal.
std::string Literal(std::string_view text) {
  std::string literal = "'";
  for (const char c : text) {
    if (c == '\'') literal += c;
    literal += c;
  }
  return literal + "'";
}

void Complain(std::string_view message) {
  fmt::print(stderr, "Error: {}\n", message);
}

}  // namespace

std::vector<std::string> SplitWords(std::string_view line) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (const char c : line) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        words.back() += c;
      }
      continue;
    }
    if (c == ' ' || c == '\t') {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c == '\'' || c == '"') {
      quote = c;
    } else {
      words.back() += c;
    }
  }
  return words;
}

MetaCommands::Result MetaCommands::Run(std::string_view line) {
  const auto words = SplitWords(line);
  const std::string& command = words.front();
  if (command == "\\q") return Result::kLeave;
  if (command == "\\?" || command == "\\h" || command == "\\help") {
    std::fputs(kHelp, stdout);
  } else if (command == "\\d" || command == "\\dt") {
    Describe(words);
  } else if (command == "\\timing") {
    SetTiming(words);
  } else if (command == "\\format") {
    SetFormat(words);
  } else if (command == "\\maxrows") {
    SetMaxRows(words);
  } else if (command == "\\o") {
    SetOutput(words);
  } else if (command == "\\i") {
    RunFile(words);
  } else if (command == "\\executors") {
    ListExecutors();
  } else {
    Complain(fmt::format("unknown command {}: \\? lists the known ones", command));
  }
  std::fflush(stdout);
  return Result::kGoOn;
}

void MetaCommands::RunAsTable(const std::string& sql) {
  const Format format = runner_->options().format;
  runner_->options().format = Format::kTable;
  (void)runner_->Run({sql, "", 1});  // says itself what failed
  runner_->options().format = format;
}

void MetaCommands::ListTables() {
  RunAsTable(
      "SELECT table_schema AS \"schema\", table_name AS name, lower(table_type) AS "
      "type FROM information_schema.tables ORDER BY ALL");
}

void MetaCommands::Describe(const std::vector<std::string>& words) {
  if (words.size() < 2) {
    ListTables();
    return;
  }
  const std::string& name = words[1];
  const size_t dot = name.find('.');
  std::string condition =
      fmt::format("lower(table_name) = lower({})",
                  Literal(dot == std::string::npos ? name : name.substr(dot + 1)));
  if (dot != std::string::npos) {
    condition +=
        fmt::format(" AND lower(table_schema) = lower({})", Literal(name.substr(0, dot)));
  }
  RunAsTable(
      "SELECT column_name AS \"column\", data_type AS type, is_nullable AS "
      "nullable FROM information_schema.columns WHERE " +
      condition + " ORDER BY ordinal_position");
}

void MetaCommands::SetTiming(const std::vector<std::string>& words) {
  bool& timing = runner_->options().timing;
  timing = words.size() > 1 ? words[1] == "on" : !timing;
  fmt::print("Timing is {}.\n", timing ? "on" : "off");
}

void MetaCommands::SetFormat(const std::vector<std::string>& words) {
  if (words.size() > 1) {
    const auto format = ParseFormat(words[1]);
    if (!format.ok()) {
      Complain(format.status().message());
      return;
    }
    runner_->options().format = *format;
  }
  fmt::print("Format is {}.\n", FormatName(runner_->options().format));
}

void MetaCommands::SetMaxRows(const std::vector<std::string>& words) {
  if (words.size() > 1) {
    int64_t rows = -1;
    const auto* end = words[1].data() + words[1].size();
    const auto parsed = std::from_chars(words[1].data(), end, rows);
    if (parsed.ec != std::errc() || parsed.ptr != end || rows < 0) {
      Complain("\\maxrows takes a number, 0 for all rows");
      return;
    }
    runner_->options().max_rows = rows;
  }
  fmt::print("Tables show {} rows at most (0: all).\n", runner_->options().max_rows);
}

void MetaCommands::SetOutput(const std::vector<std::string>& words) {
  auto output = words.size() > 1 ? Output::File(words[1]) : Output::StandardOutput();
  if (!output.ok()) {
    Complain(output.status().message());
    return;
  }
  const auto closed = runner_->SetOutput(*std::move(output));
  if (!closed.ok()) Complain(closed.message());
}

void MetaCommands::RunFile(const std::vector<std::string>& words) {
  if (words.size() < 2) {
    Complain("\\i takes the name of a file");
    return;
  }
  // A statement that fails says so itself.
  if (const auto outcome = runner_->RunFile(words[1]); !outcome.ok()) {
    Complain(outcome.status().message());
  }
}

void MetaCommands::ListExecutors() {
  const auto executors = client_->ListExecutors();
  if (!executors.ok()) {
    Complain(executors.status().message());
    return;
  }
  arrow::StringBuilder id;
  arrow::StringBuilder address;
  arrow::UInt32Builder slots;
  arrow::UInt32Builder threads;
  arrow::StringBuilder memory;
  arrow::StringBuilder version;
  auto append = [&]() -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    for (const auto& executor : *executors) {
      ARROW_RETURN_NOT_OK(id.Append(executor.id()));
      ARROW_RETURN_NOT_OK(
          address.Append(fmt::format("{}:{}", executor.host(), executor.port())));
      ARROW_RETURN_NOT_OK(slots.Append(executor.task_slots()));
      ARROW_RETURN_NOT_OK(threads.Append(executor.threads()));
      ARROW_RETURN_NOT_OK(memory.Append(FormatBytes(executor.memory_limit())));
      ARROW_RETURN_NOT_OK(version.Append(executor.version()));
    }
    arrow::ArrayVector columns;
    arrow::FieldVector fields;
    const std::pair<const char*, arrow::ArrayBuilder*> builders[] = {
        {"id", &id},           {"address", &address}, {"slots", &slots},
        {"threads", &threads}, {"memory", &memory},   {"version", &version}};
    for (const auto& [name, builder] : builders) {
      ARROW_ASSIGN_OR_RAISE(auto column, builder->Finish());
      fields.push_back(arrow::field(name, column->type()));
      columns.push_back(std::move(column));
    }
    return arrow::RecordBatch::Make(arrow::schema(fields),
                                    static_cast<int64_t>(executors->size()), columns);
  };
  const auto batch = append();
  const auto status = batch.ok() ? runner_->Print(**batch) : batch.status();
  if (!status.ok()) Complain(status.message());
}

}  // namespace ballista::shell
