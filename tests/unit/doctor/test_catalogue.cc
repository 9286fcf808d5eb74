// Every finding that the sources can give is explained, once, and nothing is explained that is not given.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "lastack/doctor.h"

namespace lastack {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> given_by_the_sources() {
  std::set<std::string> ids;
  // An id is the first string of words joined by hyphens on a line that adds or names a finding.
  const std::regex literal("\"([a-z0-9]+(-[a-z0-9]+)+)\"");
  for (const auto& file : std::filesystem::directory_iterator(
           std::filesystem::path(LASTACK_SOURCE_DIR) / "src/doctor")) {
    if (file.path().extension() != ".cc" || file.path().filename() == "explain.cc") continue;
    const std::string text = read(file.path());
    for (std::sregex_iterator i(text.begin(), text.end(), literal), end; i != end; ++i)
      ids.insert((*i)[1]);
  }
  // Put together from two parts.
  for (const char* when : {"ports-exhausted-", "ports-exhausting-"}) {
    for (const char* cause : {"time-wait", "established"}) ids.insert(std::string(when) + cause);
  }
  for (const char* part : {"time-wait", "who-closes", "port-choice", "more-tuples"})
    ids.erase(part);
  return ids;
}

TEST(Catalogue, explains_what_the_doctor_can_say) {
  std::set<std::string> explained;
  for (const FindingInfo& info : finding_catalogue()) {
    EXPECT_TRUE(explained.insert(std::string(info.id)).second) << info.id << " twice";
    EXPECT_FALSE(info.about.empty());
    EXPECT_FALSE(info.mechanism.empty());
  }
  EXPECT_EQ(explained, given_by_the_sources());
}

TEST(Catalogue, is_the_page_in_the_docs) {
  const std::string page = read(std::filesystem::path(LASTACK_SOURCE_DIR) / "docs/findings.md");
  for (const FindingInfo& info : finding_catalogue()) {
    EXPECT_NE(page.find("`" + std::string(info.id) + "`"), std::string::npos)
        << info.id << " is not in docs/findings.md";
    EXPECT_NE(page.find(std::string(info.about)), std::string::npos)
        << info.id << ": " << info.about;
  }
}

}  // namespace
}  // namespace lastack
