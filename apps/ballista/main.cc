#include "ballista/client/shell/shell.h"

int main(int argc, char** argv) {
  return ballista::shell::RunShell(argc, argv);
}
