// The shell's own commands: \d, \timing and the like.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ballista/client/flight_sql_client.h"
#include "ballista/client/shell/statement_runner.h"

namespace ballista::shell {

// `line` in words; a word within '…' or "…" may hold blanks.
std::vector<std::string> SplitWords(std::string_view line);

// Client and runner outlive it. Not thread-safe.
class MetaCommands {
 public:
  enum class Result { kGoOn, kLeave };

  MetaCommands(client::FlightSqlClient* client, StatementRunner* runner)
      : client_(client), runner_(runner) {}

  // A line that begins with a backslash. Says on standard error what is wrong with it.
  Result Run(std::string_view line);

 private:
  void Describe(const std::vector<std::string>& words);
  void ListTables();
  void SetTiming(const std::vector<std::string>& words);
  void SetFormat(const std::vector<std::string>& words);
  void SetMaxRows(const std::vector<std::string>& words);
  void SetOutput(const std::vector<std::string>& words);
  void RunFile(const std::vector<std::string>& words);
  void ListExecutors();
  void RunAsTable(const std::string& sql);

  client::FlightSqlClient* const client_;
  StatementRunner* const runner_;
};

}  // namespace ballista::shell
