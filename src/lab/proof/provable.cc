// Which findings can be made to happen in small, and what stands in the way of the others.
#include <algorithm>
#include <array>
#include <utility>

#include "lab/proof/proof.h"

namespace lastack::lab {
namespace {

// What is not here and has no scenario either is an error of the program, which a test finds.
constexpr std::array kNotInSmall = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"orphans-piling-up",
     "tcp_max_orphans is one for all namespaces, and as large as the machine's memory lets it be; "
     "changing it would touch what is outside"},
    {"listener-port-stolen",
     "it is found of a port that the doctor is asked about (--expect-listener) or that a command line "
     "names; --prove listener-in-ephemeral-range shows how it comes about"},
    {"setting-timestamps-off",
     "what it takes away, --prove setting-reuse-without-timestamps and 'lastack lab run paws' show"},
    {"setting-reuse-off",
     "against the default, 2, it concerns connections over 127.0.0.1 only, and hosts of a scenario "
     "are apart"},
    {"setting-rfc1337", "no scenario sends a RST at a record in TIME_WAIT yet"},
    {"conntrack-full",
     "nf_conntrack_max is one for all namespaces; changing it would touch what is outside"},
    {"conntrack-time-wait",
     "it needs the module nf_conntrack and a firewall rule that uses it, which a private namespace "
     "does not have by itself"},
    {"descriptors-system", "fs.file-max is one for the whole system"},
    {"setting-tw-recycle",
     "Linux has no tcp_tw_recycle since 4.12; 'lastack lab run nat-recycle' plays it on the "
     "endpoint, which has it"},
    {"setting-vendor-tw-timeout", "this kernel has no tcp_tw_timeout"},
    {"setting-host-only",
     "it compares a namespace with the host around it; a private namespace has settings of its own "
     "and changes nothing outside to compare with"},
    {"setting-retired", "it is about lines in the host's /etc/sysctl.d, which no proof writes"},
});

}  // namespace

std::vector<Provable> provable() {
  std::vector<Provable> all;
  for (const FindingInfo& info : finding_catalogue()) {
    Provable one{info.id, info.about, nullptr, {}};
    for (const LibraryScenario& scenario : proofs()) {
      if (scenario.name == info.id) one.scenario = &scenario;
    }
    for (const auto& [id, why] : kNotInSmall) {
      if (id == info.id) one.why_not = why;
    }
    all.push_back(one);
  }
  return all;
}

}  // namespace lastack::lab
