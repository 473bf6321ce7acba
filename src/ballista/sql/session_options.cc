#include "ballista/sql/session_options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include "ballista/base/nearest_name.h"
#include "ballista/base/status.h"

namespace ballista::sql {
namespace {

using Type = SessionOptionSpec::Type;

std::string Lower(std::string text) {
  for (auto& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The name that PostgreSQL's clients know.
constexpr const char* kTimeoutAlias = "statement_timeout";

arrow::Result<const SessionOptionSpec*> Find(const std::string& name) {
  auto wanted = Lower(name);
  if (wanted == kTimeoutAlias) wanted.insert(0, "ballista.");
  std::vector<std::string> names;
  for (const auto& spec : SessionOptionSpecs()) {
    if (wanted == spec.name) return &spec;
    names.push_back(spec.name);
  }
  std::string message = "there is no session option " + name;
  const auto nearest = NearestName(wanted, names);
  if (!nearest.empty()) message += "; did you mean " + nearest + "?";
  return UserErrorStatus(UserError::CATALOG, message);
}

arrow::Status Refuse(const SessionOptionSpec& spec, const std::string& value,
                     const std::string& wanted) {
  return UserErrorStatus(UserError::BINDER, "the session option " +
                                                std::string(spec.name) + " takes " +
                                                wanted + ", not '" + value + "'");
}

bool ParseUnsigned(const std::string& text, uint64_t* number) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, *number);
  return parsed.ec == std::errc() && parsed.ptr == end && !text.empty();
}

bool ParseBytes(const std::string& text, uint64_t* bytes) {
  static const std::map<std::string, uint64_t> units = {{"", 1},
                                                        {"b", 1},
                                                        {"kb", 1000},
                                                        {"mb", 1000000},
                                                        {"gb", 1000000000},
                                                        {"kib", 1ULL << 10},
                                                        {"mib", 1ULL << 20},
                                                        {"gib", 1ULL << 30}};
  size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits]))) {
    ++digits;
  }
  uint64_t number = 0;
  if (!ParseUnsigned(text.substr(0, digits), &number)) return false;
  while (digits < text.size() && text[digits] == ' ') ++digits;
  const auto unit = units.find(Lower(text.substr(digits)));
  if (unit == units.end() || number > UINT64_MAX / unit->second) return false;
  *bytes = number * unit->second;
  return *bytes <= static_cast<uint64_t>(INT64_MAX);
}

bool ParseMilliseconds(const std::string& text, uint64_t* milliseconds) {
  static const std::map<std::string, uint64_t> units = {
      {"", 1}, {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}};
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  uint64_t number = 0;
  if (!ParseUnsigned(text.substr(0, digits), &number)) return false;
  const size_t unit_at = std::min(text.find_first_not_of(' ', digits), text.size());
  const auto unit = units.find(text.substr(unit_at));
  if (unit == units.end() || number > UINT32_MAX) return false;
  *milliseconds = number * unit->second;
  return *milliseconds <= UINT32_MAX;
}

arrow::Result<std::string> Normalize(const SessionOptionSpec& spec,
                                     const std::string& value) {
  const auto text = Lower(value);
  uint64_t number = 0;
  switch (spec.type) {
    case Type::kUnsigned:
      if (!ParseUnsigned(text, &number) || number > UINT32_MAX) {
        return Refuse(spec, value, "a whole number from 0");
      }
      return std::to_string(number);
    case Type::kAutoBytes:
      if (text == "-1" || text == "auto") return std::string("-1");
      [[fallthrough]];
    case Type::kBytes:
      if (!ParseBytes(text, &number)) {
        return Refuse(spec, value, "a number of bytes such as 1048576 or 64MB");
      }
      return std::to_string(number);
    case Type::kBoolean:
      if (text == "true" || text == "1" || text == "on") return std::string("true");
      if (text == "false" || text == "0" || text == "off") return std::string("false");
      return Refuse(spec, value, "true or false");
    case Type::kDuration:
      if (!ParseMilliseconds(text, &number)) {
        return Refuse(spec, value,
                      "a time such as 500ms, 5s, 2min or 1h, at most 49 days, or 0");
      }
      return std::to_string(number);
    default:
      break;
  }
  std::string known;
  for (const auto& choice : spec.choices) {
    if (choice == text) return text;
    known += (known.empty() ? "" : ", ") + choice;
  }
  return Refuse(spec, value, "one of " + known);
}

}  // namespace

