#include "ballista/metrics/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ballista::metrics {
namespace {

using ::testing::HasSubstr;

TEST(Exposition, EscapesLabelsAndHelp) {
  Exposition out;
  out.Gauge("a", "one\nline \\ \"");
  out.Value({{"host", "a\"b\\c\nd"}, {"port", "1"}}, 0.5);
  EXPECT_EQ(out.Take(),
            "# HELP a one\\nline \\\\ \"\n# TYPE a gauge\n"
            "a{host=\"a\\\"b\\\\c\\nd\",port=\"1\"} 0.5\n");
}

TEST(Exposition, CountsHistogramsUp) {
  Histogram histogram;
  for (const uint64_t micros : {50UL, 100UL, 101UL, 30'000'000UL, 4'000'000'000UL}) {
    histogram.ObserveMicros(micros);
  }
  Exposition out;
  out.Histogram("t_seconds", "Time.", histogram);
  const std::string text = out.Take();
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"0.0001\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"0.00025\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"1000\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"+Inf\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_sum 4030.000251\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_count 5\n"));
}

TEST(Exposition, DescribesTheProcess) {
  Exposition out;
  DescribeProcess("scheduler", &out);
  const std::string text = out.Take();
  EXPECT_THAT(text, HasSubstr("ballista_build_info{program=\"scheduler\","));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes "));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("process_threads 0\n")));
}

}  // namespace
}  // namespace ballista::metrics
