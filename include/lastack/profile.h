// Where RFC 793, today's RFCs and Linux part ways, the profile decides: docs/profiles.md says in what.
#pragma once

#include <cstdint>

namespace lastack {

enum class Profile : std::uint8_t { Linux, Rfc9293, Rfc793 };

// What a SYN does that comes for a connection which is synchronized (U5, claim A5). RFC 5961 challenges it. RFC
// 793 goes by its number: in the window RST and CLOSED, else an ACK. What old stacks did with one in LAST_ACK is
// told in two ways: that it was ignored, and that it was reset.
enum class SynAnswer : std::uint8_t { Challenge, ByWindow, Ignore, Reset };

}  // namespace lastack
