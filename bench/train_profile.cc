// What the compiler is shown of the endpoint at work before it builds for `./dev bench` (cmake/LastackProfile.cmake):
// connections of many sizes and ends, some dozens at a time, on a wire that now and then loses a packet, first between
// two bare hosts, then in the lab. It measures nothing, and none of the benchmarks is among what it does.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "lab/scenario/run.h"
#include "lastack/host.h"
#include "measure.h"

namespace lastack::bench {
namespace {

constexpr Port kPort = 443;
constexpr std::size_t kAtOnce = 24;
constexpr Duration kTimeWait = std::chrono::milliseconds(500);  // so that the ports suffice
constexpr std::uint64_t kLossOneIn = 400;

enum class End : std::uint32_t { ClientCloses, ServerCloses, ClientShutsDown, ClientResets };

// The head of each request: how much is asked for, and who ends the connection after it.
struct Plan {
  std::uint32_t answer = 0;
  End end{};
};

Plan plan_of(std::uint64_t n) {
  constexpr std::array<End, 8> kEnds{End::ClientCloses, End::ServerCloses,    End::ClientCloses,
                                     End::ServerCloses, End::ClientShutsDown, End::ClientCloses,
                                     End::ClientResets, End::ClientCloses};
  const std::uint64_t longest = n % 8 == 0 ? 60'000 : 900;
  return {.answer = static_cast<std::uint32_t>(1 + scatter(n) % longest), .end = kEnds[n / 3 % 8]};
}

class Training {
 public:
  explicit Training(Host::Family family)
      : family_(family),
        client_({.name = "client", .time_wait_length = kTimeWait}),
        server_({.name = "server", .time_wait_length = kTimeWait}) {
    const bool v4 = family == Host::Family::V4;
    to_ = {v4 ? IpAddress::v4(0x0a010002) : *IpAddress::parse("fd00::2"), kPort};
    client_.add_address(v4 ? IpAddress::v4(0x0a010001) : *IpAddress::parse("fd00::1"));
    server_.add_address(to_.address);
    listener_ = *server_.open(family);
    must(server_.bind(listener_, to_));
    must(server_.listen(listener_, 256));
  }

  void run(std::uint64_t connections) {
    for (std::uint64_t turn = 1; over_ < connections; ++turn) {
      while (asked_.size() < kAtOnce && begun_ < connections) begin();
      move(client_, server_);
      while (const auto socket = server_.next_event()) on_server(*socket);
      move(server_, client_);
      while (const auto socket = client_.next_event()) on_client(*socket);
      now_ += turn % 64 == 0 ? std::chrono::milliseconds(20) : std::chrono::microseconds(50);
      client_.advance(now_);
      server_.advance(now_);
    }
  }

 private:
  struct Asked {
    Plan plan;
    std::size_t left = 0;  // of the answer
    bool written = false;
  };
  struct Answering {
    Plan plan;
    std::size_t left = 0;
    bool begun = false;
  };

  template <class T>
  static void must(const T& outcome) {
    if (!outcome) std::abort();
  }

  void begin() {
    const SocketId socket = *client_.open(family_);
    const auto connecting = client_.connect(socket, to_, now_);
    if (connecting || connecting.error() != Err::in_progress) std::abort();
    const Plan plan = plan_of(begun_++);
    asked_.emplace(socket, Asked{.plan = plan, .left = plan.answer});
  }
  void move(Host& from, Host& to) {
    for (auto p = from.next_packet(); !p.empty(); p = from.next_packet()) {
      if (scatter(++packets_) % kLossOneIn != 0) to.receive(p, now_);
    }
  }

  void on_client(SocketId socket) {
    const auto found = asked_.find(socket);
    if (found == asked_.end()) return;
    Asked& a = found->second;
    const Readiness ready = client_.readiness(socket);
    if (ready.writable && !a.written) {
      std::memcpy(room_.data(), &a.plan, sizeof a.plan);
      const std::size_t length = sizeof a.plan + scatter(begun_) % 1000;
      a.written = client_.write(socket, std::span(room_).first(length), now_).has_value();
    }
    bool end = ready.error;
    while (!end && ready.readable) {
      const auto n = client_.read(socket, room_, now_);
      if (!n && n.error() == Err::would_block) break;
      if (n) a.left -= *n;
      end = !n || *n == 0 || (a.left == 0 && a.plan.end != End::ServerCloses);
    }
    if (!end) return;
    if (!ready.error && a.left == 0 && a.plan.end == End::ClientShutsDown) {
      a.plan.end = End::ServerCloses;
      if (client_.shutdown(socket, ShutdownHow::Write, now_)) return;
    }
    const bool reset = a.plan.end == End::ClientResets;
    must(reset ? client_.abort(socket, now_) : client_.close(socket, now_));
    asked_.erase(found);
    ++over_;
  }

  void on_server(SocketId socket) {
    if (socket == listener_) {
      while (const auto child = server_.accept(listener_)) {
        answering_.emplace(*child, Answering{});
        on_server(*child);
      }
      return;
    }
    const auto found = answering_.find(socket);
    if (found == answering_.end()) return;
    Answering& a = found->second;
    const Readiness ready = server_.readiness(socket);
    bool end = ready.error;
    while (!end && ready.readable) {
      const auto n = server_.read(socket, room_, now_);
      if (!n && n.error() == Err::would_block) break;
      end = !n || *n == 0;
      if (end || a.begun) continue;
      std::memcpy(&a.plan, room_.data(), sizeof a.plan);
      a.left = a.plan.answer;
      a.begun = true;
    }
    while (!end && a.left > 0) {
      const auto n =
          server_.write(socket, std::span(room_).first(std::min(room_.size(), a.left)), now_);
      if (!n) break;
      a.left -= *n;
    }
    if (a.begun && a.left == 0 && a.plan.end == End::ServerCloses) end = true;
    if (!end) return;
    must(server_.close(socket, now_));
    answering_.erase(found);
  }

  Host::Family family_;
  Host client_, server_;
  Endpoint to_;
  SocketId listener_{};
  Instant now_{std::chrono::seconds(1)};
  std::uint64_t begun_ = 0, over_ = 0, packets_ = 0;
  std::unordered_map<SocketId, Asked> asked_;
  std::unordered_map<SocketId, Answering> answering_;
  std::array<std::byte, 4096> room_{};
};

constexpr std::string_view kScenario = R"(
scenario = "training"
title = "Clients and servers that close first, and ports that run out at times"
duration = "100 s"
[host.client]
settings = { ip_local_port_range = "40000 52000" }
[host.server]
[wire]
delay = "2 ms"
loss = 0.002
[[server]]
name = "service"
host = "server"
[[server]]
name = "hasty"
host = "server"
port = 81
closes = "first"
[[clients]]
name = "first"
host = "client"
to = "server:80"
rate = 260
[[clients]]
name = "second"
host = "client"
to = "server:81"
rate = 130
closes = "after"
)";

void play_in_the_lab() {
  const auto file = lab::ScenarioFile::parse(kScenario, "training");
  if (!file || !lab::run(*file, {})) std::abort();
}

}  // namespace
}  // namespace lastack::bench

int main() {
  using lastack::Host;
  lastack::bench::Training(Host::Family::V4).run(60'000);
  lastack::bench::Training(Host::Family::V6).run(3'000);
  lastack::bench::play_in_the_lab();
}
