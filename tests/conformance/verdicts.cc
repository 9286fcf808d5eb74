#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

struct Running {
  std::string test;
  Profile profile = Profile::Linux;
};
Running running;

}  // namespace

const char* name_of(Profile profile) {
  switch (profile) {
    case Profile::Linux:
      return "linux";
    case Profile::Rfc9293:
      return "rfc9293";
    case Profile::Rfc793:
      return "rfc793";
  }
  return "";
}

std::map<std::string, std::map<Profile, std::string>>& verdicts() {
  static std::map<std::string, std::map<Profile, std::string>> all;
  return all;
}

void deviates(const std::string& why) {
  verdicts()[running.test][running.profile] = "deviates " + why;
}

void does_not_apply(const std::string& why) {
  verdicts()[running.test][running.profile] = "does not apply: " + why;
}

void for_each_profile(void (*body)(Profile)) {
  running.test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
  for (const Profile profile : {Profile::Linux, Profile::Rfc9293}) {
    SCOPED_TRACE(std::string("profile ") + name_of(profile));
    running.profile = profile;
    verdicts()[running.test][profile] = "meets";
    body(profile);
  }
}

}  // namespace lastack::test
