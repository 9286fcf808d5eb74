// What a host looks like from outside: for its user (TCP_INFO), and for the doctor, in the same words as a
// running kernel.
#include <algorithm>

#include "lastack/census.h"
#include "stack/host_impl.h"
#include "tcp/output.h"
#include "tcp/timers.h"

namespace lastack {
namespace {

using tl::unexpected;

std::uint32_t microseconds(Duration d) {
  return static_cast<std::uint32_t>(std::clamp<Duration::rep>(d.count() / 1000, 0, 0xffffffff));
}
std::uint32_t ago(Instant now, Instant then) {
  if (then == Instant{}) then = Instant{};
  return static_cast<std::uint32_t>(
      std::clamp<Duration::rep>((now - then).count() / 1'000'000, 0, 0xffffffff));
}

// As Linux counts (inet_diag): a SYN or FIN takes a place in the queue to send until it is acknowledged, and the
// peer's FIN one in the receive queue until its end is read.
std::uint32_t send_queue_of(const ControlBlock& c) {
  if (c.state == TcpState::SynReceived && c.listener != 0) return 0;  // a request has no queues
  const SeqNum end = c.write_seq + (c.fin_queued ? 1U : 0U);
  return static_cast<std::uint32_t>(std::max(end - c.snd_una, 0));
}
// `awake`: the same connection, null if it is asleep; then its buffers are empty.
std::uint32_t receive_queue_of(const ControlBlock& c, const Connection* awake) {
  const std::size_t bytes = awake == nullptr ? 0 : awake->receive_buffer.size();
  return static_cast<std::uint32_t>(bytes) + (c.fin_received && !c.end_read ? 1U : 0U);
}

// Nothing for a new socket, or where listen() came before any time was told.
std::optional<Duration> in_state(const ControlBlock& c, Instant now) {
  if (c.state_since == Instant{}) return std::nullopt;
  return std::max(now - c.state_since, Duration::zero());
}

SocketRecord record_of(const ControlBlock& c, const Connection* awake, Instant now,
                       std::uint64_t inode) {
  SocketRecord r;
  r.tuple = c.tuple;
  r.state = c.state;
  if (c.send_timer != Instant::max()) {
    r.timer = c.send_timer_is == SendTimer::WindowProbe ? TimerKind::ZeroWindowProbe
                                                        : TimerKind::Retransmit;
    r.timer_remaining = std::max(c.send_timer - now, Duration::zero());
  } else if (c.keep_timer != Instant::max()) {
    r.timer = TimerKind::KeepAlive;
    r.timer_remaining = std::max(c.keep_timer - now, Duration::zero());
  }
  r.receive_queue = receive_queue_of(c, awake);
  r.send_queue = send_queue_of(c);
  r.inode = inode;
  r.in_state = in_state(c, now);
  return r;
}

SocketRecord record_of(const Listener& listener, const ControlBlock& c, Instant now) {
  SocketRecord r;
  r.tuple.local = listener.local;
  if (listener.v4) r.tuple.remote.address = IpAddress::v4(0);
  r.state = TcpState::Listen;
  r.v6_only = listener.v6_only;
  r.receive_queue = static_cast<std::uint32_t>(listener.ready.size());
  r.send_queue = listener.backlog;
  r.inode = std::uint64_t{listener.socket} + 1;
  r.in_state = in_state(c, now);
  return r;
}

// Every connection that is open, with its record.
template <class F>
void each_open(const ConnectionTable& connections, Instant now, F&& f) {
  for (ConnectionIndex i = 0; i < connections.capacity(); ++i) {
    if (!connections.is_live(i)) continue;
    ControlBlock asleep;
    const ControlBlock& c = connections.look_at(i, asleep);
    if (c.state == TcpState::Listen || c.state == TcpState::Closed) continue;
    const std::uint64_t inode = c.user == 0 ? 0 : std::uint64_t{i} + 1;
    f(record_of(c, connections.awake(i), now, inode), c);
  }
}

// What is left of the closed ones.
template <class F>
void each_small(const TimeWaits& waits, Instant now, F&& f) {
  const auto record = [&](const FourTuple& tuple, TcpState state, Instant until,
                          std::optional<Duration> in_state) {
    SocketRecord r;
    r.tuple = tuple;
    r.state = state;
    r.timer = TimerKind::TimeWait;
    r.compact = true;
    r.in_state = in_state;
    r.timer_remaining = std::max(until - now, Duration::zero());
    f(r);
  };
  waits.for_each([&](const TimeWaitRecord& w) {
    record(w.tuple, TcpState::TimeWait, w.armed + waits.settings().length,
           std::max(now - w.armed, Duration::zero()));
  });
  waits.for_each_fin_wait_2(
      [&](const FinWait2Record& w) { record(w.tuple, TcpState::FinWait2, w.deadline, {}); });
}

}  // namespace

// What was set, and Linux's value, or the profile's, for the rest of what the endpoint has. What it does not
// have, as the kernel, stays unknown.
Settings Host::Impl::settings_in_force() const {
  Settings all = settings;
  for (const SettingInfo& info : setting_table()) {
    const bool elsewhere = info.name.starts_with("nf_conntrack") ||
                           info.name.ends_with("hash_entries") || info.name == "tcp_tw_recycle" ||
                           info.name == "tcp_tw_timeout";
    if (!elsewhere && !(all.*info.member)) all.*info.member = info.usual;
  }
  if (!settings.tcp_timestamps && !tcp.timestamps) all.tcp_timestamps = 0;
  all.tcp_syn_retries = tcp.syn_retries;
  all.tcp_synack_retries = tcp.synack_retries;
  all.tcp_max_tw_buckets = static_cast<std::int64_t>(waits.settings().max_records);
  all.tcp_max_orphans = most_orphans();
  all.tcp_max_syn_backlog = most_half_open();
  if (!all.ip_local_port_range) all.ip_local_port_range = LocalPortRules{}.range;
  const Duration length = waits.settings().length;
  if (length != Settings{}.time_wait_length()) {
    all.tcp_tw_timeout = std::max<std::int64_t>(1, length / 1s);
  }
  return all;
}

Outcome<ConnectionInfo> Host::info(SocketId id, Instant at) const {
  at = Impl::within_time(at);
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  const Connection& c = impl_->connections[socket->connection];
  ConnectionInfo i;
  i.state = c.state;
  i.in_state = in_state(c, at).value_or(Duration::zero());
  i.closed_first = c.closed_first;
  i.ended_by = err_of(c.ended_by);
  i.congestion_state = static_cast<std::uint8_t>(c.ca == CongestionState::CwndReduced ? 2
                                                 : c.ca == CongestionState::Recovery  ? 3
                                                 : c.ca == CongestionState::Loss      ? 4
                                                 : c.ca == CongestionState::Disorder  ? 1
                                                                                      : 0);
  i.retransmits = c.retransmits;
  i.probes = c.probes_out;
  i.backoff = c.backoff;
  i.timestamps = c.timestamps;
  i.sack = c.sack;
  i.window_scaling = c.window_scaling;
  i.send_scale = c.snd_wscale;
  i.receive_scale = c.rcv_wscale;
  i.rto = microseconds(c.rtt.rto);
  i.ato = microseconds(c.ato);
  i.send_mss = usual_mss(c);
  i.receive_mss = c.rcv_mss;
  i.unacknowledged = c.packets_out;
  i.sacked = c.sacked_out;
  i.lost = c.lost_out;
  i.retransmitted = c.retrans_out;
  i.rtt = microseconds(c.rtt.smoothed);
  i.rtt_variance = microseconds(c.rtt.deviation);
  i.least_rtt = c.rtt.least == Duration::max() ? 0xffffffff : microseconds(c.rtt.least);
  i.send_threshold = c.congestion.ssthresh;
  i.send_window = c.congestion.cwnd;
  // Where two SYNs have crossed the option comes off when the connection is there (Linux: tcp_rcv_state_process).
  const bool crossed = c.state == TcpState::SynReceived && c.origin == TcpState::SynSent;
  i.advertised_mss = c.announced - (c.timestamps && !crossed ? 12U : 0U);
  i.reordering = c.rack.reordering;
  i.total_retransmitted = c.total_retrans;
  i.delivered = c.delivered;
  i.reorderings = c.rack.reorderings;
  i.bytes_acked = c.bytes_acked;
  i.peer_window = c.snd_wnd;
  i.path_mtu = c.path_mtu;
  i.not_sent = static_cast<std::uint32_t>(std::max(c.write_seq - c.snd_nxt, 0));
  i.last_data_sent_ms = ago(at, c.last_sent);
  i.last_data_received_ms = ago(at, c.last_received);
  i.last_ack_received_ms = ago(at, c.last_ack_received);
  i.ecn = c.ecn;
  i.ecn_seen = c.peer_marks;
  i.receive_threshold = c.rcv_window_limit;
  i.receive_rtt = microseconds(c.rcv_rtt);
  i.receive_space = c.rcv_space;
  i.receive_window = c.receive_window();
  i.pacing_rate = c.pacing_rate == 0 ? ~std::uint64_t{0} : c.pacing_rate;
  i.bytes_received = c.bytes_received;
  i.bytes_sent = c.bytes_sent;
  i.bytes_resent = c.bytes_resent;
  i.segments_in = c.segments_in;
  i.segments_out = c.segments_out;
  i.data_segments_in = c.data_segments_in;
  i.data_segments_out = c.data_segments_out;
  i.delivered_marked = c.delivered_marked;
  i.duplicates_told = c.duplicates_told;
  i.out_of_order = c.out_of_order_in;
  i.time_outs = c.time_outs;
  i.time_out_episodes = c.time_out_episodes;
  i.time_outs_ms = c.time_outs_ms;
  const auto waited = [&](Waiting what) {
    Duration d = c.waited[static_cast<std::size_t>(what) - 1];
    if (c.waits_for == what) d += at - c.waits_since;
    // In whole ticks of Linux's clock.
    return static_cast<std::uint64_t>(d / 4ms * 4000);
  };
  i.window_limited = waited(Waiting::Window);
  i.buffer_limited = waited(Waiting::Buffer);
  i.busy = waited(Waiting::Path) + i.window_limited + i.buffer_limited;
  i.syn_data = c.syn_data;
  i.soft_error = err_of(c.soft_error);
  return i;
}

const Counters& Host::counters() const {
  return impl_->counters;
}
std::size_t Host::connections() const {
  return impl_->connections.hashed();
}
std::size_t Host::time_waits() const {
  return impl_->waits.size();
}
std::size_t Host::time_wait_memory() const {
  return impl_->waits.bytes() + impl_->ports.bytes();
}
std::uint64_t Host::ports_exhausted() const {
  return impl_->ports.exhausted();
}

std::vector<SocketRecord> Host::sockets(Instant at) const {
  at = Impl::within_time(at);
  const Impl& h = *impl_;
  std::vector<SocketRecord> records;
  for (const auto& listener : h.listeners) {
    if (listener == nullptr) continue;
    records.push_back(record_of(*listener, h.connections[listener->socket], at));
  }
  each_open(h.connections, at,
            [&](const SocketRecord& r, const ControlBlock&) { records.push_back(r); });
  each_small(h.waits, at, [&](const SocketRecord& r) { records.push_back(r); });
  return records;
}

HostSnapshot Host::snapshot(Instant at) const {
  at = Impl::within_time(at);
  const Impl& h = *impl_;
  HostSnapshot host;
  host.hostname = h.options.name;
  host.kernel = "LastAck endpoint";
  host.is_endpoint = true;
  // The user of an endpoint is one process: the one that runs it. It has no number here.
  constexpr std::uint32_t kUser = 0;
  Process user;
  user.command = h.options.name;
  user.descriptors = h.open_sockets;
  user.descriptor_limit = h.options.most_sockets;
  host.processes.push_back(user);
  host.processes_seen = 1;
  host.tcp_mem_pages = h.memory_pages;
  host.page_size = Host::Impl::kPage;

  NamespaceSnapshot space;
  space.name = h.options.name;
  space.is_host = true;
  space.at = at;
  space.sockets_read = space.counters_read = true;
  space.settings = h.settings_in_force();
  space.flat_port_choice = h.options.port_choice == PortChoice::Flat;
  space.counters = h.counters;
  space.counters.known = ~std::uint64_t{0} >> (64 - counter_table().size());
  space.totals.tw = h.waits.size();
  space.totals.orphan = h.orphans;
  space.totals.mem_pages = (h.memory + Host::Impl::kPage - 1) / Host::Impl::kPage;
  space.totals.tcp_in_use = h.connections.live();
  space.totals.alloc = h.connections.live();

  Census census(space.settings);
  for (const auto& listener : h.listeners) {
    if (listener == nullptr) continue;
    census.add_listener(record_of(*listener, h.connections[listener->socket], at));
  }
  ControlBlock asleep;
  for (ConnectionIndex i = 0; i < h.connections.capacity(); ++i) {
    if (!h.connections.is_live(i)) continue;
    const ControlBlock& c = h.connections.look_at(i, asleep);
    if (c.state == TcpState::Closed && c.bound_port != 0) census.add_bound(c.bound_port);
  }
  each_open(h.connections, at, [&](const SocketRecord& r, const ControlBlock& c) {
    census.add(r);
    if (c.port_named) census.mark_bound(r);  // what bind() chose itself is told by its parity
    ConnectionDetails details;
    details.timestamps = c.timestamps;
    details.since_data_sent = at - c.last_sent;
    details.since_data_received = at - c.last_received;
    details.since_ack_received = at - c.last_ack_received;
    census.add_details(r, details);
  });
  each_small(h.waits, at, [&](const SocketRecord& r) { census.add(r); });
  // After all have been added (census.h).
  for (ConnectionIndex i = 0; i < h.connections.capacity(); ++i) {
    if (h.connections.is_live(i) && h.connections.look_at(i, asleep).user != 0) {
      census.own(std::uint64_t{i} + 1, kUser);
    }
  }
  space.sockets = census.finish([](std::int32_t) { return kNone; });
  space.sockets.owners_looked_up = true;
  host.namespaces.push_back(std::move(space));
  return host;
}

}  // namespace lastack
