#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "ballista/security/authenticator.h"
#include "ballista/security/credential_file.h"
#include "ballista/security/path_guard.h"
#include "ballista/security/secrets.h"

namespace ballista::security {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using Kind = Identity::Kind;

constexpr const char* kCluster = "0123456789abcdef0123456789abcdef";

class SecurityTest : public testing::Test {
 protected:
  SecurityTest() {
    std::string name = (fs::temp_directory_path() / "security_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
    path_ = folder_ / "users";
  }
  ~SecurityTest() override { fs::remove_all(folder_); }

  void Write(const std::string& text) { std::ofstream(path_) << text; }
  std::string Error() { return CredentialFile::Open(path_).status().message(); }
  std::shared_ptr<CredentialFile> Open() {
    return CredentialFile::Open(path_).ValueOrDie();
  }

  fs::path folder_;
  fs::path path_;
};

std::string Basic(const std::string& base64) {
  return "Basic " + base64;
}

TEST_F(SecurityTest, PasswordsAreSaltedAndSlowHashes) {
  const auto one = HashPassword("correct horse").ValueOrDie();
  const auto two = HashPassword("correct horse").ValueOrDie();
  EXPECT_EQ(one.substr(0, 3), "$y$");
  EXPECT_NE(one, two);
  EXPECT_TRUE(IsPassword("correct horse", one));
  EXPECT_FALSE(IsPassword("correct horsf", one));
  EXPECT_FALSE(IsPassword("correct horse", "*0"));
  EXPECT_FALSE(IsPassword("correct horse", ""));
  EXPECT_FALSE(HashPassword("").ok());
  EXPECT_FALSE(HashPassword(std::string(513, 'x')).ok());
  // `openssl passwd -6 -salt abcdefgh secret`
  EXPECT_TRUE(
      IsPassword("secret",
                 "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72"
                 "N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG."));
}

TEST_F(SecurityTest, SecretsOfFiles) {
  Write(std::string("  ") + kCluster + "\n");
  EXPECT_EQ(ReadSecretFile(path_).ValueOrDie(), kCluster);
  for (const auto* bad :
       {"", "short", "two words that are long", "0123456789abcdef\nmore"}) {
    Write(bad);
    const auto message = ReadSecretFile(path_).status().message();
    EXPECT_THAT(message, HasSubstr("openssl rand")) << bad;
    if (*bad != '\0') {
      EXPECT_THAT(message, Not(HasSubstr(bad)));
    }
  }
  EXPECT_THAT(ReadSecretFile("/nonexistent").status().message(),
              HasSubstr("No such file"));
}

TEST_F(SecurityTest, Base64) {
  EXPECT_EQ(DecodeBase64("YTpi").ValueOrDie(), "a:b");
  EXPECT_EQ(DecodeBase64("YTpiYw==").ValueOrDie(), "a:bc");
  EXPECT_EQ(DecodeBase64("YTpiYw").ValueOrDie(), "a:bc");
  EXPECT_EQ(DecodeBase64("").ValueOrDie(), "");
  for (const auto* bad : {"Y", "!!!!", "YTpi YTp", "=", "===="}) {
    const auto decoded = DecodeBase64(bad);
    EXPECT_TRUE(!decoded.ok() || decoded->empty() || *decoded != "a:b") << bad;
  }
}

TEST_F(SecurityTest, FilesThatAreNotRight) {
  for (const auto& [text, part] :
       {std::pair{"alice", "line 1: expected NAME"},
        {"# fine\nalice secret hunter2x", "line 2: expected NAME"},
        {"alice password hunter2x", "line 1: a password is a hash"},
        {"alice token hunter2x", "line 1: a token is sha256:"},
        {"alice administrator hunter2x", "line 1: expected NAME"},
        {"a/b password $y$x", "line 1: a name has"},
        {"a password $y$x\na password $y$z", "line 2: a second password"}}) {
    Write(text);
    EXPECT_THAT(Error(), HasSubstr(part));
    EXPECT_THAT(Error(), Not(HasSubstr("hunter2x")));
  }
}

TEST_F(SecurityTest, WrittenEntriesWork) {
  ASSERT_TRUE(WritePassword(path_, "alice", "first").ok());
  ASSERT_TRUE(WriteToken(path_, "alice", "a-token").ok());
  ASSERT_TRUE(WritePassword(path_, "alice", "second").ok());
  EXPECT_FALSE(WritePassword(path_, "al ice", "x").ok());
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  const auto file = Open();
  EXPECT_TRUE(file->IsPassword("alice", "second"));
  EXPECT_FALSE(file->IsPassword("alice", "first"));
  EXPECT_FALSE(file->IsPassword("bob", "second"));
  EXPECT_EQ(file->UserOfToken("a-token"), "alice");
  EXPECT_EQ(file->UserOfToken("b-token"), std::nullopt);
}

TEST_F(SecurityTest, CallersAreToldApart) {
  ASSERT_TRUE(WritePassword(path_, "alice", "pass").ok());
  ASSERT_TRUE(WriteToken(path_, "bob", "bobs-token").ok());
  Authenticator both(Open(), kCluster);
  const auto cluster = both.Authenticate(std::string("Bearer ") + kCluster).ValueOrDie();
  EXPECT_EQ(cluster.kind, Kind::kCluster);
  EXPECT_FALSE(cluster.MayActAsClient());
  const std::string right = Basic("YWxpY2U6cGFzcw==");  // alice:pass
  for (int i = 0; i < 2; ++i) {
    const auto alice = both.Authenticate(right).ValueOrDie();
    EXPECT_EQ(alice.kind, Kind::kClient);
    EXPECT_EQ(alice.name, "alice");
    EXPECT_FALSE(alice.MayActAsCluster());
  }
  EXPECT_EQ(both.Authenticate("bearer bobs-token").ValueOrDie().name, "bob");
  for (const auto& bad :
       {std::string(), std::string("x"), Basic("YWxpY2U6cGFzeA=="), Basic("YWxpY2U="),
        Basic("????"), std::string("Bearer "), std::string("Bearer bobs-tokeN"),
        std::string("Digest bobs-token"), Basic("Ym9iOmJvYnMtdG9rZW4=")}) {
    EXPECT_FALSE(both.Authenticate(bad).ok()) << bad;
  }
  Authenticator cluster_alone(nullptr, kCluster);
  EXPECT_EQ(cluster_alone.Authenticate("").ValueOrDie().kind, Kind::kClient);
  EXPECT_EQ(Authenticator(nullptr, "").Authenticate("").ValueOrDie().kind, Kind::kAnyone);
}

TEST_F(SecurityTest, AdministratorsTouchWhatIsOthers) {
  ASSERT_TRUE(WriteToken(path_, "alice", "token-of-alice").ok());
  ASSERT_TRUE(WriteToken(path_, "bob", "token-of-bob").ok());
  const std::string lines = [this] {
    std::ifstream file(path_);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  Write(lines + "bob administrator\nnobody administrator\n");
  Authenticator both(Open(), kCluster);
  const auto alice = both.Authenticate("Bearer token-of-alice").ValueOrDie();
  EXPECT_FALSE(alice.administrator);
  EXPECT_TRUE(alice.MayTouch("alice"));
  EXPECT_FALSE(alice.MayTouch("bob"));
  EXPECT_FALSE(alice.MayTouch(""));
  EXPECT_TRUE(both.Authenticate("Bearer token-of-bob").ValueOrDie().MayTouch("alice"));
  EXPECT_TRUE(
      both.Authenticate(std::string("Bearer ") + kCluster).ValueOrDie().MayTouch("bob"));
  EXPECT_TRUE(Identity{}.MayTouch("bob"));
  // The word alone makes no user.
  EXPECT_EQ(Open()->Stamp("nobody"), "");
  // A line that is added beside it keeps it, and one that is taken away ends it.
  ASSERT_TRUE(WritePassword(path_, "bob", "pass").ok());
  EXPECT_TRUE(Open()->IsAdministrator("bob"));
  Write(lines);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_FALSE(both.Authenticate("Bearer token-of-bob").ValueOrDie().MayTouch("alice"));
}

TEST_F(SecurityTest, SessionTokensEndWithTheUser) {
  ASSERT_TRUE(WritePassword(path_, "alice", "pass").ok());
  ASSERT_TRUE(WriteToken(path_, "bob", "bobs-token").ok());
  Authenticator both(Open(), kCluster);
  const auto token = "Bearer " + both.IssueSessionToken(
                                     both.Authenticate("Bearer bobs-token").ValueOrDie());
  EXPECT_EQ(both.Authenticate(token).ValueOrDie().name, "bob");
  Authenticator restarted(Open(), kCluster);
  EXPECT_EQ(restarted.Authenticate(token).ValueOrDie().name, "bob");
  Authenticator elsewhere(Open(), std::string(kCluster) + "x");
  EXPECT_FALSE(elsewhere.Authenticate(token).ok());
  for (size_t i = 7; i < token.size(); ++i) {
    auto forged = token;
    forged[i] = forged[i] == '1' ? '2' : '1';
    EXPECT_FALSE(both.Authenticate(forged).ok()) << forged;
  }
  ASSERT_TRUE(WritePassword(path_, "alice", "other").ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(both.Authenticate(token).ok()) << "another user's change";
  Write("alice password $y$x\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_FALSE(both.Authenticate(token).ok());
  EXPECT_FALSE(both.Authenticate("Bearer bobs-token").ok());
  Write("nonsense");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_FALSE(both.Authenticate(token).ok());
}

TEST_F(SecurityTest, PathsAreResolvedBeforeTheyAreAllowed) {
  const auto root = fs::canonical(folder_);
  fs::create_directories(root / "data/sub");
  fs::create_directories(root / "data2");
  fs::create_directories(root / "other");
  fs::create_symlink("../other", root / "data/out");
  fs::create_symlink(root / "other/none", root / "data/dangling");
  fs::create_symlink("loop", root / "data/loop");
  fs::create_symlink(root / "data", root / "alias");
  const auto guard = PathGuard::Make((root / "alias").string()).ValueOrDie();
  ASSERT_EQ(guard->folders(), std::vector<std::string>{(root / "data").string()});
  const auto at = [&](const std::string& path) { return (root / path).string(); };
  for (const auto& path :
       {at("data"), at("data/"), at("data/x"), at("data/sub/../new"), at("alias/x/y"),
        at("other/../data/x"), "file://" + at("data/x"), at("data/out/../data/x")}) {
    EXPECT_TRUE(guard->Allows(path)) << path;
  }
  for (const auto& path :
       {at(""), at("data2/x"), at("other/x"), at("data/../other/x"), at("data/out"),
        at("data/out/x"), at("data/dangling"), at("data/loop"),
        at("data/sub/../../other"), std::string("/"), std::string(""), std::string("x"),
        "https:/" + at("data/x"), "s3://" + at("data"), "file://" + at("other/x"),
        at("data/x") + '\0' + "y"}) {
    EXPECT_FALSE(guard->Allows(path)) << path;
  }
  EXPECT_TRUE(guard->AllowsPattern(at("data/*.csv")));
  EXPECT_TRUE(guard->AllowsPattern(at("data/sub/**")));
  for (const auto& pattern :
       {at("*"), at("d*/x"), at("data*/x"), at("data/*/../../other/x"), at("data/out/*"),
        at("data2/[a]"), std::string("*")}) {
    EXPECT_FALSE(guard->AllowsPattern(pattern)) << pattern;
  }
  EXPECT_EQ(PathGuard::Make("").ValueOrDie(), nullptr);
  EXPECT_THAT(PathGuard::Make(at("data") + "," + at("none")).status().message(),
              HasSubstr("none"));
}

}  // namespace
}  // namespace ballista::security
