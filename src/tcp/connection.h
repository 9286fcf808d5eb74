// One TCP connection: plain data. What happens to it is written in free functions, a file for each kind of
// event, in the order of RFC 9293, section 3.10:
//
//   calls of the user      calls.cc        segments           input.cc, ack.cc, receive.cc
//   time-outs              timers.cc       what to send       output.cc
//
//                              +---------+
//              passive open    | CLOSED  |   active open, SYN
//            +---------------- +---------+ ----------------+
//            v                      ^                      v
//       +---------+   SYN           |  close          +----------+
//       | LISTEN  |---------+       +---------------- | SYN_SENT |
//       +---------+ SYN,ACK |       |                 +----------+
//                           v       |      SYN             |
//                     +--------------+ <-------------------+  SYN,ACK -> ACK
//                     | SYN_RECEIVED |                     |
//                     +--------------+                     |
//              close, FIN  |  ACK of SYN                   v
//            +-------------+-------------------> +-------------+
//            v                   close, FIN      | ESTABLISHED |
//      +------------+ <------------------------- +-------------+
//      | FIN_WAIT_1 |                                |  FIN -> ACK
//      +------------+ FIN -> ACK  +---------+        v
//        | ACK of FIN -----------> | CLOSING |  +------------+
//        v       \  FIN,ACK        +---------+  | CLOSE_WAIT |
//   +------------+ \ -> ACK  ACK of FIN |       +------------+
//   | FIN_WAIT_2 |  \                   v            |  close, FIN
//   +------------+   +--------> +-----------+        v
//        |  FIN -> ACK          | TIME_WAIT |   +----------+   ACK of FIN
//        +--------------------> +-----------+   | LAST_ACK | -------------> CLOSED
//                               2 MSL -> CLOSED +----------+
//
// LISTEN and TIME_WAIT have no Connection: the first is a Listener of the stack, the second a record of
// timewait/. The words of state here are those of RFC 9293, 3.3.1, and Linux's for what came later.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/tcp_state.h"
#include "lastack/time.h"
#include "tcp/byte_ring.h"
#include "tcp/congestion.h"
#include "tcp/held_beyond.h"
#include "tcp/held_packets.h"
#include "tcp/sent_queue.h"
#include "wire/seq_num.h"
#include "wire/tcp_segment.h"

