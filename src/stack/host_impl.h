// A host's parts, and the steps that more than one kind of event takes. The events themselves have files of
// their own: arrival.cc (packets), user_calls.cc, socket_queries.cc, deadlines.cc, observation.cc, settings.cc.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lastack/host.h"
#include "stack/connection_table.h"
#include "stack/fast_open.h"
#include "stack/listener.h"
#include "stack/port_use.h"
#include "stack/secret_hash.h"
#include "stack/syn_cookie.h"
#include "stack/timer_wheel.h"
#include "tcp/context.h"
#include "tcp/timers.h"
#include "timewait/fold_hash.h"
#include "timewait/time_waits.h"
#include "wire/icmp.h"
#include "wire/packet_queue.h"

namespace lastack {

struct AddressHash {
  SecretKey key;
  std::size_t operator()(const IpAddress& address) const {
    const auto words = std::bit_cast<std::array<std::uint64_t, 2>>(address.bytes());
    return FoldHash(key).add(words[0], words[1]).finish();
  }
};

Err err_of(TcpError error);
// SO_ERROR: told once.
inline Err take(Connection& c) {
  const Err error = err_of(c.error);
  c.error = TcpError::None;
  return error;
}
// A connection of Fast Open is open to its user before it is to the peer.
inline bool opening(const Connection& c) {
  return c.state == TcpState::SynSent || (c.state == TcpState::SynReceived && !c.fast_open);
}

// What a SocketId names.
struct Socket {
  std::uint32_t generation = 1;  // never 0
  bool open : 1 = false;
  bool announced : 1 = false;  // is in the queue of events
  bool v6 : 1 = false;
  bool connecting : 1 = false;  // connect() has not been told how it went
  bool was_connected : 1 = false;
  bool address_bound : 1 = false;  // by bind(), which left the port to connect()
  ConnectionIndex connection = kNoConnection;
  std::uint32_t listener = 0;  // 1 + index, 0: none
};
static_assert(sizeof(Socket) == 16);

// The port that a connection, a listener or a bound socket holds, and on which terms.
struct Hold {
  Port port = 0;
  Bindings::Terms terms{};
};
static_assert(sizeof(Hold) == 8);

class Host::Impl final : public TimeWaitObserver {
 public:
  explicit Impl(HostOptions options);

  // --- parts
  HostOptions options;
  TcpSettings tcp;
  Duration isn_tick{};  // initial sequence numbers go on by one in each
  Settings settings;
  Counters counters;
  SeededRandom random;
  SecretKey isn_key, offset_key, port_key, cookie_key;
  PacketQueue out;
  ChallengeLimit challenges;
  ConnectionTable connections;
  TimerWheel timers;
  TimeWaits waits;
  LocalPorts ports;
  std::vector<Hold> holds;  // by connection
  // Records that a SYN has taken over: they come back if that turns out to be an old duplicate (MAY-2).
  std::unordered_map<ConnectionIndex, TimeWaitRecord> reopened;
  // As on the wire, where the options ask for them.
  struct TupleHash {
    SecretKey key;
    std::size_t operator()(const FourTuple& tuple) const { return hash_tuple(key, tuple); }
  };
  std::unordered_map<FourTuple, std::uint16_t, TupleHash> time_wait_windows{8, TupleHash{port_key}};
  std::vector<IpAddress> addresses;
  std::unordered_set<IpAddress, AddressHash> address_set;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<std::uint32_t> free_listeners;
  std::unordered_map<Port, PortListeners> listeners_by_port;
  std::vector<Socket> sockets;
  std::vector<std::uint32_t> free_sockets;
  std::deque<std::uint32_t> events;
  std::uint32_t open_sockets = 0;
  std::uint32_t orphans = 0;
  // tcp_mem: bytes that the buffers of all connections have, and how many they may have.
  std::uint64_t memory = 0;
  std::array<std::uint64_t, 3> memory_pages = {65536, 131072, 262144};
  bool memory_pressure = false;
  static constexpr std::uint64_t kPage = 4096;
  std::optional<Instant> last_cookie;
  FastOpen fast_open;
  Instant now{};
  Duration msl{};
  std::uint16_t last_segment_size = 0;
  bool packet_out = false;  // next_packet() has shown the front of the queue

