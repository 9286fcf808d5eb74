// A diagnosis for programs: schema/diagnosis-1.schema.json describes it. Members are always there,
// empty or not, so that a script need not ask; only what cannot be told is null.
#include <cmath>
#include <nlohmann/json.hpp>

#include "bundle/fields.h"
#include "lastack/report.h"

namespace lastack {

template <>
struct Fields<Remedy> {
  static constexpr auto own = std::tuple{
      Field{"layer", &Remedy::layer},       Field{"text", &Remedy::text},
      Field{"commands", &Remedy::commands}, Field{"undo", &Remedy::undo},
      Field{"check", &Remedy::check},       Field{"caution", &Remedy::caution},
  };
};

template <>
struct Fields<Owner> {
  static constexpr auto own = std::tuple{
      Field{"pid", &Owner::pid},
      Field{"command", &Owner::command},
      Field{"unit", &Owner::unit},
      Field{"sockets", &Owner::sockets},
      Field{"opens_per_second", &Owner::opens_per_second},
  };
};

template <>
struct Fields<Finding> {
  static constexpr auto own = std::tuple{
      Field{"id", &Finding::id},
      Field{"severity", &Finding::severity},
      Field{"namespace", &Finding::net_namespace},
      Field{"subject", &Finding::subject},
      Field{"sentence", &Finding::sentence},
      Field{"details", &Finding::details},
      Field{"evidence", &Finding::evidence},
      Field{"who_closed_first", &Finding::who_closed_first},
      Field{"owners", &Finding::owners},
      Field{"why", &Finding::why},
      Field{"remedies", &Finding::remedies},
      Field{"will_not_help", &Finding::will_not_help},
  };
};

template <>
struct Fields<Headroom> {
  static constexpr auto own = std::tuple{
      Field{"namespace", &Headroom::net_namespace},
      Field{"source", &Headroom::source},
      Field{"remote", &Headroom::remote},
      Field{"range", &Headroom::range},
      Field{"reserved", &Headroom::reserved},
      Field{"held", &Headroom::held},
      Field{"capacity", &Headroom::capacity},
      Field{"taken", &Headroom::taken},
      Field{"free", &Headroom::free},
      Field{"established", &Headroom::established},
      Field{"time_wait", &Headroom::time_wait},
      Field{"reuse_possible", &Headroom::reuse_possible},
      Field{"reusable_now", &Headroom::reusable_now},
      Field{"within_delay", &Headroom::within_delay},
      Field{"opens_per_second", &Headroom::opens_per_second},
      Field{"sustains_per_second", &Headroom::sustains_per_second},
      Field{"exhausted_in_s", &Headroom::exhausted_in_s},
      Field{"past_half", &Headroom::past_half},
  };
};

template <>
struct Fields<Diagnosis> {
  static constexpr auto own = std::tuple{
      Field{"hostname", &Diagnosis::hostname},
      Field{"kernel", &Diagnosis::kernel},
      Field{"wall_time_ns", &Diagnosis::wall_time_ns},
      Field{"namespaces", &Diagnosis::namespaces},
      Field{"took_s", &Diagnosis::took_s},
      Field{"sampled_s", &Diagnosis::sampled_s},
      Field{"findings", &Diagnosis::findings},
      Field{"headroom", &Diagnosis::headroom},
      Field{"summary", &Diagnosis::summary},
      Field{"totals", &Diagnosis::totals},
      Field{"not_read", &Diagnosis::not_read},
      Field{"looked", &Diagnosis::looked},
      Field{"guessed", &Diagnosis::guessed},
  };
};

static_assert(complete<Remedy>());
static_assert(complete<Owner>());
static_assert(complete<Finding>());
static_assert(complete<Headroom>());
static_assert(complete<Diagnosis>());

namespace {

using Json = nlohmann::ordered_json;

// Declared here because they call one another.
template <class T>
Json json(const std::vector<T>& values);
template <Described T>
Json json(const T& value);

Json json(bool value) {
  return value;
}
template <std::integral Number>
Json json(Number value) {
  return value;
}
// JSON has no infinity.
Json json(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
Json json(const std::string& value) {
  return value;
}
Json json(Severity value) {
  return to_string(value);
}
Json json(Layer value) {
  return to_string(value);
}
Json json(const IpAddress& value) {
  return value.to_string();
}
Json json(const std::optional<double>& value) {
  return value ? json(*value) : Json(nullptr);
}

Json json(const std::vector<Evidence>& evidence) {
  Json object = Json::object();
  for (const Evidence& e : evidence) {
    object[e.name] = std::visit([](const auto& value) { return json(value); }, e.value);
  }
  return object;
}

Json json(const std::pair<std::string, std::string>& line) {
  return {{"label", line.first}, {"text", line.second}};
}

template <class T>
Json json(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(json(value));
  return array;
}

template <Described T>
void add_members(Json& object, const T& value) {
  for_each_field<T>(
      [&](const auto& field) { object[std::string(field.name)] = json(value.*field.member); });
}

template <Described T>
Json json(const T& value) {
  Json object = Json::object();
  add_members(object, value);
  return object;
}

}  // namespace

std::string to_json(const Diagnosis& diagnosis) {
  Json object = {{"format", "lastack-diagnosis"},
                 {"version", 1},
                 {"healthy", diagnosis.healthy()},
                 {"worst", to_string(diagnosis.worst())}};
  add_members(object, diagnosis);
  // Names of processes are any bytes.
  return object.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace lastack
