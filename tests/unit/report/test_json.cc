// The diagnosis for programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "lastack/report.h"

namespace lastack {
namespace {

using nlohmann::json;
using testing::ContainerEq;
using Names = std::set<std::string>;

// Each member has a value of its own.
Diagnosis full_diagnosis() {
  Remedy remedy;
  remedy.layer = Layer::PortChoice;
  remedy.text = "a wider range";
  remedy.commands = {"sysctl -w net.ipv4.ip_local_port_range='1024 65535'", "second"};
  remedy.undo = "undo it";
  remedy.check = "check it";
  remedy.caution = "mind it";

  Owner owner;
  owner.pid = 4711;
  owner.command = "php-fpm";
  owner.unit = "php.service";
  owner.sockets = 31;
  owner.opens_per_second = 1.5;

  Finding finding;
  finding.id = "ports-exhausting";
  finding.severity = Severity::Problem;
  finding.net_namespace = "web";
  finding.subject = "10.0.3.7 -> 10.0.9.2:3306";
  finding.sentence = "runs out";
  finding.details = {"one", "two"};
  finding.evidence = {{"ports", std::int64_t{28232}},
                      {"share", 0.967},
                      {"timestamps", true},
                      {"process", std::string("php-fpm")}};
  finding.who_closed_first = "this host";
  finding.owners = {owner};
  finding.why = "it hurts";
  finding.remedies = {remedy};
  finding.will_not_help = {"tcp_fin_timeout"};

  Headroom room;
  room.net_namespace = "web";
  room.source = IpAddress::v4(0x0a000307);
  room.remote = {IpAddress::parse("2001:db8::1").value(), 3306};
  room.range = 28232;
  room.reserved = 1;
  room.held = 2;
  room.capacity = 28229;
  room.taken = 3;
  room.free = 28226;
  room.established = 4;
  room.time_wait = 5;
  room.reuse_possible = true;
  room.reusable_now = 6;
  room.within_delay = 7;
  room.opens_per_second = 8.5;
  room.sustains_per_second = 470.5;
  room.exhausted_in_s = 40.25;
  room.past_half = true;

  Diagnosis d;
  d.hostname = "web-3";
  d.kernel = "6.18";
  d.wall_time_ns = 1'700'000'000'123'456'789;
  d.namespaces = {"host", "web"};
  d.took_s = 0.09;
  d.sampled_s = 5;
  d.findings = {finding};
  d.headroom = {room};
  d.summary = {{"descriptors", "nginx 2 %"}};
  d.totals = {{"time_wait", std::int64_t{9}}};
  d.not_read = {{"descriptors", "Permission denied", "run as root"}};
  d.looked = true;
  return d;
}

TEST(DiagnosisJson, EveryMember) {
  const json expected = {
      {"format", "lastack-diagnosis"},
      {"version", 1},
      {"healthy", false},
      {"worst", "problem"},
      {"hostname", "web-3"},
      {"kernel", "6.18"},
      {"wall_time_ns", 1'700'000'000'123'456'789},
      {"namespaces", {"host", "web"}},
      {"took_s", 0.09},
      {"sampled_s", 5.0},
      {"findings",
       {{{"id", "ports-exhausting"},
         {"severity", "problem"},
         {"namespace", "web"},
         {"subject", "10.0.3.7 -> 10.0.9.2:3306"},
         {"sentence", "runs out"},
         {"details", {"one", "two"}},
         {"evidence",
          {{"ports", 28232}, {"share", 0.967}, {"timestamps", true}, {"process", "php-fpm"}}},
         {"who_closed_first", "this host"},
         {"owners",
          {{{"pid", 4711},
            {"command", "php-fpm"},
            {"unit", "php.service"},
            {"sockets", 31},
            {"opens_per_second", 1.5}}}},
         {"why", "it hurts"},
         {"remedies",
          {{{"layer", "port-choice"},
            {"text", "a wider range"},
            {"commands", {"sysctl -w net.ipv4.ip_local_port_range='1024 65535'", "second"}},
            {"undo", "undo it"},
            {"check", "check it"},
            {"caution", "mind it"}}}},
         {"will_not_help", json::array({"tcp_fin_timeout"})}}}},
      {"headroom",
       {{{"namespace", "web"},
         {"source", "10.0.3.7"},
         {"remote", {{"address", "2001:db8::1"}, {"port", 3306}}},
         {"range", 28232},
         {"reserved", 1},
         {"held", 2},
         {"capacity", 28229},
         {"taken", 3},
         {"free", 28226},
         {"established", 4},
         {"time_wait", 5},
         {"reuse_possible", true},
         {"reusable_now", 6},
         {"within_delay", 7},
         {"opens_per_second", 8.5},
         {"sustains_per_second", 470.5},
         {"exhausted_in_s", 40.25},
         {"past_half", true}}}},
      {"summary", {{{"label", "descriptors"}, {"text", "nginx 2 %"}}}},
      {"totals", {{"time_wait", 9}}},
      {"not_read",
       {{{"what", "descriptors"}, {"why", "Permission denied"}, {"mend", "run as root"}}}},
      {"looked", true},
      {"guessed", false},
  };
  const std::string text = to_json(full_diagnosis());
  EXPECT_EQ(json::parse(text), expected) << text;
  EXPECT_EQ(text.back(), '\n');
}

TEST(DiagnosisJson, AnEmptyDiagnosisHasEveryMemberToo) {
  const json full = json::parse(to_json(full_diagnosis()));
  const json empty = json::parse(to_json(Diagnosis{}));
  for (const auto& item : full.items()) EXPECT_TRUE(empty.contains(item.key())) << item.key();
  EXPECT_EQ(empty["healthy"], true);
  EXPECT_EQ(empty["worst"], "notice");
  EXPECT_EQ(empty["findings"], json::array());
  EXPECT_EQ(empty["totals"], json::object());
}

TEST(DiagnosisJson, NamesThatAreNotUtf8) {
  Diagnosis d = full_diagnosis();
  d.hostname = "a\xff";
  d.findings[0].owners[0].command = "\xc3";
  d.findings[0].evidence[0].name = "\x80";
  const json read = json::parse(to_json(d));
  EXPECT_EQ(read["hostname"], "a\xef\xbf\xbd");
  EXPECT_EQ(read["findings"][0]["owners"][0]["command"], "\xef\xbf\xbd");
}

TEST(DiagnosisJson, WhatIsNoNumberIsNull) {
  Diagnosis d = full_diagnosis();
  d.headroom[0].sustains_per_second = std::numeric_limits<double>::infinity();
  d.headroom[0].exhausted_in_s.reset();
  d.findings[0].evidence[1].value = std::numeric_limits<double>::quiet_NaN();
  const json read = json::parse(to_json(d));
  EXPECT_TRUE(read["headroom"][0]["sustains_per_second"].is_null());
  EXPECT_TRUE(read["headroom"][0]["exhausted_in_s"].is_null());
  EXPECT_TRUE(read["findings"][0]["evidence"]["share"].is_null());
}

// Numbers of 64 bits are not rounded on the way.
TEST(DiagnosisJson, LargeNumbers) {
  Diagnosis d = full_diagnosis();
  d.findings[0].evidence[0].value = std::int64_t{INT64_MAX};
  d.headroom[0].time_wait = UINT64_MAX;
  const json read = json::parse(to_json(d));
  EXPECT_EQ(read["findings"][0]["evidence"]["ports"].get<std::int64_t>(), INT64_MAX);
  EXPECT_EQ(read["headroom"][0]["time_wait"].get<std::uint64_t>(), UINT64_MAX);
}

// schema/diagnosis-1.schema.json names exactly what is printed. (tests/cli validates whole ones.)
TEST(DiagnosisJson, TheSchemaHasEveryMember) {
  std::ifstream file(LASTACK_SOURCE_DIR "/schema/diagnosis-1.schema.json");
  const json schema = json::parse(file);
  const json printed = json::parse(to_json(full_diagnosis()));
  const auto expect_same = [](const json& definition, const json& object) {
    Names printed_names;
    for (const auto& item : object.items()) printed_names.insert(item.key());
    Names described;
    for (const auto& item : definition.at("properties").items()) described.insert(item.key());
    EXPECT_THAT(described, ContainerEq(printed_names));
    EXPECT_THAT(definition.at("required").get<Names>(), ContainerEq(printed_names));
  };
  const json& defs = schema.at("$defs");
  const json& finding = printed["findings"][0];
  expect_same(schema, printed);
  expect_same(defs.at("finding"), finding);
  expect_same(defs.at("owner"), finding["owners"][0]);
  expect_same(defs.at("remedy"), finding["remedies"][0]);
  expect_same(defs.at("headroom"), printed["headroom"][0]);
  expect_same(defs.at("endpoint"), printed["headroom"][0]["remote"]);
  expect_same(defs.at("not_read"), printed["not_read"][0]);
  expect_same(schema.at("properties").at("summary").at("items"), printed["summary"][0]);

  Names layers;
  for (Layer layer : {Layer::Program, Layer::WhoCloses, Layer::PortChoice, Layer::MoreTuples,
                      Layer::Reuse, Layer::Limits, Layer::Kill}) {
    layers.emplace(to_string(layer));
  }
  EXPECT_THAT(defs.at("remedy").at("properties").at("layer").at("enum").get<Names>(),
              ContainerEq(layers));
}

}  // namespace
}  // namespace lastack
