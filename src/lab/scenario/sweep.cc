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

std::string sweep_line(const ScenarioFile& file, const SweepPoint& point, const RunReport& report) {
  nlohmann::ordered_json json;
  json["point"] = point.number;
  json["scenario"] = file.name();
  json["on"] = to_string(report.where);
  json["seed"] = point.seed;
  nlohmann::ordered_json& set = json["set"] = nlohmann::ordered_json::object();
  for (const Override& o : point.overrides) set[o.key] = o.value;
  if (!report.why_not.empty()) json["not_run"] = report.why_not;
  json["holds"] = report.why_not.empty() && report.failures() == 0;
  nlohmann::ordered_json& variants = json["variants"] = nlohmann::ordered_json::object();
  for (const VariantRun& v : report.variants) {
    nlohmann::ordered_json& one = variants[v.variant] = nlohmann::ordered_json::object();
    if (!v.result) continue;
    for (const auto& [name, value] : v.result->measures) {
      if (const double* number = std::get_if<double>(&value)) {
        one[name] = *number;
      } else {
        one[name] = std::get<std::string>(value);
      }
    }
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::optional<std::uint64_t> sweep_number(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("point") || !json["point"].is_number_unsigned())
    return std::nullopt;
  return json["point"].get<std::uint64_t>();
}

}  // namespace lastack::lab
