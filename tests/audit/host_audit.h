// What must hold of a host between any two calls: its tables agree with each other, everything that lives is
// reachable and will be called in time, what it counts is what there is. For fuzzers and the swarm; an empty
// answer is a good one. It looks at everything, so it costs as much as there are connections.
#pragma once

#include <string>
#include <unordered_map>

#include "audit/connection_audit.h"
#include "lastack/host.h"
#include "stack/host_impl.h"

namespace lastack::test {

struct HostAudit {
  static const Host::Impl& impl(const Host& host) { return *host.impl_; }
  static const Connection* connection(const Host& host, SocketId id) {
    const Socket* socket = impl(host).find(id);
    return socket == nullptr ? nullptr : &impl(host).connections[socket->connection];
  }
  static bool in_time_wait(const Host& host, const FourTuple& tuple) {
    return impl(host).waits.find(tuple).has_value();
  }

  static std::string check(const Host& host, Instant now) {
    const Host::Impl& h = impl(host);
    const Instant next = host.next_deadline();
    std::uint32_t hashed = 0, live = 0, orphans = 0, established = 0, with_user = 0;
    std::unordered_map<std::uint32_t, std::uint32_t> half_open;
    std::uint64_t memory = 0;
    for (ConnectionIndex i = 0; i < h.connections.capacity(); ++i) {
      if (!h.connections.is_live(i)) continue;
      ++live;
      const Connection& c = h.connections[i];
      const auto at = [&](std::string what) {
        return what + " (" + c.tuple.to_string() + ", " + std::string(to_string(c.state)) + ")";
      };
      if (std::string what = audit(c, h.tcp); !what.empty()) return at(what);
      memory += c.memory;
      const std::size_t buffers = c.send_buffer.capacity() + c.receive_buffer.capacity();
      if (c.memory < buffers) return at("buffers that are not counted");
      if (c.news != 0) return at("news that nobody was told");
      if (c.hashed) {
        ++hashed;
        if (h.connections.find(c.tuple) != i) return at("not found by its four-tuple");
        if (h.waits.find(c.tuple) || h.waits.find_fin_wait_2(c.tuple)) {
          return at("a connection and a record of one four-tuple");
        }
      } else if (c.state != TcpState::Closed && c.state != TcpState::Listen) {
        return at("open, and not to be found");
      }
      if (next_timer(c) < next) return at("a timer that will be missed");
      if (c.state != TcpState::Closed && next_timer(c) <= now && next > now) {
        return at("a timer that is due");
      }
      if (c.orphan_counted) ++orphans;
      if (c.state == TcpState::Established || c.state == TcpState::CloseWait) ++established;
      if (c.half_open_counted) ++half_open[c.listener];
      if (c.user != 0) {
        ++with_user;
        if (c.user > h.sockets.size() || !h.sockets[c.user - 1].open ||
            h.sockets[c.user - 1].connection != i) {
          return at("a connection of a socket that is not its own");
        }
        if (c.orphan) return at("an orphan with a user");
      } else if (c.state == TcpState::Closed && !c.in_accept_queue) {
        return at("closed, nobody's, and not forgotten");
      } else if (c.state == TcpState::Listen) {
        return at("a listener that is nobody's");
      } else if (!c.orphan && !c.in_accept_queue && c.state != TcpState::SynReceived) {
        return at("neither an orphan nor to be accepted, and nobody's");
      }
    }
    if (live != h.connections.live()) return "connections that live, or do not";
    if (hashed != h.connections.hashed()) return "more in the table than can be found";
    if (memory != h.memory) {
      return "memory is " + std::to_string(h.memory) + ", the sum " + std::to_string(memory);
    }
    if (orphans != h.orphans) return "orphans counted that are none";
    if (established != h.counters.CurrEstab) {
      return "CurrEstab is " + std::to_string(h.counters.CurrEstab) + ", there are " +
             std::to_string(established);
    }

    std::uint32_t open = 0;
    for (std::uint32_t i = 0; i < h.sockets.size(); ++i) {
      const Socket& socket = h.sockets[i];
      if (!socket.open) continue;
      ++open;
      if (!h.connections.is_live(socket.connection)) return "a socket without a connection";
      if (h.connections[socket.connection].user != i + 1) return "a socket of another's connection";
    }
    if (open != h.open_sockets || open != with_user) return "sockets that are open, or are not";
    if (h.sockets.size() != open + h.free_sockets.size()) return "a socket that is lost";

    for (std::uint32_t n = 1; n <= h.listeners.size(); ++n) {
      const Listener* listener = h.listeners[n - 1].get();
      if (listener == nullptr) {
        if (half_open.contains(n)) return "half open at a listener that is gone";
        continue;
      }
      if (listener->half_open != half_open[n]) {
        return "half open: " + std::to_string(listener->half_open) + " counted, " +
               std::to_string(half_open[n]) + " there";
      }
      for (const ConnectionIndex child : listener->ready) {
        if (!h.connections.is_live(child)) return "a connection to be accepted that has gone";
        const Connection& c = h.connections[child];
        if (!c.in_accept_queue || c.listener != n) return "to be accepted, and does not know it";
      }
    }

    for (const auto& [index, record] : h.reopened) {
      if (!h.connections.is_live(index)) return "a record kept for a connection that has gone";
      if (h.connections[index].state != TcpState::SynReceived) {
        return "a record kept for a connection that is open";
      }
    }
    std::string what;
    const Duration length = h.waits.settings().length;
    h.waits.for_each([&](const TimeWaitRecord& record) {
      if (next > now && record.armed + length < now) what = "TIME_WAIT does not end";
      if (record.armed > now + 1ms) what = "TIME_WAIT that begins in the future";
      if (record.armed + length < next - 1ms) what = "the end of a TIME_WAIT will be missed";
    });
    h.waits.for_each_fin_wait_2([&](const FinWait2Record& record) {
      if (record.deadline < next) what = "the end of a FIN_WAIT_2 will be missed";
    });
    return what;
  }

