#include "lastack/tcp_state.h"

namespace lastack {

std::string_view to_string(TcpState state) {
  switch (state) {
    case TcpState::Listen:
      return "LISTEN";
    case TcpState::SynSent:
      return "SYN_SENT";
    case TcpState::SynReceived:
      return "SYN_RECEIVED";
    case TcpState::Established:
      return "ESTABLISHED";
    case TcpState::FinWait1:
      return "FIN_WAIT_1";
    case TcpState::FinWait2:
      return "FIN_WAIT_2";
    case TcpState::CloseWait:
      return "CLOSE_WAIT";
    case TcpState::Closing:
      return "CLOSING";
    case TcpState::LastAck:
      return "LAST_ACK";
    case TcpState::TimeWait:
      return "TIME_WAIT";
    case TcpState::Closed:
      return "CLOSED";
  }
  return "?";
}

std::optional<TcpState> parse_tcp_state(std::string_view name) {
  for (TcpState s : kAllTcpStates) {
    if (to_string(s) == name) return s;
  }
  return std::nullopt;
}

}  // namespace lastack
