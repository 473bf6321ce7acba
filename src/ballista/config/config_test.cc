#include "ballista/config/config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "ballista/config/work_dir.h"

namespace ballista::config {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kMiB = 1ULL << 20;
constexpr uint64_t kGiB = 1ULL << 30;

// A folder of files that dies with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "config_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryFolder() { fs::remove_all(path_); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    input_.default_file = (folder_.path() / "default.toml").string();
    input_.available_memory = 16 * kGiB;
  }

  template <typename Config>
  std::string Error() {
    const auto parsed = Parse<Config>(input_);
    return parsed.ok() ? "no error" : parsed.status().message();
  }
  std::string ExecutorError(std::vector<std::string> arguments) {
    input_.arguments = std::move(arguments);
    return Error<ExecutorConfig>();
  }
  std::string ExecutorFileError(const std::string& text) {
    input_.arguments = {"--config-file", folder_.Write("own.toml", text)};
    return Error<ExecutorConfig>();
  }
  Parsed<ExecutorConfig> Executor(std::vector<std::string> arguments) {
    input_.arguments = std::move(arguments);
    auto parsed = Parse<ExecutorConfig>(input_);
    EXPECT_TRUE(parsed.ok()) << parsed.status().message();
    return parsed.ok() ? *parsed : Parsed<ExecutorConfig>{};
  }

  TemporaryFolder folder_;
  Input input_;
};

// ---- levels ------------------------------------------------------------------------

enum Level { kDefault, kDefaultFile, kEnvironment, kConfigFile, kCommandLine };

// Two values that differ where the option has two, and that break no bound.
std::pair<std::string, std::string> SampleValues(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kNumber:
      return {"1001", "1002"};
    case OptionType::kBytes:
      return {"200MiB", "300MiB"};
    case OptionType::kDuration:
      return {"5s", "6s"};
    case OptionType::kBool:
      return {"true", "false"};
    case OptionType::kEnum:
      return {spec.values.front(), spec.values.back()};
    default:
      return {"first", "second"};
  }
}

struct LevelPair {
  const ProgramSpec* program;
  int low;
  int high;
};

class LevelsTest : public testing::TestWithParam<LevelPair> {
 protected:
  LevelsTest() {
    input_.default_file = (folder_.path() / "default.toml").string();
    input_.available_memory = 16 * kGiB;
  }

  // Gives the option at a level; returns how its source must be called.
  std::string Give(const ProgramSpec& program, const OptionSpec& spec, int level,
                   const std::string& text) {
    const std::string line =
        fmt::format("# comment\n{} = \"{}\"\n", FileKey(spec.name), text);
    switch (level) {
      case kDefaultFile:
        return folder_.Write("default.toml", line) + ":2";
      case kEnvironment: {
        const auto name = program.environment_prefix() + EnvironmentName(spec.name);
        input_.environment.emplace_back(name, text);
        return "environment variable " + name;
      }
      case kConfigFile: {
        const auto path = folder_.Write("own.toml", line);
        input_.arguments.insert(input_.arguments.end(), {"--config-file", path});
        return path + ":2";
      }
      case kCommandLine:
        input_.arguments.push_back(fmt::format("--{}={}", spec.name, text));
        return "command line";
      default:
        return "default";
    }
  }

  void Clear() {
    input_.arguments.clear();
    input_.environment.clear();
    fs::remove(folder_.path() / "default.toml");
  }

  TemporaryFolder folder_;
  Input input_;
};

// Each option of the program, at each pair of levels: the higher one wins.
TEST_P(LevelsTest, HigherLevelWins) {
  const auto& [program, low, high] = GetParam();
  for (const auto& spec : program->options) {
    if (!spec.in_file) continue;
    SCOPED_TRACE(spec.name);
    Clear();
    const auto [low_text, high_text] = SampleValues(spec);
    Give(*program, spec, low, low_text);
    const auto source = Give(*program, spec, high, high_text);
    const auto resolution = Resolve(*program, input_);
    ASSERT_TRUE(resolution.ok()) << resolution.status();
    EXPECT_EQ(resolution->settings.Source(spec.name), source);
    const auto expected = ParseOptionValue(spec, high_text, 0);
    ASSERT_TRUE(expected.ok());
    if (spec.type == OptionType::kBool) {
      EXPECT_EQ(resolution->settings.Flag(spec.name), std::get<bool>(*expected));
    } else if (std::holds_alternative<uint64_t>(*expected)) {
      EXPECT_EQ(resolution->settings.Number(spec.name), std::get<uint64_t>(*expected));
    } else {
      EXPECT_EQ(resolution->settings.Text(spec.name), high_text);
    }
  }
}

