// An ACK (RFC 9293, 3.10.7.4, fifth): what it acknowledges, the window it brings, and what that lets go.
#pragma once

#include "tcp/connection.h"
#include "tcp/context.h"

namespace lastack {

enum class AckVerdict : std::uint8_t {
  Good,
  Old,     // acknowledges nothing new; may still carry SACKs
  TooOld,  // by more than the largest window: RFC 5961, 5.2
  Unsent,  // acknowledges what was never sent
};

// Whether the segment says more of the peer's window than what is known (RFC 9293's SND.WL1 and SND.WL2).
bool updates_window(const Connection& c, const TcpSegment& segment, std::uint32_t window);

AckVerdict process_ack(Connection& c, TcpContext& x, const TcpSegment& segment);

}  // namespace lastack
