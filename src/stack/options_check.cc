// What cannot be in HostOptions, and how to say so.
#include "stack/options_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "stack/setting_names.h"
#include "timewait/local_time_waits.h"

namespace lastack {
namespace {

constexpr std::uint16_t kLeastMtuV4 = 68;    // RFC 791, 3.2
constexpr std::uint16_t kLeastMtuV6 = 1280;  // RFC 8200, 5
constexpr Duration kLongestTimeWait = 4194s;
static_assert(kLongestTimeWait <= timewait::kLongest);
constexpr std::uint32_t kMostSockets = 1U << 20;
constexpr std::uint32_t kMostSuperSegment = 65536;

tl::unexpected<Error> wrong(std::string message) {
  return tl::unexpected(Error{EINVAL, std::move(message)});
}

double in_seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

Result<void> check(const HostOptions& o, std::span<const IpAddress> addresses) {
  if (o.profile > Profile::Rfc793) return wrong("HostOptions::profile is none of the profiles");
  if (o.port_choice > PortChoice::LinuxWalk) {
    return wrong("HostOptions::port_choice is none of the ways to choose");
  }
  if (o.syn_answer && *o.syn_answer > SynAnswer::Reset) {
    return wrong("HostOptions::syn_answer is none of the answers");
  }
  if (auto settings = check_settings(o.settings); !settings) {
    settings.error().message.insert(0, "HostOptions::settings: ");
    return settings;
  }
  if (o.msl && (*o.msl < Duration::zero() || *o.msl > kLongestTimeWait / 2)) {
    return wrong(fmt::format("HostOptions::msl is from 0 to {:g} s, and not {:g} s",
                             in_seconds(kLongestTimeWait / 2), in_seconds(*o.msl)));
  }
  if (o.time_wait_length &&
      (*o.time_wait_length < Duration::zero() || *o.time_wait_length > kLongestTimeWait)) {
    return wrong(fmt::format("HostOptions::time_wait_length is from 0 to {:g} s, and not {:g} s",
                             in_seconds(kLongestTimeWait), in_seconds(*o.time_wait_length)));
  }
  if (o.most_sockets == 0 || o.most_sockets > kMostSockets) {
    return wrong(fmt::format("HostOptions::most_sockets is from 1 to {}, and not {}", kMostSockets,
                             o.most_sockets));
  }
  if (o.gso_max_size > kMostSuperSegment) {
    return wrong(fmt::format("HostOptions::gso_max_size is at most {} bytes, and not {}",
                             kMostSuperSegment, o.gso_max_size));
  }
  if (o.mtu < kLeastMtuV4) {
    return wrong(fmt::format("HostOptions::mtu is {} bytes, and IPv4 needs {} (RFC 791)", o.mtu,
                             kLeastMtuV4));
  }
  const bool has_v6 = std::any_of(addresses.begin(), addresses.end(),
                                  [](const IpAddress& address) { return !address.is_v4(); });
  if (has_v6 && o.mtu < kLeastMtuV6) {
    return wrong(fmt::format("HostOptions::mtu is {} bytes, and IPv6 needs {} (RFC 8200)", o.mtu,
                             kLeastMtuV6));
  }
  return {};
}

HostOptions checked(HostOptions options, std::span<const IpAddress> addresses) {
  if (const auto fine = check(options, addresses); !fine) {
    throw std::invalid_argument(fine.error().message);
  }
  return options;
}

}  // namespace lastack
