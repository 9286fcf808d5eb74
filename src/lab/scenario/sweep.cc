#include "lab/scenario/sweep.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lastack::lab {

std::vector<SweepPoint> sweep_points(const std::vector<Axis>& axes,
                                     const std::vector<std::uint64_t>& seeds) {
  std::vector<std::vector<Override>> grid{{}};
  for (const Axis& axis : axes) {
    std::vector<std::vector<Override>> wider;
    for (const auto& before : grid) {
      for (const std::string& value : axis.values) {
        wider.push_back(before);
        wider.back().push_back({axis.key, value});
      }
    }
    grid = std::move(wider);
  }
  std::vector<SweepPoint> points;
  for (const auto& overrides : grid) {
    for (const std::uint64_t seed : seeds) points.push_back({points.size(), overrides, seed});
  }
  return points;
}

namespace {

using Json = nlohmann::ordered_json;

Json named(const ScenarioFile& file, Where where, const SweepPoint& point) {
  Json json;
  json["point"] = point.number;
  json["scenario"] = file.name();
  json["on"] = to_string(where);
  json["seed"] = point.seed;
  Json& set = json["set"] = Json::object();
  for (const Override& o : point.overrides) set[o.key] = o.value;
  return json;
}

std::string identity(const Json& json) {
  std::string all;
  for (const char* member : {"scenario", "on", "seed", "set"}) {
    all += json[member].dump(-1, ' ', false, Json::error_handler_t::replace) + ' ';
  }
  return all;
}

}  // namespace

std::string sweep_line(const ScenarioFile& file, const SweepPoint& point, const RunReport& report) {
  Json json = named(file, report.where, point);
  if (!report.why_not.empty()) json["not_run"] = report.why_not;
  json["holds"] = report.why_not.empty() && report.failures() == 0;
  Json& variants = json["variants"] = Json::object();
  for (const VariantRun& v : report.variants) {
    Json& one = variants[v.variant] = Json::object();
    if (!v.result) continue;
    for (const auto& [name, value] : v.result->measures) {
      if (const double* number = std::get_if<double>(&value)) {
        one[name] = *number;
      } else {
        one[name] = std::get<std::string>(value);
      }
    }
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string sweep_identity(const ScenarioFile& file, Where where, const SweepPoint& point) {
  return identity(named(file, where, point));
}

std::optional<std::string> sweep_identity(const std::string& line) {
  const auto json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("scenario") || !json.contains("on") ||
      !json.contains("seed") || !json.contains("set")) {
    return std::nullopt;
  }
  return identity(json);
}

}  // namespace lastack::lab
