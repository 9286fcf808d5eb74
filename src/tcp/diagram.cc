#include "tcp/diagram.h"

#include <array>

namespace lastack {
namespace {

using enum TcpState;

constexpr auto kEdges = std::to_array<DiagramEdge>({
    {Closed, "listen()", Listen, "3.10.1"},
    {Closed, "connect()", SynSent, "3.10.1"},

    {Listen, "SYN", SynReceived, "3.10.7.2, third"},
    {Listen, "ACK", Established, "RFC 4987, 3.6: a SYN cookie comes back"},
    {Listen, "data", Established, "RFC 4987, 3.6: with data"},
    {Listen, "FIN", CloseWait, "RFC 4987, 3.6: with a FIN"},
    {Listen, "close()", Closed, "3.10.4"},
    {Listen, "shutdown()", Closed, "3.10.4"},

    {SynSent, "SYN,ACK", Established, "3.10.7.3, fourth"},
    {SynSent, "SYN,ACK", CloseWait, "3.10.7.3, fourth: with a FIN"},
    {SynSent, "SYN", SynReceived, "3.10.7.3, fourth; MUST-10"},
    {SynSent, "RST", Closed, "3.10.7.3, second"},
    {SynSent, "close()", Closed, "3.10.4"},
    {SynSent, "shutdown()", Closed, "3.10.4"},
    {SynSent, "abort()", Closed, "3.10.5"},
    {SynSent, "time-out", Closed, "3.10.8; MUST-23"},
    {SynSent, "ICMP", Closed, "3.9.2.2; SHLD-26"},

    {SynReceived, "ACK", Established, "3.10.7.4, fifth"},
    {SynReceived, "data", Established, "3.10.7.4, fifth"},
    {SynReceived, "SYN,ACK", Established, "3.5: the end of a simultaneous open"},
    {SynReceived, "FIN", CloseWait, "3.10.7.4, fifth and eighth"},
    {SynReceived, "FIN", Established, "3.10.7.4, fifth: a FIN beyond a gap"},
    {SynReceived, "RST", Listen, "3.10.7.4, second; MUST-11"},
    {SynReceived, "RST", Closed, "3.10.7.4, second; MUST-11"},
    {SynReceived, "RST", TimeWait, "3.10.7.4, fourth; MAY-2"},
    {SynReceived, "SYN", Listen, "3.10.7.4, fourth"},
    {SynReceived, "SYN", TimeWait, "3.10.7.4, fourth; MAY-2"},
    {SynReceived, "ICMP", TimeWait, "3.9.2.2; MAY-2"},
    {SynReceived, "ACK", TimeWait, "tcp_abort_on_overflow; MAY-2"},
    {SynReceived, "data", TimeWait, "tcp_abort_on_overflow; MAY-2"},
    {SynReceived, "FIN", TimeWait, "tcp_abort_on_overflow; MAY-2"},
    {SynReceived, "ACK", Closed, "tcp_abort_on_overflow; MAY-2, and 2 MSL are over"},
    {SynReceived, "data", Closed, "tcp_abort_on_overflow; MAY-2, and 2 MSL are over"},
    {SynReceived, "FIN", Closed, "tcp_abort_on_overflow; MAY-2, and 2 MSL are over"},
    {SynReceived, "SYN", Closed, "RFC 793, 3.9: a SYN in the window"},
    {SynReceived, "time-out", Listen, "3.10.8; MUST-23"},
    {SynReceived, "time-out", Closed, "3.10.8; MUST-23"},
    {SynReceived, "time-out", TimeWait, "MAY-2: nobody confirms the SYN"},
    {SynReceived, "ACK", Listen, "tcp_abort_on_overflow: no room in the accept queue"},
    {SynReceived, "data", Listen, "tcp_abort_on_overflow, likewise"},
    {SynReceived, "FIN", Listen, "tcp_abort_on_overflow, likewise"},
    {SynReceived, "ACK", FinWait1,
     "3.10.4: shut before; the FIN waits for the end of the handshake"},
    {SynReceived, "close()", Closed, "3.10.4, of the listener"},
    {SynReceived, "close()", FinWait1, "3.10.4"},
    {SynReceived, "abort()", Closed, "3.10.5"},
    {SynReceived, "ICMP", Listen, "3.9.2.2; SHLD-26"},
    {SynReceived, "ICMP", Closed, "3.9.2.2; SHLD-26"},

    {Established, "close()", FinWait1, "3.10.4"},
    {Established, "shutdown()", FinWait1, "3.10.4"},
    {Established, "close()", Closed, "SHLD-3, and SO_LINGER with no time: RST"},
    {Established, "abort()", Closed, "3.10.5"},
    {Established, "FIN", CloseWait, "3.10.7.4, eighth"},
    {Established, "data", CloseWait, "3.10.7.4, eighth: the FIN had come before what precedes it"},
    {Established, "RST", Closed, "3.10.7.4, second"},
    {Established, "SYN", Closed, "RFC 793, 3.9: a SYN in the window"},
    {Established, "time-out", Closed, "3.10.8; MUST-20"},
    {Established, "keep-alive", Closed, "3.8.4"},
    {Established, "ICMP", Closed, "3.9.2.2; SHLD-26"},

    {FinWait1, "ACK", FinWait2, "3.10.7.4, fifth"},
    {FinWait1, "data", FinWait2, "3.10.7.4, fifth"},
    {FinWait1, "FIN", FinWait2, "3.10.7.4, fifth: a FIN beyond a gap"},
    {FinWait1, "FIN", Closed, "3.6.1; SHLD-3: data and FIN, and nobody reads any more"},
    {FinWait1, "FIN", Closing, "3.10.7.4, eighth"},
    {FinWait1, "FIN", TimeWait, "3.10.7.4, fifth and eighth"},
    {FinWait1, "data", Closing, "3.10.7.4, eighth: the FIN had come before what precedes it"},
    {FinWait1, "data", TimeWait, "3.10.7.4, fifth and eighth: likewise"},
    {FinWait1, "RST", Closed, "3.10.7.4, second"},
    {FinWait1, "SYN", Closed, "RFC 793, 3.9: a SYN in the window"},
    {FinWait1, "data", Closed, "3.6.1; SHLD-3: nobody reads any more"},
    {FinWait1, "ACK", Closed, "TCP_LINGER2 below zero"},
    {FinWait1, "abort()", Closed, "3.10.5"},
    {FinWait1, "close()", Closed, "SHLD-3, and SO_LINGER with no time: RST"},
    {FinWait1, "time-out", Closed, "3.10.8; MUST-20"},
    {FinWait1, "ICMP", Closed, "3.9.2.2; SHLD-26"},

    {FinWait2, "FIN", TimeWait, "3.10.7.4, eighth"},
    {FinWait2, "data", TimeWait, "3.10.7.4, eighth: the FIN had come before what precedes it"},
    {FinWait2, "FIN", Closed, "3.6.1; SHLD-3: data and FIN, and nobody reads any more"},
    {FinWait2, "RST", Closed, "3.10.7.4, second"},
    {FinWait2, "SYN", Closed, "linux-facts 11; RFC 793, 3.9"},
    {FinWait2, "data", Closed, "3.6.1; SHLD-3: nobody reads any more"},
    {FinWait2, "close()", Closed, "TCP_LINGER2 below zero; unread data; SO_LINGER with no time"},
    {FinWait2, "abort()", Closed, "3.10.5"},
    {FinWait2, "destroy()", Closed, "3.10.5"},
    {FinWait2, "connect()", Closed, "linux-facts 17: the port was chosen by the program"},
    {FinWait2, "keep-alive", Closed, "3.8.4"},
    {FinWait2, "FIN_WAIT_2 limit", Closed, "tcp_fin_timeout"},
    {FinWait2, "table full", Closed, "tcp_max_tw_buckets"},
    {FinWait2, "eviction", Closed, "tcp_max_tw_buckets, the oldest goes"},

    {CloseWait, "close()", LastAck, "3.10.4"},
    {CloseWait, "shutdown()", LastAck, "3.10.4"},
    {CloseWait, "close()", Closed, "SHLD-3, and SO_LINGER with no time: RST"},
    {CloseWait, "abort()", Closed, "3.10.5"},
    {CloseWait, "FIN", Closed, "Linux: likewise, with data"},
    {CloseWait, "data", Closed, "Linux: from before the FIN, and beyond it"},
    {CloseWait, "RST", Closed, "3.10.7.4, second"},
    {CloseWait, "SYN", Closed, "RFC 793, 3.9: a SYN in the window"},
    {CloseWait, "time-out", Closed, "3.10.8; MUST-20"},
    {CloseWait, "keep-alive", Closed, "3.8.4"},
    {CloseWait, "ICMP", Closed, "3.9.2.2; SHLD-26"},

    {Closing, "ACK", TimeWait, "3.10.7.4, fifth"},
    {Closing, "FIN", TimeWait, "3.10.7.4, fifth: the peer's FIN again, and the ACK of ours"},
    {Closing, "data", TimeWait, "3.10.7.4, fifth: old data again, with the ACK of our FIN"},
    {Closing, "FIN", Closed, "Linux: likewise, with data"},
    {Closing, "data", Closed, "Linux: from before the FIN, and beyond it"},
    {Closing, "RST", Closed, "3.10.7.4, second"},
    {Closing, "SYN", Closed, "RFC 793, 3.9: a SYN in the window"},
    {Closing, "abort()", Closed, "3.10.5"},
    {Closing, "close()", Closed,
     "SHLD-3: RST; SO_LINGER with no time: no RST, as both FINs are out"},
    {Closing, "time-out", Closed, "3.10.8; MUST-20"},
    {Closing, "ICMP", Closed, "3.9.2.2; SHLD-26"},

    {LastAck, "ACK", Closed, "3.10.7.4, fifth"},
    {LastAck, "FIN", Closed, "3.10.7.4, fifth: the peer's FIN again, and the ACK of ours"},
    {LastAck, "data", Closed,
     "3.10.7.4, fifth: data again, and the ACK of ours; from before the FIN, and beyond it"},
    {LastAck, "RST", Closed, "3.10.7.4, second"},
    {LastAck, "SYN", Closed, "RFC 793, 3.9: a SYN in the window"},
    {LastAck, "abort()", Closed, "3.10.5"},
    {LastAck, "close()", Closed, "SO_LINGER with no time: no RST, as both FINs are out"},
    {LastAck, "time-out", Closed, "3.10.8; MUST-20"},
    {LastAck, "ICMP", Closed, "3.9.2.2; SHLD-26"},

    {TimeWait, "2 MSL", Closed, "3.10.8; MUST-13"},
    {TimeWait, "RST", Closed, "3.10.7.4, second; not with tcp_rfc1337"},
    {TimeWait, "SYN", SynReceived, "3.10.7.4, fourth; MAY-2"},
    {TimeWait, "SYN", Closed, "RFC 793, 3.9: a SYN in the window"},
    {TimeWait, "connect()", Closed, "linux-facts 16 to 18: the port is used again"},
    {TimeWait, "destroy()", Closed, "3.10.5"},
    {TimeWait, "table full", Closed, "tcp_max_tw_buckets"},
    {TimeWait, "length 0", Closed, "claim A3"},
    {TimeWait, "eviction", Closed, "tcp_max_tw_buckets, the oldest goes"},
});

// Steps inside one event that are no change of their own.
constexpr auto kInside = std::to_array<std::array<TcpState, 2>>({
    {Listen, SynReceived},
    {SynReceived, Established},
    {Established, CloseWait},
    {FinWait1, FinWait2},
    {FinWait2, TimeWait},
    {TimeWait, Closed},
});

}  // namespace

std::string_view event_of(const SeenSegment& s) {
  if (s.rst()) return "RST";
  if (s.syn()) return s.ack_flag() ? "SYN,ACK" : "SYN";
  if (s.fin()) return "FIN";
  return s.length > 0 ? "data" : "ACK";
}

std::span<const DiagramEdge> diagram() {
  return kEdges;
}

const DiagramEdge* find_transition(TcpState from, std::string_view event, TcpState to) {
  for (const DiagramEdge& edge : kEdges) {
    if (edge.from == from && edge.to == to && edge.event == event) return &edge;
  }
  return nullptr;
}

bool legal_step(TcpState from, TcpState to) {
  for (const DiagramEdge& edge : kEdges) {
    if (edge.from == from && edge.to == to) return true;
  }
  for (const auto& [a, b] : kInside) {
    if (a == from && b == to) return true;
  }
  return false;
}

}  // namespace lastack
