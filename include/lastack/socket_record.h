// One TCP socket as somebody looking from outside sees it: what a sock_diag row, a line of
// /proc/net/tcp, or an endpoint's own table says about it.
#pragma once

#include <cstdint>
#include <optional>

#include "lastack/four_tuple.h"
#include "lastack/tcp_state.h"
#include "lastack/time.h"

namespace lastack {

enum class TimerKind : std::uint8_t {
  None,
  Retransmit,
  KeepAlive,  // also the timer of an orphan in FIN_WAIT_2
  TimeWait,   // the small record's own
  ZeroWindowProbe,
};

struct SocketRecord {
  FourTuple tuple;
  TcpState state = TcpState::Closed;
  TimerKind timer = TimerKind::None;
  // A small record that outlived its socket: TIME_WAIT, or an orphan in FIN_WAIT_2 (linux-facts 4).
  // It has no owner, no inode and no descriptor.
  bool compact = false;
  bool v6_only = false;  // of a listener
  // How long it has been in its state, where that is kept: in an endpoint, and of TIME_WAIT since its timer was started
  // last. The kernel does not tell.
  std::optional<Duration> in_state{};
  Duration timer_remaining{};       // until the timer fires; for a small record, until it ends
  std::uint32_t receive_queue = 0;  // bytes; of a listener: connections waiting for accept()
  std::uint32_t send_queue = 0;     // bytes; of a listener: its backlog
  std::uint32_t uid = 0;
  std::uint64_t inode = 0;   // 0: no descriptor refers to it (orphan, or not yet accepted)
  std::uint64_t cookie = 0;  // stays the same into TIME_WAIT; 0 where there is none
};

}  // namespace lastack
