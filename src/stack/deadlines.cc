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
    TcpContext& x = context();
    on_timer(connections[id], x);
    settle(id);
    connections.put_to_sleep(id);
  }
  // Somebody has looked at them, or a segment came.
  for (ConnectionIndex woken = connections.next_woken(); woken != kNoConnection;
       woken = connections.next_woken()) {
    Connection& c = connections[woken];
    if (!may_sleep(c)) continue;
    c.trim_timer = now + 1s;
    timers.set(woken, next_timer(c));
  }
}

Instant Host::Impl::next_deadline() {
  return std::min(timers.next(), waits.next_expiry().value_or(Instant::max()));
}

}  // namespace lastack