namespace lastack {

// Why a connection is over, or what the user should hear about it. stack/user_calls.cc gives it as an errno.
enum class TcpError : std::uint8_t {
  None,
  Refused,             // a RST answered the SYN
  Reset,               // a RST came later
  TimedOut,            // R2 passed, or keep-alive found nobody
  Aborted,             // this side sent a RST
  BrokenPipe,          // written after shutdown or after the end
  NetworkUnreachable,  // ICMP
  HostUnreachable,
  HostDown,
  HostIsolated,
  Prohibited,
  ProtocolUnreachable,
  PortUnreachable,
  MessageTooBig,
  Protocol,      // ICMP: parameter problem
  NotSupported,  // ICMP: a source route failed
  NoMemory,
};

// What the stack has to look at after a call, as bits.
namespace news {
inline constexpr std::uint16_t kReadable = 1;   // data, the end, or an error
inline constexpr std::uint16_t kWritable = 2;   // room, or an error
inline constexpr std::uint16_t kConnected = 4;  // has become ESTABLISHED
inline constexpr std::uint16_t kPeerClosed = 8;
inline constexpr std::uint16_t kTimeWait = 16;  // from here on it is a record
inline constexpr std::uint16_t kClosed = 32;    // CLOSED: to be forgotten
inline constexpr std::uint16_t kUrgent = 64;
inline constexpr std::uint16_t kState = 128;  // the state has changed
inline constexpr std::uint16_t kFinWait2 =
    256;  // an orphan in FIN_WAIT_2: from here on it is a record
inline constexpr std::uint16_t kBuffers = 512;  // they may have grown, or been given back
}  // namespace news

// What the one timer for sending stands for: there is only ever one of them (Linux's icsk_pending).
enum class SendTimer : std::uint8_t { None, Retransmit, LossProbe, Reorder, WindowProbe, HeldSyn };

// What has become of the urgent byte (Linux: urg_data).
enum class Urgent : std::uint8_t { None, Coming, There, Read };

// What keeps a sender with something to send: the path, the peer's window, or the size of its buffer.
enum class Waiting : std::uint8_t { None, Path, Window, Buffer };

struct SeqRange {
  SeqNum left;
  SeqNum right;
  friend constexpr bool operator==(const SeqRange&, const SeqRange&) = default;
};

// Data beyond a gap. The newest range is at the front, as RFC 2018 (4) wants it in SACK blocks.
struct OutOfOrder {
  std::array<SeqRange, 4> recent{};  // for SACK blocks
  std::uint8_t recent_count = 0;
  SeqRange duplicate{};  // to be reported as DSACK (RFC 2883)
  bool has_duplicate = false;
};

// RFC 6298, with Linux's mean deviation (a maximum over a round trip).
struct RoundTrip {
  Duration smoothed{};       // 0: no sample yet
  Duration deviation{};      // mdev
  Duration deviation_max{};  // over this round trip
  Duration variance{};       // rttvar
  SeqNum round;              // when snd_una passes it a new round trip begins
  Duration rto{};
  Duration least{Duration::max()};  // the shortest seen lately
  Instant least_at{};
};

// RFC 8985.
struct Rack {
  Sending last;  // the one among those delivered that was sent last
  Duration rtt{};
  std::uint8_t window_steps = 1;  // quarters of the least round trip
  std::uint8_t window_persist = 16;
  bool advanced = false;
  bool reordering_seen = false;
  std::uint32_t reorderings = 0;  // how often
  bool dsack_seen = false;
  std::uint32_t window_at = 0;  // delivered when the window became wider
  SeqNum fack;                  // the highest sequence number SACKed
  std::uint32_t reordering = 3;
  // Tail loss probe: outstanding when probe_high is set.
  std::optional<SeqNum> probe_high;
  bool probe_is_retransmission = false;
  // F-RTO (RFC 5682).
  bool frto = false;
};

// Options of the user, with their defaults.
struct UserOptions {
  bool no_delay = false;  // TCP_NODELAY
  bool cork = false;      // TCP_CORK
  bool keepalive = false;
  bool quickack = true;           // what TCP_QUICKACK reads: not in ping-pong mode
  std::optional<int> keep_idle;   // s
  std::optional<int> keep_intvl;  // s
  std::optional<int> keep_count;
  std::optional<int> syn_count;
  std::uint32_t user_timeout_ms = 0;  // TCP_USER_TIMEOUT (RFC 5482)
  bool linger = false;
  int linger_seconds = 0;
  std::optional<int> linger2;        // s; negative: no FIN_WAIT_2 after close()
  std::uint16_t max_segment = 0;     // TCP_MAXSEG
  std::uint32_t send_buffer = 0;     // bytes; 0: by the settings
  std::uint32_t receive_buffer = 0;  // bytes; 0: by the settings
  std::uint32_t window_clamp = 0;    // TCP_WINDOW_CLAMP
  std::uint32_t not_sent_low = 0;    // TCP_NOTSENT_LOWAT
  std::uint32_t read_low = 1;        // SO_RCVLOWAT
  std::uint8_t traffic_class = 0;
  std::uint8_t hop_limit = 64;
  bool sack_off = false;
  bool urgent_inline = false;  // SO_OOBINLINE
  bool reuse_address = false;
  bool reuse_port = false;
  bool v6_only = false;
  bool bind_no_port = false;
  std::uint8_t defer_accept = 0;     // time-outs of the SYN,ACK that data is waited for
  bool hears_icmp = false;           // IP_RECVERR
  bool fast_open_no_cookie = false;  // TCP_FASTOPEN_NO_COOKIE
  std::uint32_t port_range = 0;      // high << 16 | low
};

// The transmission control block of RFC 9293, 3.3.1: numbers and nothing else, so that it can be copied as it
// is. An idle connection is kept as a packed copy of it (stack/asleep.h).
struct ControlBlock {
  FourTuple tuple;
  TcpState state = TcpState::Closed;
  TcpState origin = TcpState::Closed;  // MUST-11: Listen, SynSent or TimeWait, before SYN_RECEIVED
  TcpError error = TcpError::None;     // to be told once (SO_ERROR)
  TcpError ended_by = TcpError::None;  // the same, and stays
  WhoClosed closed_first = WhoClosed::Nobody;
  TcpError soft_error = TcpError::None;  // what ICMP said; told if it ends by time-out
  std::uint16_t news = 0;

