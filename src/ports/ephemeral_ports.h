// Which local ports are taken for each (source, destination, destination port), and the choice of one for
// connect() (claim C2): the first that may be had in the order in which Linux tries them (port_order.h), where Linux looks
// at each, and so as quick for the last port as for the first. Like Linux it takes a free port as it comes, and one whose
// TIME_WAIT record has rested where those may be reused (linux-facts 16). In one thing it does better: the last port of a
// range of an odd size is found by everybody.
//
// A destination with a handful of connections costs four bytes for each; one with more a bitmap of 8 KiB, and
// another one once ports in TIME_WAIT have rested. Ports that nobody gets by connect(), since they are
// reserved or a bind() holds them (linux-facts 19), are the same for all destinations and kept once.
//
// In the bitmaps a port is at its number turned right by one bit: those of one parity are neighbours.
//
// Randomness is an argument. Who holds a port says so with take() and release(): an open connection and a
// TIME_WAIT record alike, once for a four-tuple.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/port_set.h"
#include "ports/port_bitmap.h"
#include "ports/port_error.h"
#include "ports/port_order.h"
#include "timewait/siphash.h"

namespace lastack {

class EphemeralPorts {
 public:
  struct Choice {
    Port port = 0;
    bool reuse = false;  // its TIME_WAIT record has to be taken over first
  };

  explicit EphemeralPorts(const SipKey& key);

  // The four-tuple's local port is in use. Taken twice is taken once.
  void take(const FourTuple& tuple);
  void release(const FourTuple& tuple);
  // Its record has rested, or has been stirred again. Of no effect for what is not taken.
  void set_reusable(const FourTuple& tuple, bool reusable);

  // Ports that connect() passes over whatever the destination: reserved ones, and those that bind() holds.
  // The latter are counted, so that each exclude() has its include().
  void set_reserved(const PortSet& reserved);
  void exclude(Port port);
  void include(Port port);

  // Takes nothing yet, and the next one begins behind it. AddressNotAvailable, and one more exhausted(), when there is
  // none; a wrong range is InvalidRange. `random`: 64 bits that nobody can foresee.
  tl::expected<Choice, PortError> choose(const IpAddress& source, const Endpoint& destination,
                                         const RangeToChooseFrom& range, bool reuse_allowed,
                                         std::uint64_t random);

  struct Counts {
    std::uint32_t free = 0;
    std::uint32_t reusable = 0;
    std::uint32_t taken = 0;  // the reusable ones included
  };
  // Of the ports of the range that connect() may have.
  Counts counts(const IpAddress& source, const Endpoint& destination, PortRange range) const;
  // How often choose() found nothing. The kernel counts nothing of the kind (linux-facts 20).
  std::uint64_t exhausted() const { return exhausted_; }

  // Those to which a port is taken.
  std::size_t destinations() const { return destinations_.size() - (idle_ == nullptr ? 0 : 1); }
  // Of what is taken; the table of the order (port_order.h) is the same whatever that is.
  std::size_t bytes() const;

 private:
  struct Key {
    IpAddress source;
    Endpoint destination;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    SipKey key;
    std::size_t operator()(const Key& key) const;
  };
  // Ports in use for one destination.
  class Taken {
   public:
    bool empty() const { return few_.empty() && (!many_ || many_->size() == 0); }
    bool has_bitmap() const { return many_ != nullptr; }
    bool contains(Port port) const;
    bool is_reusable(Port port) const;
    void insert(Port port);
    void erase(Port port);
    void set_reusable(Port port, bool reusable);
    // Are all of the ports from, from + 2, ... up to `last` taken, and none has rested? False if that is not known at once.
    // A yes is remembered until one of them goes.
    bool are_all_taken(Port from, Port last, bool reuse);
    // The first of the ports from, from + 2, ... up to `last` that is not taken, or with `reuse` has rested, and that is
    // not among the excluded.
    std::optional<Port> next(Port from, Port last, bool reuse, const PortBitmap& excluded) const;
    std::size_t bytes() const;

   private:
    static constexpr std::size_t kFew = 48;
    std::optional<Port> scan(Port from, Port last, bool reuse, const PortBitmap& excluded) const;

    // Sorted; a port and, above it, whether it is reusable.
    std::vector<std::uint32_t> few_;
    std::unique_ptr<PortBitmap> many_;
    std::unique_ptr<PortBitmap> reusable_;
    struct {
      Port first = 1, last = 0;  // places in many_, nothing when it ends before it begins
    } full_;
  };

  // The destinations asked for lately, each in its place: connect() chooses, and then takes, and the next one goes to one of
  // a few.
  struct Lately {
    bool filled = false;
    Key key;
    Taken* taken = nullptr;   // null when nothing is taken there, or has been
    std::uint64_t order = 0;  // what PortOrder asks for
  };
  Lately& lately(const Key& key);
  void forget(const Key& key);
  // In steps of `step`.
  std::optional<Port> next(const Taken& taken, std::uint32_t from, std::uint32_t last,
                           std::uint32_t step, bool reuse) const;

  Hash hash_;
  PortOrder order_;
  std::unordered_map<Key, Taken, Hash> destinations_;
  PortBitmap excluded_;  // reserved, or bound
  PortSet reserved_;
  std::unordered_map<Port, std::uint32_t> bound_;
  std::array<Lately, 32> lately_;
  // To which no port is taken any more, and which stays until there is another of its kind: where connections to one
  // destination come one after the other, each would make it anew.
  Key idle_key_;
  Taken* idle_ = nullptr;
  Taken none_;
  std::uint64_t exhausted_ = 0;
};

}  // namespace lastack
