#include "bundle/gzip.h"

#include <gtest/gtest.h>

namespace lastack {
namespace {

constexpr std::size_t kMost = 1 << 20;

TEST(Gzip, BackToTheSame) {
  for (const std::string& text : {std::string(), std::string("x"), std::string(kMost, 'y')}) {
    const auto back = gunzip(gzip(text), kMost);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, text);
  }
}

TEST(Gzip, StopsAtTheLimit) {
  const auto back = gunzip(gzip(std::string(kMost + 1, 'y')), kMost);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().message, "more than 1 MiB once decompressed");
}

TEST(Gzip, EveryTruncationIsSeen) {
  const std::string bytes = gzip("a short text, and a short text again");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto back = gunzip(std::string_view(bytes).substr(0, n), kMost);
    ASSERT_FALSE(back) << n;
    EXPECT_NE(back.error().message.find("truncated"), std::string::npos)
        << n << back.error().message;
  }
}

TEST(Gzip, NothingMayFollow) {
  const auto back = gunzip(gzip("x") + "y", kMost);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().message, "1 bytes after the end of the compressed data");
  EXPECT_FALSE(gunzip(gzip("x") + gzip("y"), kMost));
}

TEST(Gzip, AChecksumThatIsWrong) {
  std::string bytes = gzip("x");
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 1);
  const auto back = gunzip(bytes, kMost);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().message, "damaged compressed data: incorrect data check");
}

}  // namespace
}  // namespace lastack
