// One ACK in an interval for each record.
#include <gtest/gtest.h>

#include "timewait/ack_limit.h"

namespace lastack::timewait {
namespace {

TEST(AckLimit, LetsOneThroughInEachInterval) {
  AckLimit limit;
  const Instant t{10s};
  EXPECT_TRUE(limit.may_send(7, t, 500ms));
  EXPECT_FALSE(limit.may_send(7, t, 500ms));
  EXPECT_FALSE(limit.may_send(7, t + 499ms, 500ms));
  EXPECT_TRUE(limit.may_send(7, t + 500ms, 500ms));
  EXPECT_FALSE(limit.may_send(7, t + 999ms, 500ms));
}

TEST(AckLimit, TellsRecordsApart) {
  AckLimit limit;
  EXPECT_TRUE(limit.may_send(7, Instant{}, 500ms));
  EXPECT_TRUE(limit.may_send(8, Instant{}, 500ms));
  EXPECT_FALSE(limit.may_send(7, Instant{}, 500ms));
}

TEST(AckLimit, ForgetsRatherThanRefusesAnother) {
  AckLimit limit;
  EXPECT_TRUE(limit.may_send(7, Instant{}, 500ms));
  EXPECT_TRUE(limit.may_send(7 + 256, Instant{}, 500ms));
  EXPECT_TRUE(limit.may_send(7, Instant{}, 500ms));
}

}  // namespace
}  // namespace lastack::timewait
