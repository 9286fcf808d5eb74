// The incidents of incident.h once more, made on endpoint hosts in virtual time: the same addresses, ports, numbers
// and settings, so that the doctor has to say the same.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "kernel/endpoint_place.h"
#include "lastack/host_snapshot.h"

namespace lastack::endpoint_incident {

// What the program `incident` makes under that name with these options: "ports" -> "1000".
using Options = std::map<std::string, std::string>;

class EndpointIncident {
 public:
  // Up to the moment at which `incident` says "ready". `process` is what the page will call the host's one process.
  EndpointIncident(const std::string& name, const Options& options, const std::string& process);
  EndpointIncident(const EndpointIncident&) = delete;
  ~EndpointIncident();

  // Which incidents there are.
  static bool is_known(const std::string& name);

  // One look, or two with so many seconds between.
  Observation look(double sampled_s = 0);
  // How long it takes until connect() finds no port.
  std::optional<Duration> until_ports_run_out(Duration longest);

 private:
  std::unique_ptr<Place> place_;
};

}  // namespace lastack::endpoint_incident
