#include "ballista/metrics/exposition.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "ballista/base/process_memory.h"
#include "ballista/base/version.h"

namespace ballista::metrics {
namespace {

void AppendEscaped(std::string_view text, bool quotes, std::string* out) {
  for (const char c : text) {
    if (c == '\\') {
      *out += "\\\\";
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '"' && quotes) {
      *out += "\\\"";
    } else {
      out->push_back(c);
    }
  }
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double Entries(const char* folder) {
  std::error_code error;
  const std::filesystem::directory_iterator begin(folder, error);
  if (error) return 0;
  return static_cast<double>(std::distance(begin, std::filesystem::directory_iterator()));
}

const double kStart =
    static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count()) /
    1000;

}  // namespace

void Exposition::Begin(std::string_view name, std::string_view help,
                       std::string_view type) {
  name_ = name;
  text_ += fmt::format("# HELP {} ", name);
  AppendEscaped(help, /*quotes=*/false, &text_);
  text_ += fmt::format("\n# TYPE {} {}\n", name, type);
}

void Exposition::Counter(std::string_view name, std::string_view help) {
  Begin(name, help, "counter");
}

void Exposition::Gauge(std::string_view name, std::string_view help) {
  Begin(name, help, "gauge");
}

void Exposition::Line(std::string_view suffix, const Labels& labels, double value) {
  text_ += name_;
  text_ += suffix;
  if (!labels.empty()) {
    text_ += '{';
    for (size_t i = 0; i < labels.size(); ++i) {
      if (i > 0) text_ += ',';
      text_ += labels[i].first;
      text_ += "=\"";
      AppendEscaped(labels[i].second, /*quotes=*/true, &text_);
      text_ += '"';
    }
    text_ += '}';
  }
  text_ += ' ';
  text_ += Number(value);
  text_ += '\n';
}

void Exposition::Value(const Labels& labels, double value) {
  Line("", labels, value);
}

void Exposition::Gauge(std::string_view name, std::string_view help, double value) {
  Gauge(name, help);
  Value(value);
}

void Exposition::Counter(std::string_view name, std::string_view help,
                         const metrics::Counter& counter) {
  Counter(name, help);
  Value(static_cast<double>(counter.value()));
}

void Exposition::Histogram(std::string_view name, std::string_view help,
                           const metrics::Histogram& histogram) {
  Begin(name, help, "histogram");
  uint64_t count = 0;
  for (size_t i = 0; i <= metrics::Histogram::kBounds.size(); ++i) {
    count += histogram.bucket(i);
    const bool last = i == metrics::Histogram::kBounds.size();
    const std::string bound = last ? "+Inf" : Number(metrics::Histogram::kBounds[i]);
    Line("_bucket", {{"le", bound}}, static_cast<double>(count));
  }
  Line("_sum", {}, histogram.sum_seconds());
  Line("_count", {}, static_cast<double>(count));
}

void DescribeProcess(std::string_view program, Exposition* out) {
  out->Gauge("ballista_build_info", "1; the labels say what runs.");
  out->Value({{"program", program}, {"version", kVersion}}, 1);
  out->Gauge("process_start_time_seconds", "When the process started, Unix time.",
             kStart);
  out->Counter("process_cpu_seconds_total", "CPU time of the process.");
  out->Value(CpuSeconds());
  out->Gauge("process_resident_memory_bytes", "Resident memory of the process.",
             static_cast<double>(ResidentBytes()));
  out->Gauge("process_open_fds", "Open file descriptors.", Entries("/proc/self/fd"));
  out->Gauge("process_threads", "Threads of the process.", Entries("/proc/self/task"));
}

}  // namespace ballista::metrics