std::string PairName(const testing::TestParamInfo<LevelsTest::ParamType>& info) {
  static const char* const kNames[] = {"Default", "DefaultFile", "Environment",
                                       "ConfigFile", "CommandLine"};
  const auto& [program, low, high] = info.param;
  return fmt::format("{}_{}_{}", program->name, kNames[low], kNames[high]);
}

std::vector<LevelPair> EveryPair() {
  std::vector<LevelPair> pairs;
  for (const auto* program : {&ExecutorConfig::Program(), &SchedulerConfig::Program()}) {
    for (int low = kDefault; low < kCommandLine; ++low) {
      for (int high = low + 1; high <= kCommandLine; ++high) {
        pairs.push_back({program, low, high});
      }
    }
  }
  return pairs;
}

INSTANTIATE_TEST_SUITE_P(Programs, LevelsTest, testing::ValuesIn(EveryPair()), PairName);

TEST_F(ConfigTest, ConfigFileFromEnvironment) {
  const auto path = folder_.Write("own.toml", "port = 7001\n");
  input_.environment = {{"BALLISTA_EXECUTOR_CONFIG_FILE", path},
                        {"BALLISTA_EXECUTOR_PORT", "7002"}};
  EXPECT_EQ(Executor({}).config.port, 7001);
  const auto other = folder_.Write("other.toml", "port = 7003\n");
  EXPECT_EQ(Executor({"--config-file", other}).config.port, 7003);
}

// ---- values ------------------------------------------------------------------------

TEST_F(ConfigTest, ExecutorDefaults) {
  const auto config = Executor({}).config;
  EXPECT_EQ(config.bind_host, "0.0.0.0");
  EXPECT_EQ(config.external_host, "localhost");
  EXPECT_EQ(config.port, 50051);
  EXPECT_EQ(config.scheduler_host, "localhost");
  EXPECT_EQ(config.scheduler_port, 50050);
  EXPECT_FALSE(config.local);
  EXPECT_EQ(config.work_dir, "");
  EXPECT_EQ(config.concurrent_tasks, 4U);
  EXPECT_EQ(config.threads, 0U);
  EXPECT_NEAR(static_cast<double>(config.memory_limit), 0.8 * 16 * kGiB, 2);
  EXPECT_NEAR(static_cast<double>(config.shuffle_memory_limit), 0.16 * 16 * kGiB, 2);
  EXPECT_EQ(config.shuffle_compression, ExecutorConfig::ShuffleCompression::kNone);
  EXPECT_EQ(config.log_format, ExecutorConfig::LogFormat::kText);
}

TEST_F(ConfigTest, SchedulerDefaults) {
  const auto parsed = Parse<SchedulerConfig>(input_);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.bind_host, "0.0.0.0");
  EXPECT_EQ(parsed->config.port, 50050);
  EXPECT_EQ(parsed->config.http_port, 0);
  EXPECT_EQ(parsed->config.config_backend, SchedulerConfig::ConfigBackend::kMemory);
  EXPECT_EQ(parsed->config.heartbeat_interval, std::chrono::seconds(2));
  EXPECT_EQ(parsed->config.executor_timeout, std::chrono::seconds(20));
}

TEST_F(ConfigTest, BothFormsOfAnOptionAndFlags) {
  EXPECT_EQ(Executor({"--port", "7"}).config.port, 7);
  EXPECT_EQ(Executor({"--port=7"}).config.port, 7);
  EXPECT_TRUE(Executor({"--local"}).config.local);
  EXPECT_TRUE(Executor({"--local", "--port=7"}).config.local);
  EXPECT_TRUE(Executor({"--local=true"}).config.local);
  EXPECT_FALSE(Executor({"--local=false"}).config.local);
  EXPECT_EQ(Executor({"--work-dir="}).config.work_dir, "");
  EXPECT_EQ(Executor({"--work-dir", ""}).config.work_dir, "");
  EXPECT_EQ(Executor({"--work-dir=--local"}).config.work_dir, "--local");
  EXPECT_EQ(Executor({"--work-dir=a=b c"}).config.work_dir, "a=b c");
}

