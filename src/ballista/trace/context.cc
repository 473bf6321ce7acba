#include "ballista/trace/context.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <random>

namespace ballista::trace {
namespace {

constexpr size_t kTraceIdBytes = 16;
constexpr size_t kSpanIdBytes = 8;

struct Call {
  bool in_scope = false;
  bool recorded = true;
  std::optional<TraceContext> caller;
  int64_t begin_nanos = 0;
};
thread_local Call current_call;

std::string RandomBytes(size_t count) {
  thread_local std::random_device device;
  std::string bytes(count, '\0');
  while (std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; })) {
    for (auto& byte : bytes) byte = static_cast<char>(device());
  }
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// `count` bytes that are not all zero, written in lower case.
std::optional<std::string> IdFromHex(std::string_view text, size_t count) {
  if (text.size() != 2 * count) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  if (bytes == std::string(count, '\0')) return std::nullopt;
  return bytes;
}

// FNV-1a, 64 bits.
uint64_t Hash(std::string_view bytes, uint64_t hash) {
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  }
  return hash;
}

// version-traceid-spanid-flags; a later version may have more behind it.
struct Header {
  TraceContext context;
  bool sampled = false;
};

std::optional<Header> ParseHeader(std::string_view text) {
  constexpr size_t kLength = 55;
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const int version = HexDigit(text[0]) * 16 + HexDigit(text[1]);
  if (HexDigit(text[0]) < 0 || HexDigit(text[1]) < 0 || version == 255) {
    return std::nullopt;
  }
  if (text.size() > kLength && (version == 0 || text[kLength] != '-')) {
    return std::nullopt;
  }
  const auto trace = IdFromHex(text.substr(3, 32), kTraceIdBytes);
  const auto span = IdFromHex(text.substr(36, 16), kSpanIdBytes);
  const int flags = HexDigit(text[54]);
  if (!trace || !span || HexDigit(text[53]) < 0 || flags < 0) return std::nullopt;
  return Header{{*trace, *span}, (flags & 1) != 0};
}

}  // namespace

int64_t UnixNanos(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch())
      .count();
}

std::string NewTraceId() {
  return RandomBytes(kTraceIdBytes);
}

std::string NewSpanId() {
  return RandomBytes(kSpanIdBytes);
}

std::string PartSpanId(const TraceContext& span, std::string_view name) {
  uint64_t hash = Hash(span.trace_id, 0xcbf29ce484222325ULL);
  hash = Hash(span.span_id, hash);
  hash = Hash(name, hash);
  // The last bytes of the name are in the low bits alone so far.
  hash = (hash ^ (hash >> 32)) * 0x9fb21c651e98df25ULL;
  hash = std::max<uint64_t>(hash ^ (hash >> 29), 1);
  std::string id(kSpanIdBytes, '\0');
  for (auto& byte : id) {
    byte = static_cast<char>(hash & 255);
    hash >>= 8;
  }
  return id;
}

std::optional<TraceContext> ParseTraceParent(std::string_view text) {
  const auto header = ParseHeader(text);
  if (!header || !header->sampled) return std::nullopt;
  return header->context;
}

std::string ToTraceParent(const TraceContext& context) {
  return "00-" + ToHex(context.trace_id) + "-" + ToHex(context.span_id) + "-01";
}

std::string ToSetting(const JobTrace& trace) {
  return ToTraceParent(trace.query) + ";" + ToHex(trace.caller_span_id) + ";" +
         std::to_string(trace.begin_nanos);
}

std::optional<JobTrace> ParseSetting(std::string_view text) {
  const size_t first = text.find(';');
  const size_t second = first == text.npos ? first : text.find(';', first + 1);
  if (second == text.npos) return std::nullopt;
  const auto query = ParseTraceParent(text.substr(0, first));
  if (!query) return std::nullopt;
  JobTrace trace{*query, "", 0};
  if (second > first + 1) {
    auto caller = IdFromHex(text.substr(first + 1, second - first - 1), kSpanIdBytes);
    if (!caller) return std::nullopt;
    trace.caller_span_id = *std::move(caller);
  }
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + second + 1, end, trace.begin_nanos);
  if (parsed.ec != std::errc() || parsed.ptr != end || trace.begin_nanos < 0) {
    return std::nullopt;
  }
  return trace;
}

std::optional<JobTrace> FindJobTrace(
    const google::protobuf::RepeatedPtrField<plan::Setting>& settings) {
  for (const auto& setting : settings) {
    if (setting.name() == kJobTraceSetting) return ParseSetting(setting.value());
  }
  return std::nullopt;
}

CallScope::CallScope(std::string_view traceparent) {
  current_call = {true, true, std::nullopt, UnixNanos()};
  const auto header = ParseHeader(traceparent);
  if (!header) return;
  current_call.recorded = header->sampled;
  current_call.caller = header->context;
}

CallScope::~CallScope() {
  current_call = {};
}

std::optional<JobTrace> BeginJobTrace() {
  const Call& call = current_call;
  if (!call.recorded) return std::nullopt;
  JobTrace trace;
  trace.query.trace_id = call.caller ? call.caller->trace_id : NewTraceId();
  trace.query.span_id = NewSpanId();
  if (call.caller) trace.caller_span_id = call.caller->span_id;
  trace.begin_nanos = call.in_scope ? call.begin_nanos : UnixNanos();
  return trace;
}

}  // namespace ballista::trace
