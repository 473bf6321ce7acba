// The `ballista.*` options of a session: declared once, here. SET, SHOW, RESET and the
// Flight SQL session options go through this; the scheduler reads the values.
//
// Not thread-safe: a session guards its own.
#pragma once

#include <arrow/result.h>

#include <map>
#include <string>
#include <vector>

namespace ballista::sql {

struct SessionOptionSpec {
  enum class Type {
    kUnsigned,
    kBytes,      // a number of bytes, or a number with KB, MB, GB, KiB, MiB, GiB
    kAutoBytes,  // as kBytes, or -1: chosen by the planner
    kBoolean,
    kDuration,  // "5s", "500ms", "2min", "1h", or milliseconds; kept as milliseconds
    kChoice,
  };
  const char* name;
  Type type;
  const char* default_value;
  std::vector<std::string> choices;  // kChoice
  const char* documentation;
};

// All of them, by name.
const std::vector<SessionOptionSpec>& SessionOptionSpecs();

class SessionOptions {
 public:
  // Begins with "ballista.", or is `statement_timeout`, the other name of
  // `ballista.statement_timeout`.
  static bool IsSessionOption(const std::string& name);

  // Values as text: numbers in decimal, bytes as a plain number, booleans "true" and
  // "false". Errors: UserError, for an unknown name with the nearest known one.
  arrow::Result<std::string> Get(const std::string& name) const;
  arrow::Status Set(const std::string& name, const std::string& value);
  arrow::Status Reset(const std::string& name);

 private:
  std::map<std::string, std::string> values_;  // what was set
};

// Of `candidates` the one that differs least from `name`; empty where none is near.
std::string NearestName(const std::string& name,
                        const std::vector<std::string>& candidates);

}  // namespace ballista::sql
