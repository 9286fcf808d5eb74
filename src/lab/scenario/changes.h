// [[change]]: the links of a scenario as they are now, and NATs that change.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lab/scenario/measures.h"
#include "lab/scenario/nat.h"
#include "lab/scenario/scenario.h"
#include "lab/scenario/stage.h"
#include "lastack/virtual_network.h"

namespace lastack::lab {

class Changes {
 public:
  // `told` of each that is made: what it is of, and what is said of it. All that is given outlives it.
  Changes(const Scenario& scenario, Stage& stage, VirtualNetwork& network,
          const std::map<std::string, NodeId>& ids, const std::vector<std::unique_ptr<Nat>>& nats,
          std::function<void(const std::string& of, const ChangeSpec&)> told);

  // Links as they are now, for the nodes that there are now.
  void lay_links();
  // The times of those that wait for this step or program begin to count; "": of those that wait for none.
  void start_after(const std::string& name);
  void measure(Measures& into) const;

 private:
  void make(std::size_t which);

  const Scenario& scenario_;
  Stage& stage_;
  VirtualNetwork& net_;
  const std::map<std::string, NodeId>& ids_;
  const std::vector<std::unique_ptr<Nat>>& nats_;
  std::function<void(const std::string&, const ChangeSpec&)> told_;
  LinkOptions wire_;
  std::vector<LinkSpec> links_;
  std::map<std::string, double> made_;  // when, in seconds
};

}  // namespace lastack::lab
