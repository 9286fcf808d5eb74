// Replacing names and addresses, consistently, also in the middle of texts.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/ip_address.h"

namespace lastack {

// First learn everything there is to hide, then assign() once, then replace. Loopback and unspecified
// addresses are nobody's secret and stay.
class Scrubber {
 public:
  void learn_host(std::string_view name);
  void learn_unit(std::string_view unit);
  void learn_container(std::string_view container);
  void learn_arguments(std::string_view arguments, std::string_view replacement);
  void learn_address(const IpAddress& address);
  void learn_addresses_in(std::string_view text);

  void assign();

  IpAddress replacement(const IpAddress& address) const;
  std::string scrub(std::string_view text) const;

 private:
  struct Name {
    std::string original;
    std::string replacement;
    bool whole_word = false;   // a plain word: other words may contain it
    bool hex_follows = false;  // the rest of a longer identifier goes with it
  };
  struct Found {
    std::size_t length = 0;
    IpAddress address;
  };

  void learn_name(Name name);
  const Name* name_at(std::string_view text, std::size_t at, std::size_t& length) const;
  // The longest address that starts at `at`.
  Found address_at(std::string_view text, std::size_t at) const;
  bool would_show_an_original(const IpAddress& candidate) const;

  // By the first byte in lower case, longest first once assigned.
  std::array<std::vector<Name>, 256> names_;
  std::map<std::string, std::string, std::less<>> replacements_;  // of hosts, units, containers
  std::vector<IpAddress> order_;                                  // as they appeared
  std::map<IpAddress, IpAddress> addresses_;
  int hosts_ = 0;
  int domains_ = 0;
  int units_ = 0;
  int containers_ = 0;
};

}  // namespace lastack
