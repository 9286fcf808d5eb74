#include "lab/scenario/check.h"

#include <gtest/gtest.h>

#include <random>

namespace lastack::lab {
namespace {

const Measures kMeasures{{"a.took", 0.25},
                         {"a.result", std::string("ok")},
                         {"c.failed.EADDRNOTAVAIL", 7.0},
                         {"h.states.TIME_WAIT", 3.0},
                         {"none.at", 0.0}};

Check::Verdict verdict(std::string_view text) {
  const auto check = Check::parse(text);
  EXPECT_TRUE(check) << text << ": " << (check ? "" : check.error().message);
  if (!check) return Check::Verdict::Unknown;
  return check
      ->ask([](std::string_view variant, std::string_view name) -> const Measure* {
        if (!variant.empty() && variant != "v-1") return nullptr;
        const auto found = kMeasures.find(name);
        return found == kMeasures.end() ? nullptr : &found->second;
      })
      .verdict;
}
std::string refusal(std::string_view text) {
  const auto check = Check::parse(text);
  return check ? "accepted" : check.error().message;
}

TEST(ScenarioCheck, Compares) {
  constexpr auto kHolds = Check::Verdict::Holds;
  constexpr auto kFails = Check::Verdict::Fails;
  EXPECT_EQ(verdict("a.took == 250 ms"), kHolds);
  EXPECT_EQ(verdict("a.took<0.25 s"), kFails);
  EXPECT_EQ(verdict("a.result == ok and c.failed.EADDRNOTAVAIL >= 7"), kHolds);
  EXPECT_EQ(verdict("a.result != ok or h.states.TIME_WAIT > 3"), kFails);
  EXPECT_EQ(verdict("abs(a.took - 1 s) <= 750ms"), kHolds);
  EXPECT_EQ(verdict("v-1:h.states.TIME_WAIT * 2 + 1 == c.failed.EADDRNOTAVAIL"), kHolds);
  EXPECT_EQ(verdict("(a.took + 1) / 5 == 25 %"), kHolds);
  EXPECT_EQ(verdict("-a.took < 0 and 1k == 1000"), kHolds);
}

TEST(ScenarioCheck, WhatIsNotMeasuredDecidesNothing) {
  constexpr auto kUnknown = Check::Verdict::Unknown;
  EXPECT_EQ(verdict("b.took < 1"), kUnknown);
  EXPECT_EQ(verdict("other:a.took < 1"), kUnknown);
  EXPECT_EQ(verdict("a.result < 1"), kUnknown);  // a word has no size
  EXPECT_EQ(verdict("a.took / none.at > 1"), kUnknown);
  // Unless the other side does.
  EXPECT_EQ(verdict("b.took < 1 or a.took < 1"), Check::Verdict::Holds);
  EXPECT_EQ(verdict("b.took < 1 and a.took > 1"), Check::Verdict::Fails);
}

std::vector<std::string> wrong(std::string_view text) {
  const auto check = Check::parse(text);
  EXPECT_TRUE(check) << text;
  if (!check) return {};
  return check
      ->ask([](std::string_view, std::string_view name) -> const Measure* {
        const auto found = kMeasures.find(name);
        return found == kMeasures.end() ? nullptr : &found->second;
      })
      .wrong;
}

TEST(ScenarioCheck, SaysWhichPartFailsAndByHowMuch) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrong("a.took < 1 s and c.failed.EADDRNOTAVAIL == 0"),
            Lines{"c.failed.EADDRNOTAVAIL == 0: it is 7, 7 too much"});
  EXPECT_EQ(wrong("a.took > 300 ms"), Lines{"a.took > 300 ms: it is 250 ms, 50 ms too little"});
  EXPECT_EQ(wrong("a.took < 250 ms"), Lines{"a.took < 250 ms: it is 250 ms, just as much"});
  EXPECT_EQ(wrong("a.result == timeout"), Lines{"a.result == timeout: it is ok"});
  EXPECT_EQ(wrong("b.took < 1"), Lines{"b.took < 1: not measured"});
  EXPECT_EQ(
      wrong("h.states.TIME_WAIT > 2 * c.failed.EADDRNOTAVAIL"),
      Lines{"h.states.TIME_WAIT > 2 * c.failed.EADDRNOTAVAIL: it is 3 and the other 14, 11 too "
            "little"});
  // Of an `or` all are too much.
  EXPECT_EQ(wrong("a.took > 1 s or h.states.TIME_WAIT == 0").size(), 2u);
  EXPECT_EQ(wrong("a.took < 1 s or h.states.TIME_WAIT == 0").size(), 0u);
}