  // --- Send sequence space
  SeqNum iss;
  SeqNum snd_una;
  SeqNum snd_nxt;
  SeqNum snd_wl1;
  SeqNum write_seq;  // one past the last byte the user wrote; the FIN is after it
  SeqNum pushed;     // PSH was set up to here
  SeqNum snd_up;     // urgent data ends here
  SeqNum snd_small;  // end of the last segment shorter than the MSS (Minshall's Nagle)
  std::uint32_t snd_wnd = 0;
  std::uint32_t max_window = 0;
  std::uint64_t bytes_acked = 0;
  std::uint8_t snd_wscale = 0;
  std::uint32_t send_buffer_size = 0;  // grown so far; 0: that of the settings
  bool no_space = false;               // the user wants to hear of room
  bool found_no_room = false;          // and could not write all he had
  bool fin_queued = false;             // the user has closed this direction
  bool fin_sent = false;
  bool urgent_pending = false;

  // --- Receive sequence space
  SeqNum irs;
  SeqNum rcv_nxt;
  SeqNum rcv_wup;  // rcv_nxt when a window was last announced
  SeqNum rcv_up;   // the urgent byte itself, which is the last of urgent data (RFC 6093)
  std::uint32_t rcv_wnd = 0;
  std::uint32_t rcv_window_limit = 65535;  // grows with what arrives (Linux: rcv_ssthresh)
  std::uint32_t window_clamp = 0;          // and never beyond this
  std::uint32_t rcv_buffer_size = 0;       // bytes of memory (Linux: sk_rcvbuf)
  std::uint32_t rcv_memory = 0;            // that what waits takes up (Linux: sk_rmem_alloc)
  std::uint8_t rcv_share = 128;  // how much of memory is data, in 256ths (Linux: scaling_ratio)
  bool no_memory = false;        // something was dropped: the next ACK closes the window
  std::uint8_t rcv_wscale = 0;
  std::uint8_t offered_wscale = 0;  // in our SYN
  bool fin_received = false;
  bool end_read = false;         // and the user has been told
  std::optional<SeqNum> fin_at;  // a FIN that came before what precedes it
  Urgent urgent = Urgent::None;
  std::byte urgent_byte{};

  // --- Options agreed upon
  bool timestamps = false;
  bool sack = false;
  bool window_scaling = false;
  bool ecn = false;  // RFC 3168
  bool ecn_offered = false;
  bool peer_offered_mss = false;
  std::uint16_t mss = 536;        // without options, what the path and the peer take
  std::uint16_t announced = 536;  // what we told the peer
  std::uint16_t peer_mss = 536;
  std::uint16_t rcv_mss = 536;  // what the peer seems to send (for delayed ACKs)
  std::uint16_t path_mtu = 1500;

