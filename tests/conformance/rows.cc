// What the endpoint is asked to conform to, in our words; the numbers are RFC 9293's.
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

constexpr const char* kSegments = "Segments and options";
constexpr const char* kOpening = "Opening";
constexpr const char* kClosing = "Closing and resets";
constexpr const char* kFailure = "Retransmission, windows and failure";
constexpr const char* kKeepAlive = "Keep-alive";
constexpr const char* kErrors = "Errors and ACKs";
constexpr const char* kOurs = "Not numbered in the RFC";
constexpr const char* kOthers = "Other documents";

constexpr Row kRows[] = {
    {"MUST-1", kSegments, "window sizes are unsigned"},
    {"MUST-2", kSegments, "a checksum is sent with every segment"},
    {"MUST-3", kSegments, "a segment with a wrong checksum is not looked at"},
    {"MUST-5", kSegments, "options are taken in any segment"},
    {"MUST-6", kSegments, "unknown options are passed over"},
    {"MUST-7", kSegments, "an option that lies about its length does no harm"},
    {"MUST-14", kSegments, "MSS is sent, and the peer's is kept to"},
    {"MUST-15", kSegments, "without the option: 536 over IPv4, 1220 over IPv6"},
    {"MUST-16", kSegments, "no segment is longer than the peer takes, options counted"},
    {"MUST-65", kSegments, "MSS goes with a SYN and with nothing else"},
    {"MUST-17", kSegments, "Nagle's algorithm can be switched off for a connection"},
    {"SHLD-7", kSegments, "and is on by default"},
    {"MUST-30", kSegments, "urgent data is there"},
    {"MUST-31", kSegments, "of any length"},
    {"MUST-32", kSegments, "and the user is told when it comes"},
    {"MUST-33", kSegments, "and can learn how much is to be read before its end"},
    {"MUST-60", kSegments, "what is written does not wait for ever for more: PSH ends it"},

    {"MUST-8", kOpening, "initial sequence numbers follow a clock"},
    {"SHLD-1", kOpening, "and a keyed hash of the four-tuple is added (RFC 6528)"},
    {"MUST-9", kOpening, "which nobody outside can compute"},
    {"MUST-10", kOpening, "two SYNs that cross make one connection"},
    {"MUST-11", kOpening,
     "SYN_RECEIVED remembers whether it came from LISTEN or SYN_SENT, and a RST leads back there"},
    {"MUST-41", kOpening, "a passive open disturbs no connection that is there"},
    {"MUST-42", kOpening,
     "one may listen on a port while a connection of it is in SYN_SENT or SYN_RECEIVED"},
    {"MUST-43", kOpening, "the local address may be given at an open"},
    {"MUST-44", kOpening, "if it is not, it is asked for before the SYN goes"},
    {"MUST-45", kOpening, "and stays the same from there on"},
    {"MUST-46", kOpening, "no open to a broadcast or multicast address"},
    {"MUST-57", kOpening, "a SYN to such an address is dropped in silence"},
    {"MUST-63", kOpening, "and so is a SYN from one"},

    {"MUST-12", kClosing, "the user learns whether the end was a normal one or an abort"},
    {"MAY-1", kClosing, "close() in both directions at once; one direction goes on when asked"},
    {"SHLD-3", kClosing, "then data that is unread, or arrives, draws a RST"},
    {"MUST-13", kClosing, "who closes first stays for 2 MSL"},
    {"MAY-2", kClosing,
     "a SYN may end TIME_WAIT if its number is beyond all that was used; back to TIME_WAIT if it was an "
     "old duplicate"},
    {"SHLD-4", kClosing, "timestamps shorten TIME_WAIT (RFC 6191)"},
    {"SHLD-2", kClosing, "a RST may carry data"},
    {"MUST-66", kClosing, "RST and URG are looked at even when the window is closed"},
    {"SHLD-31", kClosing, "what comes out of order is kept"},
    {"MAY-12", kClosing, "an ACK that is too old to be real is challenged (RFC 5961, 5)"},

    {"MUST-18", kFailure, "the time-out is that of RFC 6298, with Karn's rule and doubling"},
    {"MUST-19", kFailure, "slow start and congestion avoidance"},
    {"MUST-20", kFailure, "R1 has the path doubted, R2 closes"},
    {"MUST-21", kFailure, "R2 can be set for a connection"},
    {"MUST-22", kFailure, "R1 and R2 hold for SYNs"},
    {"MUST-23", kFailure, "where R2 is at least 3 minutes"},
    {"SHLD-9", kFailure, "the user hears of trouble after R1"},
    {"SHLD-10", kFailure, "R1 is at least 3 retransmissions"},
    {"SHLD-11", kFailure, "R2 is at least 100 s"},
    {"MUST-34", kFailure, "a window that shrinks does no harm"},
    {"SHLD-14", kFailure, "a window that was offered is not taken back"},
    {"MUST-35", kFailure, "a closed window is probed"},
    {"MUST-36", kFailure, "by the sender, however long it stays closed"},
    {"MUST-37", kFailure, "the connection stays open as long as probes are acknowledged"},
    {"SHLD-29", kFailure, "the first probe goes after a time-out"},
    {"SHLD-30", kFailure, "and the next ones at growing distances"},
    {"MUST-38", kFailure, "no silly segments are sent into a small window"},
    {"MUST-39", kFailure, "and no silly window is offered"},

    {"MAY-5", kKeepAlive, "there are keep-alives"},
    {"MUST-24", kKeepAlive, "switched on and off for each connection"},
    {"MUST-25", kKeepAlive, "off by default"},
    {"MUST-26", kKeepAlive, "sent only when nothing was heard for the interval"},
    {"MUST-27", kKeepAlive, "which can be set"},
    {"MUST-28", kKeepAlive, "and is two hours or more by default"},
    {"MUST-29", kKeepAlive, "one that is not answered is not the end"},
    {"SHLD-12", kKeepAlive, "they carry no data"},
    {"MAY-6", kKeepAlive, "or one byte of it, for peers that want that"},

    {"MUST-47", kErrors, "the user can learn of soft errors"},
    {"MUST-54", kErrors, "ICMP errors reach the connection that they are about"},
    {"MUST-55", kErrors, "source quench is ignored"},
    {"MUST-56", kErrors, "soft errors do not end a connection"},
    {"SHLD-25", kErrors, "the user is told of them"},
    {"SHLD-26", kErrors, "hard errors end it"},
    {"MUST-48", kErrors, "the traffic class can be chosen"},
    {"MUST-58", kErrors, "one ACK for several segments where that is possible"},
    {"MUST-59", kErrors, "what was held back is worked off before anything is acknowledged"},
    {"MUST-40", kErrors, "an ACK waits less than half a second"},
    {"SHLD-19", kErrors, "every second full segment is acknowledged"},

    {"U1", kOurs, "a repeated FIN in TIME_WAIT is acknowledged and begins 2 MSL again"},
    {"U2", kOurs, "a RST ends TIME_WAIT, but not with the fix of RFC 1337"},
    {"U3", kOurs, "a segment outside the window draws an ACK, a RST outside of it nothing"},
    {"U4", kOurs, "a RST resets with the exact number; in the window it is challenged"},
    {"U5", kOurs,
     "a SYN for a synchronized connection draws a challenge ACK; TIME_WAIT has its own rule"},
    {"U6", kOurs, "an open on a four-tuple in TIME_WAIT fails, unless it may be used again"},
    {"U7", kOurs, "an abort in TIME_WAIT deletes the record"},
    {"U8", kOurs, "who sends a RST may keep TIME_WAIT"},
    {"U9", kOurs, "a segment for no connection draws a RST, unless it is one"},
    {"U10", kOurs, "a host that lost its memory keeps quiet for an MSL"},

    {"RFC 7323", kOthers, "timestamps, PAWS, window scale"},
    {"RFC 2018", kOthers, "selective acknowledgement: what is told, and in which order"},
    {"RFC 6675", kOthers, "and what is sent again because of it"},
    {"RFC 5681", kOthers, "fast retransmit, fast recovery, the restart after idleness"},
    {"RFC 6928", kOthers, "the window to begin with, and what lost SYNs make of it"},
    {"RFC 896", kOthers, "short segments wait, but not behind a whole piece that is being written"},
    {"RFC 3168", kOthers, "ECN: a mark is told until CWR comes, ECE reduces once a window"},
    {"RFC 6582", kOthers, "NewReno: a partial ACK sends the next hole"},
    {"RFC 9438", kOthers, "CUBIC: less is given up, and it comes back along a cubic"},
    {"RFC 6298", kOthers, "the time-out follows the round trip; a second before there is one"},
    {"RFC 5961", kOthers, "blind RST, SYN and data; challenge ACKs are rationed"},
    {"RFC 6191", kOthers, "a newer timestamp lets a SYN into TIME_WAIT"},
    {"RFC 1337", kOthers, "TIME_WAIT survives a RST when asked to"},
    {"RFC 6056", kOthers, "local ports cannot be foretold"},
    {"RFC 6528", kOthers, "initial numbers differ by four-tuple and secret, and grow with time"},
    {"RFC 1122", kOthers,
     "duties of hosts that RFC 9293 took over: ACK of data after FIN, half close"},
    {"RFC 8200", kOthers, "IPv6: the pseudo header, headers that are passed over"},
    {"RFC 4443", kOthers, "ICMPv6: packet too big, unreachable"},
    {"RFC 4987", kOthers, "SYN cookies when the queue is full"},
    {"RFC 6093", kOthers, "the urgent pointer points behind the last urgent byte"},
    {"RFC 5482", kOthers, "a user time-out ends what is not acknowledged"},
    {"RFC 1191", kOthers, "a path that takes less makes segments shorter"},
};

}  // namespace

std::span<const Row> rows() {
  return kRows;
}

}  // namespace lastack::test
