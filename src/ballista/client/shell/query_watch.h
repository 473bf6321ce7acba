// What happens beside a running statement: progress is shown and Ctrl-C is obeyed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "ballista/client/flight_sql_client.h"

namespace ballista::shell {

// Polls on a thread of its own from construction to destruction. Client and query outlive
// it.
class QueryWatch {
 public:
  // Draws on standard error where `show_progress`.
  QueryWatch(client::FlightSqlClient* client, client::Query* query, bool show_progress);
  ~QueryWatch();

  // Erases the line and draws no more; for when the rows take over the terminal. When it
  // returns, nothing is on the screen.
  void StopDrawing();

  // Whether Ctrl-C ended the statement.
  bool interrupted() const;

 private:
  void Run();
  void Draw();
  void Erase();

  client::FlightSqlClient* const client_;
  client::Query* const query_;
  const std::chrono::steady_clock::time_point start_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool drawing_;
  bool drawn_ = false;  // a line is on the screen
  bool interrupted_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

// Columns of the terminal behind `file_descriptor`; 0 where it is none.
int TerminalWidth(int file_descriptor);

}  // namespace ballista::shell
