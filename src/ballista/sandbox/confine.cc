#include "ballista/sandbox/confine.h"

#include <duckdb/common/file_opener.hpp>
#include <duckdb/common/local_file_system.hpp>
#include <duckdb/common/multi_file/multi_file_list.hpp>
#include <duckdb/common/virtual_file_system.hpp>
#include <utility>

namespace ballista::sandbox {
namespace {

using duckdb::FileOpener;
using duckdb::optional_ptr;
using duckdb::string;

// The local files of an instance: what every path that is no URL ends up at.
class GuardedFileSystem : public duckdb::LocalFileSystem {
 public:
  GuardedFileSystem(std::shared_ptr<const security::PathGuard> guard,
                    const string& temp_directory)
      : guard_(std::move(guard)),
        temp_directory_(temp_directory.empty() ? ""
                                               : security::ResolvePath(temp_directory)) {}

  duckdb::unique_ptr<duckdb::FileHandle> OpenFile(
      const string& path, duckdb::FileOpenFlags flags,
      optional_ptr<FileOpener> opener = nullptr) override {
    Check(path, opener);
    return LocalFileSystem::OpenFile(path, flags, opener);
  }
  bool DirectoryExists(const string& path,
                       optional_ptr<FileOpener> opener = nullptr) override {
    return Allows(path, opener) && LocalFileSystem::DirectoryExists(path, opener);
  }
  bool FileExists(const string& path,
                  optional_ptr<FileOpener> opener = nullptr) override {
    return Allows(path, opener) && LocalFileSystem::FileExists(path, opener);
  }
  bool IsPipe(const string& path, optional_ptr<FileOpener> opener = nullptr) override {
    return Allows(path, opener) && LocalFileSystem::IsPipe(path, opener);
  }
  void CreateDirectory(const string& path,
                       optional_ptr<FileOpener> opener = nullptr) override {
    Check(path, opener);
    LocalFileSystem::CreateDirectory(path, opener);
  }
  void RemoveDirectory(const string& path,
                       optional_ptr<FileOpener> opener = nullptr) override {
    Check(path, opener);
    LocalFileSystem::RemoveDirectory(path, opener);
  }
  void RemoveFile(const string& path,
                  optional_ptr<FileOpener> opener = nullptr) override {
    Check(path, opener);
    LocalFileSystem::RemoveFile(path, opener);
  }
  void MoveFile(const string& source, const string& target,
                optional_ptr<FileOpener> opener = nullptr) override {
    Check(source, opener);
    Check(target, opener);
    LocalFileSystem::MoveFile(source, target, opener);
  }

 protected:
  bool ListFilesExtended(const string& directory,
                         const std::function<void(duckdb::OpenFileInfo& info)>& callback,
                         optional_ptr<FileOpener> opener) override {
    Check(directory, opener);
    return LocalFileSystem::ListFilesExtended(directory, callback, opener);
  }
  duckdb::unique_ptr<duckdb::MultiFileList> GlobFilesExtended(
      const string& path, const duckdb::FileGlobInput& input,
      optional_ptr<FileOpener> opener) override {
    if (!guard_->AllowsPattern(path)) Refuse(path);
    return LocalFileSystem::GlobFilesExtended(path, input, opener);
  }

 private:
  // The instance's own spilling has an opener without a client.
  bool Allows(const string& path, optional_ptr<FileOpener> opener) const {
    if (guard_->Allows(path)) return true;
    if (temp_directory_.empty() || !opener || opener->TryGetClientContext()) return false;
    const auto resolved = security::ResolvePath(path);
    return resolved == temp_directory_ || resolved.rfind(temp_directory_ + "/", 0) == 0;
  }
  void Check(const string& path, optional_ptr<FileOpener> opener) const {
    if (!Allows(path, opener)) Refuse(path);
  }
  [[noreturn]] static void Refuse(const string& path) {
    throw duckdb::PermissionException(security::PathGuard::Refusal(path));
  }

  const std::shared_ptr<const security::PathGuard> guard_;
  const string temp_directory_;
};

}  // namespace

void Confine(std::shared_ptr<const security::PathGuard> guard,
             const std::string& temp_directory, duckdb::DBConfig* config) {
  if (guard == nullptr) return;
  config->SetOptionByName("allow_persistent_secrets", duckdb::Value::BOOLEAN(false));
  const auto folders = guard->folders();
  config->file_system = duckdb::make_uniq<duckdb::VirtualFileSystem>(
      duckdb::make_uniq<GuardedFileSystem>(std::move(guard), temp_directory));
  for (const auto& folder : folders) config->AddAllowedDirectory(folder);
  config->SetOptionByName("enable_external_access", duckdb::Value::BOOLEAN(false));
}

}  // namespace ballista::sandbox
