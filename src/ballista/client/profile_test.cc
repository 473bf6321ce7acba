#include "ballista/client/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ballista/client/connection_options.h"

namespace ballista::client {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kVariables[] = {"BALLISTA_PROFILE",  "BALLISTA_HOST",
                                      "BALLISTA_PORT",     "BALLISTA_USER",
                                      "BALLISTA_PASSWORD", "BALLISTA_TOKEN"};

// A home folder with profiles, and an environment without BALLISTA_….
class ProfileTest : public testing::Test {
 protected:
  ProfileTest() {
    std::string name = (fs::temp_directory_path() / "profile_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    home_ = name;
    setenv("HOME", name.c_str(), 1);
    unsetenv("XDG_CONFIG_HOME");
    for (const auto* variable : kVariables) unsetenv(variable);
  }
  ~ProfileTest() override {
    fs::remove_all(home_);
    for (const auto* variable : kVariables) unsetenv(variable);
  }

  fs::path Folder() const { return home_ / ".config" / "ballista"; }

  void Write(const std::string& text) const { WriteFile("config.toml", text); }
  void WriteFile(const std::string& name, const std::string& text) const {
    fs::create_directories(Folder());
    std::ofstream(Folder() / name) << text;
    fs::permissions(Folder() / name, fs::perms::owner_read | fs::perms::owner_write);
  }

  static std::string LoadError(const std::string& name = "") {
    const auto profile = Profile::Load(name);
    return profile.ok() ? "no error" : profile.status().message();
  }

  // Parses the arguments as the programs do, and completes them by the profile.
  arrow::Result<ClientOptions> Resolve(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "program");
    CLI::App app;
    ConnectionOptions options;
    DeclareConnectionOptions(&app, &options, true);
    app.parse(static_cast<int>(arguments.size()), arguments.data());
    ARROW_ASSIGN_OR_RAISE(const auto profile, Profile::Load(options.profile));
    warnings_ = profile.warnings();
    return ResolveConnection(options, profile, &warnings_);
  }
  std::string ResolveError(std::vector<const char*> arguments) {
    const auto resolved = Resolve(std::move(arguments));
    return resolved.ok() ? "no error" : resolved.status().message();
  }
  // "host:port[,host:port] authorization"
  std::string Target(std::vector<const char*> arguments) {
    const auto resolved = Resolve(std::move(arguments));
    if (!resolved.ok()) return resolved.status().message();
    std::string text;
    for (const auto& server : resolved->servers) {
      text += (text.empty() ? "" : ",") + server.host + ":" + std::to_string(server.port);
    }
    return text + " " + resolved->authorization;
  }

