#include "child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

extern char** environ;

namespace ballista::tpch {
namespace {

namespace fs = std::filesystem;
using arrow::Status;

// Starts the program; its standard output is `output` where that is no -1.
arrow::Result<pid_t> Start(const std::vector<std::string>& arguments, int output) {
  std::vector<char*> argv;
  for (const auto& argument : arguments)
    argv.push_back(const_cast<char*>(argument.data()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return Status::IOError(
        fmt::format("{} cannot be started: {}", arguments.front(), std::strerror(error)));
  }
  return pid;
}

arrow::Result<int> Wait(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return Status::IOError("waitpid: ", std::strerror(errno));
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool IsProgram(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

std::optional<fs::path> OwnFolder() {
  std::error_code error;
  const auto self = fs::read_symlink("/proc/self/exe", error);
  if (error) return std::nullopt;
  return self.parent_path();
}

}  // namespace

arrow::Result<int> Run(const std::vector<std::string>& arguments) {
  ARROW_ASSIGN_OR_RAISE(const pid_t pid, Start(arguments, -1));
  return Wait(pid);
}

arrow::Result<Output> RunAndRead(const std::vector<std::string>& arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Status::IOError("pipe: ", std::strerror(errno));
  }
  const auto pid = Start(arguments, ends[1]);
  ::close(ends[1]);
  Output output;
  if (pid.ok()) {
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::read(ends[0], buffer, sizeof(buffer));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      output.text.append(buffer, static_cast<size_t>(n));
    }
  }
  ::close(ends[0]);
  ARROW_RETURN_NOT_OK(pid);
  ARROW_ASSIGN_OR_RAISE(output.exit_code, Wait(*pid));
  return output;
}

std::optional<fs::path> FindSourceTree() {
  const auto folder = OwnFolder();
  if (!folder) return std::nullopt;
  const auto tree = folder->parent_path().parent_path();
  std::error_code ignored;
  if (!fs::exists(tree / "scripts" / "setup", ignored)) return std::nullopt;
  return tree;
}

std::optional<fs::path> FindProgram(const std::string& name) {
  std::vector<fs::path> folders;
  if (const auto own = OwnFolder()) folders.push_back(*own);
  if (const auto tree = FindSourceTree()) folders.push_back(*tree / ".deps/venv/bin");
  const char* path = std::getenv("PATH");
  std::istringstream list(path == nullptr ? "" : path);
  for (std::string folder; std::getline(list, folder, ':');) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  for (const auto& folder : folders) {
    if (IsProgram(folder / name)) return folder / name;
  }
  return std::nullopt;
}

}  // namespace ballista::tpch