const std::vector<SessionOptionSpec>& SessionOptionSpecs() {
  static const std::vector<SessionOptionSpec> specs = {
      {"ballista.batch_rows",
       Type::kUnsigned,
       "0",
       {},
       "Rows of a batch between tasks and in a result, at most 32768; 0: 32768."},
      {"ballista.broadcast_threshold",
       Type::kAutoBytes,
       "-1",
       {},
       "A join side of up to this many bytes may be sent whole to every task; 0: never, "
       "-1: chosen by cost and memory."},
      {"ballista.fault_tolerance",
       Type::kChoice,
       "task",
       {"task", "none"},
       "task: what fails or is lost is run again; none: the first failure ends the job."},
      {"ballista.job_disk_quota",
       Type::kBytes,
       "0",
       {},
       "The most that the outputs of one query's tasks may take on the disks of an "
       "executor; 0: as much as there is room for."},
      {"ballista.max_task_attempts",
       Type::kUnsigned,
       "4",
       {},
       "How often a task is tried before its job fails."},
      {"ballista.range_sort_threshold",
       Type::kBytes,
       "16777216",
       {},
       "A sort of at least this many bytes, as estimated, is partitioned by ranges of "
       "its "
       "keys; a smaller one is done by one task. 0: every sort."},
      {"ballista.replan",
       Type::kBoolean,
       "true",
       {},
       "Stages that have not started are planned again from the exact sizes of the ones "
       "before them."},
      {"ballista.shuffle_partitions",
       Type::kUnsigned,
       "0",
       {},
       "Partitions of a hash exchange; 0: chosen from the number of executors."},
      {"ballista.single_task_threshold",
       Type::kBytes,
       "16777216",
       {},
       "A query that reads up to this many bytes runs as one task; 0: never."},
      {"ballista.skew_factor",
       Type::kUnsigned,
       "2",
       {},
       "A task that would read more than this many times what the other tasks of its "
       "stage "
       "read on average shares its partitions with others; 0: never."},
      {"ballista.tasks_per_stage",
       Type::kUnsigned,
       "0",
       {},
       "Tasks of a stage that is spread over the cluster; 0: one for each executor."},
      {"ballista.speculation",
       Type::kBoolean,
       "false",
       {},
       "A task that takes much longer than others of its stage is run a second time at "
       "once on a free executor; the first attempt to finish counts. Never a task that "
       "writes files."},
      {"ballista.speculation_min_runtime",
       Type::kDuration,
       "1000",
       {},
       "No task is run a second time before it has run for so long."},
      {"ballista.speculation_multiplier",
       Type::kUnsigned,
       "2",
       {},
       "How many times as long as the median of its stage's finished tasks a task must "
       "run to be run a second time."},
      {"ballista.speculation_quantile",
       Type::kUnsigned,
       "75",
       {},
       "The percentage of a stage's tasks that must have finished before another one is "
       "run a second time; one at least."},
      {"ballista.statement_timeout",
       Type::kDuration,
       "0",
       {},
       "A query whose result is not there after this time is cancelled; 0: never. Also "
       "called statement_timeout."},
  };
  return specs;
}

bool SessionOptions::IsSessionOption(const std::string& name) {
  const auto lower = Lower(name);
  return lower.starts_with("ballista.") || lower == kTimeoutAlias;
}

arrow::Result<std::string> SessionOptions::Get(const std::string& name) const {
  ARROW_ASSIGN_OR_RAISE(const auto* spec, Find(name));
  const auto found = values_.find(spec->name);
  return found == values_.end() ? std::string(spec->default_value) : found->second;
}

arrow::Status SessionOptions::Set(const std::string& name, const std::string& value) {
  ARROW_ASSIGN_OR_RAISE(const auto* spec, Find(name));
  ARROW_ASSIGN_OR_RAISE(values_[spec->name], Normalize(*spec, value));
  return arrow::Status::OK();
}

arrow::Status SessionOptions::Reset(const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const auto* spec, Find(name));
  values_.erase(spec->name);
  return arrow::Status::OK();
}

std::string NearestName(const std::string& name,
                        const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(3, name.size() / 3);
  for (const auto& candidate : candidates) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace ballista::sql
