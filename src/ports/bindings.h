// Who holds which local port, and whom a holder lets in beside itself: bind() and listen() as Linux decides
// them (inet_csk_bind_conflict() and its bhash2 fellows, 6.18; linux-facts 17, 19, 21; claim B8).
//
// A port is held by sockets that bound it, by those accepted from a listener on it, by those to which connect()
// gave it, and by the TIME_WAIT records of all of them. For a decision they are alike, so holders with the same
// terms are one entry with a count: 28,000 TIME_WAIT records of a server's port are a dozen bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "lastack/ip_address.h"
#include "lastack/port_set.h"
#include "ports/port_error.h"
#include "timewait/time_wait_record.h"

namespace lastack {

// The terms on which a port is held, or is asked for.
struct PortHolder {
  // 0.0.0.0, or :: (which means IPv4 too unless `v6_only`), or the one address.
  IpAddress address = IpAddress::v4(0);
  bool v6_only = false;
  bool reuse_address = false;  // SO_REUSEADDR
  bool reuse_port = false;     // SO_REUSEPORT
  bool listening = false;
  bool time_wait = false;   // and then its uid is not known
  bool by_connect = false;  // chosen by connect(), and not by a bind()
  std::uint32_t uid = 0;

  friend bool operator==(const PortHolder&, const PortHolder&) = default;
};

// A TIME_WAIT record, or one in FIN_WAIT_2, as a holder.
PortHolder holder_of(const TimeWaitRecord& record);

class Bindings {
 public:
  // bind() to this port: AddressInUse if any holder stands against it.
  tl::expected<void, PortError> may_bind(Port port, const PortHolder& asks) const;
  // listen(): the same question again, asked by a socket that holds the port already.
  tl::expected<void, PortError> may_listen(Port port, const PortHolder& asks) const;
  // bind() to port 0 takes this one: nobody with an overlapping address may hold it, on whatever terms.
  bool free_for_bind_zero(Port port, const PortHolder& asks) const;
  // connect() passes over it when it chooses (linux-facts 19): somebody has bound it.
  bool passed_over_by_connect(Port port) const;

  // No question is asked; each add() has its remove() with the same terms. A socket that changes (it listens, it
  // ends up in TIME_WAIT) is removed and added.
  void add(Port port, const PortHolder& holder);
  void remove(Port port, const PortHolder& holder);

  std::size_t held_ports() const { return ports_.size(); }
  std::uint64_t holders(Port port) const;
  std::size_t bytes() const;

 private:
  struct Entry {
    PortHolder holder;
    std::uint32_t count;
  };
  const std::vector<Entry>* entries(Port port) const;

  std::unordered_map<Port, std::vector<Entry>> ports_;
};

// Whether two holders' addresses have a destination address in common.
bool addresses_overlap(const PortHolder& a, const PortHolder& b);
// Whether `asks` may not bind beside `holds`.
bool stands_against(const PortHolder& holds, const PortHolder& asks);

}  // namespace lastack
