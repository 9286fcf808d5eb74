// A host of our own: TCP endpoints that take packets and give packets, and read no clock, no device and no
// random source. Time and a seed are arguments; the same arguments give the same packets.
//
//   packets in -> receive()          next_packet() -> packets out
//   time       -> advance()          next_deadline(): when to call it again, at the latest
//   the user   -> open(), bind(), listen(), connect(), accept(), read(), write(), shutdown(), close()
//
// Nothing blocks: what cannot be done yet is Err::would_block, and next_event() names the sockets for which
// something has changed. The calls are POSIX's, with POSIX's errors.
//
// Not thread-safe: a host belongs to one thread at a time. Hosts share nothing; there may be any number in a
// process. No exceptions are thrown but std::bad_alloc, and std::invalid_argument for options that cannot be, where a
// host is made or given an address.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "lastack/counters.h"
#include "lastack/four_tuple.h"
#include "lastack/host_snapshot.h"
#include "lastack/observer.h"
#include "lastack/profile.h"
#include "lastack/result.h"
#include "lastack/settings.h"
#include "lastack/socket_record.h"
#include "lastack/tcp_state.h"
#include "lastack/time.h"

namespace lastack {
namespace test {
struct HostAudit;  // looks inside, in tests
}

// What a call can answer, by the numbers of POSIX.
enum class Err : int {
  none = 0,
  access_denied = EACCES,  // also ICMPv6: administratively prohibited
  address_in_use = EADDRINUSE,
  address_not_available =
      EADDRNOTAVAIL,   // connect(): no local port is left, or the address is not ours
  already = EALREADY,  // connect() goes on
  bad_descriptor = EBADF,
  broken_pipe = EPIPE,
  canceled = ECANCELED,  // of the coroutine layer: closed by somebody else meanwhile
  connection_aborted = ECONNABORTED,
  connection_refused = ECONNREFUSED,
  connection_reset = ECONNRESET,
  destination_required = EDESTADDRREQ,
  family_not_supported = EAFNOSUPPORT,
  host_down = EHOSTDOWN,   // ICMP: destination host unknown
  host_isolated = ENONET,  // ICMP: source host isolated
  host_unreachable = EHOSTUNREACH,
  in_progress = EINPROGRESS,  // connect() has begun
  invalid = EINVAL,
  is_connected = EISCONN,
  message_too_big = EMSGSIZE,
  network_unreachable = ENETUNREACH,
  no_buffers = ENOBUFS,
  not_connected = ENOTCONN,
  not_supported = EOPNOTSUPP,
  protocol_error = EPROTO,  // ICMP: parameter problem
  protocol_unreachable = ENOPROTOOPT,
  unknown_option = ENOPROTOOPT,  // of set_option() and option(), which POSIX gives the same number
  timed_out = ETIMEDOUT,
  too_many_files = EMFILE,
  would_block = EAGAIN,
};

// "EADDRNOTAVAIL"; "0" for none.
std::string_view to_string(Err error);

template <class T>
using Outcome = tl::expected<T, Err>;

// Names a socket of one host until close(); the same number comes again after 2^32 sockets, not before.
enum class SocketId : std::uint64_t {};
// Below 2^20, and another one for each socket of a host that is open: an index for tables of one's own.
constexpr std::uint32_t socket_slot(SocketId socket) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(socket) & 0xffffffff);
}

// How connect() comes to a port. Both take the one that Linux would (linux-facts 16, 19, 22; RFC 6056, 3.3.4): Flat finds it
// at once, LinuxWalk looks at each on the way as Linux does, whose cost it has (claim C2) and tells the doctor of.
enum class PortChoice : std::uint8_t { Flat, LinuxWalk };

