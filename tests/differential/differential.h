// The language of the differentials: a script of segments and calls, given to the kernel and to the endpoint at
// once, one line a segment or call. What each answers is compared after every line; the first divergence ends
// the script and is shown side by side with what led to it. docs/differential.md tells what is compared.
//
//   differential([](Differential& d) {
//     const Sock listener = d.listen(80);
//     Peer p = d.peer(40000, 80);                // 10.77.0.2:40000, played by the script
//     p.in(SYN).out(SYN | ACK);
//     p.in(ACK).nothing();
//     const Sock s = d.accept(listener);
//     d.close(s);
//     p.out(FIN | ACK);                          // what the last line made the host send
//     p.in(ACK).in(FIN | ACK).out(ACK);
//     p.in(RST, {.seq = 5});                     // five beyond what is due
//     p.shows(TcpState::TimeWait);
//   });
//
// Sequence numbers are relative: a segment of the peer has the next number and acknowledges all that has come,
// unless told otherwise. out(), nothing() and shows() say what the script is there for; without them the
// comparison is made all the same.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "differential/world.h"
#include "wire/tcp_segment.h"

namespace lastack::differential {

inline constexpr std::uint16_t FIN = tcp_flag::kFin, SYN = tcp_flag::kSyn, RST = tcp_flag::kRst,
                               PSH = tcp_flag::kPsh, ACK = tcp_flag::kAck, URG = tcp_flag::kUrg;
std::string flags_text(std::uint16_t flags);

// A segment of a peer, as far as it is not what is due.
struct With {
  std::int64_t seq = 0;  // beyond the next number
  std::int64_t ack = 0;  // beyond all that has come
  std::size_t length = 0;
  std::uint16_t window = 65535;  // as on the wire
  std::int64_t ts = 0;           // beyond the peer's clock
  std::int64_t ecr = 0;          // beyond the last timestamp that has come
  bool timestamps = true;        // where agreed
  std::uint16_t urgent = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> sack{};  // beyond all that has come
};

// What a peer's SYN says.
struct Offer {
  std::uint16_t mss = 1460;  // 0: nothing
  std::optional<std::uint8_t> window_scale = 7;
  bool sack = true;
  bool timestamps = true;
};

using Sock = int;
inline constexpr Sock kNoSock = -1;

class Differential;

// Another host's end of a connection with the one that is asked. A copy is the same peer.
class Peer {
 public:
  // Sends a segment.
  Peer& in(std::uint16_t flags, const With& with = {});
  // An ICMP error about the last segment that the host sent to this peer.
  Peer& icmp(std::uint8_t type, std::uint8_t code);
  // The last line made the host send exactly one segment to this peer, with these flags (PSH apart); none.
  Peer& out(std::uint16_t flags);
  Peer& nothing();
  // The only socket or record of this connection, by its row; none.
  Peer& shows(TcpState state, bool small = false);
  Peer& gone();
  // With `small` implied.
  Peer& in_time_wait() { return shows(TcpState::TimeWait, true); }
  // SYN, SYN|ACK, ACK.
  Peer& handshake();

  // A new connection with the same four-tuple: its first number is so much beyond what was sent last, and its
  // clock so much later.
  Peer& again(std::int64_t seq, std::int64_t ts = 1);
  Peer& offer(const Offer& offer);
  // What the window field of the last segment to this peer said, in bytes (of the kernel).
  std::uint32_t window() const;
  Endpoint remote() const;

 private:
  friend class Differential;
  Peer(Differential& d, std::size_t number) : d_(&d), number_(number) {}
  Differential* d_;
  std::size_t number_;
};

class Differential {
 public:
  Differential(World& kernel, World& endpoint);

  // --- Settings and time
  void set(const std::string& name, std::int64_t value) { set(name, std::to_string(value)); }
  void set(const std::string& name, const std::string& value);
  // Both see whether a value is taken.
  void try_set(const std::string& name, const std::string& value);
  void wait(Duration duration);

  // --- Calls. What they answer is compared; the values returned are the kernel's
  Sock open(bool v6 = false);
  Err bind(Sock socket, const Endpoint& local);
  Err listen(Sock socket, int backlog);
  Err set_option(Sock socket, Option option, int value);
  void option(Sock socket, Option option);
  Sock accept(Sock listener);
  void read(Sock socket, std::size_t most = 65536);
  void write(Sock socket, std::size_t length);
  void shutdown(Sock socket, ShutdownHow how = ShutdownHow::Write);
  void close(Sock socket);
  void error(Sock socket);
  // The peer is played by the script.
  Peer connect(Sock socket, Port to = 80, bool v6 = false);
  // To a socket of the same host; or a connect() that is to fail. Its errno.
  Err connect_to(Sock socket, const Endpoint& remote);
  // The local port that connect() or bind() chose is the worlds' own affair, but for these properties.
  Port port(Sock socket, int world) const;

