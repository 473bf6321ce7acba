#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <thread>
#include <utility>

#include "ballista/state/etcd_client_internal.h"
#include "ballista/state/state_error.h"

namespace ballista::state {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectTimeout{1000};
// One try, where other URLs could answer instead.
constexpr milliseconds kTryTimeout{2000};
constexpr milliseconds kRetryDelay{50};
constexpr milliseconds kLogInTimeout{2000};
constexpr long kSilentSeconds = 30;
constexpr int kPollMilliseconds = 50;
constexpr size_t kMaxErrorText = 300;
constexpr size_t kMaxLine = 64 << 20;

// gRPC codes, as the gateway passes them on.
constexpr int kInvalidArgument = 3;
constexpr int kNotFound = 5;
constexpr int kOutOfRange = 11;
constexpr int kUnauthenticated = 16;

size_t AppendBody(char* data, size_t size, size_t count, void* into) {
  static_cast<std::string*>(into)->append(data, size * count);
  return size * count;
}

milliseconds Left(Deadline deadline) {
  return std::chrono::duration_cast<milliseconds>(deadline -
                                                  std::chrono::steady_clock::now());
}

struct Headers {
  explicit Headers(const std::string& token) {
    list = curl_slist_append(list, "Content-Type: application/json");
    if (!token.empty()) {
      list = curl_slist_append(list, ("Authorization: " + token).c_str());
    }
  }
  ~Headers() { curl_slist_free_all(list); }
  Headers(const Headers&) = delete;
  Headers& operator=(const Headers&) = delete;
  curl_slist* list = nullptr;
};

void Prepare(CURL* handle, const std::string& url, const std::string* body,
             const Headers& headers, const EtcdAccess& access) {
  curl_easy_reset(handle);
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeout.count());
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.list);
  const auto set_file = [handle](CURLoption option, const std::string& path) {
    if (!path.empty()) curl_easy_setopt(handle, option, path.c_str());
  };
  set_file(CURLOPT_CAINFO, access.ca_file);
  set_file(CURLOPT_SSLCERT, access.cert_file);
  set_file(CURLOPT_SSLKEY, access.key_file);
  if (body != nullptr) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(body->size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body->c_str());
  }
}

// What etcd says is wrong, in a body of an error. `refused`: it does not take the token,
// and has done nothing.
arrow::Status EtcdError(long http_code, const std::string& body, bool* refused) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  std::string message = "HTTP status " + std::to_string(http_code);
  int code = 0;
  if (json.is_object()) {
    for (const char* name : {"message", "error"}) {
      if (json.contains(name) && json[name].is_string()) message = json[name];
    }
    if (json.contains("code") && json["code"].is_number_integer()) code = json["code"];
  } else if (!body.empty()) {
    message += ": " + body.substr(0, std::min(body.find('\n'), kMaxErrorText));
  }
  const bool no_user = message.find("user name is empty") != std::string::npos;
  *refused = code == kUnauthenticated || no_user ||
             message.find("revision of auth store is old") != std::string::npos;
  message = "etcd: " + message;
  if (no_user) message += " (it asks for --etcd-user and --etcd-password-file)";
  if (code == kOutOfRange) return MakeStateError(StateError::kCompacted, message);
  if (code == kNotFound) return MakeStateError(StateError::kLeaseGone, message);
  if (code == kInvalidArgument) return arrow::Status::Invalid(message);
  return MakeStateError(StateError::kUnavailable, message);
}

}  // namespace

int64_t NumberAt(const nlohmann::json& object, const char* name) {
  if (!object.is_object()) return 0;
  const auto it = object.find(name);
  if (it == object.end()) return 0;
  if (it->is_number_integer()) return it->get<int64_t>();
  if (!it->is_string()) return 0;
  const auto& text = it->get_ref<const std::string&>();
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

EtcdClient::EtcdClient(std::vector<std::string> urls, EtcdAccess access)
    : urls_(std::move(urls)), access_(std::move(access)) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialised;
}

EtcdClient::~EtcdClient() {
  for (CURL* handle : idle_) curl_easy_cleanup(handle);
}

