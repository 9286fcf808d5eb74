// What the tests of conformance found out, for docs/conformance.md: a row's verdict is what its test did, and a
// row without a test that ran and passed has none.
//
// CONFORMANCE(MUST_13_the_active_closer_lingers_2_MSL) { ... `profile` ... } runs for the profiles `linux` and
// `rfc9293`. It meets the row, unless it says why not and shows what happens in its place.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <span>
#include <string>

#include "lastack/host.h"

namespace lastack::test {

struct Row {
  const char*
      id;  // "MUST-13", "U1", "RFC 7323"; the test's name begins with it, blanks and hyphens as _
  const char* group;
  const char* words;
};
std::span<const Row> rows();

const char* name_of(Profile profile);

// In the profile that is being run.
void deviates(const std::string& as_whom_and_why);
void does_not_apply(const std::string& why);

void for_each_profile(void (*body)(Profile));

#define CONFORMANCE(name)                                           \
  static void conformance_##name([[maybe_unused]] Profile profile); \
  TEST(Conformance, name) {                                         \
    for_each_profile(&conformance_##name);                          \
  }                                                                 \
  static void conformance_##name([[maybe_unused]] Profile profile)

// By test, then by profile: "meets" or what was said.
std::map<std::string, std::map<Profile, std::string>>& verdicts();

// The three documents, made of what has run in this process. Problems, a line each, go to `wrong`.
std::string conformance_table(std::string& wrong);
std::string transition_table(std::string& wrong);
std::string profile_table(std::string& wrong);

}  // namespace lastack::test
