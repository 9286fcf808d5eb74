// The state diagram as a list: every change of state that a connection may make (RFC 9293, 3.3.2 and 3.10),
// with what brings it about. The endpoint does not go by it, its switches do; whoever watches the endpoint
// holds it against this list.
//
// LISTEN -> SYN_SENT (3.10.1 and 3.10.2, OPEN and SEND on a listener) is not there: sockets have no such call;
// connect() on a listener is EISCONN, write() is EPIPE. Nor is the CLOSED that RFC 9293 gives a passive open
// whose SYN,ACK is never answered: the listener is still there, and what ends is only the attempt.
#pragma once

#include <span>
#include <string_view>

#include "lastack/observer.h"
#include "lastack/tcp_state.h"

namespace lastack {

struct DiagramEdge {
  TcpState from;
  std::string_view
      event;  // RST SYN SYN,ACK FIN data ACK ICMP; a call; a time-out; what is said of the table
  TcpState to;
  std::string_view section;  // where it is written: a section of RFC 9293, or what else says so
};

// What a segment is to the diagram.
std::string_view event_of(const SeenSegment& segment);
std::span<const DiagramEdge> diagram();
const DiagramEdge* find_transition(TcpState from, std::string_view event, TcpState to);
// Whether one step may lead from one to the other; an event may make two (FIN_WAIT_1 to FIN_WAIT_2 to
// TIME_WAIT, when the peer's FIN acknowledges ours).
bool legal_step(TcpState from, TcpState to);

}  // namespace lastack