TEST_F(ConfigTest, MemoryAsSizeOrShare) {
  EXPECT_EQ(Executor({"--memory-limit=2GiB"}).config.memory_limit, 2 * kGiB);
  EXPECT_EQ(Executor({"--memory-limit=50%"}).config.memory_limit, 8 * kGiB);
  const auto half = Executor({"--memory-limit=2GiB", "--shuffle-memory-limit=50%"});
  EXPECT_EQ(half.config.shuffle_memory_limit, kGiB);
  EXPECT_EQ(Executor({"--shuffle-memory-limit=0"}).config.shuffle_memory_limit, 0U);
}

TEST_F(ConfigTest, FileValuesOfTomlTypes) {
  const auto path =
      folder_.Write("own.toml",
                    "port = 7\nlocal = true\nmemory_limit = 1073741824\n"
                    "shuffle-compression = \"lz4\"\nthreads = \"3\"\nwork_dir = 'w'\n");
  const auto config = Executor({"--config-file", path}).config;
  EXPECT_EQ(config.port, 7);
  EXPECT_TRUE(config.local);
  EXPECT_EQ(config.memory_limit, kGiB);
  EXPECT_EQ(config.shuffle_compression, ExecutorConfig::ShuffleCompression::kLz4);
  EXPECT_EQ(config.threads, 3U);
  EXPECT_EQ(config.work_dir, "w");
}

