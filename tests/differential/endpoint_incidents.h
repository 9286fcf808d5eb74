// The incidents of tests/kernel/incident.h once more, made on endpoint hosts in virtual time: the same
// addresses, ports, numbers and settings, so that the doctor has to say the same.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lastack/host.h"

namespace lastack::differential {

// Hosts on a wire in memory that loses nothing but what is sent to a deaf one; what a host sends to itself
// comes back to it. Time is virtual.
class Town {
 public:
  struct Resident {
    Host host;
    std::vector<IpAddress> addresses;
    bool deaf = false;  // what is sent to it vanishes
  };

  // The host that the doctor will look at is the first one. The reference is good until the next one is added.
  Host& settle(HostOptions options, std::vector<IpAddress> addresses);
  Host& operator[](std::size_t i) { return residents_[i].host; }
  void set_deaf(std::size_t i, bool deaf) { residents_[i].deaf = deaf; }

  void run_for(Duration duration);
  Instant now() const { return now_; }

 private:
  bool carry();  // whether any packet was on its way

  std::vector<Resident> residents_;
  Instant now_{std::chrono::hours(1)};
};

// What the program `incident` makes under that name with its usual options and these.
using IncidentOptions = std::map<std::string, std::string>;
// The snapshot at the moment at which `incident` says "ready".
HostSnapshot endpoint_incident(const std::string& name, const IncidentOptions& options = {});

}  // namespace lastack::differential
