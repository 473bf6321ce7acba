#include "ballista/client/shell/statement_runner.h"

#include <arrow/array.h>
#include <arrow/type.h>
#include <arrow/util/io_util.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "ballista/client/shell/interrupt.h"
#include "ballista/client/shell/query_watch.h"
#include "ballista/client/shell/statement_trace.h"
#include "ballista/client/statement_splitter.h"

namespace ballista::shell {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsBetween(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

std::string CountText(int64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// Statements whose result is no rows but a change, at most counted.
bool ChangesThings(std::string_view statement) {
  static const std::set<std::string, std::less<>> kKeywords = {
      "ALTER",  "ANALYZE",  "ATTACH", "BEGIN",  "CHECKPOINT", "COMMENT",  "COMMIT",
      "COPY",   "CREATE",   "DELETE", "DETACH", "DROP",       "EXPORT",   "IMPORT",
      "INSERT", "INSTALL",  "LOAD",   "MERGE",  "RESET",      "ROLLBACK", "SET",
      "START",  "TRUNCATE", "UPDATE", "USE",    "VACUUM",     "ABORT"};
  return kKeywords.contains(client::FirstKeyword(statement));
}

bool IsPlan(std::string_view statement) {
  return client::FirstKeyword(statement) == "EXPLAIN";
}

bool IsCount(const arrow::Schema& schema) {
  return schema.num_fields() == 0 ||
         (schema.num_fields() == 1 &&
          (schema.field(0)->name() == "Count" || schema.field(0)->name() == "Success"));
}

}  // namespace

// Of one statement under way.
struct StatementRunner::Progress {
  Clock::time_point start = Clock::now();
  Clock::time_point planned = start;
  Clock::time_point first_rows = start;
  Clock::time_point end = start;
  int64_t rows = 0;
  bool is_plan = false;       // of EXPLAIN: text rather than rows
  bool cut = false;           // more rows were there than a table shows
  int64_t total_rows = -1;    // as the server said
  bool is_change = false;     // no rows, but done
  int64_t changed_rows = -1;  // of a change
  QueryWatch* watch = nullptr;
};

StatementRunner::StatementRunner(client::FlightSqlClient* client,
                                 const RunnerOptions& options,
                                 std::unique_ptr<Output> output)
    : client_(client), options_(options), output_(std::move(output)) {}

arrow::Status StatementRunner::SetOutput(std::unique_ptr<Output> output) {
  auto closed = output_->Close();
  output_ = std::move(output);
  return closed;
}

std::unique_ptr<ResultWriter> StatementRunner::MakeWriter(const StatementSource& source) {
  if (options_.format == Format::kTable && IsPlan(source.text)) {
    return MakePlainWriter(output_->stream());
  }
  WriterOptions options;
  options.width = output_->width();
  options.max_rows = output_->is_terminal() ? options_.max_rows : 0;
  options.arrow_file = output_->is_file();
  return MakeResultWriter(options_.format, options, output_->stream());
}

arrow::Status StatementRunner::Stream(client::Query* query, const StatementSource& source,
                                      Progress* progress) {
  ARROW_ASSIGN_OR_RAISE(auto schema, query->Schema());
  progress->planned = progress->first_rows = Clock::now();
  progress->is_change = ChangesThings(source.text) && IsCount(*schema);
  progress->is_plan = IsPlan(source.text);
  const auto writer = MakeWriter(source);
  bool begun = false;
  auto begin = [&]() -> arrow::Status {
    begun = true;
    if (output_->is_terminal()) progress->watch->StopDrawing();
    if (IsBinary(options_.format) && output_->holds_result) {
      return arrow::Status::Invalid(
          fmt::format("the output holds a result already, and {} has room for one: give "
                      "each statement its own --output",
                      FormatName(options_.format)));
    }
    output_->holds_result = true;
    return writer->Begin(schema);
  };
  while (true) {
    ARROW_ASSIGN_OR_RAISE(auto batch, query->Next());
    if (batch == nullptr) break;
    if (progress->is_change) {
      if (batch->num_columns() == 1 && batch->num_rows() == 1 &&
          batch->column(0)->type_id() == arrow::Type::INT64) {
        progress->changed_rows =
            static_cast<const arrow::Int64Array&>(*batch->column(0)).Value(0);
      }
      continue;
    }
    if (!begun) {
      progress->first_rows = Clock::now();
      ARROW_RETURN_NOT_OK(begin());
    }
    if (batch->num_rows() == 0) continue;
    if (!writer->WantsMore()) {
      progress->cut = true;
      break;
    }
    const int64_t expected = writer->rows() + batch->num_rows();
    ARROW_RETURN_NOT_OK(writer->Write(*batch));
    progress->cut = writer->rows() < expected;
    if (progress->cut) break;
  }
  progress->total_rows = query->total_rows();
  progress->end = Clock::now();
  if (progress->is_change) return arrow::Status::OK();
  if (!begun) ARROW_RETURN_NOT_OK(begin());
  progress->rows = writer->rows();
  return writer->Finish();
}

arrow::Status StatementRunner::WriteFooter(const Progress& progress) {
  const double seconds = SecondsBetween(progress.start, progress.end);
  std::string footer;
  if (progress.is_change) {
    footer = progress.changed_rows < 0
                 ? fmt::format("OK ({:.3f} s)\n", seconds)
                 : fmt::format("OK, {} ({:.3f} s)\n",
                               CountText(progress.changed_rows, "row"), seconds);
  } else if (progress.is_plan) {
    footer = fmt::format("({:.3f} s)\n", seconds);
  } else if (progress.cut) {
    footer = fmt::format(
        "(first {} shown{}; --maxrows 0 or \\maxrows 0 shows all, {:.3f} s)\n",
        CountText(progress.rows, "row"),
        progress.total_rows < 0 ? "" : fmt::format(" of {}", progress.total_rows),
        seconds);
  } else {
    footer = fmt::format("({}, {:.3f} s)\n", CountText(progress.rows, "row"), seconds);
  }
  return output_->stream()->Write(footer);
}

Outcome StatementRunner::Run(const StatementSource& source) {
  Progress progress;
  StatementTrace trace(options_.exporter.get(), options_.traceparent, source.text);
  auto query = client_->Start(std::string(source.text), trace.header());
  arrow::Status status;
  bool interrupted = false;
  {
    QueryWatch watch(client_, query.get(),
                     options_.progress && TerminalWidth(STDERR_FILENO) > 0);
    progress.watch = &watch;
    status = Stream(query.get(), source, &progress);
    interrupted = watch.interrupted();
  }
  trace.End(status, progress.is_change ? -1 : progress.rows);
  // Ends, at the server, what a table did not show.
  query.reset();
  if (status.ok() && options_.format == Format::kTable) status = WriteFooter(progress);
  const auto flushed = output_->stream()->Flush();
  if (status.ok()) status = flushed;
  if (arrow::internal::ErrnoFromStatus(status) == EPIPE) return Outcome::kOutputClosed;
  if (!status.ok()) {
    const std::string text =
        interrupted ? "Cancelled.\n"
                    : RenderError(status, source, TerminalWidth(STDERR_FILENO));
    std::fputs(text.c_str(), stderr);
    return interrupted ? Outcome::kInterrupted : Outcome::kFailed;
  }
  if (options_.timing) {
    fmt::print(stderr, "Time: planned {:.3f} s, first rows {:.3f} s, all {:.3f} s\n",
               SecondsBetween(progress.start, progress.planned),
               SecondsBetween(progress.start, progress.first_rows),
               SecondsBetween(progress.start, progress.end));
  }
  return interrupted ? Outcome::kInterrupted : Outcome::kDone;
}

Outcome StatementRunner::RunScript(std::string_view script, std::string_view file) {
  for (const auto& statement : client::SplitStatements(script)) {
    if (Interrupt::Raised()) return Outcome::kInterrupted;
    const auto before = script.substr(0, statement.offset);
    const auto lines = std::count(before.begin(), before.end(), '\n');
    const Outcome outcome = Run({statement.text, file, 1 + static_cast<int>(lines)});
    if (outcome != Outcome::kDone) return outcome;
  }
  return Outcome::kDone;
}

arrow::Result<Outcome> StatementRunner::RunFile(const std::string& path) {
  // Taken whole: a stream's own buffer reports what cannot be read, a folder for one.
  std::ostringstream script;
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& input = path == "-" ? std::cin : file;
  const bool empty = input.peek() == std::istream::traits_type::eof();
  if (input.bad() || (path != "-" && !file.is_open())) {
    return arrow::Status::IOError(fmt::format("cannot read the file '{}'", path));
  }
  if (!empty) script << input.rdbuf();
  return RunScript(script.str(), path == "-" ? "" : path);
}

arrow::Status StatementRunner::Print(const arrow::RecordBatch& batch) {
  WriterOptions options;
  options.width = output_->width();
  const auto writer = MakeTableWriter(options, output_->stream());
  ARROW_RETURN_NOT_OK(writer->Begin(batch.schema()));
  ARROW_RETURN_NOT_OK(writer->Write(batch));
  ARROW_RETURN_NOT_OK(writer->Finish());
  return output_->stream()->Flush();
}

}  // namespace ballista::shell