TEST(OptionValue, Bytes) {
  EXPECT_EQ(*ParseBytes("0"), 0U);
  EXPECT_EQ(*ParseBytes("1000"), 1000U);
  EXPECT_EQ(*ParseBytes("1.5 GB"), 1'500'000'000U);
  EXPECT_EQ(*ParseBytes("0.5kib"), 512U);
  EXPECT_EQ(*ParseBytes("18446744073709551615"), ~0ULL);
  for (const char* bad : {"", "x", "-1", "1XB", "GiB", "1e400", "inf", "nan", "80%",
                          "18446744073709551616", "99999999TiB", "1 2"}) {
    EXPECT_FALSE(ParseBytes(bad).ok()) << bad;
  }
}

TEST(OptionValue, Durations) {
  EXPECT_EQ(*ParseDuration("1500ms"), std::chrono::milliseconds(1500));
  EXPECT_EQ(*ParseDuration("1.5s"), std::chrono::milliseconds(1500));
  EXPECT_EQ(*ParseDuration("5min"), std::chrono::minutes(5));
  EXPECT_EQ(*ParseDuration("2h"), std::chrono::hours(2));
  for (const char* bad : {"", "5", "s", "-1s", "1d", "18446744073709551615ms"}) {
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
  }
}

TEST(OptionValue, TextReadsBack) {
  for (const uint64_t bytes :
       {uint64_t{0}, uint64_t{1000}, kMiB, 1536 * kMiB, kGiB + 1}) {
    EXPECT_EQ(*ParseBytes(FormatBytes(bytes)), bytes);
  }
  EXPECT_EQ(FormatBytes(1536 * kMiB), "1536MiB");
  EXPECT_EQ(FormatDuration(std::chrono::milliseconds(1500)), "1500ms");
  EXPECT_EQ(FormatDuration(std::chrono::seconds(120)), "2min");
}

// ---- errors ------------------------------------------------------------------------

TEST_F(ConfigTest, UnknownOptionNamesTheNearest) {
  EXPECT_EQ(ExecutorError({"--prot", "5"}),
            "command line: unknown option --prot; the nearest known one is --port");
  EXPECT_EQ(ExecutorError({"--sheduler-host=x"}),
            "command line: unknown option --sheduler-host; the nearest known one is "
            "--scheduler-host");
  EXPECT_EQ(ExecutorError({"--verison"}),
            "command line: unknown option --verison; the nearest known one is --version");
  EXPECT_THAT(ExecutorError({"-port", "5"}), HasSubstr("unknown option -port"));
  EXPECT_EQ(ExecutorError({"start"}),
            "command line: unexpected argument \"start\"; executor takes options alone, "
            "see --help");
}

TEST_F(ConfigTest, UnknownVariableNamesTheNearest) {
  input_.environment = {{"BALLISTA_EXECUTOR_SHEDULER_HOST", "x"}};
  EXPECT_EQ(Error<ExecutorConfig>(),
            "environment variable BALLISTA_EXECUTOR_SHEDULER_HOST: no such option of the "
            "executor; the nearest known one is BALLISTA_EXECUTOR_SCHEDULER_HOST");
  // Another program's variables are not looked at.
  EXPECT_EQ(Error<SchedulerConfig>(), "no error");
}

TEST_F(ConfigTest, UnknownKeyNamesFileLineAndTheNearest) {
  const auto own = (folder_.path() / "own.toml").string();
  EXPECT_EQ(ExecutorFileError("# x\nport = 5\nwork_dri = \"x\"\n"),
            own + ":3: unknown key \"work_dri\"; the nearest known one is \"work_dir\"");
  EXPECT_EQ(ExecutorFileError("[executor]\nport = 5\n"),
            own + ":1: unknown key \"executor\"; the nearest known one is \"port\"");
  EXPECT_THAT(ExecutorFileError("config_file = \"x\"\n"),
              HasSubstr(":1: \"config_file\" cannot stand in a config file"));
  folder_.Write("default.toml", "prot = 5\n");
  EXPECT_EQ(ExecutorError({}), input_.default_file +
                                   ":1: unknown key \"prot\"; the nearest known one is "
                                   "\"port\"");
}

TEST_F(ConfigTest, BadValueNamesOptionAndSource) {
  constexpr const char* kPort = "expected a whole number from 1 to 65535";
  const auto own = (folder_.path() / "own.toml").string();
  for (const char* bad : {"0", "65536", "x", "5x", "", "-1", "1.5"}) {
    EXPECT_EQ(ExecutorError({fmt::format("--port={}", bad)}),
              fmt::format("command line: bad value \"{}\" for --port: {}", bad, kPort));
    EXPECT_EQ(ExecutorFileError(fmt::format("\nport = \"{}\"\n", bad)),
              fmt::format("{}:2: bad value \"{}\" for port: {}", own, bad, kPort));
    input_.arguments.clear();
    input_.environment = {{"BALLISTA_EXECUTOR_PORT", bad}};
    EXPECT_EQ(
        Error<ExecutorConfig>(),
        fmt::format("environment variable BALLISTA_EXECUTOR_PORT: bad value \"{}\": "
                    "{}",
                    bad, kPort));
    input_.environment.clear();
  }
  EXPECT_EQ(ExecutorFileError("port = [1]\n"),
            own + ":1: bad value for \"port\": expected a whole number");
  EXPECT_EQ(ExecutorFileError("bind_host = 5\n"),
            own + ":1: bad value for \"bind_host\": expected text in quotes");
  EXPECT_EQ(ExecutorError({"--bind-host="}),
            "command line: bad value \"\" for --bind-host: expected a text that is not "
            "empty");
  EXPECT_EQ(ExecutorError({"--local=maybe"}),
            "command line: bad value \"maybe\" for --local: expected true or false");
  EXPECT_EQ(ExecutorError({"--shuffle-compression=lz5"}),
            "command line: bad value \"lz5\" for --shuffle-compression: expected one of "
            "none, lz4, zstd; the nearest is \"lz4\"");
  EXPECT_EQ(
      ExecutorError({"--memory-limit=120%"}),
      "command line: bad value \"120%\" for --memory-limit: expected a size such as "
      "2GiB or a share of the available memory such as 50%, of at least 128MiB");
}

TEST_F(ConfigTest, BoundsByOtherOptions) {
  EXPECT_EQ(
      ExecutorError({"--memory-limit=1GiB", "--shuffle-memory-limit=2GiB"}),
      "command line: bad value \"2GiB\" for --shuffle-memory-limit: expected at most "
      "memory-limit, which is 1GiB");
  input_.arguments = {"--heartbeat-interval=30s"};
  EXPECT_EQ(Error<SchedulerConfig>(),
            "default: bad value \"20s\" for --executor-timeout: expected more than "
            "heartbeat-interval, which is 30s");
}

TEST_F(ConfigTest, ArgumentsThatDoNotFit) {
  EXPECT_EQ(ExecutorError({"--port"}), "command line: --port needs a value");
  EXPECT_EQ(ExecutorError({"--port", "--local"}), "command line: --port needs a value");
  EXPECT_EQ(ExecutorError({"--work-dir", "--port=5"}),
            "command line: --work-dir needs a value");
  EXPECT_EQ(ExecutorError({"--port=5", "--port=6"}),
            "command line: --port is given more than once");
  EXPECT_THAT(ExecutorError({"--port", "5", "6"}),
              HasSubstr("unexpected argument \"6\""));
}

TEST_F(ConfigTest, FilesThatCannotBeRead) {
  const auto missing = (folder_.path() / "none.toml").string();
  EXPECT_EQ(ExecutorError({"--config-file", missing}),
            "config file " + missing + ": cannot be read: No such file or directory");
  EXPECT_EQ(
      ExecutorError({"--config-file", folder_.path().string()}),
      "config file " + folder_.path().string() + ": cannot be read: Is a directory");
  const auto own = (folder_.path() / "own.toml").string();
  EXPECT_THAT(ExecutorFileError("port = 5\nport = 6\n"),
              HasSubstr(own + ":2: not valid TOML: "));
  EXPECT_THAT(ExecutorFileError("port = \n"), HasSubstr("not valid TOML: "));
  EXPECT_THAT(ExecutorFileError("work_dir = 'a'\nwork-dir = 'b'\n"),
              EndsWith(":2: \"work-dir\" is already given at " + own + ":1"));
}

// One line each, whatever is in the text.
TEST_F(ConfigTest, ErrorsAreOneLine) {
  EXPECT_THAT(ExecutorFileError("port = \n\n[[["), Not(HasSubstr("\n")));
  EXPECT_THAT(ExecutorError({"--port=a\nb"}),
              HasSubstr("bad value \"a\\x0ab\" for --port"));
}

TEST_F(ConfigTest, VariablesOfKubernetesServicesAreIgnored) {
  input_.environment = {{"BALLISTA_SCHEDULER_SERVICE_HOST", "10.0.0.1"},
                        {"BALLISTA_SCHEDULER_SERVICE_PORT", "50050"},
                        {"BALLISTA_SCHEDULER_SERVICE_PORT_GRPC", "50050"},
                        {"BALLISTA_SCHEDULER_PORT", "tcp://10.0.0.1:50050"},
                        {"BALLISTA_SCHEDULER_PORT_50050_TCP", "tcp://10.0.0.1:50050"},
                        {"BALLISTA_SCHEDULER_PORT_50050_TCP_ADDR", "10.0.0.1"}};
  EXPECT_EQ(Error<SchedulerConfig>(), "no error");
  // What the service did not make still counts.
  input_.environment.emplace_back("BALLISTA_SCHEDULER_PROT", "5");
  EXPECT_THAT(Error<SchedulerConfig>(), HasSubstr("BALLISTA_SCHEDULER_PROT"));
  input_.environment = {{"BALLISTA_SCHEDULER_PORT", "tcp://10.0.0.1:50050"}};
  EXPECT_THAT(Error<SchedulerConfig>(), HasSubstr("bad value"));
}

TEST_F(ConfigTest, RefuseNamesTheSource) {
  EXPECT_EQ(Executor({"--port=7"}).settings.Refuse("port", "it is in use").message(),
            "command line: bad value \"7\" for --port: it is in use");
  EXPECT_EQ(Executor({}).settings.Refuse("port", "it is in use").message(),
            "default: bad value \"50051\" for --port: it is in use");
}

// ---- texts -------------------------------------------------------------------------

TEST_F(ConfigTest, HelpAndVersion) {
  const auto version = Executor({"--version"});
  EXPECT_THAT(version.message, testing::StartsWith("Ballista v"));
  EXPECT_THAT(version.message, EndsWith("C++ Executor\n"));
  const auto help = Executor({"--port=x", "--help"}).message;
  for (const auto& spec : ExecutorConfig::Program().options) {
    EXPECT_THAT(help, HasSubstr("--" + spec.name));
  }
}

TEST_F(ConfigTest, LogForm) {
  auto config = Executor({"--memory-limit=1GiB"}).config;
  config.work_dir = "/tmp/.tmpVRFSvn";
  EXPECT_THAT(
      ToString(config),
      testing::StartsWith("ExecutorConfig { host: \"localhost\", port: 50051, work_dir: "
                          "\"/tmp/.tmpVRFSvn\", concurrent_tasks: 4, "));
  EXPECT_THAT(ToString(config), HasSubstr("memory_limit: 1GiB"));
  EXPECT_THAT(ToString(config), HasSubstr("shuffle_compression: none"));
}

// The examples, with every key uncommented, say what the defaults are.
TEST_F(ConfigTest, ExamplesAreValid) {
  const char* source = std::getenv("BALLISTA_SOURCE_DIR");
  if (source == nullptr) GTEST_SKIP() << "BALLISTA_SOURCE_DIR is not set";
  for (const auto* program : {&ExecutorConfig::Program(), &SchedulerConfig::Program()}) {
    std::ifstream example(fs::path(source) / "docs/examples" / (program->name + ".toml"));
    ASSERT_TRUE(example.is_open());
    std::string text;
    size_t keys = 0;
    for (std::string line; std::getline(example, line);) {
      if (!line.starts_with('#') || line.starts_with("# ")) continue;
      text += line.substr(1) + "\n";
      ++keys;
    }
    EXPECT_EQ(keys, program->options.size() - 1);
    input_.arguments = {"--config-file", folder_.Write("example.toml", text)};
    const auto given = Resolve(*program, input_);
    ASSERT_TRUE(given.ok()) << given.status();
    for (const auto& spec : program->options) {
      if (!spec.in_file) continue;
      EXPECT_THAT(given->settings.Source(spec.name), HasSubstr("example.toml:"));
    }
  }
}

TEST_F(ConfigTest, SchedulerOfALocalExecutor) {
  const auto executor = Executor(
      {"--local", "--bind-host=127.0.0.1", "--scheduler-port=7", "--log-format=json"});
  const auto scheduler = LocalSchedulerConfig(executor.config);
  ASSERT_TRUE(scheduler.ok()) << scheduler.status();
  EXPECT_EQ(scheduler->bind_host, "127.0.0.1");
  EXPECT_EQ(scheduler->port, 7);
  EXPECT_EQ(scheduler->log_format, SchedulerConfig::LogFormat::kJson);
  EXPECT_EQ(scheduler->executor_timeout, std::chrono::seconds(20));
}

// ---- work folder -------------------------------------------------------------------

TEST_F(ConfigTest, FreshWorkDirDiesWithItsOwner) {
  fs::path path;
  {
    auto work_dir = WorkDir::Open(Executor({}).settings);
    ASSERT_TRUE(work_dir.ok()) << work_dir.status();
    const WorkDir owner = std::move(*work_dir);
    path = owner.path();
    EXPECT_TRUE(path.is_absolute());
    std::ofstream(path / "data") << "x";
    EXPECT_TRUE(fs::exists(path / "data"));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(ConfigTest, NamedWorkDirIsMadeAndStays) {
  const auto named = folder_.path() / "a" / "b";
  {
    const auto work_dir = WorkDir::Open(Executor({"--work-dir", named}).settings);
    ASSERT_TRUE(work_dir.ok()) << work_dir.status();
  }
  EXPECT_TRUE(fs::is_empty(named));
}

TEST_F(ConfigTest, WorkDirThatCannotBe) {
  const auto file = folder_.Write("file", "x");
  const auto below_file = WorkDir::Open(Executor({"--work-dir", file + "/x"}).settings);
  EXPECT_THAT(
      below_file.status().message(),
      HasSubstr(fmt::format("command line: bad value \"{}/x\" for --work-dir: the "
                            "folder cannot be made: ",
                            file)));
  // No file can be made there, by root neither.
  const auto proc = WorkDir::Open(Executor({"--work-dir", "/proc"}).settings);
  EXPECT_THAT(proc.status().message(),
              HasSubstr("for --work-dir: the folder cannot be written to: "));
}

}  // namespace
}  // namespace ballista::config
