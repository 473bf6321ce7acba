// HTTP calls to etcd's JSON gateway: several URLs with fail-over, a deadline on each
// call, kept connections.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ballista/state/open.h"
#include "ballista/state/state_backend.h"

using CURL = void;

namespace ballista::state {

std::string Base64(std::string_view bytes);
// Invalid for what is no base64.
arrow::Result<std::string> FromBase64(std::string_view text);

// etcd writes 64-bit numbers as text, and leaves out zeros.
int64_t NumberAt(const nlohmann::json& object, const char* name);

// Thread-safe.
class EtcdClient {
 public:
  // With a scheme, without a slash at the end; at least one.
  explicit EtcdClient(std::vector<std::string> urls, EtcdAccess access = {});
  ~EtcdClient();

  // Gets a token for the user, where there is one. Every call does so again where etcd
  // does not know the token any more. Errors: kUnavailable; Invalid for a wrong password.
  arrow::Status LogIn(Deadline deadline);

  // POST; the answer's body. Goes to another URL, and round again, until the deadline, as
  // long as the server was not reached, or with `repeatable` where it may have been.
  // Errors: kUnavailable, kCompacted, kLeaseGone by what etcd says; else IOError.
  arrow::Result<nlohmann::json> Call(const std::string& path, const nlohmann::json& body,
                                     bool repeatable, Deadline deadline);
  // GET of a small page.
  arrow::Result<nlohmann::json> Get(const std::string& path, Deadline deadline);

  // POST to the next URL whose answer is one JSON text a line, without an end. Gives each
  // to `on_line` until that says false. Returns then, when the stream breaks
  // (kUnavailable; also when nothing has come for 30 s), or when `stopped` says true,
  // which is asked every 50 ms.
  arrow::Status Stream(const std::string& path, const nlohmann::json& body,
                       const std::function<bool(std::string_view)>& on_line,
                       const std::function<bool()>& stopped);

  std::string Describe() const;

 private:
  struct Answer {
    int curl_code = 0;
    bool reached = false;  // a connection was there: the server may have read the request
    long http_code = 0;
    std::string body;
  };
  arrow::Result<nlohmann::json> CallAll(const std::string& path, const std::string* body,
                                        bool repeatable, Deadline deadline);
  Answer CallOne(const std::string& url, const std::string* body, bool repeatable,
                 std::chrono::milliseconds timeout);
  CURL* TakeHandle();
  void GiveBack(CURL* handle);

  // One pass of CallAll: without a new log-in.
  arrow::Result<nlohmann::json> TryAll(const std::string& path, const std::string* body,
                                       bool repeatable, Deadline deadline, bool* refused);
  std::string Token() const;

  const std::vector<std::string> urls_;
  const EtcdAccess access_;
  std::atomic<size_t> current_{0};  // the URL that answered last
  mutable std::mutex mutex_;
  std::string token_;  // of the last log-in
  std::vector<CURL*> idle_;
};

}  // namespace ballista::state
