#include "ballista/flight/part_ticket.h"

#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

namespace ballista::flight {
namespace {

using testing::HasSubstr;

constexpr const char* kKey = "0123456789abcdef";

control::ResultPartRange PartOf(const std::string& job, uint32_t task) {
  control::ResultPartRange part;
  part.set_job_id(job);
  part.mutable_output()->set_task_index(task);
  part.mutable_output()->set_last_partition(1);
  return part;
}

// What the ticket's bytes become where somebody changes the message in it.
template <typename Change>
std::string Altered(const std::string& bytes, Change&& change) {
  google::protobuf::Any any;
  control::ResultPartTicket ticket;
  EXPECT_TRUE(any.ParseFromString(bytes) && any.UnpackTo(&ticket));
  change(&ticket);
  any.PackFrom(ticket);
  return any.SerializeAsString();
}

arrow::Status Check(const std::string& bytes, const std::string& key = kKey,
                    std::chrono::system_clock::duration later = {}) {
  ARROW_ASSIGN_OR_RAISE(const auto sealed, ParsePart(bytes));
  return CheckSeal(sealed, key, std::chrono::system_clock::now() + later);
}

TEST(PartTicket, SaysWhichPart) {
  const auto bytes = SealPart(PartOf("job", 3), kKey);
  EXPECT_TRUE(IsPartTicket(bytes));
  const auto sealed = *ParsePart(bytes);
  EXPECT_EQ(sealed.part.job_id(), "job");
  EXPECT_EQ(sealed.part.output().task_index(), 3);
  EXPECT_TRUE(CheckSeal(sealed, kKey).ok());
}

TEST(PartTicket, OfAnotherKeyIsRefused) {
  const auto bytes = SealPart(PartOf("job", 3), kKey);
  EXPECT_THAT(Check(bytes, "another key").message(), HasSubstr("none that this cluster"));
  EXPECT_FALSE(Check(SealPart(PartOf("job", 3), ""), "").ok());
}

TEST(PartTicket, ThatWasAlteredIsRefused) {
  const auto bytes = SealPart(PartOf("job", 3), kKey);
  ASSERT_TRUE(Check(bytes).ok());
  EXPECT_FALSE(Check(Altered(bytes, [](auto* ticket) {
                 ticket->set_part(PartOf("other", 3).SerializeAsString());
               })).ok());
  EXPECT_FALSE(Check(Altered(bytes, [](auto* ticket) {
                 // An unknown field behind the part says nothing, but was not sealed.
                 ticket->mutable_part()->append("\x78\x01");
               })).ok());
  EXPECT_FALSE(
      Check(Altered(bytes, [](auto* ticket) { ticket->clear_signature(); })).ok());
  EXPECT_FALSE(Check(Altered(bytes, [](auto* ticket) {
                 ticket->mutable_signature()->front() ^= 1;
               })).ok());
}

TEST(PartTicket, Expires) {
  const auto bytes = SealPart(PartOf("job", 3), kKey);
  EXPECT_TRUE(Check(bytes, kKey, std::chrono::hours(23)).ok());
  EXPECT_THAT(Check(bytes, kKey, std::chrono::hours(25)).message(),
              HasSubstr("has expired"));
}

TEST(PartTicket, WhatIsNoneSaysSo) {
  for (const std::string bytes : {"", "x", "\x0a\xff\xff\xff\xff\xff"}) {
    EXPECT_FALSE(IsPartTicket(bytes));
    EXPECT_FALSE(ParsePart(bytes).ok());
  }
  const auto broken = Altered(SealPart(PartOf("job", 3), kKey),
                              [](auto* ticket) { ticket->set_part("\x0a\x7f"); });
  EXPECT_TRUE(IsPartTicket(broken));
  EXPECT_FALSE(ParsePart(broken).ok());
}

TEST(PartTicket, KeyIsFoundInTheSettings) {
  job::JobGraph graph;
  EXPECT_EQ(FindResultKey(graph.settings()), "");
  auto* setting = graph.add_settings();
  setting->set_name(kResultKeySetting);
  setting->set_value(kKey);
  EXPECT_EQ(FindResultKey(graph.settings()), kKey);
}

}  // namespace
}  // namespace ballista::flight
