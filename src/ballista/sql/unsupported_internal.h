// Thrown inside sql/ where the plan IR has no form for something; the statement then runs
// whole, as one task, and what() is the reason that EXPLAIN shows.
#pragma once

#include <stdexcept>

namespace ballista::sql {

class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Thrown for what only the planning instance can do (nextval): the statement runs there,
// or is refused when it reads files.
class PlannerOnly : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace ballista::sql
