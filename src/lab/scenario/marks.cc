#include "lab/scenario/marks.h"

namespace lastack::lab {

void Marks::put(const std::string& label, Instant at) {
  const auto [known, fresh] = last_.try_emplace(label);
  Last& last = known->second;
  const bool near = !fresh && at - all_[last.at].to <= apart_;
  if (near || last.marks == kMost) {
    all_[last.at].to = at;
    ++all_[last.at].count;
    return;
  }
  last = {all_.size(), last.marks + 1};
  all_.push_back({label, at, at, 1});
}

}  // namespace lastack::lab