struct HostOptions {
  std::string name = "host";
  Profile profile = Profile::Linux;
  // What has no value is Linux's default.
  Settings settings{};
  // Of initial sequence numbers, port choice and hash tables. The same seed, the same behaviour.
  std::uint64_t seed = 0;
  PortChoice port_choice = PortChoice::Flat;
  // Maximum segment lifetime, at most 2097 s; nothing: the profile's, 30 s as Linux has it or 120 s as RFC 9293 has.
  std::optional<Duration> msl{};
  // How long TIME_WAIT lasts; nothing: 2 MSL. Zero: there is none (claim A3 shows what follows). At most
  // 4194 s.
  std::optional<Duration> time_wait_length{};
  // At tcp_max_tw_buckets the oldest record goes, and not the new one as Linux has it.
  bool evict_oldest_time_wait = false;
  // What TIME_WAIT sends announces the last window of the connection, as Linux's does, and not 0. It costs an entry
  // of a hash table for each record, more than the record itself.
  bool keep_time_wait_windows = false;
  // What a SYN does that comes for a connection which is there; nothing: as the profile has it. The lab runs
  // what is told of old stacks in LAST_ACK with it (claim A5).
  std::optional<SynAnswer> syn_answer{};
  // The host forgot its connections then, and keeps quiet for an MSL from there on: it sends nothing and takes
  // no SYN, so that what it sent before has died out before numbers are chosen again (RFC 9293, 3.4.3). A
  // connect() during that time waits for its end.
  std::optional<Instant> lost_memory_at{};
  std::uint32_t most_sockets = 1U << 20;  // 1 to 2^20; beyond: Err::too_many_files
  // The device checks and writes checksums, or nobody needs them (packets never leave memory).
  bool checksum_offload = false;
  // Bytes of the longest packet that the device takes and cuts itself (TSO), up to 65536; 0: none.
  std::uint32_t gso_max_size = 0;
  // Segments that RACK had taken for lost, and that an undone recovery has then not sent again, are not looked at again,
  // as on Linux: one that is lost after all waits for a time-out. The endpoint does better (docs/differential.md).
  bool rack_forgets_undone = false;
  // The device gives a packet back only with the next one. Linux joins nothing that it sends again with a packet that
  // is still in use, which shows where a device is like that: the one of packetdrill is.
  bool device_holds_last_packet = false;
  std::uint16_t mtu =
      1500;  // bytes, 68 and up (RFC 791); with IPv6 addresses 1280 and up (RFC 8200)
  // Is told what happens, as it happens; not owned, and lives longer than the host.
  HostObserver* observer = nullptr;
};

// What is wrong with them, in a sentence (EINVAL): for options that come from outside the program, since making a host of
// such throws std::invalid_argument. Of `settings` those are looked at that the endpoint uses; the others do nothing.
// `addresses`: those that the host is to have.
[[nodiscard]] Result<void> check(const HostOptions& options,
                                 std::span<const IpAddress> addresses = {});

// Option values are in the units of POSIX and Linux: seconds, bytes, milliseconds for the user time-out.
enum class Option : std::uint8_t {
  reuse_address,
  reuse_port,
  keep_alive,
  // -1: off; 0: close() sends a RST; more: close() waits so many seconds (as if it did not); less: for ever, as Linux
  // takes a negative l_linger
  linger,
  send_buffer,
  receive_buffer,
  no_delay,
  cork,
  max_segment,
  keep_idle,
  keep_interval,
  keep_count,
  syn_count,
  linger2,
  defer_accept,
  window_clamp,
  quick_ack,
  user_timeout,
  not_sent_low,
  v6_only,
  bind_address_no_port,
  local_port_range,  // high << 16 | low, as IP_LOCAL_PORT_RANGE
  traffic_class,
  hop_limit,
  urgent_inline,  // SO_OOBINLINE
  read_low,       // SO_RCVLOWAT, bytes
  hears_icmp,  // IP_RECVERR: an ICMP error is told at once, not only if the connection ends by time-out
  // TCP_FASTOPEN (RFC 7413), of a listener: how many may begin with their SYN whose handshake is not over yet
  fast_open,
  fast_open_no_cookie,  // likewise, without cookies
};

enum class ShutdownHow : std::uint8_t { Read, Write, Both };

// As poll() has them.
struct Readiness {
  bool readable = false;  // read() or accept() would not block; the end counts
  bool writable = false;
  bool hung_up = false;       // both directions have ended
  bool read_hung_up = false;  // the peer will send no more
  bool error = false;
  bool urgent = false;
};

