// Replays simulations: sim --seed N [--seeds COUNT] [--log]
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "ballista/sim/simulation.h"

int main(int argc, char** argv) {
  CLI::App app{"Simulates a cluster around the scheduler's core, from a seed"};
  uint64_t seed = 1;
  uint64_t seeds = 1;
  app.add_option("--seed", seed, "the first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "how many seeds to run")->capture_default_str();
  bool log = false;
  app.add_flag("--log", log, "print every event and effect");
  CLI11_PARSE(app, argc, argv);
  bool failed = false;
  for (uint64_t s = seed; s < seed + seeds; ++s) {
    auto options = ballista::sim::OptionsForSeed(s);
    options.log = log;
    const auto report = ballista::sim::Simulate(options);
    fmt::print(
        "seed {}: {} jobs finished, {} failed, {} tasks, {} repeated, {} copied, {} "
        "scheduler crashes, {:.0f} s of virtual time, {} steps, trace {:016x}\n",
        s, report.jobs_finished, report.jobs_failed, report.tasks_launched,
        report.tasks_repeated, report.tasks_copied, report.scheduler_crashes,
        static_cast<double>(report.virtual_time.count()) / 1e6, report.steps,
        report.trace);
    for (const auto& [fault, times] : report.faults) {
      fmt::print("  {} times: {}\n", times, fault);
    }
    for (const auto& [reason, jobs] : report.failures) {
      fmt::print("  {} failed: {}\n", jobs, reason);
    }
    for (const std::string& violation : report.violations) {
      fmt::print("  VIOLATION {}\n", violation);
      failed = true;
    }
  }
  return failed ? 1 : 0;
}
