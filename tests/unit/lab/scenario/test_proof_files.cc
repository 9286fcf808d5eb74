// The scenarios of scenarios/prove, as files: each says what the doctor finds and which of its remedies are done.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "lab/proof/proof.h"
#include "lab/scenario/can_play.h"

namespace lastack::lab {
namespace {

constexpr Layer kLayers[] = {Layer::Program, Layer::WhoCloses, Layer::PortChoice, Layer::MoreTuples,
                             Layer::Reuse,   Layer::Limits,    Layer::Kill};

TEST(ProofFiles, say_what_is_found_and_what_is_done) {
  for (const LibraryScenario& one : proofs()) {
    SCOPED_TRACE(one.name);
    const auto file = ScenarioFile::parse(one.text, std::string(one.name));
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(file->proof());
    EXPECT_EQ(file->name(), one.name);
    EXPECT_EQ(file->proof()->finding, one.name);
    EXPECT_FALSE(file->proof()->shows.empty());
    EXPECT_FALSE(file->checks().empty());
    EXPECT_GT(file->proof()->parts.size(), 1U);
    for (const ProofSpec::Part& part : file->proof()->parts) {
      EXPECT_TRUE(part.remedy.empty() ||
                  std::any_of(std::begin(kLayers), std::end(kLayers),
                              [&](Layer l) { return to_string(l) == part.remedy; }))
          << part.remedy;
      const auto scenario = file->scenario(part.variant, Where::Kernel);
      ASSERT_TRUE(scenario) << scenario.error().message;
      EXPECT_EQ(cannot_play(*scenario, Where::Kernel), "");
      if (file->long_on_kernel(part.variant).empty()) {
        EXPECT_LE(scenario->duration, 4s);
      }
    }
  }
}

TEST(ProofFiles, every_finding_has_one_or_a_reason) {
  std::set<std::string_view> provided;
  for (const Provable& one : provable()) {
    EXPECT_NE(one.scenario != nullptr, !one.why_not.empty()) << one.finding;
    if (one.scenario != nullptr) provided.insert(one.finding);
  }
  EXPECT_EQ(provided.size(), proofs().size()) << "a scenario proves what the doctor never finds";
}

constexpr const char* kProof = R"(
scenario = "x"
[host.client]
[host.server]
[[clients]]
host = "client"
to = "server:80"
count = 1
[proof]
finding = "short-connections"
host = "client"
[variant.before]
[variant.after]
remedy = "program"
)";

std::string refusal(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  text.replace(at, from.size(), to);
  const auto file = ScenarioFile::parse(text, "x.toml");
  return file ? "" : file.error().message;
}

TEST(ProofFiles, what_is_wrong_is_said) {
  EXPECT_TRUE(ScenarioFile::parse(kProof, "x.toml"));
  const auto says = [](const std::string& from, const std::string& to, const std::string& what) {
    const std::string message = refusal(kProof, from, to);
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_EQ(message.rfind("x.toml:", 0), 0U) << message;
  };
  says("host = \"client\"\n[variant", "host = \"clinet\"\n[variant", "names no host: \"clinet\"");
  says("finding = ", "findnig = ", "finding");
  says("remedy = \"program\"", "", "the first variant, and no other");
  says("[variant.before]\n", "[variant.before]\nremedy = \"limits\"\n", "the first variant");
  says("scenario = \"x\"\n", "scenario = \"x\"\nremedy = \"program\"\n", "belongs to a variant");
  says("[variant.before]", "shows = [{ head = \"x\" }]\n[variant.before]", "measure");
  says("[variant.before]", "claims = [\"A1\"]\n[variant.before]", "claims");
}

}  // namespace
}  // namespace lastack::lab
