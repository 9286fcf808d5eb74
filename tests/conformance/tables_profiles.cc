// docs/profiles.md: the three profiles side by side, as src/stack/profile.cc has them.
#include "stack/profile.h"

#include "conformance/verdicts.h"

namespace lastack::test {

std::string profile_table(std::string&) {
  std::string text =
      "# Behaviour profiles\n\n"
      "Where RFC 793 (1981), today's RFCs (9293 with 5961, 6191 and 7323) and Linux part ways, the endpoint takes "
      "the side of its\nprofile: `HostOptions::profile`, `linux` unless told otherwise. Made by `test_conformance "
      "--tables=write` from\n`src/stack/profile.cc`, where all of it is; the rows about TIME_WAIT are asked of "
      "`src/timewait/time_wait_rules.cc`. What\n`linux` says is what the running kernel does (6.18).\n\n"
      "| | `linux` | `rfc9293` | `rfc793` | who says so |\n|---|---|---|---|---|\n";
  const ProfileRules linux_rules = profile_rules(Profile::Linux),
                     today = profile_rules(Profile::Rfc9293), old = profile_rules(Profile::Rfc793);
  for (const ProfileRow& row : profile_rows()) {
    text += "| " + std::string(row.what) + " | " + row.value(linux_rules) + " | " +
            row.value(today) + " | " + row.value(old) + " | " + row.why + " |\n";
  }
  text +=
      "\n## A SYN that meets LAST_ACK (claim A5)\n\n"
      "The client has closed, its last ACK was lost, it has forgotten the connection and connects again from the "
      "same port,\nwhile the server is still in LAST_ACK. Each telling is a test of `tests/conformance/"
      "test_profiles.cc`, with its timeline.\n\n"
      "| | what happens | `HostOptions` of the server | test |\n|---|---|---|---|\n"
      "| Linux, RFC 5961 | challenge ACK, RST, SYN again | `profile = Linux` (or `Rfc9293`) | "
      "`LastAckReuse.The_running_kernel_challenges` |\n"
      "| the RST is lost | the same, a second later | `profile = Linux` | "
      "`LastAckReuse.A_lost_RST_costs_a_second` |\n"
      "| RFC 793, SYN outside the window | ACK, RST, SYN again | `profile = Rfc793` | "
      "`LastAckReuse.RFC_793_outside_the_window_acknowledges` |\n"
      "| RFC 793, SYN in the window | RST: the handshake is aborted | `profile = Rfc793` | "
      "`LastAckReuse.RFC_793_in_the_window_resets` |\n"
      "| as it is told: ignored | the FIN again, RST, SYN again | `syn_answer = Ignore` | "
      "`LastAckReuse.As_told_the_SYN_is_ignored` |\n"
      "| as it is told: reset | RST: the handshake is aborted | `syn_answer = Reset` | "
      "`LastAckReuse.As_told_the_SYN_is_reset` |\n";
  return text;
}

}  // namespace lastack::test
