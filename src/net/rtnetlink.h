// Just enough of rtnetlink to furnish a network namespace: links, addresses, routes. Nothing is run for
// it, so it works where no `ip` is installed.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "kernel/unique_fd.h"
#include "lastack/ip_address.h"
#include "lastack/result.h"

namespace lastack {

class Rtnetlink {
 public:
  // Of the calling process's network namespace, for as long as this object lives.
  static Result<Rtnetlink> open();

  Result<void> set_link_up(const std::string& link);
  Result<void> set_link_down(const std::string& link);
  Result<void> delete_link(const std::string& link);
  using Mac = std::array<std::uint8_t, 6>;
  struct VethEnd {
    std::string name;
    Mac mac;
  };
  // Two links that are each other's wire: `here`, and `there` in the network namespace of process `pid`.
  Result<void> add_veth(const VethEnd& here, const VethEnd& there, pid_t pid);
  // For good, so that no ARP is needed; replaces what was there. A neighbour that nobody is swallows
  // whatever is sent to it without a word.
  Result<void> set_neighbour(const std::string& link, const IpAddress& address, const Mac& mac);
  // A prefix shorter than the whole address also makes the network reachable over the link.
  Result<void> add_address(const std::string& link, const IpAddress& address, unsigned prefix);
  Result<void> delete_address(const std::string& link, const IpAddress& address, unsigned prefix);
  Result<void> add_route(const IpAddress& network, unsigned prefix, const std::string& link);

  // Whether the kernel takes packets to this address for itself. Of an IPv6 address that is so a moment after it was
  // added, when a work queue has come round to it (Linux: addrconf_dad_work).
  Result<bool> is_local(const IpAddress& address);

  // Whole addresses, 32 or 128 bits.
  static unsigned full_prefix(const IpAddress& address) { return address.is_v4() ? 32 : 128; }

 private:
  explicit Rtnetlink(UniqueFd socket) : socket_(std::move(socket)) {}
  Result<void> set_link_flag(const std::string& link, bool up);
  Result<void> change_address(std::uint16_t type, std::uint16_t flags, const std::string& link,
                              const IpAddress& address, unsigned prefix);
  // Sends the message in `buffer` and waits for the kernel's verdict; `what` names the deed.
  Result<void> transact(void* message, const std::string& what);

  UniqueFd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace lastack
