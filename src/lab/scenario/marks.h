// When something was made to go wrong, or went wrong on the way: faults that struck, segments that the wire or a NAT lost, a
// host that crashed, a setting that was changed. For charts: what lies close together is one mark.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lastack/time.h"

namespace lastack::lab {

struct Mark {
  std::string label;     // "fault loss", "nat drops: no mapping", "server crashes"
  Instant from{}, to{};  // from the start of the run
  std::uint64_t count = 0;
};

class Marks {
 public:
  // Of one label what is no more than `apart` from the one before is added to it.
  explicit Marks(Duration apart) : apart_(apart) {}
  void put(const std::string& label, Instant at);
  const std::vector<Mark>& all() const { return all_; }

 private:
  // Beyond that many of one label the last one goes on.
  static constexpr std::size_t kMost = 400;
  struct Last {
    std::size_t at = 0, marks = 0;
  };
  Duration apart_;
  std::vector<Mark> all_;
  std::map<std::string, Last> last_;
};

}  // namespace lastack::lab
