#include "ballista/planner/distribution.h"

#include <algorithm>

namespace ballista::planner {

Distribution Distribution::Hash(const std::vector<uint32_t>& columns,
                                uint32_t partitions) {
  Distribution distribution{kHash, {}, partitions};
  for (const uint32_t column : columns) distribution.keys.push_back({column});
  return distribution;
}

bool Distribution::Gathers(const std::set<uint32_t>& columns) const {
  if (kind != kHash) return !IsSpread();
  return std::all_of(keys.begin(), keys.end(), [&](const std::set<uint32_t>& key) {
    return std::any_of(key.begin(), key.end(),
                       [&](uint32_t column) { return columns.contains(column); });
  });
}

Distribution RemapDistribution(const Distribution& input,
                               const std::vector<std::set<uint32_t>>& positions) {
  if (input.kind != Distribution::kHash) return input;
  Distribution output{Distribution::kHash, {}, input.partitions};
  for (const auto& key : input.keys) {
    std::set<uint32_t> moved;
    for (const uint32_t column : key) {
      if (column < positions.size()) {
        moved.insert(positions[column].begin(), positions[column].end());
      }
    }
    if (moved.empty()) return Distribution::Random();
    output.keys.push_back(std::move(moved));
  }
  return output;
}

bool IsHashable(const plan::Type& type) {
  switch (type.id()) {
    case plan::Type::INVALID:
    case plan::Type::NULL_TYPE:
    case plan::Type::TIME_TZ:  // equal values differ in bits: the offset is part of them
    case plan::Type::INTERVAL:
    case plan::Type::BIT:
    case plan::Type::BIGNUM:
    case plan::Type::ENUM:
    case plan::Type::MAP:
    case plan::Type::UNION:
    case plan::Type::LAMBDA:
    case plan::Type::ANY:
      return false;
    default:
      return std::all_of(type.children().begin(), type.children().end(), IsHashable);
  }
}

bool HasSortKey(const plan::Type& type) {
  switch (type.id()) {
    case plan::Type::INVALID:
    case plan::Type::NULL_TYPE:
    case plan::Type::LIST:
    case plan::Type::ARRAY:
    case plan::Type::STRUCT:
    case plan::Type::MAP:
    case plan::Type::UNION:
    case plan::Type::LAMBDA:
    case plan::Type::ANY:
      return false;
    default:
      return true;
  }
}

std::set<uint32_t> AllColumns(const plan::Node& node) {
  std::set<uint32_t> columns;
  for (int i = 0; i < node.types_size(); ++i) columns.insert(static_cast<uint32_t>(i));
  return columns;
}

std::vector<uint32_t> HashableColumns(const std::set<uint32_t>& columns,
                                      const plan::Node& node) {
  std::vector<uint32_t> hashable;
  for (const uint32_t column : columns) {
    if (IsHashable(node.types(static_cast<int>(column)))) hashable.push_back(column);
  }
  return hashable;
}

std::string ToString(const Distribution& distribution) {
  switch (distribution.kind) {
    case Distribution::kReplicated:
      return "replicated";
    case Distribution::kSingle:
      return "single";
    case Distribution::kRandom:
      return "random";
    case Distribution::kHash:
      break;
  }
  std::string text = "hash(";
  for (const auto& key : distribution.keys) {
    if (text.back() != '(') text += ", ";
    std::string columns;
    for (const uint32_t column : key) {
      columns += (columns.empty() ? "#" : "=#") + std::to_string(column);
    }
    text += columns;
  }
  return text + ") over " + std::to_string(distribution.partitions);
}

}  // namespace ballista::planner