TEST(ScenarioCheck, Bounds) {
  const auto bounds =
      Check::parse("a.failed == 0 and v:b.took < 2 s and c.n == 3 and d.n > 1")->bounds();
  ASSERT_EQ(bounds.size(), 2u);
  EXPECT_EQ(bounds[0].name, "a.failed");
  EXPECT_EQ(bounds[1].variant, "v");
  EXPECT_EQ(bounds[1].most, 2);
  EXPECT_TRUE(Check::parse("a.failed == 0 or b.took < 2 s")->bounds().empty());
}

TEST(ScenarioCheck, ErrorsNameThePlace) {
  EXPECT_EQ(refusal("a.took <"), "at character 9 of \"a.took <\": something is missing here");
  EXPECT_EQ(
      refusal("a.took < 1 parsec"),
      "at character 12 of \"a.took < 1 parsec\": no such unit: there are ns, us, ms, s, min, h, k, M and %");
  EXPECT_EQ(refusal("a.took"),
            "at character 7 of \"a.took\": nothing is compared: ==, !=, <, <=, > or >= is needed");
  EXPECT_EQ(refusal("(a.took < 1"), "at character 12 of \"(a.took < 1\": ')' is missing");
  EXPECT_EQ(refusal("a.took < 1 )"),
            "at character 12 of \"a.took < 1 )\": there is something left over");
  EXPECT_NE(refusal(std::string(100, '(') + "1"), "accepted");
  EXPECT_NE(refusal(std::string(5000, '1')), "accepted");
}

// What could never be true is refused when it is read, with what to write.
TEST(ScenarioCheck, WhatHasNoMeaningIsRefusedWithAFix) {
  EXPECT_EQ(refusal("0 < acc.took < 1"),
            "at character 14 of \"0 < acc.took < 1\": two comparisons in one: write \"0 < "
            "acc.took and acc.took < 1\"");
  EXPECT_EQ(refusal("a.n == 1 and 1 <= a.took + 1 s <= 2"),
            "at character 32 of \"a.n == 1 and 1 <= a.took + 1 s <= 2\": two comparisons in "
            "one: write \"1 <= a.took + 1 s and a.took + 1 s <= 2\"");
  EXPECT_EQ(refusal("acc.result = ok"),
            "at character 12 of \"acc.result = ok\": did you mean \"==\"? There is no \"=\"");
  EXPECT_EQ(refusal("(a.n = 1) or a.n == 2"),
            "at character 6 of \"(a.n = 1) or a.n == 2\": did you mean \"==\"? There is no \"=\"");
  EXPECT_EQ(refusal("a.n == 1 && a.n == 2"),
            "at character 10 of \"a.n == 1 && a.n == 2\": did you mean \"and\"?");
  EXPECT_EQ(refusal("a.n == 1 || a.n == 2"),
            "at character 10 of \"a.n == 1 || a.n == 2\": did you mean \"or\"?");
  for (const std::string text : {"not (a.n == 1)", "not a.n == 1", "!(a.n == 1)"}) {
    EXPECT_EQ(refusal(text), "at character 1 of \"" + text +
                                 "\": there is no \"not\": turn the comparison round, != for ==, "
                                 ">= for <");
  }
  EXPECT_EQ(refusal("a.took and a.n == 1"),
            "at character 1 of \"a.took and a.n == 1\": nothing is compared in \"a.took\": ==, "
            "!=, <, <=, > or >= is needed on each side of \"and\"");
  EXPECT_EQ(refusal("1 + (a.n == 1) > 1"),
            "at character 5 of \"1 + (a.n == 1) > 1\": \"(a.n == 1)\" is a comparison, and \"+\" "
            "takes numbers and words: join comparisons by \"and\" and \"or\"");
  EXPECT_EQ(refusal("-(a.n == 1) > 1"),
            "at character 2 of \"-(a.n == 1) > 1\": a comparison is no number");
  EXPECT_EQ(refusal("(a.n < 1) == (a.n < 2)"),
            "at character 1 of \"(a.n < 1) == (a.n < 2)\": \"(a.n < 1)\" is a comparison, and "
            "\"==\" takes numbers and words: join comparisons by \"and\" and \"or\"");
  EXPECT_EQ(refusal("(a.n == 1 or a.n == 2) and (a.n) == 1"), "accepted");
}

TEST(ScenarioCheck, AnyTextIsReadOrRefused) {
  std::mt19937 random(7);
  const std::string_view alphabet = "ab.:+-*/()<>=! 019%smk\x80\n";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto n = random() % 24; n > 0; --n) text += alphabet[random() % alphabet.size()];
    const auto check = Check::parse(text);
    if (check) (void)check->ask([](auto, auto) { return nullptr; });
  }
}

}  // namespace
}  // namespace lastack::lab
