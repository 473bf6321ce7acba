#include "ballista/security/path_guard.h"

#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <deque>
#include <filesystem>
#include <system_error>
#include <utility>

#include "ballista/base/status.h"

namespace ballista::security {
namespace {

constexpr int kMaxLinks = 40;
constexpr std::string_view kWildcards = "*?[";

void PushFront(std::string_view path, std::deque<std::string>* parts) {
  size_t at = 0;
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    parts->insert(parts->begin() + static_cast<std::ptrdiff_t>(at++),
                  std::string(path.substr(begin, end - begin)));
    begin = end + 1;
  }
}

std::string_view WithoutScheme(std::string_view path) {
  for (const std::string_view scheme : {"file://localhost/", "file:///", "file:/"}) {
    if (path.substr(0, scheme.size()) == scheme) {
      path.remove_prefix(scheme.size() - 1);
      break;
    }
  }
  return path;
}

bool IsLink(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
}

}  // namespace

std::string ResolvePath(const std::string& given) {
  if (given.find('\0') != std::string::npos) return "";
  const std::string path(WithoutScheme(given));
  std::deque<std::string> parts;
  PushFront(path, &parts);
  std::error_code error;
  std::string done =
      !path.empty() && path[0] == '/' ? "" : std::filesystem::current_path(error);
  if (error) return "";
  int links = 0;
  while (!parts.empty()) {
    const std::string part = std::move(parts.front());
    parts.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      done.resize(done.empty() ? 0 : done.rfind('/'));
      continue;
    }
    const std::string next = done + "/" + part;
    if (!IsLink(next)) {
      done = next;
      continue;
    }
    if (++links > kMaxLinks) return "";
    std::string target(PATH_MAX, '\0');
    const auto size = ::readlink(next.c_str(), target.data(), target.size());
    if (size <= 0) return "";
    target.resize(static_cast<size_t>(size));
    if (target[0] == '/') done.clear();
    PushFront(target, &parts);
  }
  return done.empty() ? "/" : done;
}

arrow::Result<std::shared_ptr<const PathGuard>> PathGuard::Make(std::string_view list) {
  if (list.empty()) return nullptr;
  std::vector<std::string> folders;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string folder(list.substr(begin, end - begin));
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error)) {
      return arrow::Status::Invalid("\"", folder, "\" is no folder that is there");
    }
    folders.push_back(ResolvePath(folder));
    begin = end + 1;
  }
  return std::shared_ptr<const PathGuard>(new PathGuard(std::move(folders)));
}

bool PathGuard::Allows(const std::string& path) const {
  if (WithoutScheme(path).find("://") != std::string_view::npos) return false;
  const auto resolved = ResolvePath(path);
  for (const auto& folder : folders_) {
    if (folder == "/" || resolved == folder) return !resolved.empty();
    if (resolved.size() > folder.size() && resolved[folder.size()] == '/' &&
        resolved.compare(0, folder.size(), folder) == 0) {
      return true;
    }
  }
  return false;
}

bool PathGuard::AllowsPattern(const std::string& pattern) const {
  const size_t wild = pattern.find_first_of(kWildcards);
  if (wild == std::string::npos) return Allows(pattern);
  const auto rest = "/" + pattern.substr(wild) + "/";
  const size_t slash = pattern.rfind('/', wild);
  const auto fixed = slash == std::string::npos ? "." : pattern.substr(0, slash + 1);
  return rest.find("/../") == std::string::npos && Allows(fixed);
}

std::string PathGuard::Refusal(const std::string& path) {
  return "the path " + path +
         " is outside of the folders that this cluster may read and write (data-dirs)";
}

arrow::Status PathGuard::Check(const std::string& path) const {
  if (AllowsPattern(path)) return arrow::Status::OK();
  return UserErrorStatus(UserError::NOT_SUPPORTED, Refusal(path));
}

}  // namespace ballista::security
