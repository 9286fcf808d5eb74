#include "report/log_columns.h"

#include <algorithm>
#include <set>

#include "report/log_words.h"

namespace lastack {

LogColumns::LogColumns(const LogTrace& trace, const LogSelection& selection, std::size_t most)
    : trace_(trace), most_(most) {
  std::set<std::uint16_t> hosts;
  std::vector<bool> seen(trace.connections().size());
  std::set<IpAddress> opening, answering;
  for (const TraceEvent& e : trace.events()) {
    if (!selection.takes(e)) continue;
    if (e.host != kWireHost) hosts.insert(e.host);
    if (e.connection == kNoConnection || !e.is_segment() || seen[e.connection]) continue;
    seen[e.connection] = true;
    const TraceConnection& c = trace.connections()[e.connection];
    for (const Endpoint& endpoint : {c.opener, c.other}) {
      if (const auto host = trace.host_of(endpoint)) {
        hosts.insert(*host);
      } else {
        (endpoint == c.opener ? opening : answering).insert(endpoint.address);
      }
    }
  }
  // Openers to the left, also where they are not in the log.
  const std::vector<std::uint16_t> order = trace.drawing_order();
  const auto add_host = [&](std::uint16_t host) {
    if (hosts.contains(host)) add(trace.hosts()[host], host, {});
  };
  const std::size_t openers = trace.openers();
  for (std::size_t i = 0; i < openers; ++i) add_host(order[i]);
  for (const IpAddress& address : opening) add(name_of(address), {}, address);
  for (std::size_t i = openers; i < order.size(); ++i) add_host(order[i]);
  for (const IpAddress& address : answering) {
    if (!opening.contains(address)) add(name_of(address), {}, address);
  }
  for (const auto& [name, nat] : trace.header().nats) {
    const auto address = IpAddress::parse(nat.address);
    const auto column = address ? of_address_.find(*address) : of_address_.end();
    if (column == of_address_.end()) continue;
    for (std::size_t host = 0; host < trace.hosts().size(); ++host) {
      if (std::find(nat.inside.begin(), nat.inside.end(), trace.hosts()[host]) != nat.inside.end())
        nat_of_.emplace(static_cast<std::uint16_t>(host), column->second);
    }
  }
  if (list.empty()) list.push_back({});
}

std::size_t LogColumns::of(std::uint16_t host) const {
  const auto found = of_host_.find(host);
  return found == of_host_.end() ? list.size() - 1 : found->second;
}
std::size_t LogColumns::of(const Endpoint& endpoint) const {
  if (const auto host = trace_.host_of(endpoint)) return of(*host);
  const auto found = of_address_.find(endpoint.address);
  return found == of_address_.end() ? list.size() - 1 : found->second;
}
std::size_t LogColumns::hosts() const {
  return static_cast<std::size_t>(std::count_if(
      list.begin(), list.end(), [](const LogColumn& c) { return c.host.has_value(); }));
}

std::pair<std::size_t, std::size_t> LogColumns::ends(const TraceEvent& e) const {
  const TraceConnection& c = trace_.connections()[e.connection];
  std::size_t from = of(e.sender_is_opener ? c.opener : c.other);
  std::size_t to = of(e.sender_is_opener ? c.other : c.opener);
  // Where it was seen is known better than whose the address is.
  if (e.what == Happening::SegmentSent && e.host != kWireHost) from = of(e.host);
  if (e.what == Happening::SegmentReceived && e.host != kWireHost) to = of(e.host);
  const auto nat_of = [&](const Endpoint& endpoint) -> std::optional<std::size_t> {
    const auto host = trace_.host_of(endpoint);
    const auto found = host ? nat_of_.find(*host) : nat_of_.end();
    if (found == nat_of_.end()) return std::nullopt;
    return found->second;
  };
  const auto from_nat = nat_of(e.sender_is_opener ? c.opener : c.other);
  const auto to_nat = nat_of(e.sender_is_opener ? c.other : c.opener);
  if (from_nat != to_nat) {
    if (from_nat) to = *from_nat;
    if (to_nat) from = *to_nat;
  }
  return {from, to};
}

std::string LogColumns::name_of(const IpAddress& address) const {
  const std::string text = address.to_string();
  for (const auto& [name, nat] : trace_.header().nats) {
    if (nat.address == text) return name;
  }
  return text;
}

void LogColumns::add(const std::string& name, std::optional<std::uint16_t> host,
                     std::optional<IpAddress> address) {
  if (list.size() == most_) list.back() = {"others", {}, 0};
  const std::size_t at = std::min(list.size(), most_ - 1);
  if (list.size() < most_) list.push_back({shown(name, 40), host, 0});
  if (host) of_host_.emplace(*host, at);
  if (address) of_address_.emplace(*address, at);
}

}  // namespace lastack
