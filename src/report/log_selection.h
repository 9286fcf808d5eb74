// Which events of a log are drawn.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "report/log_text.h"

namespace lastack {

class LogSelection {
 public:
  LogSelection(const LogTrace& trace, const LogTextOptions& options)
      : from_(options.from), to_(options.to), all_(!options.connections) {
    if (all_) return;
    wanted_.resize(trace.connections().size());
    for (const std::uint32_t one : *options.connections) {
      if (one < wanted_.size()) wanted_[one] = true;
    }
  }

  bool takes_connection(std::uint32_t connection) const {
    return all_ || (connection != kNoConnection && wanted_[connection]);
  }
  bool takes(const TraceEvent& e) const {
    return (!from_ || e.at >= *from_) && (!to_ || e.at <= *to_) && takes_connection(e.connection);
  }

 private:
  std::optional<std::int64_t> from_, to_;
  bool all_;
  std::vector<bool> wanted_;
};

// "connection 3  client 10.0.0.1:40000 -> server 10.0.0.2:80, use 2", a line each, the first dozen of them.
std::string connections_legend(const LogTrace& trace, const LogSelection& selection);

}  // namespace lastack
