// Time passes: timers of connections, ends of TIME_WAIT.
#include <algorithm>

#include "stack/host_impl.h"
#include "tcp/timers.h"

namespace lastack {

void Host::Impl::advance(Instant at) {
  see(at);
  waits.advance(now);
  for (TimerWheel::Id id = timers.take_due(now); id != TimerWheel::kNone;
       id = timers.take_due(now)) {
    if (!connections.is_live(id)) continue;
    TcpContext x = context();
    on_timer(connections[id], x);
    settle(id);
  }
}

Instant Host::Impl::next_deadline() {
  return std::min(timers.next(), waits.next_expiry().value_or(Instant::max()));
}

}  // namespace lastack
