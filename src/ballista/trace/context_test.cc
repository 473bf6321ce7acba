#include "ballista/trace/context.h"

#include <gtest/gtest.h>

#include <set>

namespace ballista::trace {
namespace {

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kSpan = "b7ad6b7169203331";

std::string Header(const std::string& version, const std::string& flags) {
  return version + "-" + kTrace + "-" + kSpan + "-" + flags;
}

TEST(TraceParent, IsReadAndWritten) {
  const auto context = ParseTraceParent(Header("00", "01"));
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_id.size(), 16u);
  EXPECT_EQ(context->span_id.size(), 8u);
  EXPECT_EQ(ToTraceParent(*context), Header("00", "01"));
  EXPECT_TRUE(ParseTraceParent(Header("00", "03")));
  // A later version may say more.
  EXPECT_TRUE(ParseTraceParent(Header("01", "01") + "-more"));
}

TEST(TraceParent, ThatIsMalformedOrNotSampledIsNone) {
  EXPECT_FALSE(ParseTraceParent(Header("00", "00")));
  EXPECT_FALSE(ParseTraceParent(Header("ff", "01")));
  EXPECT_FALSE(ParseTraceParent(Header("00", "01") + "-more"));
  EXPECT_FALSE(ParseTraceParent(Header("01", "01") + "more"));
  EXPECT_FALSE(ParseTraceParent(""));
  EXPECT_FALSE(ParseTraceParent(std::string(55, '-')));
  EXPECT_FALSE(ParseTraceParent(std::string(55, '\xff')));
  std::string zero = Header("00", "01");
  zero.replace(36, 16, 16, '0');
  EXPECT_FALSE(ParseTraceParent(zero));
  std::string upper = Header("00", "01");
  upper[4] = 'A';
  EXPECT_FALSE(ParseTraceParent(upper));
  const std::string good = Header("00", "01");
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(ParseTraceParent(good.substr(0, i)));
    std::string bad = good;
    bad[i] = 'x';
    EXPECT_FALSE(ParseTraceParent(bad)) << bad;
  }
}

TEST(JobTrace, TravelsAsASetting) {
  const JobTrace trace{{NewTraceId(), NewSpanId()}, NewSpanId(), 1234567890123456789};
  const auto read = ParseSetting(ToSetting(trace));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->query.trace_id, trace.query.trace_id);
  EXPECT_EQ(read->query.span_id, trace.query.span_id);
  EXPECT_EQ(read->caller_span_id, trace.caller_span_id);
  EXPECT_EQ(read->begin_nanos, trace.begin_nanos);
  const auto root = ParseSetting(ToSetting({trace.query, "", 5}));
  ASSERT_TRUE(root);
  EXPECT_EQ(root->caller_span_id, "");
  for (const char* bad : {"", ";", ";;", ";;5", "x;;5"}) EXPECT_FALSE(ParseSetting(bad));
  EXPECT_FALSE(ParseSetting(Header("00", "01") + ";;"));
  EXPECT_FALSE(ParseSetting(Header("00", "01") + ";;-5"));
  EXPECT_FALSE(ParseSetting(Header("00", "01") + ";zz;5"));
}

TEST(JobTrace, BeginsBelowTheCaller) {
  {
    const CallScope scope(Header("00", "01"));
    const auto trace = BeginJobTrace();
    ASSERT_TRUE(trace);
    const auto caller = ParseTraceParent(Header("00", "01"));
    EXPECT_EQ(trace->query.trace_id, caller->trace_id);
    EXPECT_EQ(trace->caller_span_id, caller->span_id);
    EXPECT_NE(trace->query.span_id, caller->span_id);
  }
  {
    const CallScope scope(Header("00", "00"));
    EXPECT_FALSE(BeginJobTrace());
  }
  // None, or nonsense: a trace of its own.
  for (const char* header : {"", "nonsense"}) {
    const CallScope scope(header);
    const auto trace = BeginJobTrace();
    ASSERT_TRUE(trace);
    EXPECT_EQ(trace->caller_span_id, "");
  }
  EXPECT_TRUE(BeginJobTrace());
}

TEST(PartSpanId, IsTheSameEverywhereAndUnlikeOthers) {
  const TraceContext span{NewTraceId(), NewSpanId()};
  EXPECT_EQ(PartSpanId(span, "stage 1"), PartSpanId(span, "stage 1"));
  std::set<std::string> ids;
  for (int i = 0; i < 10000; ++i) ids.insert(PartSpanId(span, std::to_string(i)));
  ids.insert(PartSpanId({span.trace_id, NewSpanId()}, "1"));
  EXPECT_EQ(ids.size(), 10001u);
}

}  // namespace
}  // namespace ballista::trace
