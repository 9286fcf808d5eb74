#include "lab/scenario/changes.h"

#include <fmt/format.h>

#include <algorithm>

namespace lastack::lab {

Changes::Changes(const Scenario& scenario, Stage& stage, VirtualNetwork& network,
                 const std::map<std::string, NodeId>& ids,
                 const std::vector<std::unique_ptr<Nat>>& nats,
                 std::function<void(const std::string&, const ChangeSpec&)> told)
    : scenario_(scenario),
      stage_(stage),
      net_(network),
      ids_(ids),
      nats_(nats),
      told_(std::move(told)),
      wire_(scenario.wire),
      links_(scenario.links) {}

void Changes::lay_links() {
  for (const LinkSpec& link : links_) net_.link(ids_.at(link.from), ids_.at(link.to), link.options);
}

void Changes::start_after(const std::string& name) {
  for (std::size_t i = 0; i < scenario_.changes.size(); ++i) {
    const ChangeSpec& spec = scenario_.changes[i];
    if (spec.after != name) continue;
    stage_.agenda().at(later(stage_.now(), spec.at), [this, i] { make(i); });
  }
}

void Changes::make(std::size_t which) {
  const ChangeSpec& spec = scenario_.changes[which];
  made_[spec.name] = seconds(stage_.now() - stage_.began());
  if (!spec.nat.empty()) {
    const auto at = std::find_if(scenario_.nats.begin(), scenario_.nats.end(),
                                 [&](const NatSpec& nat) { return nat.name == spec.nat; });
    Nat& nat = *nats_[static_cast<std::size_t>(at - scenario_.nats.begin())];
    nat.set_times(spec.closed_after, spec.forget_after);
    if (spec.forget) nat.forget_all();
    return told_(spec.nat, spec);
  }
  if (spec.from.empty()) {
    for (const auto& set : spec.of_link) set(wire_);
    net_.set_everywhere(wire_);
    return told_("wire", spec);
  }
  const auto of = [&](const LinkSpec& link) {
    return (link.from == spec.from && link.to == spec.to) ||
           (link.from == spec.to && link.to == spec.from);
  };
  if (std::none_of(links_.begin(), links_.end(), of)) links_.push_back({spec.from, spec.to, wire_});
  for (LinkSpec& link : links_) {
    if (!of(link)) continue;
    for (const auto& set : spec.of_link) set(link.options);
    net_.link(ids_.at(link.from), ids_.at(link.to), link.options);
  }
  told_(fmt::format("{} - {}", spec.from, spec.to), spec);
}

void Changes::measure(Measures& into) const {
  for (const auto& [name, at] : made_) into[name + ".at"] = at;
}

}  // namespace lastack::lab
