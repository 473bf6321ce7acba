// Lines typed at a terminal, with editing, history and completion (libedit).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ballista::shell {

// One per process. Not thread-safe.
class LineEditor {
 public:
  // Given the line up to the cursor: what may take the place of its last word.
  using Completer =
      std::function<std::vector<std::string>(std::string_view line, size_t word_begin)>;

  enum class Event { kLine, kInterrupt, kEnd };

  // Loads the history from `history_file`; an empty name: keeps none.
  LineEditor(std::string history_file, Completer completer);
  ~LineEditor();

  // Waits for a line, without its line break.
  Event Read(std::string_view prompt, std::string* line);

  // Adds an entry, which may have several lines, and saves.
  void AddHistory(const std::string& entry);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ballista::shell
