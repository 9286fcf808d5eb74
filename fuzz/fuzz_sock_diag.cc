// The netlink walk of sock_diag, any bytes, fed on into a census as a live look does.
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel/sock_diag.h"
#include "lastack/census.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lastack;
  Settings settings;
  settings.ip_local_port_range = PortRange{32768, 60999};
  Census census(settings, nullptr, true);
  std::uint64_t rows = 0;
  // Sequence 0 is what most random messages carry, so that more than the first bytes are exercised.
  parse_diag({reinterpret_cast<const std::byte*>(data), size}, 0, [&](const DiagRow& row) {
    ++rows;
    if (row.socket.state == TcpState::Listen) {
      census.add_listener(row.socket);
    } else {
      census.add(row.socket);
      if (row.has_details) census.add_details(row.socket, row.details);
      census.own(row.socket.inode, 0);
    }
    return true;
  });
  const SocketCensus out = census.finish([](std::int32_t) { return kNone; });
  if (out.states.total() != rows) __builtin_trap();
  return 0;
}
