// What cannot be in LinkOptions, and how to say so.
#include "net/link_check.h"

#include <fmt/format.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

namespace lastack {
namespace {

constexpr Duration kLongest = std::chrono::hours(24);
constexpr std::uint16_t kLeastMtu = 68;  // RFC 791, 3.2
constexpr std::size_t kMostQueue = std::size_t{1} << 30;

tl::unexpected<Error> wrong(std::string message) {
  return tl::unexpected(Error{EINVAL, std::move(message)});
}

}  // namespace

Result<void> check(const LinkOptions& o) {
  const std::pair<const char*, Duration> durations[] = {{"delay", o.delay},
                                                        {"jitter", o.jitter},
                                                        {"duplicate_delay", o.duplicate_delay},
                                                        {"reorder_delay", o.reorder_delay},
                                                        {"replay_delay", o.replay_delay}};
  for (const auto& [name, value] : durations) {
    if (value < Duration::zero() || value > kLongest) {
      return wrong(fmt::format("LinkOptions::{} is from 0 to a day, and not {:g} s", name,
                               std::chrono::duration<double>(value).count()));
    }
  }
  const std::pair<const char*, double> chances[] = {{"loss", o.loss},
                                                    {"duplicate", o.duplicate},
                                                    {"reorder", o.reorder},
                                                    {"corrupt", o.corrupt},
                                                    {"replay", o.replay}};
  for (const auto& [name, value] : chances) {
    if (!(value >= 0 && value <= 1)) {  // nor NaN
      return wrong(
          fmt::format("LinkOptions::{} is a probability, from 0 to 1, and not {:g}", name, value));
    }
  }
  if (o.queue > kMostQueue) {
    return wrong(
        fmt::format("LinkOptions::queue is at most {} bytes, and not {}", kMostQueue, o.queue));
  }
  if (o.mtu != 0 && o.mtu < kLeastMtu) {
    return wrong(
        fmt::format("LinkOptions::mtu is {} bytes, and IPv4 needs {} (RFC 791); 0: no limit", o.mtu,
                    kLeastMtu));
  }
  return {};
}

const LinkOptions& checked(const LinkOptions& options) {
  if (const auto fine = check(options); !fine) throw std::invalid_argument(fine.error().message);
  return options;
}

}  // namespace lastack
