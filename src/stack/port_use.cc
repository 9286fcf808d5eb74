#include "stack/port_use.h"

namespace lastack {

void PortUse::hold(Port port, const PortHolder& holder) {
  const bool before = bindings_.passed_over_by_connect(port);
  bindings_.add(port, holder);
  if (!before && bindings_.passed_over_by_connect(port)) flat_.exclude(port);
}

void PortUse::let_go(Port port, const PortHolder& holder) {
  const bool before = bindings_.passed_over_by_connect(port);
  bindings_.remove(port, holder);
  if (before && !bindings_.passed_over_by_connect(port)) flat_.include(port);
}

void PortUse::set_rules(const LocalPortRules& rules) {
  rules_ = rules;
  flat_.set_reserved(rules.reserved);
}

std::optional<Port> PortUse::choose(const Wanted& wanted, std::uint64_t random) {
  const RangeToChooseFrom range = range_to_choose_from(rules_, wanted.own_range);
  const auto choice =
      flat_.choose(wanted.source, wanted.destination, range.range, wanted.reuse_allowed, random);
  if (!choice) {
    ++exhausted_;
    return std::nullopt;
  }
  return choice->port;
}

std::optional<Port> PortUse::walk(const Wanted& wanted, std::uint64_t random,
                                  const std::function<bool(Port)>& free) {
  const RangeToChooseFrom range = range_to_choose_from(rules_, wanted.own_range);
  const auto port = walk_.connect(
      wanted.source, wanted.destination, range, rules_.reserved, random, [&](Port candidate) {
        return !bindings_.passed_over_by_connect(candidate) && free(candidate);
      });
  if (!port) {
    ++exhausted_;
    return std::nullopt;
  }
  return *port;
}

std::optional<Port> PortUse::choose_for_bind(const PortHolder& asks, const OwnPortRange& own,
                                             std::uint64_t random) {
  const RangeToChooseFrom range = range_to_choose_from(rules_, own);
  const auto port = LinuxPortWalk::bind_zero(
      range, rules_.reserved, asks.reuse_address, random,
      [&](Port candidate) { return bindings_.free_for_bind_zero(candidate, asks); });
  if (!port) return std::nullopt;
  return *port;
}

}  // namespace lastack
