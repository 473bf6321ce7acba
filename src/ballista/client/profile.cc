#include "ballista/client/profile.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

namespace ballista::client {
namespace {

using arrow::Status;
using config::OptionType;

// Named as the command line options of the same meaning; `password` and `token` have
// none.
const config::ProgramSpec& Spec() {
  static const config::ProgramSpec spec{
      .name = "ballista",
      .options = {
          {.name = "host"},
          {.name = "port",
           .type = OptionType::kNumber,
           .default_value = "50050",
           .min = 1,
           .max = 65535},
          {.name = "tls", .type = OptionType::kBool, .default_value = "false"},
          {.name = "tls-ca", .type = OptionType::kPath},
          {.name = "tls-cert", .type = OptionType::kPath},
          {.name = "tls-key", .type = OptionType::kPath},
          {.name = "user"},
          {.name = "password"},
          {.name = "password-file", .type = OptionType::kPath},
          {.name = "token"},
          {.name = "token-file", .type = OptionType::kPath},
          {.name = "format",
           .type = OptionType::kEnum,
           .default_value = "table",
           .values = {"table", "csv", "json", "parquet", "arrow"}},
      }};
  return spec;
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Empty where neither variable says.
std::string ProfilesFile() {
  // The specification of base directories: one that is not absolute does not count.
  std::filesystem::path folder = Environment("XDG_CONFIG_HOME");
  if (!folder.is_absolute()) {
    const auto home = Environment("HOME");
    if (home.empty()) return "";
    folder = std::filesystem::path(home) / ".config";
  }
  return folder / "ballista" / "config.toml";
}

// Whether somebody but the owner may read it.
bool ReadableByOthers(const std::string& path) {
  struct stat about {};
  return stat(path.c_str(), &about) == 0 && (about.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

Status Missing(const std::string& name, const std::string& path,
               const std::vector<std::string>& known) {
  return Status::Invalid(fmt::format(
      "there is no profile \"{}\" in {}; {}", name, path,
      known.empty() ? "it has none" : fmt::format("it has {}", fmt::join(known, ", "))));
}

}  // namespace

arrow::Result<Profile> Profile::Load(const std::string& given) {
  const auto wanted = given.empty() ? Environment("BALLISTA_PROFILE") : given;
  const auto name = wanted.empty() ? "default" : wanted;
  Profile profile;
  profile.path_ = ProfilesFile();
  if (profile.path_.empty()) {
    if (wanted.empty()) return profile;
    return Status::Invalid(fmt::format(
        "profile \"{}\": neither XDG_CONFIG_HOME nor HOME says where profiles are",
        name));
  }
  std::error_code error;
  // One that is there and cannot be read is an error below.
  if (!std::filesystem::exists(profile.path_, error) && !error && wanted.empty()) {
    return profile;
  }
  std::vector<std::string> known;
  ARROW_ASSIGN_OR_RAISE(auto settings,
                        config::ReadSection(Spec(), profile.path_, name, &known));
  if (!settings) {
    if (wanted.empty()) return profile;
    return Missing(name, profile.path_, known);
  }
  profile.found_ = true;
  profile.settings_ = *std::move(settings);
  for (const auto& option : Spec().options) {
    if (profile.Has(option.name) && profile.settings_.Given(option.name).empty()) {
      return profile.Refuse(option.name, "expected a text that is not empty");
    }
  }
  const bool secret = profile.Has("password") || profile.Has("token");
  if (secret && ReadableByOthers(profile.path_)) {
    profile.warnings_.push_back(
        fmt::format("{} has a password or token in it and others can read it; "
                    "chmod 600 keeps it to you",
                    profile.path_));
  }
  return profile;
}

bool Profile::Has(const std::string& option) const {
  return found_ && !settings_.IsDefault(option);
}

std::string Profile::Text(const std::string& option) const {
  const auto& text = settings_.Text(option);
  if (Spec().Find(option)->type != OptionType::kPath || text.empty()) return text;
  if (text.starts_with("~/")) return Environment("HOME") + text.substr(1);
  return std::filesystem::path(path_).parent_path() / text;
}

}  // namespace ballista::client
