#include "ballista/flight/address_list.h"

#include <gtest/gtest.h>

namespace ballista::flight {
namespace {

std::string Parsed(const std::string& list) {
  const auto addresses = ParseAddressList(list, 50050);
  if (!addresses.ok()) return "bad";
  std::string text;
  for (const auto& one : *addresses) {
    text += one.host + " " + std::to_string(one.port) + ";";
  }
  return text;
}

TEST(AddressList, TakesHostsWithAndWithoutPorts) {
  EXPECT_EQ(Parsed("localhost"), "localhost 50050;");
  EXPECT_EQ(Parsed("a:1,b , a:1,c:65535"), "a 1;b 50050;c 65535;");
  EXPECT_EQ(Parsed("[::1]:7,::1,[fe80::2]"), "::1 7;::1 50050;fe80::2 50050;");
}

TEST(AddressList, RefusesWhatIsNone) {
  for (const char* bad : {"", "a,", ",a", "a:", "a:0", "a:65536", "a:b", "a b", "[::1",
                          "[::1]x", "a;b:1"}) {
    EXPECT_EQ(Parsed(bad), "bad") << bad;
  }
}

TEST(AddressList, LooksUpNames) {
  EXPECT_EQ(ResolveAll({{"127.0.0.1", 1}, {"no.such.name.invalid", 2}}),
            (std::vector<Address>{{"127.0.0.1", 1}, {"no.such.name.invalid", 2}}));
}

}  // namespace
}  // namespace ballista::flight
