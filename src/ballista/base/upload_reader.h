// Files of uploads, which are at the scheduler that has taken the rows, and are read from
// every process by paths of one form: ballista-upload://<upload>/<file>.
//
// An upload's name is random and long, so that nobody finds one by guessing; a file does
// not change once it has a path that others know.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ballista {

inline constexpr std::string_view kUploadScheme = "ballista-upload://";

inline bool IsUploadPath(std::string_view path) {
  return path.starts_with(kUploadScheme);
}

// The UserError (RUNTIME) for an upload, or a file of one, that is not there (any more).
arrow::Status UploadGone(const std::string& name);

// Thread-safe.
class UploadReader {
 public:
  struct File {
    int64_t size = 0;
    int64_t modified_us = 0;  // since the epoch
  };

  virtual ~UploadReader() = default;

  // Errors: UserError (RUNTIME) for a file that is not there (any more); IOError where
  // that cannot be found out now.
  virtual arrow::Result<File> Stat(const std::string& path) = 0;
  // Exactly so many bytes. Errors: the same; IOError where the file ends before.
  virtual arrow::Result<std::string> Read(const std::string& path, int64_t offset,
                                          int64_t length) = 0;
};

}  // namespace ballista
