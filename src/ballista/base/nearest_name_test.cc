#include "ballista/base/nearest_name.h"

#include <gtest/gtest.h>

namespace ballista {
namespace {

TEST(NearestName, EditDistance) {
  EXPECT_EQ(EditDistance("", ""), 0U);
  EXPECT_EQ(EditDistance("port", "port"), 0U);
  EXPECT_EQ(EditDistance("", "port"), 4U);
  EXPECT_EQ(EditDistance("prot", "port"), 1U);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3U);
  EXPECT_EQ(EditDistance("ca", "abc"), 3U);
}

TEST(NearestName, FirstOfTheNearest) {
  EXPECT_EQ(NearestName("x", {}), "");
  EXPECT_EQ(NearestName("prt", {"work_dir", "port", "part"}), "port");
}

}  // namespace
}  // namespace ballista