  // --- Timestamps (RFC 7323)
  std::uint32_t ts_offset = 0;
  std::uint32_t ts_recent = 0;
  Instant ts_recent_at{};
  bool ts_recent_valid = false;
  std::uint32_t rcv_tsval = 0;
  std::uint32_t rcv_tsecr = 0;
  bool saw_tstamp = false;  // on the segment at hand
  bool timestamps_offered = false;
  std::uint32_t syn_sent_clock = 0;  // our clock at the first SYN
  std::uint32_t syn_last_clock = 0;  // and at the last one
  std::uint32_t retrans_stamp = 0;  // our clock at the first retransmission of this episode (Eifel)

  OutOfOrder out_of_order;

  // --- How large the receive buffer ought to be (Linux: rcvq_space, rcv_rtt_est)
  std::uint32_t rcv_space = 0;  // bytes read in a round trip
  SeqNum rcv_space_seq;
  Instant rcv_space_at{};
  Duration rcv_rtt{};  // 0: no measure yet
  SeqNum rcv_rtt_seq;
  std::uint32_t rcv_rtt_echo = 0;
  Instant rcv_rtt_at{};
  Instant last_packet{};

  // --- Loss recovery
  CongestionState ca = CongestionState::Open;
  Congestion congestion;
  RoundTrip rtt;
  Rack rack;
  std::uint32_t packets_out = 0;  // segments, like those below
  std::uint32_t sacked_out = 0;
  std::uint32_t lost_out = 0;
  std::uint32_t retrans_out = 0;
  std::uint32_t ever_lost = 0;  // what was marked as lost, each time
  std::uint32_t delivered = 0;
  std::uint32_t total_retrans = 0;
  std::uint64_t pacing_rate = 0;  // bytes a second; 0 before the first ACK
  std::uint8_t retransmits = 0;   // time-outs in a row
  std::uint8_t backoff = 0;
  std::uint8_t probes_out = 0;  // window probes or keep-alives without an answer

  // --- Timers: Instant::max() when not set
  SendTimer send_timer_is = SendTimer::None;
  Instant send_timer{Instant::max()};
  Instant ack_timer{Instant::max()};
  Instant keep_timer{Instant::max()};  // keep-alive; the limit of an orphan's FIN_WAIT_2
  Instant trim_timer{Instant::max()};  // gives empty buffers back
  Instant fin_wait_2_until{};          // of an orphan, once it is a small record
  Instant state_since{};               // when it has come to its state
  Instant last_sent{};                 // of data
  Instant last_received{};             // of data
  Instant last_ack_received{};
  Instant probe_since{};         // user time-out of a zero window
  Instant last_out_of_window{};  // when an ACK for such a segment was sent last

  // --- ECN (RFC 3168, 6.1)
  bool congestion_seen = false;      // CE has come: ECE in every ACK until CWR comes
  bool congestion_answered = false;  // the window was reduced: CWR goes with the next new data
  bool peer_marks = false;           // its packets have come with ECT or CE

  // --- Delayed ACKs (RFC 1122, 4.2.3.2; RFC 5681, 4.2)
  std::uint8_t quick = 0;     // that many segments are acknowledged at once
  std::uint8_t pingpong = 0;  // >= 3: an interactive session, ACKs wait
  bool ack_wanted = false;    // something has arrived that was not acknowledged yet
  bool ack_pending = false;   // ack_timer is set
  bool ack_now = false;
  std::uint8_t pushed_in = 0;  // short segments since the last ACK: none, one, more
  std::uint16_t last_segment_size = 0;
  std::uint8_t told = 0;  // ACKs beyond a gap at told_at
  std::uint8_t compressed_acks = 0;
  SeqNum told_at;
  bool nonagle_push = false;
  std::uint8_t last_place = 0;  // of what was sent at last_sent
  Duration ato{};               // how long an ACK may wait