  fs::path home_;
  std::vector<std::string> warnings_;
};

TEST_F(ProfileTest, NoFileIsNoProfile) {
  const auto profile = Profile::Load("");
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_FALSE(profile->Has("host"));
  EXPECT_EQ(Target({}), "localhost:50050 ");
}

TEST_F(ProfileTest, ReadsTheDefaultProfileAndNamedOnes) {
  Write("[default]\nhost = 'a,b:7'\nport = 99\n[other]\nhost = 'c'\nformat = 'csv'\n");
  EXPECT_EQ(Target({}), "a:99,b:7 ");
  EXPECT_EQ(Target({"--profile", "other"}), "c:50050 ");
  EXPECT_EQ(Profile::Load("other")->Text("format"), "csv");
  setenv("BALLISTA_PROFILE", "other", 1);
  EXPECT_EQ(Target({}), "c:50050 ");
  EXPECT_EQ(Target({"--profile", "default"}), "a:99,b:7 ");
}

TEST_F(ProfileTest, FlagsWinOverEnvironmentOverProfile) {
  Write("[default]\nhost = 'file'\nport = 1\n");
  setenv("BALLISTA_HOST", "environment", 1);
  EXPECT_EQ(Target({}), "environment:1 ");
  EXPECT_EQ(Target({"--host", "flag"}), "flag:1 ");
  EXPECT_EQ(Target({"-p", "2"}), "environment:2 ");
  setenv("BALLISTA_PORT", "3", 1);
  EXPECT_EQ(Target({}), "environment:3 ");
}

TEST_F(ProfileTest, TheFolderOfConfigurationsMayBeElsewhere) {
  Write("[default]\nhost = 'home'\n");
  fs::create_directories(home_ / "xdg" / "ballista");
  std::ofstream(home_ / "xdg" / "ballista" / "config.toml")
      << "[default]\nhost = 'xdg'\n";
  setenv("XDG_CONFIG_HOME", (home_ / "xdg").c_str(), 1);
  EXPECT_EQ(Target({}), "xdg:50050 ");
  // What is not absolute does not count.
  setenv("XDG_CONFIG_HOME", "xdg", 1);
  EXPECT_EQ(Target({}), "home:50050 ");
  unsetenv("XDG_CONFIG_HOME");
}

TEST_F(ProfileTest, LogsInByTheFirstPlaceThatNamesALogIn) {
  WriteFile("secret", "from-file\nmore\n");
  Write(
      "[default]\nuser = 'ann'\npassword = 'pw'\n"
      "[file]\nuser = 'ann'\npassword_file = 'secret'\n"
      "[token]\ntoken = 'tok'\n[token-file]\ntoken_file = '~/.config/ballista/secret'\n");
  EXPECT_EQ(Target({}), "localhost:50050 Basic YW5uOnB3");
  EXPECT_EQ(Target({"--profile", "file"}), "localhost:50050 Basic YW5uOmZyb20tZmlsZQ==");
  EXPECT_EQ(Target({"--profile", "token"}), "localhost:50050 Bearer tok");
  EXPECT_EQ(Target({"--profile", "token-file"}), "localhost:50050 Bearer from-file");
  const auto secret = (Folder() / "secret").string();
  EXPECT_EQ(Target({"--token-file", secret.c_str()}), "localhost:50050 Bearer from-file");
  setenv("BALLISTA_TOKEN", "env", 1);
  EXPECT_EQ(Target({}), "localhost:50050 Bearer env");
  EXPECT_EQ(Target({"--profile", "token"}), "localhost:50050 Bearer env");
  setenv("BALLISTA_PASSWORD", "env", 1);
  EXPECT_EQ(Target({"--user", "ann"}), "localhost:50050 Basic YW5uOmVudg==");
  unsetenv("BALLISTA_PASSWORD");
  // The password is ann's.
  EXPECT_THAT(ResolveError({"--user", "bob"}), HasSubstr("the password is missing"));
}

TEST_F(ProfileTest, SecretsGoToNoOtherHostThanTheProfiles) {
  Write("[default]\nhost = 'mine'\ntoken = 'tok'\n[any]\ntoken = 'tok'\n");
  EXPECT_EQ(Target({}), "mine:50050 Bearer tok");
  EXPECT_EQ(Target({"--host", "mine"}), "mine:50050 Bearer tok");
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_EQ(Target({"--host", "other"}), "other:50050 ");
  EXPECT_THAT(warnings_, ElementsAre("the token of the profile is for mine and is not "
                                     "sent to other"));
  EXPECT_EQ(Target({"--profile", "any", "--host", "other"}), "other:50050 Bearer tok");
}

TEST_F(ProfileTest, WarnsOfSecretsThatOthersCanRead) {
  Write("[default]\nhost = 'h'\n[secret]\npassword = 'pw'\nuser = 'u'\n");
  const auto file = Folder() / "config.toml";
  EXPECT_THAT(Profile::Load("secret")->warnings(), IsEmpty());
  fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
  EXPECT_THAT(Profile::Load("")->warnings(), IsEmpty());
  EXPECT_THAT(Profile::Load("secret")->warnings(),
              ElementsAre(file.string() + " has a password or token in it and others can "
                                          "read it; chmod 600 keeps it to you"));
}

TEST_F(ProfileTest, SaysWhatIsWrongAndWhere) {
  const auto file = (Folder() / "config.toml").string();
  EXPECT_THAT(LoadError("gone"), HasSubstr(file + ": cannot be read: No such file"));
  Write("");
  EXPECT_EQ(LoadError(), "no error");
  EXPECT_EQ(LoadError("gone"),
            "there is no profile \"gone\" in " + file + "; it has none");
  Write("[default]\n\n[b]\nhots = 'x'\n");
  EXPECT_EQ(LoadError("gone"),
            "there is no profile \"gone\" in " + file + "; it has default, b");
  EXPECT_EQ(LoadError(), "no error");
  EXPECT_EQ(LoadError("b"),
            file + ":4: unknown key \"hots\"; the nearest known one is \"host\"");
  Write("host = 'x'\n");
  EXPECT_EQ(LoadError(), file +
                             ":1: \"host\" stands in no section; put it below a line "
                             "such as [default]");
  Write("[default]\nport = 0\n");
  EXPECT_EQ(LoadError(), file +
                             ":2: bad value \"0\" for port: expected a whole number "
                             "from 1 to 65535");
  Write("[default]\nhost = 5\n");
  EXPECT_EQ(LoadError(), file + ":2: bad value for \"host\": expected text in quotes");
  Write("[default]\ntls_ca = ''\n");
  EXPECT_EQ(LoadError(), file +
                             ":2: bad value \"\" for tls_ca: expected a text that is "
                             "not empty");
  Write("[default]\nformat = 'cvs'\n");
  EXPECT_THAT(LoadError(),
              HasSubstr(":2: bad value \"cvs\" for format: expected one of"));
  Write("[default\n");
  EXPECT_THAT(LoadError(), HasSubstr(file + ":1: not valid TOML: "));
}

TEST_F(ProfileTest, NamesTheLineOfAValueThatTurnsOutBad) {
  const auto file = (Folder() / "config.toml").string();
  Write(
      "[default]\nhost = 'http://x'\n[ca]\ntls_ca = 'gone.pem'\n"
      "[both]\nuser = 'u'\ntoken = 'secret'\n[two]\ntoken = 'secret'\ntoken_file = "
      "'f'\n");
  EXPECT_EQ(ResolveError({}), file +
                                  ":2: bad value \"http://x\" for host: a URL begins "
                                  "with grpc:// or grpc+tls://");
  EXPECT_THAT(ResolveError({"--host", "http://x"}), HasSubstr("--host: a URL begins"));
  EXPECT_THAT(ResolveError({"--profile", "ca"}), HasSubstr(file + ":4: bad value "));
  EXPECT_EQ(ResolveError({"--profile", "both"}),
            file +
                ":6: bad value \"u\" for user: a token stands for a user; leave out one "
                "of them");
  EXPECT_EQ(ResolveError({"--profile", "two"}),
            file +
                ":10: bad value \"f\" for token_file: the profile has a token too; "
                "leave out one");
}

}  // namespace
}  // namespace ballista::client
