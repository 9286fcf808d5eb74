// Behaviour profiles: where RFC 793, today's RFCs and Linux part ways, all in one place. docs/profiles.md is made
// of profile_rows(), and a test compares it.
#pragma once

#include <span>
#include <string>

#include "lastack/profile.h"
#include "lastack/time.h"
#include "tcp/settings.h"
#include "timewait/time_wait_rules.h"

namespace lastack {

struct ProfileRules {
  TcpRules tcp;
  timewait::Profile time_wait = timewait::Profile::Linux;
  Duration msl = 30s;        // TIME_WAIT lasts twice as long
  Duration isn_tick = 64ns;  // initial sequence numbers go on by one in each
  // Of settings that were not given a value.
  int syn_retries = 6;
  int synack_retries = 5;
  bool timestamps = true;
  bool window_scaling = true;
  bool sack = true;
};

ProfileRules profile_rules(Profile profile);

// What the table of profiles says of one rule.
struct ProfileRow {
  const char* what;
  const char* why;  // who says so
  std::string (*value)(const ProfileRules& rules);
};
std::span<const ProfileRow> profile_rows();

}  // namespace lastack
