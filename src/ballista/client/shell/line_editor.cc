#include "ballista/client/shell/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>

#include "ballista/client/shell/interrupt.h"
#include "ballista/client/shell/query_watch.h"
#include "ballista/client/shell/text_width.h"

namespace ballista::shell {
namespace {

constexpr int kHistoryEntries = 2000;
// More candidates than this are counted rather than listed.
constexpr size_t kListedCandidates = 200;

// One character of standard input; -1 once Ctrl-C was pressed, 0 at its end.
int ReadCharacter(EditLine*, wchar_t* character) {
  std::mbstate_t state = {};
  while (true) {
    struct pollfd ends[2] = {{STDIN_FILENO, POLLIN, 0},
                             {Interrupt::file_descriptor(), POLLIN, 0}};
    const int ready = poll(ends, 2, -1);
    if (Interrupt::Raised()) return -1;
    if (ready <= 0 || ends[0].revents == 0) continue;
    char byte = 0;
    const auto got = read(STDIN_FILENO, &byte, 1);
    if (got <= 0) return static_cast<int>(got);
    const size_t converted = std::mbrtowc(character, &byte, 1, &state);
    if (converted == static_cast<size_t>(-2)) continue;  // the next byte belongs to it
    if (converted == static_cast<size_t>(-1)) {
      state = {};
      continue;
    }
    return 1;
  }
}

bool IsWordByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string CommonPrefix(const std::vector<std::string>& words) {
  std::string prefix = words.front();
  for (const auto& word : words) {
    const auto end = std::mismatch(prefix.begin(), prefix.end(), word.begin(), word.end(),
                                   [](char a, char b) {
                                     return std::tolower(static_cast<unsigned char>(a)) ==
                                            std::tolower(static_cast<unsigned char>(b));
                                   })
                         .first;
    prefix.erase(end, prefix.end());
  }
  return prefix;
}

void ListCandidates(const std::vector<std::string>& words) {
  std::fputc('\n', stdout);
  if (words.size() > kListedCandidates) {
    std::fprintf(stdout, "(%zu possibilities)\n", words.size());
    return;
  }
  int widest = 0;
  for (const auto& word : words) widest = std::max(widest, DisplayWidth(word));
  const int columns = std::max(TerminalWidth(STDOUT_FILENO) / (widest + 2), 1);
  for (size_t i = 0; i < words.size(); ++i) {
    const bool line_end =
        (i + 1) % static_cast<size_t>(columns) == 0 || i + 1 == words.size();
    std::fputs(words[i].c_str(), stdout);
    const int padding = line_end ? 0 : widest + 2 - DisplayWidth(words[i]);
    std::fprintf(stdout, "%*s", padding, "");
    if (line_end) std::fputc('\n', stdout);
  }
  std::fflush(stdout);
}

}  // namespace

class LineEditor::Impl {
 public:
  Impl(std::string history_file, Completer completer)
      : history_file_(std::move(history_file)), completer_(std::move(completer)) {
    // libedit takes characters apart by the locale, and what is typed here is UTF-8.
    if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
      std::setlocale(LC_CTYPE, "C.UTF-8");
    }
    history_ = history_init();
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryEntries);
    history(history_, &event, H_SETUNIQUE, 1);
    if (!history_file_.empty()) history(history_, &event, H_LOAD, history_file_.c_str());

    edit_ = el_init("ballista", stdin, stdout, stderr);
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, &Impl::Prompt);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, history_);
    el_set(edit_, EL_SIGNAL, 1);
    el_wset(edit_, EL_GETCFN, &ReadCharacter);
    el_set(edit_, EL_ADDFN, "ballista-complete", "Complete the word", &Impl::Complete);
    el_set(edit_, EL_BIND, "^I", "ballista-complete", nullptr);
    el_set(edit_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    // Ctrl and the arrows, as most terminals send them.
    el_set(edit_, EL_BIND, "\\e[1;5C", "em-next-word", nullptr);
    el_set(edit_, EL_BIND, "\\e[1;5D", "ed-prev-word", nullptr);
    el_source(edit_, nullptr);
  }

  ~Impl() {
    el_end(edit_);
    history_end(history_);
  }

  Event Read(std::string_view prompt, std::string* line) {
    prompt_ = prompt;
    Interrupt::Take();
    // Before the prompt is shown: el_gets would do it after, and the terminal would keep
    // a Ctrl-D for itself that is typed in between.
    el_set(edit_, EL_PREP_TERM, 1);
    int count = 0;
    const char* text = el_gets(edit_, &count);
    if (Interrupt::Take()) return Event::kInterrupt;
    if (text == nullptr || count <= 0) return Event::kEnd;
    line->assign(text, static_cast<size_t>(count));
    while (!line->empty() && (line->back() == '\n' || line->back() == '\r')) {
      line->pop_back();
    }
    return Event::kLine;
  }

  void AddHistory(const std::string& entry) {
    HistEvent event;
    history(history_, &event, H_ENTER, entry.c_str());
    // Saved each time: a session that ends badly keeps its history.
    if (!history_file_.empty()) history(history_, &event, H_SAVE, history_file_.c_str());
  }

 private:
  static Impl* Of(EditLine* edit) {
    void* data = nullptr;
    el_get(edit, EL_CLIENTDATA, &data);
    return static_cast<Impl*>(data);
  }

  static char* Prompt(EditLine* edit) { return Of(edit)->prompt_.data(); }

  static unsigned char Complete(EditLine* edit, int) {
    const LineInfo* info = el_line(edit);
    const std::string line(info->buffer, info->cursor);
    size_t word_begin = line.size();
    while (word_begin > 0 && IsWordByte(line[word_begin - 1])) --word_begin;
    const auto candidates = Of(edit)->completer_(line, word_begin);
    if (candidates.empty()) return CC_ERROR;
    std::string insert = CommonPrefix(candidates);
    if (candidates.size() == 1) insert += ' ';
    const size_t typed = line.size() - word_begin;
    if (insert.size() > typed) {
      el_deletestr(edit, DisplayCharacters(line.substr(word_begin)));
      el_insertstr(edit, insert.c_str());
      return CC_REFRESH;
    }
    ListCandidates(candidates);
    return CC_REDISPLAY;
  }

  // libedit counts characters.
  static int DisplayCharacters(std::string_view text) {
    int count = 0;
    for (size_t i = 0; i < text.size(); ++count) NextCodePoint(text, &i);
    return count;
  }

  const std::string history_file_;
  const Completer completer_;
  std::string prompt_;
  History* history_ = nullptr;
  EditLine* edit_ = nullptr;
};

LineEditor::LineEditor(std::string history_file, Completer completer)
    : impl_(std::make_unique<Impl>(std::move(history_file), std::move(completer))) {}
LineEditor::~LineEditor() = default;
LineEditor::Event LineEditor::Read(std::string_view prompt, std::string* line) {
  return impl_->Read(prompt, line);
}
void LineEditor::AddHistory(const std::string& entry) {
  impl_->AddHistory(entry);
}

}  // namespace ballista::shell
