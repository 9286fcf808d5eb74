// schema/bundle-1.schema.json against the lists that the codec goes by: the same names, the same ones
// required. (tests/cli validates whole bundles.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "bundle/fields.h"

namespace lastack {
namespace {

using testing::ContainerEq;
using Names = std::set<std::string>;

nlohmann::json schema() {
  std::ifstream file(LASTACK_SOURCE_DIR "/schema/bundle-1.schema.json");
  return nlohmann::json::parse(file);
}

template <class T>
void expect_same(const nlohmann::json& definition, const Names& more = {}) {
  Names names = more;
  Names required = more;
  for_each_field<T>([&](const auto& field) {
    names.emplace(field.name);
    if (field.required) required.emplace(field.name);
  });
  Names described;
  for (const auto& item : definition.at("properties").items()) described.insert(item.key());
  EXPECT_THAT(described, ContainerEq(names)) << definition.value("description", "");
  EXPECT_THAT(definition.at("required").get<Names>(), ContainerEq(required))
      << definition.value("description", "");
}

TEST(BundleSchema, HasEveryField) {
  const nlohmann::json whole = schema();
  expect_same<Observation>(whole, {"format", "version"});
  const nlohmann::json& all = whole.at("$defs");
  expect_same<NotRead>(all.at("not_read"));
  expect_same<Endpoint>(all.at("endpoint"));
  expect_same<FourTuple>(all.at("four_tuple"));
  expect_same<TcpDetails>(all.at("details"));
  expect_same<Destination>(all.at("destination"));
  expect_same<Service>(all.at("service"));
  expect_same<OwnedSockets>(all.at("owned"));
  expect_same<Opener>(all.at("opener"));
  expect_same<ContestedPort>(all.at("contested"));
  expect_same<SocketCensus>(all.at("census"));
  expect_same<Conntrack>(all.at("conntrack"));
  expect_same<SocketTotals>(all.at("totals"));
  expect_same<NamespaceSnapshot>(all.at("namespace"));
  expect_same<Process>(all.at("process"));
  expect_same<SysctlLine>(all.at("sysctl_line"));
  expect_same<HostSnapshot>(all.at("host"));
}

TEST(BundleSchema, HasEveryState) {
  const nlohmann::json all = schema().at("$defs");
  Names names;
  for (TcpState state : kAllTcpStates) names.emplace(to_string(state));
  EXPECT_THAT(all.at("state").at("enum").get<Names>(), ContainerEq(names));
  Names counted;
  for (const auto& item : all.at("states").at("properties").items()) counted.insert(item.key());
  EXPECT_THAT(counted, ContainerEq(names));
}

}  // namespace
}  // namespace lastack