  // --- What the user may ask for (TCP_INFO)
  std::uint32_t segments_in = 0, segments_out = 0;
  std::uint32_t data_segments_in = 0, data_segments_out = 0;
  std::uint64_t bytes_received = 0, bytes_sent = 0, bytes_resent = 0;
  std::uint32_t delivered_marked = 0;  // while the peer told of congestion
  std::uint32_t duplicates_told = 0;   // segments, by DSACK
  std::uint32_t out_of_order_in = 0;
  std::uint16_t time_outs = 0, time_out_episodes = 0;
  std::uint32_t time_outs_ms = 0;
  Instant time_outs_since{};
  // How long there was something to send, and why it did not go (Linux: tcp_chrono).
  Waiting waits_for = Waiting::None;
  Instant waits_since{};
  std::array<Duration, 3> waited{};

  UserOptions options;
  bool orphan = false;  // the user has closed it
  // Fast Open (RFC 7413): accepted, while the SYN,ACK waits for its ACK; and data of a SYN has been taken.
  bool fast_open = false;
  bool syn_data = false;
  Instant syn_ack_sent{};  // the first of them
  bool read_shutdown = false;
  bool error_queued =
      false;  // an ICMP error of the opening, where nobody reads (Linux: tcp_v4_err)

  // --- The stack's
  std::uint32_t tuple_hash = 0;                              // while it can be found by its tuple
  std::uint32_t user = 0;                                    // 1 + socket; 0: nobody
  std::uint32_t listener = 0;                                // 1 + listener that it came from
  std::uint32_t half_open_next = 0, half_open_previous = 0;  // while it is counted there
  std::uint32_t memory = 0;  // of its buffers, in bytes, as counted for the host last
  Port bound_port = 0;       // held by bind()
  bool port_named = false;   // to bind(), and not chosen by it (Linux: SOCK_BINDPORT_LOCK)
  bool port_taken = false;   // by connect(): of the ports to that destination
  bool hashed = false;       // can be found by its tuple
  bool in_accept_queue = false;
  bool half_open_counted = false;
  bool ack_deferred = false;  // the handshake is over but for the data that its user waits for
  bool counted_established = false;
  bool orphan_counted = false;

  bool synchronized() const {
    return state != TcpState::SynSent && state != TcpState::SynReceived &&
           state != TcpState::Closed && state != TcpState::Listen;
  }
  // Something is still to be sent for the first time, be it only the FIN.
  bool has_unsent() const { return fin_queued ? !fin_sent : write_seq != snd_nxt; }
  std::uint32_t in_flight() const { return packets_out - sacked_out - lost_out + retrans_out; }
  // What is still open of the window announced last (Linux: tcp_receive_window).
  std::uint32_t receive_window() const {
    const std::int32_t left = (rcv_wup + rcv_wnd) - rcv_nxt;
    return left < 0 ? 0 : static_cast<std::uint32_t>(left);
  }
  SeqNum send_limit() const { return snd_una + snd_wnd; }
};
static_assert(std::is_trivially_copyable_v<ControlBlock>);

struct Connection : ControlBlock {
  // --- Buffers
  ByteRing send_buffer;  // from snd_una on
  ByteRing receive_buffer;
  SentQueue sent;
  // What the user has written and was not sent yet, from snd_nxt on, in pieces that will not be joined: a
  // super-segment or less each (Linux: the write queue). PSH belongs to the end of a piece.
  SentQueue unsent;
  std::unique_ptr<std::vector<SeqRange>> gaps;  // what has arrived beyond rcv_nxt, sorted
  // What waits for the user, and what lies beyond the gaps, packet by packet.
  HeldPackets held;
  std::unique_ptr<HeldBeyond> held_beyond;

  // The number of the byte that the user reads next (Linux: copied_seq).
  SeqNum read_next() const {
    return rcv_nxt - (fin_received ? 1U : 0U) - static_cast<std::uint32_t>(receive_buffer.size());
  }
  // The user has read up to the urgent byte (SIOCATMARK).
  bool at_urgent_mark() const { return urgent != Urgent::None && rcv_up == read_next(); }
};

}  // namespace lastack
