// The packets whose data waits for the user, in order: what each costs in memory, as Linux counts it.
#pragma once

#include <cstdint>

#include "tcp/heap_ring.h"
#include "wire/seq_num.h"

namespace lastack {

struct HeldPacket {
  SeqNum end;              // one past its last byte
  std::uint32_t cost = 0;  // bytes of memory (Linux: skb->truesize)
  std::uint32_t room = 0;  // bytes that still fit behind its data (Linux: skb_tailroom)
};

using HeldPackets = HeapRing<HeldPacket>;
static_assert(sizeof(HeldPackets) == sizeof(void*));

}  // namespace lastack
