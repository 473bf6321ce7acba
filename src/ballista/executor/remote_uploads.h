// Files of uploads, which are at one of the schedulers, for the tasks of this executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ballista/base/upload_reader.h"
#include "ballista/flight/address_list.h"
#include "ballista/flight/client_pool.h"
#include "ballista/upload.pb.h"

namespace ballista::executor {

// Thread-safe. A call waits for at most about a minute.
class RemoteUploads : public UploadReader {
 public:
  // `schedulers`: those of the cluster now; called from tasks' threads.
  RemoteUploads(std::function<std::vector<flight::Address>()> schedulers,
                std::shared_ptr<flight::ClientPool> clients)
      : schedulers_(std::move(schedulers)), clients_(std::move(clients)) {}

  arrow::Result<File> Stat(const std::string& path) override;
  arrow::Result<std::string> Read(const std::string& path, int64_t offset,
                                  int64_t length) override;

 private:
  arrow::Result<upload::ReadResponse> Ask(const upload::ReadRequest& request);
  // Of the scheduler that has had the upload last, then the others.
  std::vector<flight::Address> Candidates(const std::string& upload);

  const std::function<std::vector<flight::Address>()> schedulers_;
  const std::shared_ptr<flight::ClientPool> clients_;
  std::mutex mutex_;
  std::map<std::string, flight::Address> homes_;  // by upload
};

}  // namespace ballista::executor
