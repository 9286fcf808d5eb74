// A plan for programs, as JSON. Members are always there; what has no limit is null.
#include <cmath>
#include <nlohmann/json.hpp>

#include "plan/page.h"

namespace lastack {

namespace {

using Json = nlohmann::ordered_json;

Json number(double n) {
  return std::isfinite(n) ? Json(n) : Json(nullptr);
}

std::string_view to_string(PortSource port) {
  switch (port) {
    case PortSource::Connect:
      return "connect";
    case PortSource::OwnRange:
      return "range";
    case PortSource::Explicit:
      return "explicit";
    case PortSource::BindZero:
      return "bind";
  }
  return "";
}

Json of(const Load& load) {
  const RangeRoom room = port_room(load);
  return {{"rate_per_second", load.rate},
          {"lifetime_s", seconds(load.lifetime)},
          {"round_trip_s", seconds(load.round_trip)},
          {"sources", load.sources},
          {"destinations", load.destinations},
          {"closes_first", load.peer_closes_first ? "peer" : "us"},
          {"source_port", to_string(load.source_port)},
          {"range_low", room.range.low},
          {"range_high", room.range.high},
          {"ports_reserved", room.reserved},
          {"ports_held", room.held},
          {"ports", room.open},
          {"ports_first_parity", room.open_first_parity},
          {"time_wait_s", time_wait_s(load)},
          {"reuse_applies", reuse_applies(load)},
          {"port_hold_s", port_hold_s(load)}};
}

Json of(const Demand& d) {
  return {{"ports", d.ports},
          {"open", d.open},
          {"descriptors", d.descriptors},
          {"time_wait_here", d.time_waits_here},
          {"time_wait_there", d.time_waits_there},
          {"overflow_per_second", d.overflow_per_second},
          {"dear_share", d.dear_share},
          {"processors", d.processors},
          {"bytes_here", d.bytes_here},
          {"bytes_there", d.bytes_there},
          {"conntrack", d.conntrack}};
}

Json of(const Limit& l) {
  return {{"limit", to_string(l.kind)},     {"needed", l.needed},
          {"there_is", number(l.there_is)}, {"assumed", l.assumed},
          {"carries", number(l.carries)},   {"fails", l.fails}};
}

Json of(const WayOut& way) {
  return {{"id", way.id},
          {"layer", to_string(way.layer)},
          {"text", way.text},
          {"price", way.price},
          {"commands", way.commands},
          {"caution", way.caution},
          {"carries", number(way.carries)},
          {"cheap", number(way.cheap)},
          {"enough", way.enough},
          {"load", of(way.with)},
          {"requests_each", way.each}};
}

Json of(const PlanOrigin& o) {
  Json seen = Json::array();
  for (const SeenLoad& s : o.seen) {
    seen.push_back(
        {{"namespace", s.net_namespace},
         {"source", s.source.to_string()},
         {"destination", {{"address", s.remote.address.to_string()}, {"port", s.remote.port}}},
         {"rate_per_second", s.load.rate},
         {"carries", number(s.carries)},
         {"ports_taken", s.ports_taken},
         {"ports", s.ports},
         {"assumed", s.assumed}});
  }
  return {{"hostname", o.hostname},
          {"kernel", o.kernel},
          {"sampled_s", o.sampled_s},
          {"seen", std::move(seen)},
          {"chosen", o.chosen ? Json(*o.chosen) : Json(nullptr)}};
}

Json of(const CheckReport& check) {
  Json comparisons = Json::array();
  for (const Comparison& c : check.comparisons) {
    comparisons.push_back({{"subject", c.subject},
                           {"what", c.what},
                           {"predicted", c.predicted},
                           {"measured", c.measured},
                           {"deviation", c.deviation},
                           {"agrees", c.agrees}});
  }
  Json not_compared = Json::array();
  for (const NotCompared& n : check.not_compared)
    not_compared.push_back({{"what", n.what}, {"why", n.why}});
  return {{"agrees", check.agrees()},
          {"bound", kAgreement},
          {"fraction", check.fraction},
          {"attempts", check.connections},
          {"virtual_s", check.virtual_s},
          {"comparisons", std::move(comparisons)},
          {"not_compared", std::move(not_compared)}};
}

std::string_view to_string(Fit fit) {
  switch (fit) {
    case Fit::Fits:
      return "fits";
    case Fit::AtAPrice:
      return "at_a_price";
    case Fit::Breaks:
      return "breaks";
  }
  return "";
}

}  // namespace

std::string to_json(const PlanPage& page) {
  const Plan& p = page.plan;
  Json json;
  json["format"] = "lastack-plan";
  json["version"] = 1;
  json["fit"] = to_string(fit_of(p));
  json["carries"] = number(p.carries);
  json["breaks_first"] =
      p.breaks_first() != nullptr ? Json(to_string(p.breaks_first()->kind)) : Json(nullptr);
  json["failing_share"] = p.failing;
  json["first_failure_s"] = number(p.first_failure_s);
  json["load"] = of(p.load);
  json["demand"] = of(p.demand);
  json["limits"] = Json::array();
  for (const Limit& l : p.limits) json["limits"].push_back(of(l));
  json["ways"] = Json::array();
  for (const WayOut& way : p.ways) json["ways"].push_back(of(way));
  json["will_not_help"] = p.will_not_help;
  json["origin"] = page.origin != nullptr ? of(*page.origin) : Json(nullptr);
  json["check"] = page.check != nullptr ? of(*page.check) : Json(nullptr);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lastack
