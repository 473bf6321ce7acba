#include "ballista/trace/exporter.h"

#include <curl/curl.h>

#include <utility>

#include "ballista/base/log.h"
#include "ballista/base/version.h"

namespace ballista::trace {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kMaxWaiting = 20000;
constexpr size_t kBatch = 512;
constexpr milliseconds kLastSend{2000};
// Between two lines in the log about a collector that takes nothing.
constexpr auto kComplainEvery = std::chrono::minutes(1);
constexpr const char* kPath = "/v1/traces";

size_t Discard(char* /*data*/, size_t size, size_t count, void* /*into*/) {
  return size * count;
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void Append(const std::string& line, HeaderList* list) {
  list->reset(curl_slist_append(list->release(), line.c_str()));
}

// "a=b,c=d" to lines "a: b". Nothing where it is something else.
bool ParseHeaders(const std::string& text, std::vector<std::string>* lines) {
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string one = text.substr(begin, end - begin);
    const size_t equals = one.find('=');
    if (equals == 0 || equals == one.npos || one.find_first_of("\r\n") != one.npos) {
      return false;
    }
    lines->push_back(one.substr(0, equals) + ": " + one.substr(equals + 1));
    begin = end + 1;
  }
  return true;
}

void SetText(const char* key, const std::string& value, otlp::Resource* resource) {
  auto* attribute = resource->add_attributes();
  attribute->set_key(key);
  attribute->mutable_value()->set_string_value(value);
}

std::string Request(const ExporterOptions& options,
                    const std::vector<otlp::Span>& spans) {
  otlp::ExportTraceServiceRequest request;
  auto* of_process = request.add_resource_spans();
  SetText("service.name", options.service, of_process->mutable_resource());
  SetText("service.version", kVersion, of_process->mutable_resource());
  SetText("service.instance.id", options.instance, of_process->mutable_resource());
  auto* of_scope = of_process->add_scope_spans();
  of_scope->mutable_scope()->set_name("ballista");
  of_scope->mutable_scope()->set_version(kVersion);
  for (const auto& span : spans) *of_scope->add_spans() = span;
  return request.SerializeAsString();
}

}  // namespace

arrow::Result<std::unique_ptr<Exporter>> Exporter::Make(ExporterOptions options) {
  std::string& url = options.endpoint;
  const bool known = url.starts_with("http://") || url.starts_with("https://");
  const size_t host = url.find("://") + 3;
  if (!known || host >= url.size() || url[host] == '/' ||
      url.find_first_of(" \t\r\n") != url.npos) {
    return arrow::Status::Invalid(
        "it must be the URL of a collector's OTLP over HTTP, such as "
        "http://localhost:4318, not '",
        url, "'");
  }
  while (url.ends_with('/')) url.pop_back();
  if (!url.ends_with(kPath)) url += kPath;
  std::vector<std::string> lines;
  if (!ParseHeaders(options.headers, &lines)) {
    return arrow::Status::Invalid(
        "OTEL_EXPORTER_OTLP_HEADERS must be name=value,name=value");
  }
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialised != CURLE_OK) return arrow::Status::IOError("libcurl does not start");
  return std::unique_ptr<Exporter>(new Exporter(std::move(options)));
}

Exporter::Exporter(ExporterOptions options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

Exporter::~Exporter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Exporter::Add(otlp::Span span) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kMaxWaiting) {
    ++counts_.lost;
    return;
  }
  waiting_.push_back(std::move(span));
  if (waiting_.size() >= kBatch) changed_.notify_all();
}

Exporter::Counts Exporter::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void Exporter::Run() {
  auto quiet_until = Clock::time_point::min();
  auto stop_by = Clock::time_point::max();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, options_.interval,
                      [this] { return stopping_ || waiting_.size() >= kBatch; });
    if (stopping_ && stop_by == Clock::time_point::max()) {
      stop_by = Clock::now() + kLastSend;
    }
    if (stopping_ && (waiting_.empty() || Clock::now() >= stop_by)) {
      counts_.lost += waiting_.size();
      return;
    }
    const size_t count = std::min(waiting_.size(), kBatch);
    if (count == 0) continue;
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    const std::vector<otlp::Span> batch(std::make_move_iterator(waiting_.begin()),
                                        std::make_move_iterator(end));
    waiting_.erase(waiting_.begin(), end);
    const auto timeout =
        stopping_ ? std::min(options_.timeout,
                             std::chrono::ceil<milliseconds>(stop_by - Clock::now()))
                  : options_.timeout;
    lock.unlock();
    const auto status = Send(batch, timeout);
    const auto now = Clock::now();
    if (!status.ok() && now >= quiet_until) {
      quiet_until = now + kComplainEvery;
      LOG_WARN("trace", "{} spans are lost: the collector at {} did not take them: {}",
               batch.size(), options_.endpoint, status.message());
    }
    lock.lock();
    (status.ok() ? counts_.sent : counts_.lost) += batch.size();
  }
}

arrow::Status Exporter::Send(const std::vector<otlp::Span>& spans,
                             milliseconds timeout) const {
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(),
                                                      curl_easy_cleanup);
  if (handle == nullptr) return arrow::Status::OutOfMemory("libcurl");
  const std::string body = Request(options_, spans);
  HeaderList headers;
  Append("Content-Type: application/x-protobuf", &headers);
  std::vector<std::string> lines;
  ParseHeaders(options_.headers, &lines);
  for (const auto& line : lines) Append(line, &headers);
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, options_.endpoint.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Discard);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return arrow::Status::IOError(curl_easy_strerror(code));
  long http_status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
  if (http_status / 100 == 2) return arrow::Status::OK();
  return arrow::Status::IOError("HTTP status ", http_status);
}

}  // namespace ballista::trace
