#include "ballista/client/shell/progress_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ballista/client/shell/text_width.h"

namespace ballista::shell {
namespace {

constexpr int kWidestBar = 40;
constexpr int kNarrowestBar = 5;

std::string Bar(double done, int width) {
  const int filled = std::clamp(static_cast<int>(done * width), 0, width);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < width) bar += '>';
  bar.resize(static_cast<size_t>(width), ' ');
  return "[" + bar + "] ";
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  // 999.5 would round to 1000 of its unit.
  while (value >= 999.5) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0 || value >= 9.95) return fmt::format("{:.0f} {}", value, kUnits[unit]);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string FormatElapsed(std::chrono::milliseconds elapsed) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(elapsed).count();
  if (seconds >= 60) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
  return fmt::format("{:.1f} s", static_cast<double>(elapsed.count()) / 1000);
}

std::string RenderProgress(const profile::QueryProfile& profile,
                           std::chrono::milliseconds elapsed, int width) {
  uint64_t tasks = 0;
  uint64_t finished = 0;
  uint64_t bytes = 0;
  int stages = 0;
  int reached = 0;  // stages that have begun
  for (const auto& stage : profile.stages()) {
    if (stage.state() == profile::STAGE_STATE_NOT_NEEDED) continue;
    ++stages;
    tasks += stage.tasks();
    finished += std::min(stage.finished(), stage.tasks());
    bytes += stage.bytes();
    if (stage.running() > 0 || stage.finished() > 0) ++reached;
  }
  std::string text;
  double done = 0;
  if (tasks == 0) {
    const bool queued = profile.job().state() == profile::JOB_STATE_QUEUED;
    text = queued ? "queued" : "planning";
    if (profile.job().queue_position() > 0) {
      text += fmt::format(", position {}", profile.job().queue_position());
    }
  } else {
    done = static_cast<double>(finished) / static_cast<double>(tasks);
    text = fmt::format("{:.0f}% stage {}/{} · tasks {}/{}", std::floor(done * 100),
                       std::max(reached, 1), stages, finished, tasks);
    if (bytes > 0) text += " · " + FormatBytes(bytes);
  }
  text += " · " + FormatElapsed(elapsed);
  const int room = width - DisplayWidth(text) - 3;
  if (tasks > 0 && room >= kNarrowestBar) {
    text = Bar(done, std::min(room, kWidestBar)) + text;
  }
  return TruncateToWidth(text, width);
}

}  // namespace ballista::shell