std::string EtcdClient::Describe() const {
  std::string text = "etcd at ";
  for (size_t i = 0; i < urls_.size(); ++i) text += (i == 0 ? "" : ", ") + urls_[i];
  return text;
}

std::string EtcdClient::Token() const {
  const std::lock_guard lock(mutex_);
  return token_;
}

arrow::Status EtcdClient::LogIn(Deadline deadline) {
  if (access_.user.empty()) return arrow::Status::OK();
  {
    // One that is not good any more is refused here, too.
    const std::lock_guard lock(mutex_);
    token_.clear();
  }
  const std::string body =
      nlohmann::json{{"name", access_.user}, {"password", access_.password}}.dump();
  bool refused = false;
  ARROW_ASSIGN_OR_RAISE(
      const auto answer,
      TryAll("/v3/auth/authenticate", &body, /*repeatable=*/true, deadline, &refused));
  const auto token = answer.find("token");
  if (token == answer.end() || !token->is_string()) {
    return arrow::Status::IOError(Describe(), " gave no token");
  }
  const std::lock_guard lock(mutex_);
  token_ = *token;
  return arrow::Status::OK();
}

CURL* EtcdClient::TakeHandle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return curl_easy_init();
  CURL* handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void EtcdClient::GiveBack(CURL* handle) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(handle);
}

EtcdClient::Answer EtcdClient::CallOne(const std::string& url, const std::string* body,
                                       bool repeatable, milliseconds timeout) {
  const Headers headers(Token());
  CURL* handle = TakeHandle();
  Answer answer;
  Prepare(handle, url, body, headers, access_);
  // On a kept connection that turns out dead, curl would send the request once more.
  curl_easy_setopt(handle, CURLOPT_FRESH_CONNECT, repeatable ? 0L : 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, std::max<long>(1, timeout.count()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, AppendBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
  const CURLcode code = curl_easy_perform(handle);
  answer.curl_code = code;
  long sent = 0;
  curl_easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &sent);
  answer.reached = sent > 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.http_code);
  if (code == CURLE_OK) {
    GiveBack(handle);
  } else {
    curl_easy_cleanup(handle);
  }
  return answer;
}

arrow::Result<nlohmann::json> EtcdClient::Call(const std::string& path,
                                               const nlohmann::json& body,
                                               bool repeatable, Deadline deadline) {
  const std::string text = body.dump();
  return CallAll(path, &text, repeatable, deadline);
}

arrow::Result<nlohmann::json> EtcdClient::Get(const std::string& path,
                                              Deadline deadline) {
  return CallAll(path, nullptr, true, deadline);
}

arrow::Result<nlohmann::json> EtcdClient::CallAll(const std::string& path,
                                                  const std::string* body,
                                                  bool repeatable, Deadline deadline) {
  while (true) {
    bool refused = false;
    const std::string token = Token();
    auto answer = TryAll(path, body, repeatable, deadline, &refused);
    if (!refused || access_.user.empty()) return answer;
    // It was started again, or the token is too old. One of a moment ago may be refused,
    // too, while it starts.
    if (token == Token()) {
      std::this_thread::sleep_for(std::min(kRetryDelay, Left(deadline)));
      ARROW_RETURN_NOT_OK(LogIn(deadline));
    }
    if (Left(deadline).count() <= 0) return answer;
  }
}

