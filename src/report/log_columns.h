// Who takes part in what is drawn of a log, from left to right: hosts, and addresses whose host is not in the log.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report/log_selection.h"
#include "report/log_trace.h"

namespace lastack {

struct LogColumn {
  std::string name;
  std::optional<std::uint16_t> host;  // nothing: an address
  std::size_t x = 0;                  // where it is drawn
};

// Openers are to the left. What is beyond `most` shares the last one.
class LogColumns {
 public:
  LogColumns(const LogTrace& trace, const LogSelection& selection, std::size_t most);

  std::size_t of(std::uint16_t host) const;
  std::size_t of(const Endpoint& endpoint) const;
  // The sender's and the receiver's. Of a segment.
  std::pair<std::size_t, std::size_t> ends(const TraceEvent& e) const;
  std::size_t hosts() const;

  std::vector<LogColumn> list;

 private:
  void add(const std::string& name, std::optional<std::uint16_t> host,
           std::optional<IpAddress> address);

  std::string name_of(const IpAddress& address) const;

  const LogTrace& trace_;
  // Of hosts that are inside a NAT, its column: their packets go there first.
  std::map<std::uint16_t, std::size_t> nat_of_;
  std::size_t most_;
  std::map<std::uint16_t, std::size_t> of_host_;
  std::map<IpAddress, std::size_t> of_address_;
};

}  // namespace lastack
