// The eleven states of a TCP connection (RFC 9293, 3.3.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace lastack {

// In the order of RFC 9293's list, which is the order a person expects to read them in.
enum class TcpState : std::uint8_t {
  Listen,
  SynSent,
  SynReceived,
  Established,
  FinWait1,
  FinWait2,
  CloseWait,
  Closing,
  LastAck,
  TimeWait,
  Closed,
};

inline constexpr std::size_t kTcpStates = 11;

inline constexpr std::array<TcpState, kTcpStates> kAllTcpStates = {
    TcpState::Listen,   TcpState::SynSent,  TcpState::SynReceived, TcpState::Established,
    TcpState::FinWait1, TcpState::FinWait2, TcpState::CloseWait,   TcpState::Closing,
    TcpState::LastAck,  TcpState::TimeWait, TcpState::Closed,
};

// The RFC's spelling with an underscore in place of the hyphen, so that a name is one word to grep:
// "TIME_WAIT", "SYN_RECEIVED", "FIN_WAIT_2".
std::string_view to_string(TcpState state);
// Accepts that spelling only.
std::optional<TcpState> parse_tcp_state(std::string_view name);

// Whose FIN came first; Both: each was sent before the other had come (simultaneous close).
enum class WhoClosed : std::uint8_t { Nobody, Here, There, Both };

// How many sockets are in each state.
class StateCounts {
 public:
  constexpr std::uint64_t& operator[](TcpState s) { return counts_[static_cast<std::size_t>(s)]; }
  constexpr std::uint64_t operator[](TcpState s) const {
    return counts_[static_cast<std::size_t>(s)];
  }
  constexpr std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (std::uint64_t n : counts_) sum += n;
    return sum;
  }
  StateCounts& operator+=(const StateCounts& other) {
    for (std::size_t i = 0; i < kTcpStates; ++i) counts_[i] += other.counts_[i];
    return *this;
  }
  friend constexpr bool operator==(const StateCounts&, const StateCounts&) = default;

 private:
  std::array<std::uint64_t, kTcpStates> counts_{};
};

}  // namespace lastack
