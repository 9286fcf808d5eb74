// What the kernel's reader writes as the way into a namespace is what a bundle's reader takes.
#include <gtest/gtest.h>

#include "bundle/enter_command.h"
#include "model/shell_word.h"

namespace lastack {
namespace {

TEST(ShellWord, QuotedOnlyWhereNeeded) {
  EXPECT_EQ(shell_word("/run/netns/web-1"), "/run/netns/web-1");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("my net"), "'my net'");
  EXPECT_EQ(shell_word("a'b"), "'a'\\''b'");
  EXPECT_EQ(shell_word("$(reboot)"), "'$(reboot)'");
  EXPECT_EQ(shell_word("a\nb\x1b"), "'a?b?'");
}

TEST(EnterCommand, AnyNameThatIsQuotedIsOneWord) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      std::string name = "x";
      name += static_cast<char>(first);
      name += static_cast<char>(second);
      EnterCommand command;
      ASSERT_TRUE(parse_enter_command("ip netns exec " + shell_word(name), command)) << name;
      ASSERT_TRUE(parse_enter_command("nsenter --net=" + shell_word(name), command)) << name;
    }
  }
}

}  // namespace
}  // namespace lastack
