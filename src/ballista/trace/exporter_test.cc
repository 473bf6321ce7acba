#include "ballista/trace/exporter.h"

#include <gtest/gtest.h>

#include "ballista/trace/span.h"

namespace ballista::trace {
namespace {

otlp::Span SomeSpan() {
  const TraceContext context{NewTraceId(), NewSpanId()};
  return MakeSpan(context, NewSpanId(), "", "a span", 5, 3);
}

TEST(Exporter, RefusesWhatIsNoCollector) {
  for (const char* endpoint : {"", "localhost:4318", "ftp://host", "http://", "http:///x",
                               "http://a b", "grpc://localhost:4317"}) {
    const auto made = Exporter::Make({.endpoint = endpoint});
    EXPECT_TRUE(made.status().IsInvalid()) << endpoint;
  }
  for (const char* headers : {"x", "=x", "a=b,c", "a=b\nc: d"}) {
    EXPECT_TRUE(Exporter::Make({.endpoint = "http://localhost:4318", .headers = headers})
                    .status()
                    .IsInvalid())
        << headers;
  }
}

TEST(Exporter, LosesSpansWithoutACollector) {
  // Nobody listens on the port of discarded packets.
  auto exporter = Exporter::Make({.endpoint = "http://127.0.0.1:9",
                                  .service = "test",
                                  .instance = "1",
                                  .headers = "a=b",
                                  .interval = std::chrono::milliseconds(1)});
  ASSERT_TRUE(exporter.ok()) << exporter.status();
  for (int i = 0; i < 30000; ++i) (*exporter)->Add(SomeSpan());
  for (int i = 0; i < 20000 && (*exporter)->counts().lost < 30000; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ((*exporter)->counts().lost, 30000u);
  EXPECT_EQ((*exporter)->counts().sent, 0u);
}

TEST(Span, DoesNotEndBeforeItBegins) {
  const auto span = SomeSpan();
  EXPECT_EQ(span.start_time_unix_nano(), 5u);
  EXPECT_EQ(span.end_time_unix_nano(), 5u);
}

}  // namespace
}  // namespace ballista::trace
