#include "ports/local_port_rules.h"

#include <algorithm>

namespace lastack {

LocalPortRules LocalPortRules::from(const Settings& settings) {
  LocalPortRules rules;
  if (settings.ip_local_port_range) rules.range = *settings.ip_local_port_range;
  rules.reserved = settings.ip_local_reserved_ports;
  if (settings.ip_unprivileged_port_start) {
    rules.unprivileged_start = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(*settings.ip_unprivileged_port_start, 0, 65536));
  }
  return rules;
}

// An end outside of the host's range is not heeded, and neither is a high one below the low one.
RangeToChooseFrom range_to_choose_from(const LocalPortRules& rules, const OwnPortRange& own) {
  if (!own.set()) return {rules.range, false};
  PortRange range = rules.range;
  if (own.low && range.contains(*own.low)) range.low = *own.low;
  if (own.high && range.contains(*own.high)) range.high = *own.high;
  return {range, true};
}

tl::expected<void, PortError> may_bind(const LocalPortRules& rules, Port port,
                                       bool may_bind_any_port) {
  if (port != 0 && port < rules.unprivileged_start && !may_bind_any_port) {
    return tl::unexpected(PortError::PermissionDenied);
  }
  return {};
}

}  // namespace lastack
