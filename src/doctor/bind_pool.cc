#include "doctor/bind_pool.h"

namespace lastack {

namespace {

// Fewer ports than this prove nothing: a program may just have chosen them itself.
constexpr std::uint32_t kEnough = 16;

// connect() does not touch the second parity while the first has room; bind(0) does the reverse. A
// destination whose ports are nearly all of the second parity, with the first still open, was bound.
bool bound_by_parity(const Destination& d, const RangeRoom& room) {
  const std::uint32_t first = d.ports_first_parity;
  const std::uint32_t second = d.ports_second_parity;
  if (first + second < kEnough) return false;
  const bool first_was_open = first * 10 < room.open_first_parity * 9;
  return first_was_open && second > first * 4;
}

// Once the second parity is used up, bind(0) goes on with the first: then the second is the older one and
// nearly full, and the first is not.
bool bound_past_half(const Destination& d, std::uint32_t second_in_use, const RangeRoom& room) {
  if (d.ports_taken() < kEnough) return false;
  const bool second_full = second_in_use * 100 >= room.open_second_parity * 98;
  const bool first_open = d.ports_first_parity * 10 < room.open_first_parity * 9;
  return second_full && first_open && d.ports_second_parity > d.ports_first_parity;
}

}  // namespace

RangeRoom room_of(const Settings& settings, const PortSet& held) {
  RangeRoom room;
  room.range = settings.ip_local_port_range.value_or(PortRange{32768, 60999});
  const PortSet& reserved = settings.ip_local_reserved_ports;
  PortSet gone = held;
  gone |= reserved;
  room.reserved = reserved.size_within(room.range);
  room.held = gone.size_within(room.range) - room.reserved;
  room.open = room.range.size() - gone.size_within(room.range);
  const unsigned first = room.range.low & 1;
  PortSet all;
  all.insert(room.range);
  room.open_first_parity = all.size_within(room.range, first) - gone.size_within(room.range, first);
  room.open_second_parity = room.open - room.open_first_parity;
  return room;
}

BindPool find_bind_pool(const NamespaceSnapshot& ns) {
  const RangeRoom room = room_of(ns);
  const std::vector<Destination>& all = ns.sockets.destinations;
  BindPool pool;
  pool.pooled.resize(all.size());

  std::uint32_t second_in_use = 0;
  for (const Destination& d : all) second_in_use += d.ports_second_parity;
  std::uint64_t total = 0;
  for (const Destination& d : all) total += d.ports_taken();
  // All ports gone and no port used for two destinations: connect() would share them.
  const std::uint32_t distinct = ns.sockets.used_outgoing.size_within(room.range);
  std::size_t sizeable = 0;
  for (const Destination& d : all) {
    if (d.ports_taken() >= kEnough) ++sizeable;
  }
  const bool never_shared = sizeable >= 2 && total == distinct && ns.sockets.sockets_dropped == 0 &&
                            total * 100 >= std::uint64_t{room.open} * 60;

  for (std::size_t i = 0; i < all.size(); ++i) {
    const Destination& d = all[i];
    pool.pooled[i] = bound_by_parity(d, room) || bound_past_half(d, second_in_use, room) ||
                     (never_shared && d.ports_taken() >= kEnough);
    if (!pool.pooled[i]) continue;
    ++pool.destinations;
    pool.ports += d.ports_taken();
  }
  return pool;
}

}  // namespace lastack
