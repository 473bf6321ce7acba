// Lists of servers that stand for each other, as options give them:
// "a:50050,b:50060", "[::1]:50050", or one name that DNS knows several addresses of.
#pragma once

#include <arrow/result.h>

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace ballista::flight {

struct Address {
  std::string host;
  uint16_t port = 0;
  auto operator<=>(const Address&) const = default;
};

// Hosts with commas between; `port` for those without one. An address of IPv6 that has a
// port is in brackets. Each once. Invalid, half a sentence that begins with the bad part,
// for what is no such list.
arrow::Result<std::vector<Address>> ParseAddressList(const std::string& list,
                                                     uint16_t port);

// In place of each name that DNS has several addresses of, those addresses (of IPv4 where
// there are some). Asks DNS, and may take seconds. A name that is not known stays.
std::vector<Address> ResolveAll(const std::vector<Address>& addresses);

}  // namespace ballista::flight
