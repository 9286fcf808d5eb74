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

SocketRecord record_of(const Connection& c, Instant now, std::uint64_t inode) {
  SocketRecord r;
  r.tuple = c.tuple;
  r.state = c.state;
  const Instant next = next_timer(c);
  if (c.send_timer != Instant::max()) {
    r.timer = c.send_timer_is == SendTimer::WindowProbe ? TimerKind::ZeroWindowProbe
                                                        : TimerKind::Retransmit;
    r.timer_remaining = std::max(c.send_timer - now, Duration::zero());
  } else if (c.keep_timer != Instant::max()) {
    r.timer = TimerKind::KeepAlive;
    r.timer_remaining = std::max(c.keep_timer - now, Duration::zero());
  } else if (next == Instant::max()) {
    r.timer = TimerKind::None;
  }
  // As Linux counts: the FIN takes a place in the receive queue until it is read.
  r.receive_queue =
      static_cast<std::uint32_t>(c.receive_buffer.size()) + (c.fin_received ? 1U : 0U);
  r.send_queue = static_cast<std::uint32_t>(c.send_buffer.size());
  r.inode = inode;
  return r;
}

}  // namespace

Outcome<ConnectionInfo> Host::info(SocketId id, Instant at) const {
  at = Impl::within_time(at);
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  const Connection& c = impl_->connections[socket->connection];
  ConnectionInfo i;
  i.state = c.state;
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
  i.send_mss = send_mss(c);
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
  i.advertised_mss = c.announced - (c.timestamps ? 12U : 0U);
  i.reordering = c.rack.reordering;
  i.total_retransmitted = c.total_retrans;
  i.delivered = c.delivered;
  i.path_mtu = c.path_mtu;
  i.not_sent = static_cast<std::uint32_t>(std::max(c.write_seq - c.snd_nxt, 0));
  i.last_data_sent_ms = ago(at, c.last_sent);
  i.last_data_received_ms = ago(at, c.last_received);
  i.last_ack_received_ms = ago(at, c.last_ack_received);
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
std::uint64_t Host::ports_exhausted() const {
  return impl_->ports.exhausted();
}

HostSnapshot Host::snapshot(Instant at) const {
  at = Impl::within_time(at);
  const Impl& h = *impl_;
  HostSnapshot host;
  host.hostname = h.options.name;
  host.kernel = "LastAck endpoint";
  // The user of an endpoint is one process: the one that runs it. It has no number here.
  constexpr std::uint32_t kUser = 0;
  Process user;
  user.command = h.options.name;
  user.descriptors = h.open_sockets;
  user.descriptor_limit = h.options.most_sockets;
  host.processes.push_back(user);
  host.processes_seen = 1;
  host.files_open = h.open_sockets;
  host.files_max = h.options.most_sockets;
  host.tcp_mem_pages = h.memory_pages;
  host.page_size = Host::Impl::kPage;

  NamespaceSnapshot space;
  space.name = h.options.name;
  space.is_host = true;
  space.at = at;
  space.sockets_read = space.counters_read = true;
  space.settings = h.settings;
  space.counters = h.counters;
  space.counters.known = ~std::uint64_t{0} >> (64 - counter_table().size());
  space.totals.tw = h.waits.size();
  space.totals.orphan = h.orphans;
  space.totals.mem_pages = (h.memory + Host::Impl::kPage - 1) / Host::Impl::kPage;
  space.totals.tcp_in_use = h.connections.live();
  space.totals.alloc = h.connections.live();

  Census census(h.settings);
  for (const auto& listener : h.listeners) {
    if (listener == nullptr) continue;
    SocketRecord r;
    r.tuple.local = listener->local;
    r.state = TcpState::Listen;
    r.v6_only = listener->v6_only;
    r.receive_queue = static_cast<std::uint32_t>(listener->ready.size());
    r.send_queue = listener->backlog;
    census.add_listener(r);
  }
  for (ConnectionIndex i = 0; i < h.connections.capacity(); ++i) {
    if (!h.connections.is_live(i)) continue;
    const Connection& c = h.connections[i];
    if (c.state == TcpState::Listen) continue;
    if (c.state == TcpState::Closed) {
      if (c.bound_port != 0) census.add_bound(c.bound_port);
      continue;
    }
    const std::uint64_t inode = c.user == 0 ? 0 : std::uint64_t{i} + 1;
    const SocketRecord r = record_of(c, at, inode);
    census.add(r);
    if (c.bound_port != 0 && c.state != TcpState::Listen) census.mark_bound(r);
    ConnectionDetails details;
    details.timestamps = c.timestamps;
    details.since_data_sent = at - c.last_sent;
    details.since_data_received = at - c.last_received;
    details.since_ack_received = at - c.last_ack_received;
    census.add_details(r, details);
  }
  const auto add_small = [&](const FourTuple& tuple, TcpState state, Instant until) {
    SocketRecord r;
    r.tuple = tuple;
    r.state = state;
    r.timer = TimerKind::TimeWait;
    r.compact = true;
    r.timer_remaining = std::max(until - at, Duration::zero());
    census.add(r);
  };
  h.waits.for_each([&](const TimeWaitRecord& record) {
    add_small(record.tuple, TcpState::TimeWait, record.armed + h.waits.settings().length);
  });
  h.waits.for_each_fin_wait_2([&](const FinWait2Record& record) {
    add_small(record.tuple, TcpState::FinWait2, record.deadline);
  });
  // After all have been added (census.h).
  for (ConnectionIndex i = 0; i < h.connections.capacity(); ++i) {
    if (h.connections.is_live(i) && h.connections[i].user != 0) {
      census.own(std::uint64_t{i} + 1, kUser);
    }
  }
  space.sockets = census.finish([](std::int32_t) { return kNone; });
  space.sockets.owners_looked_up = true;
  host.namespaces.push_back(std::move(space));
  return host;
}

}  // namespace lastack
