// Who holds which local port, and whom a holder lets in beside itself: bind() and listen() as Linux decides
// them (inet_csk_bind_conflict() and its bhash2 fellows, 6.18; linux-facts 17, 19, 21; claim B8).
//
// A port is held by sockets that bound it, by those accepted from a listener on it, by those to which connect()
// gave it, and by the TIME_WAIT records of all of them. For a decision they are alike, so holders with the same
// terms are one entry with a count: 28,000 TIME_WAIT records of a server's port are a dozen bytes. Terms are
// few, and have numbers; every connection adds and removes twice, so a port is found without a hash.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
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

  // All but the address, as one number.
  std::uint64_t rest() const {
    return std::uint64_t{uid} << 6 | static_cast<unsigned>(v6_only) |
           static_cast<unsigned>(reuse_address) << 1 | static_cast<unsigned>(reuse_port) << 2 |
           static_cast<unsigned>(listening) << 3 | static_cast<unsigned>(time_wait) << 4 |
           static_cast<unsigned>(by_connect) << 5;
  }
  friend bool operator==(const PortHolder& a, const PortHolder& b) {
    return a.address == b.address && a.rest() == b.rest();
  }
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

  // The terms by number, which stays good as long as somebody holds a port on them.
  enum class Terms : std::uint32_t {};

  // No question is asked; each add() has its remove() with the same terms. A socket that changes (it listens, it
  // ends up in TIME_WAIT) is removed and added.
  Terms add(Port port, const PortHolder& holder);
  void remove(Port port, const PortHolder& holder);
  void remove(Port port, Terms terms);
  const PortHolder& holder(Terms terms) const { return terms_[std::size_t(terms)].holder; }

  // add() or remove() will be asked for this port before long: memory is asked for. Where ports are many and chosen at
  // random, each is in a line of its own that nobody has touched for a long time.
  void expect(Port port) const {
    if (const auto& page = pages_[port / kPagePorts]) {
      __builtin_prefetch(&(*page)[port % kPagePorts], 1);
    }
  }

  std::size_t held_ports() const { return held_ports_; }
  std::uint64_t holders(Port port) const;
  std::size_t bytes() const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr std::size_t kPagePorts = 256;

  // So many hold this port on these terms, and the next ones on others.
  struct Entry {
    std::uint32_t terms = 0;
    std::uint32_t count = 0;
    std::uint32_t next = kNone;
  };
  static_assert(sizeof(Entry) == 12);
  struct KnownTerms {
    PortHolder holder;
    std::uint32_t entries;  // 0: nobody's, until number_of() needs the place
  };
  struct Hash {
    std::size_t operator()(const PortHolder& holder) const;
  };
  // The first entry of each port, whose count is 0 where nobody holds it. The others are in entries_, where those that
  // come and go are the same few: so a port costs one line of memory that is not at hand.
  using Page = std::array<Entry, kPagePorts>;

  std::uint32_t find_number(const PortHolder& holder) const;
  std::uint32_t number_of(const PortHolder& holder);
  void forget_unused_terms();
  template <class Is>
  bool any_of(Port port, Is&& is) const {
    const auto& page = pages_[port / kPagePorts];
    if (page == nullptr) return false;
    const Entry* e = &(*page)[port % kPagePorts];
    if (e->count == 0) return false;
    for (;; e = &entries_[e->next]) {
      if (is(terms_[e->terms].holder, e->count)) return true;
      if (e->next == kNone) return false;
    }
  }

  std::array<std::unique_ptr<Page>, 65536 / kPagePorts> pages_;
  std::vector<Entry> entries_;
  std::uint32_t free_entry_ = kNone;  // linked by `next`
  std::vector<KnownTerms> terms_;
  std::vector<std::uint32_t> free_terms_;
  std::unordered_map<PortHolder, std::uint32_t, Hash>
      numbers_;  // our own terms: nobody else's choice
  // Asked for lately, and most likely again: a socket's and a record's, of addresses that end alike.
  static constexpr std::size_t kLately = 32;
  mutable std::array<std::uint32_t, 2 * kLately> lately_ = none_lately();
  static constexpr std::array<std::uint32_t, 2 * kLately> none_lately() {
    std::array<std::uint32_t, 2 * kLately> none{};
    none.fill(kNone);
    return none;
  }
  std::size_t most_terms_ = 64;  // before it is looked whether all are needed
  std::size_t held_ports_ = 0;
};

// Whether two holders' addresses have a destination address in common.
bool addresses_overlap(const PortHolder& a, const PortHolder& b);
// Whether `asks` may not bind beside `holds`.
bool stands_against(const PortHolder& holds, const PortHolder& asks);

}  // namespace lastack