// What TCP_INFO tells, as far as it is kept here, and how it ended. Times in microseconds, windows in segments.
struct ConnectionInfo {
  TcpState state = TcpState::Closed;
  Duration in_state{};  // for how long; of a socket that was never in another, zero
  WhoClosed closed_first = WhoClosed::Nobody;
  Err ended_by = Err::none;           // the error that ended it, whether or not a call has told it
  std::uint8_t congestion_state = 0;  // 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss
  std::uint8_t retransmits = 0;
  std::uint8_t probes = 0;
  std::uint8_t backoff = 0;
  bool timestamps = false;
  bool sack = false;
  bool window_scaling = false;
  std::uint8_t send_scale = 0;
  std::uint8_t receive_scale = 0;
  std::uint32_t rto = 0;
  std::uint32_t ato = 0;
  std::uint32_t send_mss = 0;
  std::uint32_t receive_mss = 0;
  std::uint32_t unacknowledged = 0;
  std::uint32_t sacked = 0;
  std::uint32_t lost = 0;
  std::uint32_t retransmitted = 0;
  std::uint32_t rtt = 0;
  std::uint32_t rtt_variance = 0;
  std::uint32_t least_rtt = 0;
  std::uint32_t send_threshold = 0;
  std::uint32_t send_window = 0;  // congestion window
  std::uint32_t advertised_mss = 0;
  std::uint32_t reordering = 0;
  std::uint32_t total_retransmitted = 0;
  std::uint32_t delivered = 0;
  std::uint32_t reorderings = 0;  // seen so far
  std::uint64_t bytes_acked = 0;
  std::uint32_t peer_window = 0;  // bytes, as announced
  std::uint32_t path_mtu = 0;
  std::uint32_t not_sent = 0;  // bytes
  std::uint32_t last_data_sent_ms = 0;
  std::uint32_t last_data_received_ms = 0;
  std::uint32_t last_ack_received_ms = 0;
  bool ecn = false;
  bool ecn_seen = false;                // packets have come with ECT or CE
  std::uint32_t receive_threshold = 0;  // bytes: the window is no larger
  std::uint32_t receive_rtt = 0;        // 0: not known
  std::uint32_t receive_space = 0;      // bytes
  std::uint32_t receive_window = 0;     // bytes, as announced last
  std::uint64_t pacing_rate = 0;        // bytes a second; 2^64 - 1: none
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_resent = 0;
  std::uint32_t segments_in = 0, segments_out = 0;
  std::uint32_t data_segments_in = 0, data_segments_out = 0;
  std::uint32_t delivered_marked = 0;
  std::uint32_t duplicates_told = 0;
  std::uint32_t out_of_order = 0;  // segments that have come
  std::uint32_t time_outs = 0, time_out_episodes = 0, time_outs_ms = 0;
  // Microseconds: with something to send; of these, for the peer's window, and for a send buffer too small.
  std::uint64_t busy = 0, window_limited = 0, buffer_limited = 0;
  bool syn_data = false;  // what came with its SYN was taken (RFC 7413)
  // What ICMP has said of the path without ending the connection (RFC 9293, MUST-47); none: nothing.
  Err soft_error = Err::none;
};

class Host {
 public:
  // Throws std::invalid_argument with what check() says, where it says something.
  explicit Host(HostOptions options = {});
  ~Host();
  Host(Host&&) noexcept;
  Host& operator=(Host&&) noexcept;

  // --- Addresses and settings
  // Packets to other addresses are dropped. The first of a family is the source of connect() unless bound.
  // std::invalid_argument: one of IPv6, and HostOptions::mtu is below 1280.
  void add_address(const IpAddress& address);
  bool has_address(const IpAddress& address) const;
  // A sysctl by the last part of its name, as a number, or a list of numbers or a range in the kernel's
  // notation ("tcp_rmem", "4096 131072 6291456"). The error is a sentence, and number ENOENT: no such setting;
  // EOPNOTSUPP: one of Linux that the endpoint does not use; EINVAL: not such a value. docs/library.md lists those that
  // are used, with their ranges.
  [[nodiscard]] Result<void> set(std::string_view name, std::string_view value);

  // --- Packets: bare IPv4 or IPv6
  // `checksum_checked`: whether the device vouches for TCP's checksum in this packet; nothing: as
  // HostOptions::checksum_offload says.
  void receive(std::span<const std::byte> packet, Instant now,
               std::optional<bool> checksum_checked = {});
  // The oldest packet to send; its bytes are good until the next call to the host. Empty: none.
  std::span<const std::byte> next_packet();
  // Of the packet that next_packet() gave last: bytes of each piece it has to be cut into, 0: none.
  std::uint16_t segment_size() const;

