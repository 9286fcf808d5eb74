// Whoever forbade it, the message names the culprit and what would lift it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "lab/namespace_denial.h"
#include "lab/private_namespace.h"

namespace lastack {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

DenialFacts refused(int error) {
  DenialFacts facts;
  facts.error = error;
  facts.deed = "cannot make private namespaces";
  return facts;
}

TEST(NamespaceDenial, SaysWhatFailedAndTheSystemsWords) {
  const Error error = explain_denial(refused(EPERM));
  EXPECT_EQ(error.number, EPERM);
  EXPECT_THAT(error.message, HasSubstr("cannot make private namespaces: Operation not permitted"));
  EXPECT_THAT(error.message, HasSubstr("run it as root"));
}

TEST(NamespaceDenial, Debian) {
  DenialFacts facts = refused(EPERM);
  facts.unprivileged_userns_clone = "0";
  EXPECT_THAT(explain_denial(facts).message,
              HasSubstr("sysctl -w kernel.unprivileged_userns_clone=1"));
  facts.unprivileged_userns_clone = "1";
  EXPECT_THAT(explain_denial(facts).message, Not(HasSubstr("unprivileged_userns_clone")));
}

TEST(NamespaceDenial, UbuntuAppArmor) {
  DenialFacts facts = refused(EACCES);
  facts.unprivileged_userns_clone = "1";
  facts.apparmor_restrict_unprivileged_userns = "1";
  EXPECT_THAT(explain_denial(facts).message,
              HasSubstr("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"));
}

TEST(NamespaceDenial, SettingsForTheUnprivilegedDoNotConcernRoot) {
  DenialFacts facts = refused(EPERM);
  facts.privileged = true;
  facts.unprivileged_userns_clone = "0";
  facts.apparmor_restrict_unprivileged_userns = "1";
  facts.max_user_namespaces = "0";
  facts.seccomp = true;
  facts.container = true;
  const std::string message = explain_denial(facts).message;
  EXPECT_THAT(message, HasSubstr("seccomp profile"));
  EXPECT_THAT(message, Not(HasSubstr("sysctl")));
  EXPECT_THAT(message, Not(HasSubstr("run it as root")));
}

TEST(NamespaceDenial, NoneAllowedAtAll) {
  DenialFacts facts = refused(ENOSPC);
  facts.max_user_namespaces = "0";
  EXPECT_THAT(explain_denial(facts).message, HasSubstr("sysctl -w user.max_user_namespaces="));
  facts.max_user_namespaces = "96365";
  facts.max_net_namespaces = "0";
  facts.privileged = true;
  EXPECT_THAT(explain_denial(facts).message, HasSubstr("sysctl -w user.max_net_namespaces="));
  facts.max_net_namespaces = "96365";
  EXPECT_THAT(explain_denial(facts).message, HasSubstr("limit of namespaces is reached"));
}

TEST(NamespaceDenial, KernelWithout) {
  DenialFacts facts = refused(EINVAL);
  facts.user_namespaces = false;
  EXPECT_THAT(explain_denial(facts).message, HasSubstr("without user namespaces"));
}

TEST(NamespaceDenial, AnErrnoOfZeroIsStillAnError) {
  EXPECT_NE(explain_denial(refused(0)).number, 0);
}

TEST(NamespaceDenial, OtherErrorsAreNoDenial) {
  EXPECT_FALSE(is_denial(Error{EPERM, "cannot set net.ipv4.x"}));
  EXPECT_FALSE(is_denial(Error{0, "not an address"}));
}

// Reading the facts never fails, whatever the machine lacks.
TEST(NamespaceDenial, FactsOfThisMachine) {
  const DenialFacts facts = read_denial_facts(EPERM, "cannot", false);
  EXPECT_EQ(facts.error, EPERM);
  EXPECT_FALSE(explain_denial(facts).message.empty());
}

}  // namespace
}  // namespace lastack
