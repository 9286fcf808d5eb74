#include "cli/endpoint_live.h"

#include <fmt/format.h>

#include <array>

#include "lastack/host_snapshot.h"

namespace lastack {

StateCounts count_states(const Host& host, Instant now) {
  const HostSnapshot snapshot = host.snapshot(now);
  return snapshot.namespaces.empty() ? StateCounts{} : snapshot.namespaces.front().sockets.states;
}

std::string bytes_per_second(double rate) {
  constexpr std::array<const char*, 4> kUnits{"B/s", "kB/s", "MB/s", "GB/s"};
  std::size_t unit = 0;
  while (rate >= 999.5 && unit + 1 < kUnits.size()) {
    rate /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", rate, unit == 0 || rate >= 99.5 ? 0 : 1, kUnits[unit]);
}

std::string live_head() {
  return "      s   opened/s failed/s   SYN   ESTAB  FIN_W1  FIN_W2 CLOSE_W LAST_ACK TIME_WAIT "
         "reused/s no port         in        out\n";
}

std::string live_line(const LiveSample& before, const LiveSample& now) {
  const double length = std::max(seconds(now.at - before.at), 1e-9);
  const auto rate = [&](std::uint64_t a, std::uint64_t b) {
    return static_cast<double>(b - a) / length;
  };
  const auto state = [&](TcpState s) {
    return now.states_known ? std::to_string(now.states[s]) : std::string("-");
  };
  const std::string opening =
      now.states_known
          ? std::to_string(now.states[TcpState::SynSent] + now.states[TcpState::SynReceived])
          : "-";
  return fmt::format(
      "{:7.1f} {:10.0f} {:8.0f} {:>5} {:>7} {:>7} {:>7} {:>7} {:>8} {:9} {:8.0f} {:7} {:>10} {:>10}\n",
      seconds(now.at), rate(before.opened, now.opened), rate(before.failed, now.failed), opening,
      state(TcpState::Established), state(TcpState::FinWait1), state(TcpState::FinWait2),
      state(TcpState::CloseWait), state(TcpState::LastAck), now.time_waits,
      rate(before.recycled, now.recycled), now.exhausted - before.exhausted,
      bytes_per_second(rate(before.in, now.in)), bytes_per_second(rate(before.out, now.out)));
}

}  // namespace lastack
