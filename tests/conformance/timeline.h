// Two hosts on a wire, and what passes between them as lines of text: when, who, what, and whether it arrives.
//
//     0.000 client SYN
//     0.005 server ACK
//     0.010 client RST (lost)
#pragma once

#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "conformance/recorder.h"
#include "unit/stack/world.h"

namespace lastack::test {

struct TimelineSegment {
  std::size_t from;
  std::string flags;  // "FIN,ACK"
  std::size_t length;
  TcpSegment segment;
};

class Timeline {
 public:
  Timeline(HostOptions of_client, HostOptions of_server)
      : world_(watched(std::move(of_client), client_sees),
               watched(std::move(of_server), server_sees)) {
    world_.fault = [this](Bytes& packet, std::size_t from) -> std::vector<Duration> {
      const TimelineSegment s = named(packet, from);
      const bool lost = lose && lose(s);
      const std::optional<Duration> late = hold ? hold(s) : std::nullopt;
      std::string line = stamp() + (from == 0 ? " client " : " server ") + s.flags;
      if (s.length > 0) line += " +" + std::to_string(s.length);
      if (lost) line += " (lost)";
      if (late) line += " (late)";
      lines.push_back(line);
      if (lost) return {};
      return {late.value_or(delay)};
    };
  }

  Recorder client_sees, server_sees;

 private:
  World world_;

 public:
  Host& client() { return world_.client; }
  Host& server() { return world_.server; }
  Instant& now = world_.now;
  Instant origin{};
  Duration delay = 1ms;
  std::function<bool(const TimelineSegment&)> lose;
  std::function<std::optional<Duration>(const TimelineSegment&)> hold;
  std::vector<std::string> lines;

  void listen(Port port = 80) { listener_ = world_.listen(port); }
  SocketId dial(Port from, Port to = 80) { return world_.dial(to, from); }
  SocketId accept() {
    const auto s = world_.server.accept(listener_);
    EXPECT_TRUE(s);
    return s.value_or(SocketId{});
  }
  void run_for(Duration d) { world_.run_for(d); }
  // How long it took until the client's socket was in that state.
  std::optional<Duration> run_until_state(SocketId socket, TcpState state, Duration most) {
    const Instant start = now;
    while (now - start < most) {
      if (world_.client.state(socket) == state) return now - start;
      if (world_.client.state(socket) == TcpState::Closed) return std::nullopt;
      world_.run_for(1ms);
    }
    return std::nullopt;
  }
  TcpState server_state(Port of_client, Port port = 80) const {
    return server_sees.state({{kServerAddress, port}, {kClientAddress, of_client}});
  }
  std::string text() const {
    std::string all;
    for (const std::string& line : lines) all += line + "\n";
    return all;
  }
  World& world() { return world_; }

 private:
  static HostOptions watched(HostOptions options, HostObserver& by) {
    options.observer = &by;
    return options;
  }
  std::string stamp() const {
    char text[32];
    std::snprintf(text, sizeof text, "%9.3f", seconds(world_.now - origin));
    return text;
  }
  static TimelineSegment named(const Bytes& packet, std::size_t from) {
    const TcpSegment s = segment_of(packet);
    std::string flags;
    const auto add = [&](bool set, const char* name) {
      if (set) flags += (flags.empty() ? "" : ",") + std::string(name);
    };
    add(s.syn(), "SYN");
    add(s.fin(), "FIN");
    add(s.rst(), "RST");
    add(s.ack_flag(), "ACK");
    return {from, flags, s.payload.size(), s};
  }

  SocketId listener_{};
};

}  // namespace lastack::test
