#include "ballista/security/credential_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "ballista/base/log.h"
#include "ballista/security/secrets.h"

namespace ballista::security {
namespace {

using arrow::Status;

constexpr auto kLookAgain = std::chrono::seconds(1);
constexpr std::string_view kTokenPrefix = "sha256:";

bool IsName(std::string_view name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
  return !name.empty() && name.size() <= 128 &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The 32 bytes of "sha256:<64 digits>"; empty for anything else.
std::string TokenDigest(std::string_view text) {
  if (text.substr(0, kTokenPrefix.size()) != kTokenPrefix) return "";
  text.remove_prefix(kTokenPrefix.size());
  if (text.size() != 2 * Digest().size()) return "";
  std::string digest;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) return "";
    digest += static_cast<char>(high * 16 + low);
  }
  return digest;
}

std::string VersionOf(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{}:{}:{}:{}.{}", info.st_dev, info.st_ino, info.st_size,
                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

arrow::Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Status::IOError("it cannot be read: ", std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return Status::IOError("it cannot be read");
  return std::move(text).str();
}

}  // namespace

arrow::Result<std::unique_ptr<CredentialFile>> CredentialFile::Open(std::string path) {
  std::unique_ptr<CredentialFile> file(new CredentialFile(std::move(path)));
  ARROW_RETURN_NOT_OK(file->Read());
  return file;
}

arrow::Result<CredentialFile::Users> CredentialFile::Parse(std::string_view text) {
  Users users;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream words(line);
    std::string name;
    std::string kind;
    std::string hash;
    std::string more;
    words >> name >> kind >> hash >> more;
    if (name.empty() || name[0] == '#') continue;
    const auto bad = [&](std::string_view what) {
      return Status::Invalid("line ", number, ": ", what);
    };
    if (!IsName(name)) return bad("a name has letters, digits and . _ @ - alone");
    if (kind == "administrator" && hash.empty()) {
      users[name].administrator = true;
      continue;
    }
    if (hash.empty() || !more.empty() || (kind != "password" && kind != "token")) {
      return bad(
          "expected NAME password HASH, NAME token sha256:DIGITS, or NAME administrator");
    }
    User& user = users[name];
    user.stamp += kind + " " + hash + "\n";
    if (kind == "token") {
      auto digest = TokenDigest(hash);
      if (digest.empty()) return bad("a token is sha256: and 64 digits of 0-9 and a-f");
      user.token_digests.push_back(std::move(digest));
      continue;
    }
    if (hash[0] != '$') {
      return bad("a password is a hash as `openssl passwd -6` prints it");
    }
    if (!user.password_hash.empty()) return bad("a second password of this user");
    user.password_hash = std::move(hash);
  }
  for (auto& [name, user] : users) {
    if (!user.stamp.empty()) user.stamp = Hex(Sha256(user.stamp));
  }
  return users;
}

Status CredentialFile::Read() {
  auto version = VersionOf(path_);
  ARROW_ASSIGN_OR_RAISE(const auto text, ReadText(path_));
  ARROW_ASSIGN_OR_RAISE(auto users, Parse(text));
  users_ = std::make_shared<const Users>(std::move(users));
  version_ = std::move(version);
  return Status::OK();
}

std::shared_ptr<const CredentialFile::Users> CredentialFile::Current() {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  if (now - looked_ < kLookAgain) return users_;
  looked_ = now;
  auto version = VersionOf(path_);
  if (version == version_) return users_;
  const auto read = Read();
  if (read.ok()) {
    LOG_INFO("security", "{} has changed and was read again", path_);
  } else {
    version_ = std::move(version);  // reported once
    LOG_ERROR("security", "{} has changed and cannot be used; the former one counts: {}",
              path_, read.message());
  }
  return users_;
}

bool CredentialFile::IsPassword(const std::string& user, const std::string& password) {
  const auto users = Current();
  const auto found = users->find(user);
  const bool there = found != users->end() && !found->second.password_hash.empty();
  return security::IsPassword(password,
                              there ? found->second.password_hash : NobodysHash()) &&
         there;
}

std::optional<std::string> CredentialFile::UserOfToken(const std::string& token) {
  const auto users = Current();
  const auto digest = Sha256(token);
  const std::string_view wanted(reinterpret_cast<const char*>(digest.data()),
                                digest.size());
  std::optional<std::string> owner;
  // To the end, so that the time does not tell where it is.
  for (const auto& [name, user] : *users) {
    for (const auto& known : user.token_digests) {
      if (EqualInConstantTime(wanted, known)) owner = name;
    }
  }
  return owner;
}

std::string CredentialFile::Stamp(const std::string& user) {
  const auto users = Current();
  const auto found = users->find(user);
  return found == users->end() ? "" : found->second.stamp;
}

bool CredentialFile::IsAdministrator(const std::string& user) {
  const auto users = Current();
  const auto found = users->find(user);
  return found != users->end() && found->second.administrator;
}

namespace {

Status WriteWhole(const std::string& path, const std::string& text) {
  const auto fail = [&](const std::string& file) {
    return Status::IOError(file, " cannot be written: ", std::strerror(errno));
  };
  const std::string draft = path + ".new";
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail(draft);
  size_t written = 0;
  while (written < text.size()) {
    const auto bytes = ::write(fd, text.data() + written, text.size() - written);
    if (bytes < 0) break;
    written += static_cast<size_t>(bytes);
  }
  const bool whole = written == text.size() && ::fsync(fd) == 0;
  ::close(fd);
  if (!whole || ::rename(draft.c_str(), path.c_str()) != 0) return fail(path);
  return Status::OK();
}

// Appends `line`; first removes the lines that begin with `replaced`, where not empty.
Status WriteLine(const std::string& path, const std::string& line,
                 const std::string& replaced) {
  std::string text;
  if (::access(path.c_str(), F_OK) == 0) {
    const auto readable = CredentialFile::Open(path);
    if (!readable.ok())
      return readable.status().WithMessage(path, ": ", readable.status().message());
    ARROW_ASSIGN_OR_RAISE(const auto before, ReadText(path));
    std::istringstream lines(before);
    for (std::string one; std::getline(lines, one);) {
      std::istringstream words(one);
      std::string name;
      std::string kind;
      words >> name >> kind;
      if (replaced.empty() || name + " " + kind != replaced) text += one + "\n";
    }
  }
  return WriteWhole(path, text + line + "\n");
}

Status CheckName(const std::string& name) {
  if (IsName(name)) return Status::OK();
  return Status::Invalid("a user's name has up to 128 letters, digits and . _ @ -");
}

}  // namespace

Status WritePassword(const std::string& path, const std::string& name,
                     const std::string& password) {
  ARROW_RETURN_NOT_OK(CheckName(name));
  ARROW_ASSIGN_OR_RAISE(const auto hash, HashPassword(password));
  return WriteLine(path, name + " password " + hash, name + " password");
}

Status WriteToken(const std::string& path, const std::string& name,
                  const std::string& token) {
  ARROW_RETURN_NOT_OK(CheckName(name));
  return WriteLine(
      path, fmt::format("{} token {}{}", name, kTokenPrefix, Hex(Sha256(token))), "");
}

}  // namespace ballista::security
