// The allow-list of folders (--data-dirs) that SQL may read and write.
//
// A path is resolved as the kernel would do it (symbolic links, "..", relative to this
// process's folder), up to where nothing exists, and must then lie in one of the folders.
// Whoever may make symbolic links inside of them can still swap one between the check and
// the use: the folders are trusted as far as that. Immutable, so safe from every thread.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ballista::security {

class PathGuard {
 public:
  // `list`: folders with commas between; empty: a null guard, and everything is allowed.
  // Error: Invalid, half a sentence, for a folder that is not there.
  static arrow::Result<std::shared_ptr<const PathGuard>> Make(std::string_view list);

  // The folders, resolved.
  const std::vector<std::string>& folders() const { return folders_; }

  bool Allows(const std::string& path) const;
  // The same for a path with wildcards: the part before them must be allowed, and no ".."
  // may follow.
  bool AllowsPattern(const std::string& pattern) const;

  // OK, or a UserError that names the path, and not what is there.
  arrow::Status Check(const std::string& path) const;
  static std::string Refusal(const std::string& path);

 private:
  explicit PathGuard(std::vector<std::string> folders) : folders_(std::move(folders)) {}

  const std::vector<std::string> folders_;
};

// Where `path` leads: absolute, without symbolic links and "..". Empty for a path that
// has a zero byte or too many links.
std::string ResolvePath(const std::string& path);

}  // namespace ballista::security
