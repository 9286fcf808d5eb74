#include "stack/port_use.h"

namespace lastack {

Bindings::Terms LocalPorts::hold(Port port, const PortHolder& holder) {
  // What connect() chose is nothing to connect().
  const bool first = !holder.by_connect && !bindings_.passed_over_by_connect(port);
  if (first) flat_.exclude(port);
  return bindings_.add(port, holder);
}

void LocalPorts::let_go(Port port, const PortHolder& holder) {
  bindings_.remove(port, holder);
  if (!holder.by_connect) let_in_again(port);
}

void LocalPorts::let_go(Port port, Bindings::Terms terms) {
  const bool by_connect = bindings_.holder(terms).by_connect;
  bindings_.remove(port, terms);
  if (!by_connect) let_in_again(port);
}

void LocalPorts::let_in_again(Port port) {
  if (!bindings_.passed_over_by_connect(port)) flat_.include(port);
}

void LocalPorts::set_rules(const LocalPortRules& rules) {
  rules_ = rules;
  flat_.set_reserved(rules.reserved);
}

std::optional<EphemeralPorts::Choice> LocalPorts::choose(const Wanted& wanted,
                                                         std::uint64_t random) {
  const RangeToChooseFrom range = range_to_choose_from(rules_, wanted.own_range);
  const auto choice =
      flat_.choose(wanted.source, wanted.destination, range, wanted.reuse_allowed, random);
  if (!choice) {
    ++exhausted_;
    return std::nullopt;
  }
  return *choice;
}

std::optional<Port> LocalPorts::walk(const Wanted& wanted, std::uint64_t random,
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

std::optional<Port> LocalPorts::choose_for_bind(const PortHolder& asks, const OwnPortRange& own,
                                                std::uint64_t random) {
  const RangeToChooseFrom range = range_to_choose_from(rules_, own);
  const auto port = LinuxPortWalk::bind_zero(
      range, rules_.reserved, asks.reuse_address, random,
      [&](Port candidate) { return bindings_.free_for_bind_zero(candidate, asks); });
  if (!port) return std::nullopt;
  return *port;
}

}  // namespace lastack
