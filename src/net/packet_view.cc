#include "lastack/packet_view.h"

#include "wire/tcp_segment.h"

namespace lastack {

std::optional<PacketView> PacketView::of(std::span<const std::byte> packet) {
  const auto ip = parse_ip(packet);
  if (!ip || ip->header.protocol != kProtocolTcp) return std::nullopt;
  const auto segment = parse_tcp(ip->payload, ip->header, Checksum::Trust);
  if (!segment) return std::nullopt;
  PacketView view{.tuple = {{ip->header.source, segment->source},
                            {ip->header.destination, segment->destination}},
                  .seq = segment->seq.value(),
                  .ack = segment->ack.value(),
                  .flags = segment->flags,
                  .window = segment->window,
                  .payload = segment->payload,
                  .ts_value = {},
                  .ts_echo = {},
                  .sack = {}};
  if (segment->options.timestamps) {
    view.ts_value = segment->options.timestamps->value;
    view.ts_echo = segment->options.timestamps->echo;
  }
  for (const SackBlock& block : segment->options.sack_blocks()) {
    if (view.sack_count == view.sack.size()) break;
    view.sack[view.sack_count++] = {block.left.value(), block.right.value()};
  }
  return view;
}

}  // namespace lastack