arrow::Result<nlohmann::json> EtcdClient::TryAll(const std::string& path,
                                                 const std::string* body, bool repeatable,
                                                 Deadline deadline, bool* refused) {
  *refused = false;
  arrow::Status failed = MakeStateError(StateError::kUnavailable, "no time left to ask");
  for (size_t tries = 1;; ++tries) {
    const milliseconds left = Left(deadline);
    if (left.count() <= 0) break;
    const size_t at = current_.load();
    const std::string& url = urls_[at % urls_.size()];
    const milliseconds timeout = urls_.size() > 1 ? std::min(left, kTryTimeout) : left;
    const Answer answer = CallOne(url + path, body, repeatable, timeout);
    if (answer.curl_code == CURLE_OK && answer.http_code == 200) {
      auto json = nlohmann::json::parse(answer.body, nullptr, false);
      if (json.is_object()) return json;
      return arrow::Status::IOError(url, path, " did not answer as etcd does");
    }
    if (answer.curl_code == CURLE_OK) {
      failed = EtcdError(answer.http_code, answer.body, refused);
      if (*refused) return failed;
      if (!IsStateError(failed, StateError::kUnavailable)) return failed;
    } else if (tries == 1 || timeout < left ||
               answer.curl_code != CURLE_OPERATION_TIMEDOUT) {
      // Of a call that the deadline cut off there is less to say than of those before.
      failed = MakeStateError(
          StateError::kUnavailable,
          url + ": " + curl_easy_strerror(static_cast<CURLcode>(answer.curl_code)));
    }
    if (answer.reached && !repeatable) {
      return failed.WithMessage(failed.message(),
                                "; it is not known whether the commit took place");
    }
    size_t expected = at;
    current_.compare_exchange_strong(expected, at + 1);
    if (tries % urls_.size() == 0) {
      std::this_thread::sleep_for(std::min(kRetryDelay, Left(deadline)));
    }
  }
  return MakeStateError(
      StateError::kUnavailable,
      Describe() + " did not answer in time; the last failure was: " + failed.message());
}

// -------------------------------------------------------------------------------- stream

namespace {

struct LineReader {
  const std::function<bool(std::string_view)>* on_line;
  std::string pending;
  bool wants_more = true;

  static size_t Take(char* data, size_t size, size_t count, void* self) {
    auto* reader = static_cast<LineReader*>(self);
    return reader->Add({data, size * count}) ? size * count : 0;
  }

  bool Add(std::string_view bytes) {
    pending.append(bytes);
    size_t start = 0;
    for (size_t end; wants_more && (end = pending.find('\n', start)) != std::string::npos;
         start = end + 1) {
      const std::string_view line(pending.data() + start, end - start);
      if (!line.empty()) wants_more = (*on_line)(line);
    }
    pending.erase(0, start);
    return wants_more && pending.size() <= kMaxLine;
  }
};

struct MultiStream {
  MultiStream() : multi(curl_multi_init()), easy(curl_easy_init()) {}
  ~MultiStream() {
    curl_multi_remove_handle(multi, easy);
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  MultiStream(const MultiStream&) = delete;
  MultiStream& operator=(const MultiStream&) = delete;
  CURLM* multi;
  CURL* easy;
};

}  // namespace

arrow::Status EtcdClient::Stream(const std::string& path, const nlohmann::json& body,
                                 const std::function<bool(std::string_view)>& on_line,
                                 const std::function<bool()>& stopped) {
  // What a stream ends with does not tell whether it was for the token's sake.
  ARROW_RETURN_NOT_OK(LogIn(In(kLogInTimeout)));
  const Headers headers(Token());
  const std::string text = body.dump();
  const size_t at = current_.load();
  const std::string url = urls_[at % urls_.size()] + path;
  LineReader reader{&on_line};
  const MultiStream stream;
  Prepare(stream.easy, url, &text, headers, access_);
  curl_easy_setopt(stream.easy, CURLOPT_WRITEFUNCTION, LineReader::Take);
  curl_easy_setopt(stream.easy, CURLOPT_WRITEDATA, &reader);
  curl_easy_setopt(stream.easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(stream.easy, CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
  curl_multi_add_handle(stream.multi, stream.easy);
  int running = 1;
  while (running > 0 && reader.wants_more) {
    if (stopped()) return arrow::Status::OK();
    const CURLMcode code = curl_multi_perform(stream.multi, &running);
    if (code != CURLM_OK) break;
    if (running > 0) {
      curl_multi_poll(stream.multi, nullptr, 0, kPollMilliseconds, nullptr);
    }
  }
  if (!reader.wants_more) return arrow::Status::OK();
  size_t expected = at;
  current_.compare_exchange_strong(expected, at + 1);
  return MakeStateError(StateError::kUnavailable, "the stream from " + url + " broke");
}

}  // namespace ballista::state
