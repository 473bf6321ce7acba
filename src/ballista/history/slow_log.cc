#include "ballista/history/slow_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "ballista/profile/complete.h"

namespace ballista::history {
namespace {

constexpr size_t kStatement = 200;
// What is more unevenly spread than this is named.
constexpr double kSkew = 3.0;
constexpr size_t kStages = 3;

double Seconds(uint64_t micros) {
  return static_cast<double>(micros) / 1e6;
}

uint64_t Took(const profile::StageProfile& stage) {
  return stage.ended_us() > stage.started_us() ? stage.ended_us() - stage.started_us()
                                               : 0;
}

// The statement in one line.
std::string OneLine(const std::string& statement) {
  std::string line;
  for (const char c : statement) {
    const bool space = static_cast<unsigned char>(c) <= ' ' || c == 0x7F;
    if (space && (line.empty() || line.back() == ' ')) continue;
    line += space ? ' ' : c;
  }
  return line.size() <= kStatement ? line : profile::Cut(line, kStatement) + "...";
}

std::string Longest(const profile::QueryProfile& profile) {
  std::vector<const profile::StageProfile*> stages;
  for (const auto& stage : profile.stages()) {
    if (Took(stage) > 0) stages.push_back(&stage);
  }
  std::stable_sort(stages.begin(), stages.end(),
                   [](const auto* a, const auto* b) { return Took(*a) > Took(*b); });
  std::string text;
  for (size_t i = 0; i < std::min(stages.size(), kStages); ++i) {
    const auto& stage = *stages[i];
    text += fmt::format("{}stage {} {:.2f} s ({} tasks)", i == 0 ? "" : ", ", stage.id(),
                        Seconds(Took(stage)), stage.finished());
  }
  return text;
}

std::string Why(const profile::QueryProfile& profile) {
  const auto& job = profile.job();
  std::string why;
  const auto add = [&why](const std::string& reason) {
    why += (why.empty() ? "" : ", ") + reason;
  };
  if (job.queued_us() * 4 > job.elapsed_us()) {
    add(fmt::format("{:.2f} s in the queue", Seconds(job.queued_us())));
  }
  if (!profile.single_task_reason().empty()) {
    add("one task (" + profile.single_task_reason() + ")");
  }
  for (const auto& stage : profile.stages()) {
    if (stage.skew() > kSkew && stage.time_us().max() * 5 > job.elapsed_us()) {
      add(fmt::format("stage {} is skewed: its slowest task took {:.1f} times the median",
                      stage.id(), stage.skew()));
    }
  }
  if (job.spilled_bytes() > 0) {
    add(fmt::format("{} MiB spilled", (job.spilled_bytes() >> 20) + 1));
  }
  if (job.failed_attempts() > 0) {
    add(fmt::format("{} attempts of tasks failed", job.failed_attempts()));
  }
  return why.empty() ? "nothing stands out" : why;
}

}  // namespace

std::string SlowQueryLine(const profile::QueryProfile& profile) {
  const auto& job = profile.job();
  std::string state =
      profile::JobState_Name(job.state()).substr(sizeof("JOB_STATE_") - 1);
  std::transform(state.begin(), state.end(), state.begin(),
                 [](char c) { return static_cast<char>(c | 0x20); });
  return fmt::format("Slow query {} ({}): {:.2f} s, {} stages, {} tasks; {}; why: {}; {}",
                     job.job_id(), state, Seconds(job.elapsed_us()), job.stages(),
                     job.tasks(), Longest(profile), Why(profile),
                     OneLine(job.statement()));
}

}  // namespace ballista::history
