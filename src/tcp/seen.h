// A segment as an observer is told of it.
#pragma once

#include "lastack/observer.h"
#include "wire/plain_segment.h"
#include "wire/tcp_segment.h"

namespace lastack {

inline SeenSegment seen(const TcpSegment& segment, std::uint32_t length) {
  SeenSegment s{.seq = segment.seq.value(),
                .ack = segment.ack.value(),
                .length = length,
                .flags = segment.flags,
                .window = segment.window};
  if (segment.options.timestamps) {
    s.timestamps = {segment.options.timestamps->value, segment.options.timestamps->echo};
  }
  for (const SackBlock& block : segment.options.sack_blocks()) {
    s.sack[s.sack_count++] = {block.left.value(), block.right.value()};
  }
  return s;
}

inline SeenSegment seen(const PlainNumbers& numbers, std::uint32_t length) {
  SeenSegment s{.seq = numbers.seq.value(),
                .ack = numbers.ack.value(),
                .length = length,
                .flags = numbers.flags,
                .window = numbers.window};
  s.timestamps = {numbers.timestamps.value, numbers.timestamps.echo};
  return s;
}

}  // namespace lastack
