// Profiles: the connections that a person uses often, by name in a file of theirs.
//
//   [default]                       what counts when no profile is named
//   host = "localhost"
//
//   [staging]                       --profile staging, or BALLISTA_PROFILE
//   host = "a.example:50050,b.example:50050"
//   tls_ca = "staging.pem"
//   token_file = "staging.token"
//
// The file is $XDG_CONFIG_HOME/ballista/config.toml, by default
// ~/.config/ballista/config.toml.
#pragma once

#include <arrow/result.h>

#include <string>
#include <vector>

#include "ballista/config/settings.h"

namespace ballista::client {

// Immutable once loaded.
class Profile {
 public:
  // `name`: empty for BALLISTA_PROFILE, and then "default". A profile that nobody named
  // may be missing, and so may the file. Errors: Invalid or IOError, one sentence.
  static arrow::Result<Profile> Load(const std::string& name);

  // No option given.
  Profile() = default;

  // Whether the profile says something of this option, named as on the command line
  // ("tls-ca").
  bool Has(const std::string& option) const;
  // Only of one that it has. A file's name that is not absolute is taken from the folder
  // of the profiles, "~/" from the home folder.
  std::string Text(const std::string& option) const;
  uint64_t Number(const std::string& option) const { return settings_.Number(option); }
  bool Flag(const std::string& option) const { return settings_.Flag(option); }
  // The error for a value that turns out bad when it is used. Not for secrets: it quotes
  // the value.
  arrow::Status Refuse(const std::string& option, std::string_view reason) const {
    return settings_.Refuse(option, reason);
  }

  // What its reader should be told, a sentence each: a file with secrets that others can
  // read.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  std::string path_;
  bool found_ = false;
  config::Settings settings_;
  std::vector<std::string> warnings_;
};

}  // namespace ballista::client
