// Ctrl-C as an event rather than the end of the process.
#pragma once

namespace ballista::shell {

// Of the process: SIGINT raises it, whoever handles it takes it. Functions are
// thread-safe.
class Interrupt {
 public:
  // Installs the handler, once, before other threads start.
  static void Install();

  // Whether one came since it was taken last; takes it.
  static bool Take();
  static bool Raised();

  // Becomes readable when one comes; to be polled beside a terminal. What can be read of
  // it means nothing: Take empties it.
  static int file_descriptor();
};

}  // namespace ballista::shell
