// The two sides of the endpoint's device: the kernel's addresses with their networks, and ours.
#pragma once

#include <string>
#include <vector>

#include "lastack/result.h"
#include "lastack/tun_device.h"

namespace lastack {

struct StageSides {
  std::vector<IpAddress> ours;
  std::vector<TunAddress> peers;

  // Ours that are in none of the peers' networks. None where there are no peers.
  std::vector<IpAddress> unreached() const;
};
// As --address and --peer have them. An error says which, why, and what would do.
Result<StageSides> parse_sides(const std::vector<std::string>& ours,
                               const std::vector<std::string>& peers);

}  // namespace lastack
