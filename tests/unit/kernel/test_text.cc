#include "kernel/text.h"

#include <gtest/gtest.h>

namespace lastack {
namespace {

TEST(Text, TakesLinesAndWords) {
  std::string_view text = "a b\n\n c";
  EXPECT_EQ(take_line(text), "a b");
  EXPECT_EQ(take_line(text), "");
  EXPECT_EQ(take_line(text), " c");
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(take_line(text), "");

  std::string_view line = "  one\ttwo  ";
  EXPECT_EQ(take_word(line), "one");
  EXPECT_EQ(take_word(line), "two");
  EXPECT_EQ(take_word(line), "");
  EXPECT_TRUE(line.empty());
}

TEST(Text, NumbersAreWholeWords) {
  EXPECT_EQ(parse_number<int>("-12"), -12);
  EXPECT_EQ(parse_number<unsigned>("ff", 16), 255u);
  for (const char* word : {"", "-", "1 ", " 1", "1x", "x1", "0x1", "+1", "4294967296"}) {
    EXPECT_FALSE(parse_number<unsigned>(word).has_value()) << word;
  }
  EXPECT_FALSE(parse_number<unsigned>("-1").has_value());
}

TEST(Printable, KeepsTextAndTakesControlsOut) {
  EXPECT_EQ(printable("nginx: worker (1)"), "nginx: worker (1)");
  EXPECT_EQ(printable("a\x1b[31mred\n\t\x7f"), "a?[31mred???");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(printable("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7"),
            "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");  // CSI as one C1 character
}

TEST(Printable, WhatIsNotUtf8BecomesQuestionMarks) {
  EXPECT_EQ(printable("\xff\xfe"), "??");
  EXPECT_EQ(printable("\xc3"), "?");  // cut
  EXPECT_EQ(printable("\xe2\x82"), "??");
  EXPECT_EQ(printable("\xc0\xaf"), "??");  // overlong
  EXPECT_EQ(printable("\xe0\x80\xaf"), "???");
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????");  // above U+10FFFF
  EXPECT_EQ(printable("\x80"
                      "a"),
            "?a");
}

}  // namespace
}  // namespace lastack
