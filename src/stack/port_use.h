// The local ports of a host: who holds which by bind(), which four-tuples use them, and the choice of one. Both
// ways of choosing are here: the flat one, and Linux's walk.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "ports/bindings.h"
#include "ports/ephemeral_ports.h"
#include "ports/linux_walk.h"
#include "ports/local_port_rules.h"

namespace lastack {

class LocalPorts {
 public:
  LocalPorts(const SipKey& flat_key, const SipKey& walk_key) : flat_(flat_key), walk_(walk_key) {}

  const Bindings& bindings() const { return bindings_; }

  // A port is held, on these terms, until it is let go on the same ones.
  Bindings::Terms hold(Port port, const PortHolder& holder);
  void let_go(Port port, const PortHolder& holder);
  void let_go(Port port, Bindings::Terms terms);
  // One of both will be asked of this port before long.
  void expect(Port port) const { bindings_.expect(port); }
  // A four-tuple that connect() made takes its port for that destination, be it open or in TIME_WAIT.
  void take(const FourTuple& tuple) { flat_.take(tuple); }
  void release(const FourTuple& tuple) { flat_.release(tuple); }
  void set_reusable(const FourTuple& tuple, bool reusable) { flat_.set_reusable(tuple, reusable); }
  void set_rules(const LocalPortRules& rules);
  const LocalPortRules& rules() const { return rules_; }

  struct Wanted {
    IpAddress source;
    Endpoint destination;
    OwnPortRange own_range;
    bool reuse_allowed = false;  // of ports in TIME_WAIT that have rested
  };
  // One for connect(). Nothing when there is none, which is counted.
  std::optional<EphemeralPorts::Choice> choose(const Wanted& wanted, std::uint64_t random);
  // The same by Linux's walk; `free` tests a candidate's four-tuple.
  std::optional<Port> walk(const Wanted& wanted, std::uint64_t random,
                           const std::function<bool(Port)>& free);
  // One for bind() to port 0.
  std::optional<Port> choose_for_bind(const PortHolder& asks, const OwnPortRange& own,
                                      std::uint64_t random);

  std::uint64_t exhausted() const { return exhausted_; }
  // To which connect() has taken ports that are not free again.
  std::size_t destinations() const { return flat_.destinations(); }
  std::size_t bytes() const { return bindings_.bytes() + flat_.bytes(); }

 private:
  void let_in_again(Port port);

  Bindings bindings_;
  EphemeralPorts flat_;
  LinuxPortWalk walk_;
  LocalPortRules rules_;
  std::uint64_t exhausted_ = 0;
};

}  // namespace lastack
