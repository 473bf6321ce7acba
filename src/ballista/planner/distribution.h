// How the rows of a fragment are spread over the tasks that run it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "ballista/plan.pb.h"

namespace ballista::planner {

struct Distribution {
  enum Kind {
    kReplicated,  // every task that runs the fragment gets all the rows, the same ones
    kSingle,      // only right in a stage of one task
    kRandom,      // each row is in exactly one task; nothing says in which
    kHash,        // as kRandom, and rows that are equal in `keys` are in the same task
  };
  Kind kind = kSingle;

  // kHash: the key columns in the order in which they were hashed. Each is the set of
  // output columns that carry its value (an inner join makes its two key columns equal).
  std::vector<std::set<uint32_t>> keys;
  uint32_t partitions = 0;

  static Distribution Replicated() { return {kReplicated, {}, 0}; }
  static Distribution Single() { return {kSingle, {}, 0}; }
  static Distribution Random() { return {kRandom, {}, 0}; }
  static Distribution Hash(const std::vector<uint32_t>& columns, uint32_t partitions);

  // More than one task may run the fragment.
  bool IsSpread() const { return kind == kRandom || kind == kHash; }

  // Rows that agree in `columns` are in one task: the hash keys are among them.
  bool Gathers(const std::set<uint32_t>& columns) const;
};

// The distribution after columns moved: `positions[c]` are the output columns that carry
// input column c. A hash whose key is dropped becomes random.
Distribution RemapDistribution(const Distribution& input,
                               const std::vector<std::set<uint32_t>>& positions);

// Values of the type have a partition hash (docs/plan-ir.md), under which values that the
// engine holds for equal are equal.
bool IsHashable(const plan::Type& type);

// Values of the type have a sort key (docs/plan-ir.md), whose order is the engine's.
bool HasSortKey(const plan::Type& type);

// All output columns of the node.
std::set<uint32_t> AllColumns(const plan::Node& node);

// Of `columns`, those with a hashable type.
std::vector<uint32_t> HashableColumns(const std::set<uint32_t>& columns,
                                      const plan::Node& node);

std::string ToString(const Distribution& distribution);

}  // namespace ballista::planner
