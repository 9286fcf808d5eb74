// Which local ports are held by bind(), and the choice of one for connect() and bind(0).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/port_set.h"
#include "stack/secret_hash.h"

namespace lastack {

struct PortOwner {
  IpAddress address;  // unspecified: all
  bool v6_only = false;
  bool reuse_address = false;
  bool reuse_port = false;
  bool listening = false;
};

class LocalPorts {
 public:
  using Holder = std::uint32_t;

  // Whether bind() lets it in beside those who are there (Linux: inet_csk_bind_conflict).
  bool conflicts(Port port, const PortOwner& wanted) const;
  void hold(Port port, Holder holder, const PortOwner& owner);
  void release(Port port, Holder holder);
  void set_listening(Port port, Holder holder, bool listening);
  bool is_held(Port port) const { return holders_.contains(port); }

  // For connect(): the parity of the range's low end first, from a place that the hash gives (linux-facts
  // 19). `free` tests a four-tuple.
  std::optional<Port> choose(PortRange range, const PortSet& reserved, std::uint64_t hash,
                             const std::function<bool(Port)>& free) const;
  // For bind(0): the other parity first (linux-facts 22).
  std::optional<Port> choose_for_bind(PortRange range, const PortSet& reserved,
                                      std::uint64_t random, const PortOwner& wanted) const;

 private:
  struct Held {
    Holder holder;
    PortOwner owner;
  };
  std::unordered_map<Port, std::vector<Held>> holders_;
};

}  // namespace lastack
