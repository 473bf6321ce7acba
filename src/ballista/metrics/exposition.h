// Metrics as text for Prometheus (text exposition format 0.0.4).
//
//   Exposition out;
//   out.Counter("ballista_tasks_total", "Tasks that ended.");
//   out.Value({{"state", "failed"}}, 3);
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ballista/metrics/instruments.h"

namespace ballista::metrics {

class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

  // Begins a family, whose values follow. Of one name only once.
  void Counter(std::string_view name, std::string_view help);
  void Gauge(std::string_view name, std::string_view help);

  void Value(const Labels& labels, double value);
  void Value(double value) { Value({}, value); }
  // A whole family.
  void Gauge(std::string_view name, std::string_view help, double value);
  void Counter(std::string_view name, std::string_view help,
               const metrics::Counter& counter);
  void Histogram(std::string_view name, std::string_view help,
                 const metrics::Histogram& histogram);

  std::string Take() { return std::move(text_); }

 private:
  void Begin(std::string_view name, std::string_view help, std::string_view type);
  void Line(std::string_view suffix, const Labels& labels, double value);

  std::string name_;
  std::string text_;
};

// Of every process: build, start, CPU, memory, open files, threads.
void DescribeProcess(std::string_view program, Exposition* out);

}  // namespace ballista::metrics
