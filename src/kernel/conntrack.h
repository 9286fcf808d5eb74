// The connection tracker's own view of a namespace: how many entries, how many at most, and how many of
// them are TCP connections that it believes to be in TIME_WAIT. It keeps its own timers, so its number and
// the sockets' may disagree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lastack/host_snapshot.h"

namespace lastack {

// What a dump of the table has said so far.
struct CtDump {
  std::uint64_t entries = 0;
  std::uint64_t time_wait = 0;  // of those, TCP in TIME_WAIT
  bool done = false;            // the last message was seen
  bool interrupted = false;     // the table changed meanwhile (NLM_F_DUMP_INTR)
  int error = 0;                // errno that the kernel answered with
};

// Walks what one recv() on a netlink socket gave: any bytes at all. Messages that do not carry `sequence`
// answer someone else and are passed over. False when the bytes are not well-formed messages; what came
// before that place is counted.
bool walk_ctnetlink(std::span<const std::byte> bytes, std::uint32_t sequence, CtDump& dump);

// Of the namespace that the calling thread is in. Nothing when the tracker is not there, or has no entry.
// Entries in TIME_WAIT are counted, by a dump that needs CAP_NET_ADMIN, when there are at most `walk_at_most`
// entries in all; a `not_read` says when they could not be.
std::optional<Conntrack> read_conntrack(std::uint64_t walk_at_most, std::vector<NotRead>& not_read,
                                        const std::string& proc = "/proc");

}  // namespace lastack
