// Whether the doctor says of an endpoint host what it says of the kernel in the same incident.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernel/endpoint_incidents.h"
#include "kernel/incident_program.h"
#include "lastack/doctor.h"

namespace lastack {

// The page of `lastack doctor --from` about these looks, by way of a bundle.
Visit visit_endpoint(const Observation& observation);

// What of a page is about the incident: other processes of the machine may be in whatever trouble they like.
std::vector<Json> findings_of(const Visit& visit, const Json* truth);

// How the two pages may differ, beyond what same_diagnosis.cc says of all of them.
struct Apart {
  // The load goes on while the doctor looks: numbers with these names grow. They are within 2 % of each other, or eight
  // connections apart, which are just under way; and sentences that have them in them are not compared.
  std::vector<std::string> growing{};
  // What of the kernel's page reads otherwise here, as a regular expression, and how; and evidence that is another.
  std::vector<std::pair<std::string, std::string>> said{};
  std::vector<std::string> evidence{};
};
void expect_same_findings(const std::vector<Json>& kernel, const std::vector<Json>& endpoint,
                          const Apart& apart = {});

// Makes the incident on an endpoint host, and holds what the doctor says there against what it has said of the
// kernel.
void expect_same_at_endpoint(const Incident& incident, const Visit& kernel,
                             const endpoint_incident::Options& further = {},
                             const Apart& apart = {});

}  // namespace lastack
