#include "lastack/observer.h"

namespace lastack {

std::string_view to_string(SeenCall call) {
  switch (call) {
    case SeenCall::Listen:
      return "listen";
    case SeenCall::Connect:
      return "connect";
    case SeenCall::Accept:
      return "accept";
    case SeenCall::Read:
      return "read";
    case SeenCall::Write:
      return "write";
    case SeenCall::Shutdown:
      return "shutdown";
    case SeenCall::Close:
      return "close";
    case SeenCall::Abort:
      return "abort";
  }
  return "";
}

std::string_view to_string(SeenTimer timer) {
  switch (timer) {
    case SeenTimer::Retransmit:
      return "retransmission";
    case SeenTimer::LossProbe:
      return "loss probe";
    case SeenTimer::Reorder:
      return "reordering";
    case SeenTimer::WindowProbe:
      return "window probe";
    case SeenTimer::DelayedAck:
      return "delayed ACK";
    case SeenTimer::KeepAlive:
      return "keep-alive";
    case SeenTimer::FinWait2:
      return "FIN_WAIT_2 limit";
    case SeenTimer::TimeWait:
      return "2 MSL";
  }
  return "";
}

}  // namespace lastack