  // --- arrival.cc
  void receive(std::span<const std::byte> packet, Instant at, bool checksum_checked);
  // --- deadlines.cc
  void advance(Instant at);
  Instant next_deadline();
  // --- settings.cc
  Result<void> set(std::string_view name, std::string_view value);
  void resolve_settings();
  std::int64_t most_orphans() const { return settings.tcp_max_orphans.value_or(65536); }
  // Linux's follows from memory; this is what much of it gives.
  std::int64_t most_half_open() const { return settings.tcp_max_syn_backlog.value_or(4096); }
  // --- observation.cc
  Settings settings_in_force() const;

  // --- steps
  // After the loss of memory nothing is sent for an MSL (RFC 9293, 3.4.3; U10, claim A9).
  Instant quiet_until() const {
    return options.lost_memory_at ? later(*options.lost_memory_at, msl) : Instant::min();
  }
  bool is_quiet() const { return now < quiet_until(); }
  // A clock may be wrong, but not so far that a time-out cannot be added to it: a century is left.
  static Instant within_time(Instant at) {
    constexpr Instant kEnd = Instant::max() - std::chrono::hours(24 * 365 * 100);
    return std::clamp(at, Instant{}, kEnd);
  }
  void see(Instant at) {
    if (at > now) now = within_time(at);
  }
  // None is looked for unless one has been sent lately: else a flood of ACKs, each a guess at a cookie, would
  // meet a target all the time (Linux: tcp_synq_no_recent_overflow).
  bool cookies_may_come_back() const { return last_cookie && now - *last_cookie < kCookieLifetime; }
  // As it is now. There is one, whose references stay.
  TcpContext& context() {
    context_.now = now;
    context_.memory_full = memory >= memory_pages[2] * kPage;
    return context_;
  }
  // --- what the observer sees
  void saw_call(const Connection& c, SeenCall call) {
    if (options.observer != nullptr) options.observer->called(now, c.tuple, call);
  }
  void saw_state(const FourTuple& tuple, TcpState from, TcpState to, SeenEnd how = SeenEnd::Other) {
    if (options.observer != nullptr) options.observer->state_changed(now, tuple, from, to, how);
  }
  // After any event of a connection: what it has become, who is to be told, when it wants to be called.
  void settle(ConnectionIndex index) {
    Connection& c = connections[index];
    if (c.news != 0 && !settle_news(index, c)) return;
    timers.set_at_latest(index, next_timer(c));
  }
  // False if there is no more to settle.
  bool settle_news(ConnectionIndex index, Connection& c);
  // The part for one that is over, or a record from here on.
  void settle_end(ConnectionIndex index, Connection& c, std::uint16_t told);
  void count_memory(Connection& c);
  void forget(ConnectionIndex index);
  // A connection has become one of the small records, or nothing at all.
  void leave_record(ConnectionIndex index, bool fin_wait_2);
  void hold(ConnectionIndex index, Port port, const PortHolder& holder);
  void let_go(ConnectionIndex index);
  // --- TimeWaitObserver
  // Where it may not be used again, whatever its age, nobody asks: resolve_settings() tells all that have rested when
  // that changes.
  void rested(const FourTuple& tuple) override {
    if (waits.may_reuse(tuple)) ports.set_reusable(tuple, true);
  }
  void stirred(const FourTuple& tuple) override { ports.set_reusable(tuple, false); }
  void ends_next(Port local_port) override { ports.expect(local_port); }
  void ended(const TimeWaitRecord& record, TimeWaitEnd how) override;
  void saw_end(const TimeWaitRecord& record, TimeWaitEnd how);
  void announce(std::uint32_t socket);
  void announce_user_of(const Connection& c) {
    if (c.user != 0) announce(c.user - 1);
  }
  void reply_reset(const TcpSegment& segment, const FourTuple& tuple);
  void send_plain_ack(const FourTuple& tuple, SeqNum seq, SeqNum ack, std::uint16_t window,
                      std::optional<Timestamps> timestamps);
  bool choose_port(const UserOptions& of, FourTuple& tuple,
                   std::optional<TimeWaits::Reuse>& reused);
  bool has_record(const FourTuple& tuple) const {
    return waits.size() > 0 && (waits.find(tuple) || waits.find_fin_wait_2(tuple));
  }
  std::optional<IpAddress> source_for(const IpAddress& destination) const;
  SeqNum choose_isn(const FourTuple& tuple);
  std::uint32_t timestamp_offset(const FourTuple& tuple);