  // --- Time
  // Instant::max(): nothing is to be done before something else happens.
  Instant next_deadline() const;
  // Does what is due. Time does not go back: an earlier `now` counts as the latest seen.
  void advance(Instant now);

  // --- Sockets
  enum class Family : std::uint8_t { V4, V6 };
  Outcome<SocketId> open(Family family = Family::V4);
  // Port 0: one is chosen. An unspecified address: all of ours.
  Outcome<void> bind(SocketId socket, const Endpoint& local);
  Outcome<void> listen(SocketId socket, int backlog);
  // in_progress once the SYN is on its way. On a connected socket is_connected, and so on, as POSIX.
  Outcome<void> connect(SocketId socket, const Endpoint& remote, Instant now);
  // too_many_files: they wait on, and that a socket was given back is no event of the listener.
  // `peer` is told whose it is, even if that has reset it meanwhile.
  Outcome<SocketId> accept(SocketId listener, Endpoint* peer = nullptr);
  // 0 bytes: the end. would_block: nothing yet.
  Outcome<std::size_t> read(SocketId socket, std::span<std::byte> out, Instant now,
                            bool peek = false);
  // The urgent byte of the peer (MSG_OOB), which read() leaves out unless Option::urgent_inline is set. invalid:
  // there is none, it was read, or it is in line; would_block: it was announced and has not come.
  Outcome<std::byte> read_urgent(SocketId socket, Instant now, bool peek = false);
  // Everything before the urgent byte has been read (SIOCATMARK).
  Outcome<bool> at_mark(SocketId socket) const;
  Outcome<std::size_t> write(SocketId socket, std::span<const std::byte> data, Instant now,
                             bool urgent = false, bool more = false, bool end_of_record = false);
  Outcome<void> shutdown(SocketId socket, ShutdownHow how, Instant now);
  // The number is invalid afterwards, and the connection goes its way (FIN, or RST where something was left
  // unread).
  Outcome<void> close(SocketId socket, Instant now);
  // RST, whatever the state.
  Outcome<void> abort(SocketId socket, Instant now);
  // Ends whatever there is of this four-tuple, a connection (with a RST) or a record in TIME_WAIT or FIN_WAIT_2
  // (RFC 9293, 3.10.5; Linux: SOCK_DESTROY). Err::not_connected: there is nothing.
  Outcome<void> destroy(const FourTuple& tuple, Instant now);
  Outcome<void> set_option(SocketId socket, Option option, int value, Instant now);
  Outcome<int> option(SocketId socket, Option option) const;
  // TCP_FASTOPEN_KEY: a key of 16 bytes, or two of which the first makes cookies.
  Outcome<void> set_fast_open_key(SocketId socket, std::span<const std::byte> keys);
  // SO_ERROR: what happened, told once.
  Outcome<Err> take_error(SocketId socket);
  Outcome<Endpoint> local(SocketId socket) const;
  Outcome<Endpoint> remote(SocketId socket) const;
  Outcome<TcpState> state(SocketId socket) const;
  Outcome<ConnectionInfo> info(SocketId socket, Instant now) const;
  // Bytes that read() would give, up to the urgent byte; bytes written and not acknowledged yet.
  Outcome<std::size_t> unread(SocketId socket) const;
  Outcome<std::size_t> unacknowledged(SocketId socket) const;

  // --- Events
  Readiness readiness(SocketId socket) const;
  // A socket whose readiness may have changed since it was named last; each is named once.
  std::optional<SocketId> next_event();

  // --- Observation, in the words of the doctor
  const Counters& counters() const;
  HostSnapshot snapshot(Instant now) const;
  // Every listener, every connection, and what is left of closed ones, as `ss` shows those of a kernel. A copy,
  // for people and tests.
  std::vector<SocketRecord> sockets(Instant now) const;
  // Those that are open, half open, or closed by their user and not over yet; no listeners, no records.
  std::size_t connections() const;
  // Records in TIME_WAIT, and of closed sockets in FIN_WAIT_2. Fewer than Counters::TW has counted: a SYN may take one
  // over before its time (RFC 6191).
  std::size_t time_waits() const;
  // Bytes that these records take, with their index, their timers and the table of local ports.
  std::size_t time_wait_memory() const;
  // How often connect() found no port, which the kernel does not count.
  std::uint64_t ports_exhausted() const;

 private:
  friend struct test::HostAudit;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lastack