  // --- In one line what many scripts begin with
  Sock listen_at(Port port, int backlog = 128, bool reuse_address = true);
  Peer peer(Port from, Port to = 80, const Offer& offer = {}, bool v6 = false);
  struct Open {
    Sock socket;
    Peer peer;
  };
  Open established(Sock listener, Port from = 40000, Port to = 80, const Offer& offer = {});
  // connect()ed instead; with an explicit port if `from` is not 0.
  Open connected(Port to = 80, Port from = 0, bool reuse_address = true);

  // --- What the script is there for
  // A counter has risen by so much since the script began, or since forget_counts().
  void counts(const std::string& counter, std::uint64_t rise);
  void small_records(std::uint64_t number);
  void expect(bool holds, const std::string& what);
  void note(const std::string& text);

  // The first divergence, or what did not come about; empty: all agreed.
  const std::string& report() const { return report_; }
  bool failed() const { return !report_.empty(); }
  // The worlds parted where docs/differential.md says that they do: the script is over, and no more is asked.
  const std::string& deviation() const { return deviation_; }
  bool over() const { return failed() || !deviation_.empty(); }
  // Both worlds agree about the state.
  std::optional<TcpState> state(const Peer& peer) const;
  std::size_t steps() const { return history_.size(); }

 private:
  friend class Peer;

  // What is compared: equal texts, and numbers within a tolerance.
  struct Seen {
    std::string text;
    double number = 0;
    double tolerance = 0;
  };
  struct Side {
    World* world;
    std::vector<Handle> sockets;
    Counters before;
    std::vector<Seen> seen;  // in this step
    std::size_t shown = 0;
  };
  struct PeerSide {
    Endpoint local;
    std::optional<SeqNum> iss;  // of the host
    SeqNum next;                // one beyond all it has sent
    Bytes last;                 // the packet that it sent last
    std::uint32_t ts_last = 0;
    bool ts_seen = false;
    std::uint8_t scale = 0;
  };
  struct PeerState {
    Endpoint remote;
    Offer offer;
    std::array<PeerSide, 2> sides;
    SeqNum iss;   // the peer's
    SeqNum next;  // its next number
    std::uint32_t clock = 0;
    bool scaled = false;      // windows are, both ways
    bool timestamps = false;  // agreed
    bool took_record =
        false;  // its last SYN may have taken a record over, and the handshake is not over
    std::vector<std::uint16_t> out;  // flags of what the last step brought
    std::uint32_t window = 0;
    int incarnation = 0;
  };
  struct Row {
    std::string text;
    SocketRecord record;
  };

  void step(const std::string& what, const std::function<Seen(std::size_t)>& act);
  void meanwhile();
  void settle();
  void pass(Instant until);
  void collect(std::size_t side);
  void look(std::size_t side);
  Seen describe(std::size_t side, const Bytes& packet);
  bool agree(const std::string& what);
  bool is_documented();
  void fail(const std::string& why);
  std::optional<TcpState> state_of(const PeerState& peer) const;
  std::string name_of(std::size_t side, const FourTuple& tuple) const;
  void send(PeerState& p, std::uint16_t flags, const With& with);
  template <class T>
  static Seen answer(const Outcome<T>& outcome);
  Handle handle(std::size_t side, Sock socket) const {
    return sides_[side].sockets.at(static_cast<std::size_t>(socket));
  }

  std::array<Side, 2> sides_;
  std::vector<PeerState> peers_;
  std::vector<std::string> history_;
  std::vector<bool> closed_;  // by socket
  std::array<std::vector<SocketRecord>, 2> rows_;
  Instant now_{};
  Instant deadline_{};  // the endpoint's, and when it was set
  Instant deadline_set_{};
  std::string report_;
  std::string deviation_;
};

// Runs a script in a private namespace; fails the running test with the report of the first divergence, skips
// it with the reason where namespaces or TUN devices are not permitted. A kernel runs in real time, on a machine
// that may be busy: a divergence counts when it comes three times of three.
void differential(const std::function<void(Differential&)>& script);

// Whether waits above two seconds were asked for (LASTACK_FULL=1); says what is left out if not.
bool full(const std::string& what);

}  // namespace lastack::differential
