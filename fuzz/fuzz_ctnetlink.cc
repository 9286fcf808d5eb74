// Any bytes as what a netfilter socket gave. The first byte cuts them in two, as if they had come in two
// pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "kernel/conntrack.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  const std::size_t cut = std::min<std::size_t>(data[0] * std::size_t{4}, bytes.size());
  lastack::CtDump dump;
  if (lastack::walk_ctnetlink(bytes.first(cut), 1, dump)) {
    lastack::walk_ctnetlink(bytes.subspan(cut), 1, dump);
  }
  // Each entry takes at least a header, and each in TIME_WAIT is an entry.
  if (dump.entries > bytes.size() / 16 || dump.time_wait > dump.entries) std::abort();
  if (dump.error < 0 || dump.error > 4095) std::abort();
  return 0;
}