  // Without the limit of Linux an orphan waits in FIN_WAIT_2 for ever, if its peer is gone: so have the RFCs it.
  static bool waits_for_ever(const Host& host) {
    const Host::Impl& h = impl(host);
    if (h.tcp.rules.fin_wait_2_limit) return false;
    for (ConnectionIndex i = 0; i < h.connections.capacity(); ++i) {
      if (!h.connections.is_live(i)) continue;
      if (h.connections[i].state != TcpState::FinWait2 || !h.connections[i].orphan) return false;
    }
    return true;
  }

  // Once everything is closed and its time has passed, nothing is left.
  static std::string check_empty(const Host& host) {
    const Host::Impl& h = impl(host);
    if (h.connections.live() != 0) {
      for (ConnectionIndex i = 0; i < h.connections.capacity(); ++i) {
        if (!h.connections.is_live(i)) continue;
        const Connection& c = h.connections[i];
        return "still there: " + c.tuple.to_string() + ", " + std::string(to_string(c.state)) +
               (c.orphan ? ", an orphan" : "") + (c.user != 0 ? ", with a user" : "") + ", " +
               std::to_string(c.packets_out) + " packets out, " +
               std::to_string(c.send_buffer.size()) + " bytes to send, window " +
               std::to_string(c.snd_wnd);
      }
    }
    if (h.connections.hashed() != 0) return "a connection is left";
    if (h.waits.size() != 0) return "a TIME_WAIT is left";
    if (h.open_sockets != 0) return "a socket is left";
    if (h.orphans != 0) return "an orphan is left";
    if (h.memory != 0) return "memory is counted that is nobody's";
    if (!h.reopened.empty()) return "a record is left";
    if (h.ports.bindings().held_ports() != 0) return "a port is held by nobody";
    if (h.ports.destinations() != 0) return "a port is taken by nobody";
    if (!h.listeners_by_port.empty()) return "a listener is left";
    if (h.counters.CurrEstab != 0) return "CurrEstab counts what is not there";
    return {};
  }
};

}  // namespace lastack::test
