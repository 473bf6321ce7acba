#include "ballista/executor/remote_uploads.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "ballista/base/status.h"
#include "ballista/flight/pooled_call.h"

namespace ballista::executor {
namespace {

constexpr auto kTimeout = std::chrono::seconds(20);
constexpr int kTries = 3;
constexpr auto kBetweenTries = std::chrono::milliseconds(200);
constexpr size_t kMaxHomes = 10000;

// "<scheme><upload>" of "<scheme><upload>/<file>".
std::string UploadOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

}  // namespace

arrow::Result<UploadReader::File> RemoteUploads::Stat(const std::string& path) {
  upload::ReadRequest request;
  request.set_path(path);
  ARROW_ASSIGN_OR_RAISE(const auto response, Ask(request));
  return File{static_cast<int64_t>(response.size()), response.modified_us()};
}

arrow::Result<std::string> RemoteUploads::Read(const std::string& path, int64_t offset,
                                               int64_t length) {
  if (length == 0) return "";
  upload::ReadRequest request;
  request.set_path(path);
  request.set_offset(static_cast<uint64_t>(offset));
  request.set_length(static_cast<uint64_t>(length));
  ARROW_ASSIGN_OR_RAISE(auto response, Ask(request));
  if (static_cast<int64_t>(response.data().size()) == length) {
    return std::move(*response.mutable_data());
  }
  return arrow::Status::IOError("a scheduler gave ", response.data().size(), " of ",
                                length, " bytes of the uploaded file ", path);
}

std::vector<flight::Address> RemoteUploads::Candidates(const std::string& upload) {
  auto addresses = schedulers_();
  const std::lock_guard lock(mutex_);
  const auto home = homes_.find(upload);
  if (home != homes_.end()) {
    std::stable_partition(addresses.begin(), addresses.end(),
                          [&](const auto& one) { return one == home->second; });
  }
  return addresses;
}

arrow::Result<upload::ReadResponse> RemoteUploads::Ask(
    const upload::ReadRequest& request) {
  const auto upload = UploadOf(request.path());
  arrow::Status silent;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kBetweenTries);
    silent = arrow::Status::OK();
    for (const auto& address : Candidates(upload)) {
      auto response = flight::CallPeer<upload::ReadResponse>(
          clients_.get(), address.host, address.port, "read_upload", request, kTimeout);
      if (!response.ok()) {
        if (!flight::IsTransient(response.status())) return response.status();
        silent = response.status();
      } else if (response->found()) {
        const std::lock_guard lock(mutex_);
        if (homes_.size() >= kMaxHomes) homes_.clear();
        homes_[upload] = address;
        return response;
      }
    }
    // All have answered, and none has it.
    if (silent.ok()) break;
  }
  if (!silent.ok()) {
    return arrow::Status::IOError(
        "the uploaded table ", upload,
        " cannot be read, since a scheduler does not answer: ", silent.message());
  }
  return UploadGone(upload);
}

}  // namespace ballista::executor
