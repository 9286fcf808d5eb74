// Socket options, with the limits and the rounding of Linux.
#include <algorithm>
#include <limits>

#include "stack/host_impl.h"
#include "tcp/calls.h"
#include "tcp/output.h"
#include "tcp/receive_window.h"

namespace lastack {
namespace {

using tl::unexpected;

constexpr int kFirstWait = 1, kMostWait = 120;  // s, of a SYN,ACK

// TCP_DEFER_ACCEPT is given in seconds and counts time-outs (Linux: secs_to_retrans, retrans_to_secs).
std::uint8_t time_outs_in(int seconds) {
  if (seconds <= 0) return 0;
  std::uint8_t n = 1;
  for (int wait = kFirstWait, period = wait; seconds > period && n < 255; period += wait) {
    ++n;
    wait = std::min(wait * 2, kMostWait);
  }
  return n;
}
int seconds_of(int time_outs) {
  int period = 0;
  for (int n = 0, wait = kFirstWait; n < time_outs; ++n, wait = std::min(wait * 2, kMostWait)) {
    period += wait;
  }
  return period;
}

}  // namespace

Outcome<void> Host::set_option(SocketId id, Option option, int value, Instant at) {
  Impl& h = *impl_;
  h.see(at);
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  Connection& c = h.connections[socket->connection];
  UserOptions& o = c.options;
  const bool on = value != 0;
  if (option > Option::fast_open_no_cookie) return unexpected(Err::unknown_option);
  const auto within = [&](int least, int most) { return value >= least && value <= most; };
  switch (option) {
    case Option::reuse_address:
      o.reuse_address = on;
      break;
    case Option::reuse_port:
      o.reuse_port = on;
      break;
    case Option::keep_alive:
      o.keepalive = on;
      break;
    case Option::linger:
      // -1 is l_onoff = 0. A negative l_linger is for ever (Linux: sk_setsockopt, MAX_SCHEDULE_TIMEOUT); that many
      // seconds are 68 years.
      o.linger = value != -1;
      o.linger_seconds = value < 0 ? std::numeric_limits<int>::max() : value;
      break;
    case Option::
        send_buffer:  // less than nothing is all there is (Linux: sk_setsockopt takes it unsigned)
      o.send_buffer = std::clamp<std::uint32_t>(
          2 * std::min(static_cast<std::uint32_t>(value), h.tcp.wmem_limit), 4608, 1U << 30);
      break;
    case Option::receive_buffer:
      o.receive_buffer = std::clamp<std::uint32_t>(
          2 * std::min(static_cast<std::uint32_t>(value), h.tcp.rmem_limit), 2304, 1U << 30);
      c.rcv_buffer_size = o.receive_buffer;
      break;
    case Option::no_delay:
      o.no_delay = on;
      break;
    case Option::cork:
      o.cork = on;
      break;
    case Option::max_segment:
      if (value != 0 && !within(88, 32767)) return unexpected(Err::invalid);
      o.max_segment = static_cast<std::uint16_t>(value);
      break;
    case Option::keep_idle:
      if (!within(1, 32767)) return unexpected(Err::invalid);
      o.keep_idle = value;
      break;
    case Option::keep_interval:
      if (!within(1, 32767)) return unexpected(Err::invalid);
      o.keep_intvl = value;
      break;
    case Option::keep_count:
      if (!within(1, 127)) return unexpected(Err::invalid);
      o.keep_count = value;
      break;
    case Option::syn_count:
      if (!within(1, 127)) return unexpected(Err::invalid);
      o.syn_count = value;
      break;
    case Option::linger2:
      // linux-facts 6: at most 120 s; 0 means the sysctl.
      if (value < 0) {
        o.linger2 = -1;
      } else if (value == 0) {
        o.linger2.reset();
      } else {
        o.linger2 = std::min(value, 120);
      }
      break;
    case Option::defer_accept:
      o.defer_accept = time_outs_in(value);
      break;
    case Option::window_clamp:
      if (c.state != TcpState::Closed && c.state != TcpState::Listen) {
        if (value == 0) return unexpected(Err::invalid);
        set_window_clamp(c, static_cast<std::uint32_t>(std::max(value, 0)));
        break;
      }
      o.window_clamp = value == 0 ? 0 : static_cast<std::uint32_t>(std::max(value, 1152));
      break;
    case Option::quick_ack:
      o.quickack = on;
      c.pingpong = on ? 0 : 1;
      if (on && c.ack_wanted && c.synchronized()) c.ack_now = true;
      break;
    case Option::user_timeout:
      if (value < 0) return unexpected(Err::invalid);
      o.user_timeout_ms = static_cast<std::uint32_t>(value);
      break;
    case Option::not_sent_low:
      o.not_sent_low = static_cast<std::uint32_t>(value);
      break;
    case Option::v6_only:
      if (!socket->v6) return unexpected(Err::unknown_option);
      if (c.bound_port != 0) return unexpected(Err::invalid);
      o.v6_only = on;
      break;
    case Option::bind_address_no_port:
      o.bind_no_port = on;
      break;
    case Option::local_port_range: {
      const auto range = static_cast<std::uint32_t>(value);
      const std::uint32_t low = range & 0xffff, high = range >> 16;
      if (low != 0 && high != 0 && low > high) return unexpected(Err::invalid);
      o.port_range = range;
      break;
    }
    case Option::traffic_class:
      o.traffic_class = static_cast<std::uint8_t>(value & 0xfc);
      break;
    case Option::urgent_inline:
      o.urgent_inline = on;
      break;
    case Option::hears_icmp:
      o.hears_icmp = on;
      break;
    case Option::read_low: {
      const std::uint32_t most = (o.receive_buffer != 0 ? o.receive_buffer : h.tcp.rmem_max) / 2;
      // Linux takes less than nothing for all there is.
      o.read_low = value < 0 ? most : std::min(static_cast<std::uint32_t>(value), most);
      o.read_low = std::max(o.read_low, 1U);
      if (c.state != TcpState::Closed && c.state != TcpState::Listen) grow_for_read_low(c);
      if (c.user != 0) h.announce_user_of(c);
      break;
    }
    case Option::fast_open: {
      if (value < 0 || (c.state != TcpState::Closed && c.state != TcpState::Listen)) {
        return unexpected(Err::invalid);
      }
      const auto most = static_cast<std::uint32_t>(
          std::clamp<std::int64_t>(h.settings.somaxconn.value_or(4096), 0, 1 << 20));
      h.fast_open.sockets[h.index_of(socket)].queue =
          std::min(static_cast<std::uint32_t>(value), most);
      break;
    }
    case Option::fast_open_no_cookie:
      if (!within(0, 1)) return unexpected(Err::invalid);
      if (c.state != TcpState::Closed && c.state != TcpState::Listen) {
        return unexpected(Err::invalid);
      }
      o.fast_open_no_cookie = on;
      break;
    case Option::hop_limit:
      if (value != -1 && !within(1, 255)) return unexpected(Err::invalid);
      o.hop_limit = value == -1 ? 64 : static_cast<std::uint8_t>(value);
      break;
  }
  if (c.state != TcpState::Closed && c.state != TcpState::Listen) {
    TcpContext& x = h.context();
    if (option == Option::no_delay || option == Option::cork || option == Option::keep_alive ||
        option == Option::keep_idle) {
      if (option == Option::keep_idle) c.keep_timer = Instant::max();
      options_changed(c, x, option == Option::no_delay && on);
    }
    if (c.ack_now) send_ack(c, x);
    h.settle(socket->connection);
  }
  return {};
}

Outcome<void> Host::set_fast_open_key(SocketId id, std::span<const std::byte> bytes) {
  Impl& h = *impl_;
  Socket* socket = h.find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  const auto keys = FastOpenKeys::of(bytes);
  if (!keys) return unexpected(Err::invalid);
  h.fast_open.sockets[h.index_of(socket)].keys = keys;
  return {};
}

Outcome<int> Host::option(SocketId id, Option option) const {
  const Socket* socket = impl_->find(id);
  if (socket == nullptr) return unexpected(Err::bad_descriptor);
  const Impl& h = *impl_;
  const Connection& c = impl_->connections[socket->connection];
  const UserOptions& o = c.options;
  switch (option) {
    case Option::reuse_address:
      return o.reuse_address;
    case Option::reuse_port:
      return o.reuse_port;
    case Option::keep_alive:
      return o.keepalive;
    case Option::linger:
      return o.linger ? o.linger_seconds : -1;
    case Option::send_buffer:
      return static_cast<int>(o.send_buffer != 0 ? o.send_buffer : h.tcp.wmem_default);
    case Option::receive_buffer:
      return static_cast<int>(o.receive_buffer != 0    ? o.receive_buffer
                              : c.rcv_buffer_size != 0 ? c.rcv_buffer_size
                                                       : h.tcp.rmem_default);
    case Option::no_delay:
      return o.no_delay;
    case Option::cork:
      return o.cork;
    case Option::max_segment:
      if (o.max_segment != 0 && (c.state == TcpState::Closed || c.state == TcpState::Listen)) {
        return o.max_segment;
      }
      if (c.state == TcpState::SynSent) {  // the peer has not said yet what it takes
        return 536 - (c.timestamps_offered ? 12 : 0);
      }
      return static_cast<int>(usual_mss(c));  // SACK blocks do not count
    case Option::keep_idle:
      return o.keep_idle.value_or(h.tcp.keepalive_time);
    case Option::keep_interval:
      return o.keep_intvl.value_or(h.tcp.keepalive_intvl);
    case Option::keep_count:
      return o.keep_count.value_or(h.tcp.keepalive_probes);
    case Option::syn_count:
      return o.syn_count.value_or(h.tcp.syn_retries);
    case Option::linger2:
      return o.linger2.value_or(h.tcp.fin_timeout);
    case Option::defer_accept:
      return seconds_of(o.defer_accept);
    case Option::window_clamp:
      return static_cast<int>(c.rcv_buffer_size != 0 ? c.window_clamp : o.window_clamp);
    case Option::quick_ack:
      return c.pingpong == 0;
    case Option::user_timeout:
      return static_cast<int>(o.user_timeout_ms);
    case Option::not_sent_low:
      return static_cast<int>(o.not_sent_low);
    case Option::v6_only:
      if (!socket->v6) return unexpected(Err::unknown_option);
      return o.v6_only;
    case Option::bind_address_no_port:
      return o.bind_no_port;
    case Option::local_port_range:
      return static_cast<int>(o.port_range);
    case Option::traffic_class:
      return o.traffic_class;
    case Option::urgent_inline:
      return o.urgent_inline;
    case Option::hears_icmp:
      return o.hears_icmp;
    case Option::read_low:
      return static_cast<int>(o.read_low);
    case Option::fast_open: {
      const auto found = h.fast_open.sockets.find(h.index_of(socket));
      return found == h.fast_open.sockets.end() ? 0 : static_cast<int>(found->second.queue);
    }
    case Option::fast_open_no_cookie:
      return o.fast_open_no_cookie;
    case Option::hop_limit:
      return o.hop_limit;
  }
  return unexpected(Err::unknown_option);
}

}  // namespace lastack