  Socket* find(SocketId id);
  const Socket* find(SocketId id) const;
  std::uint32_t index_of(const Socket* socket) const {
    return static_cast<std::uint32_t>(socket - sockets.data());
  }
  SocketId id_of(std::uint32_t index) const {
    return SocketId{index | std::uint64_t{sockets[index].generation} << 32};
  }
  Outcome<void> close(SocketId id, Instant at, SeenCall call);
  std::optional<std::uint32_t> new_socket();
  void release_socket(std::uint32_t index);
  // Of a connection that is over nothing stays but what bind() and set_option() said.
  void renew(const Socket& socket);
  Listener* listener_for(const Endpoint& local, const FourTuple& tuple);
  std::uint32_t add_listener(std::unique_ptr<Listener> listener);  // 1 + index
  void close_listener(std::uint32_t index);
  // SYN_RECEIVED begins, or is over: counted against the backlog.
  void begin_half_open(Listener& listener, ConnectionIndex index);
  void end_half_open(Listener& listener, Connection& c);
  Listener* listener_at(std::uint32_t one_based) {
    return one_based == 0 || one_based > listeners.size() ? nullptr
                                                          : listeners[one_based - 1].get();
  }
  // Most hosts have few addresses, and every packet asks.
  bool is_local(const IpAddress& address) const {
    constexpr std::size_t kFew = 8;
    if (addresses.size() > kFew) return address_set.contains(address);
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  }

 private:
  TcpContext context_{.now = {},
                      .settings = tcp,
                      .counters = counters,
                      .out = out,
                      .challenges = challenges,
                      .checksum_offload = options.checksum_offload,
                      .observer = options.observer};

  // Those asked for lately, by the ends of their addresses: who connects to a few places asks again and again.
  struct OffsetOf {
    IpAddress local, remote;  // of nobody: ::, and then both are
    std::uint32_t offset = 0;
  };
  std::array<OffsetOf, 32> offsets_;

  // Whatever it is, errors included.
  void receive_any(std::span<const std::byte> packet, Checksum checksum);
  void on_icmp_message(std::span<const std::byte> payload, const IpHeader& ip);
  void on_connection(ConnectionIndex index, const TcpSegment& segment, const FourTuple& tuple);
  void on_stray(const FourTuple& tuple, const TcpSegment& segment);
  void saw_segment(const FourTuple& tuple, const TcpSegment& segment);
  void on_listener(Listener& listener, std::uint32_t number, const TcpSegment& segment,
                   const FourTuple& tuple, std::optional<SeqNum> reopen_isn);
  // SYN_RECEIVED after a passive open: the rules of Linux's request sockets. Whether the segment was dealt
  // with.
  bool on_half_open(ConnectionIndex index, const TcpSegment& segment);
  // Fast Open (RFC 7413; Linux: tcp_try_fastopen). What the SYN,ACK has to say of it, and whether the connection begins
  // with the SYN.
  struct FastOpenAnswer {
    bool begins = false;
    std::optional<FastOpenCookie> cookie;
  };
  FastOpenAnswer try_fast_open(Listener& listener, const TcpSegment& syn, const FourTuple& tuple);
  void begin_fast_open(Listener& listener, ConnectionIndex index, const TcpSegment& syn);
  std::size_t fast_open_waiting(Listener& listener);
  void hold_as_child(ConnectionIndex index, const Listener& listener);
  // Nothing: a cookie of ours, and no room for what it stands for. kNoConnection: none of ours.
  std::optional<ConnectionIndex> accept_cookie(Listener& listener, std::uint32_t number,
                                               const TcpSegment& segment, const FourTuple& tuple);
};

}  // namespace lastack
