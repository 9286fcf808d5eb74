// The doctor in front of incidents whose truth is known (incident.h): the right finding, with the right
// process, the right destination and numbers within 2 %, and nothing else that cries wolf. And the same of an endpoint
// host in the same incident (same_diagnosis.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <string>
#include <vector>

#include "kernel/incident_program.h"
#include "kernel/same_diagnosis.h"

namespace lastack {
namespace {

using ::testing::HasSubstr;
// Within 2 %.
void expect_close(const Json& finding, const char* evidence, double truth) {
  ASSERT_TRUE(finding["evidence"].contains(evidence)) << evidence << " in " << finding.dump(2);
  const double got = finding["evidence"][evidence].get<double>();
  EXPECT_LE(std::abs(got - truth), 0.02 * std::abs(truth))
      << evidence << " is " << got << ", truly " << truth;
}

void expect_owner(const Json& finding, const Json& pid) {
  for (const Json& owner : finding["owners"]) {
    if (owner["pid"] == pid) return;
  }
  ADD_FAILURE() << "pid " << pid << " is not among the owners of " << finding.dump(2);
}

#define EXPECT_FINDING(pointer, seen, id)                                 \
  const Json* pointer = (seen).find(id);                                  \
  ASSERT_NE(pointer, nullptr) << id << " not in " << (seen).page.dump(2); \
  EXPECT_FALSE((*pointer)["who_closed_first"].get<std::string>().empty())

class PortsTimeWait : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, PortsTimeWait,
                         ::testing::Values("v4", "v6", "v6-loopback", "v4-loopback", "mapped"),
                         [](const auto& family) {
                           std::string name = family.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(PortsTimeWait, Exhausted) {
  MAKE_INCIDENT(incident, "ports-time-wait", std::string("--family=") + GetParam());
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "ports-exhausted-time-wait");
  EXPECT_EQ((*finding)["severity"], "problem");
  EXPECT_EQ((*finding)["subject"], truth["destination"]);
  EXPECT_THAT((*finding)["who_closed_first"].get<std::string>(), HasSubstr("connecting side"));
  expect_close(*finding, "ports_taken", truth["ports_taken"]);
  expect_close(*finding, "time_wait", truth["time_wait"]);
  expect_close(*finding, "ports_range", truth["range"]);
  expect_owner(*finding, truth["pid"]);
  EXPECT_EQ(seen.alarms(truth), std::vector<std::string>{"ports-exhausted-time-wait"});
  EXPECT_EQ(seen.code, 2);
  expect_same_at_endpoint(incident, seen);
}

TEST(DoctorIncidents, PortsExhaustedByOpenConnections) {
  MAKE_INCIDENT(incident, "ports-established");
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "ports-exhausted-established");
  EXPECT_EQ((*finding)["subject"], truth["destination"]);
  expect_close(*finding, "ports_taken", truth["ports_taken"]);
  expect_close(*finding, "live", truth["established"]);
  expect_close(*finding, "time_wait", 0);
  expect_owner(*finding, truth["pid"]);
  EXPECT_EQ(seen.find("ports-exhausted-time-wait"), nullptr);
  expect_same_at_endpoint(incident, seen);
}

class BindBeforeConnect : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(States, BindBeforeConnect, ::testing::Values("established", "time-wait"),
                         [](const auto& state) {
                           return std::string(state.index == 0 ? "Established" : "TimeWait");
                         });

TEST_P(BindBeforeConnect, OnePoolForAllDestinations) {
  MAKE_INCIDENT(incident, "bind-before-connect", std::string("--state=") + GetParam());
  const Json& truth = incident.truth();
  EXPECT_EQ(truth["bind_errno"], EADDRINUSE);
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "bind-before-connect");
  EXPECT_EQ((*finding)["severity"], "problem");
  expect_close(*finding, "ports_pooled", truth["ports_taken"]);
  expect_close(*finding, "destinations", static_cast<double>(truth["destinations"].size()));
  expect_close(*finding, "time_wait", truth["time_wait"]);
  expect_owner(*finding, truth["pid"]);
  expect_same_at_endpoint(incident, seen);
}

TEST(DoctorIncidents, StolenListener) {
  MAKE_INCIDENT(incident, "stolen-listener");
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "listener-port-stolen");
  const Json& evidence = (*finding)["evidence"];
  EXPECT_EQ(evidence["port"], truth["port"]);
  EXPECT_EQ(evidence["taken_by"], truth["taken_by"]);
  EXPECT_EQ(evidence["wanted_by_pid"], truth["wanted_by_pid"]);
  EXPECT_EQ(evidence["taken_by_pid"], truth["owner_pid"]);
}

struct Leak {
  const char* side;
  int connections;  // at a limit of 256 descriptors
};
class CloseWaitLeak : public ::testing::TestWithParam<Leak> {};
INSTANTIATE_TEST_SUITE_P(Sides, CloseWaitLeak,
                         ::testing::Values(Leak{"server", 200}, Leak{"server", 300},
                                           Leak{"client", 200}, Leak{"client", 300}),
                         [](const auto& leak) {
                           return std::string(leak.param.side) +
                                  std::to_string(leak.param.connections);
                         });

TEST_P(CloseWaitLeak, FindsTheProcessAndItsDescriptors) {
  MAKE_INCIDENT(incident, "close-wait-leak", std::string("--side=") + GetParam().side,
                "--connections=" + std::to_string(GetParam().connections));
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "close-wait-leak");
  EXPECT_EQ((*finding)["severity"], "problem");
  expect_close(*finding, "close_wait", truth["close_wait_owned"]);
  expect_close(*finding, "descriptors", truth["descriptors"]);
  expect_close(*finding, "descriptor_limit", truth["descriptor_limit"]);
  EXPECT_EQ((*finding)["evidence"]["pid"], truth["owner_pid"]);
  EXPECT_THAT((*finding)["who_closed_first"].get<std::string>(), HasSubstr("peer"));
  const std::string where = (*finding)["evidence"]["where"];
  EXPECT_THAT(where, HasSubstr(truth.contains("service") ? truth["service"].get<std::string>()
                                                         : std::string("10.1.0.2:8080")));
  const bool exhausted = truth["descriptors"] == truth["descriptor_limit"];
  EXPECT_EQ(seen.find("descriptors-exhausted") != nullptr, exhausted);
  const auto count = [&](const char* name) { return truth[name].get<std::uint64_t>(); };
  const std::uint64_t sockets = count("close_wait_owned") + (truth.contains("service") ? 1 : 0);
  expect_same_at_endpoint(incident, seen,
                          {{"other-descriptors", std::to_string(count("descriptors") - sockets)}});
}

TEST(DoctorIncidents, TimeWaitOverflow) {
  MAKE_INCIDENT(incident, "time-wait-overflow");
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "time-wait-overflow");
  expect_close(*finding, "time_wait_overflow", truth["overflow"]);
  expect_close(*finding, "time_wait_records", truth["time_wait"]);
  expect_close(*finding, "tcp_max_tw_buckets", truth["buckets"]);
  expect_same_at_endpoint(incident, seen);
}

class FinWait2 : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Hows, FinWait2, ::testing::Values("close", "shutdown"),
                         [](const auto& how) { return std::string(how.param); });

TEST_P(FinWait2, PilingUp) {
  MAKE_INCIDENT(incident, "fin-wait-2", std::string("--how=") + GetParam());
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "fin-wait-2-piling-up");
  expect_close(*finding, "fin_wait_2", truth["fin_wait_2"]);
  const bool owned = std::string(GetParam()) == "shutdown";
  expect_close(*finding, "fin_wait_2_with_owner", owned ? truth["fin_wait_2"].get<double>() : 0);
  expect_close(*finding, "fin_wait_2_small_records", owned ? 0 : truth["fin_wait_2"].get<double>());
  EXPECT_THAT((*finding)["subject"].get<std::string>(),
              HasSubstr(truth["service"].get<std::string>()));
  if (owned) expect_owner(*finding, truth["owner_pid"]);
  expect_same_at_endpoint(incident, seen);
}

struct Pile {
  const char* incident;
  const char* finding;
  const char* count;
};
class PilingUp : public ::testing::TestWithParam<Pile> {};
INSTANTIATE_TEST_SUITE_P(States, PilingUp,
                         ::testing::Values(Pile{"last-ack", "last-ack-piling-up", "last_ack"},
                                           Pile{"closing", "closing-piling-up", "closing"},
                                           Pile{"syn-sent", "syn-sent-piling-up", "syn_sent"},
                                           Pile{"syn-received", "syn-received-piling-up",
                                                "syn_received"}),
                         [](const auto& pile) { return std::string(pile.param.count); });

TEST_P(PilingUp, IsFoundAndCounted) {
  MAKE_INCIDENT(incident, GetParam().incident);
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, GetParam().finding);
  expect_close(*finding, "sockets", truth[GetParam().count]);
  const std::string where = truth.contains("destination") ? truth["destination"] : truth["service"];
  EXPECT_THAT((*finding)["subject"].get<std::string>(), HasSubstr(where));
  expect_same_at_endpoint(incident, seen);
}

TEST(DoctorIncidents, ConntrackRemembersLonger) {
  MAKE_INCIDENT(incident, "conntrack");
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "conntrack-time-wait");
  expect_close(*finding, "conntrack_time_wait", truth["conntrack_time_wait"]);
  expect_close(*finding, "sockets_time_wait", truth["time_wait"]);
  EXPECT_EQ(seen.alarms(truth), std::vector<std::string>{});
}

TEST(DoctorIncidents, AcceptQueueOverflow) {
  MAKE_INCIDENT(incident, "accept-queue-overflow");
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "accept-queue-overflow");
  EXPECT_EQ((*finding)["severity"], "problem");
  EXPECT_EQ((*finding)["subject"], truth["service"]);
  EXPECT_EQ((*finding)["evidence"]["accept_queue"], truth["accept_queue"]);
  EXPECT_EQ((*finding)["evidence"]["backlog"], truth["backlog"]);
  expect_owner(*finding, truth["owner_pid"]);
  expect_same_at_endpoint(incident, seen);
}

TEST(DoctorIncidents, ConnectCostCliff) {
  MAKE_INCIDENT(incident, "connect-cliff");
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "connect-cost-cliff");
  EXPECT_EQ((*finding)["subject"], truth["destination"]);
  expect_close(*finding, "ports_taken", truth["ports_taken"]);
  expect_owner(*finding, truth["pid"]);
  EXPECT_EQ(seen.alarms(truth), std::vector<std::string>{"connect-cost-cliff"});
  expect_same_at_endpoint(incident, seen);
}

TEST(DoctorIncidents, JustBeforeTheCliffThereIsNone) {
  MAKE_INCIDENT(incident, "connect-cliff", "--ports=4000", "--taken=1900");
  const Visit seen = visit(incident.truth());
  EXPECT_EQ(seen.find("connect-cost-cliff"), nullptr);
  expect_same_at_endpoint(incident, seen);
}

TEST(DoctorIncidents, SelfConnect) {
  MAKE_INCIDENT(incident, "self-connect");
  const Json& truth = incident.truth();
  const Visit seen = visit(truth);
  EXPECT_FINDING(finding, seen, "self-connect");
  EXPECT_EQ((*finding)["evidence"]["port"], truth["ports"][0]);
  expect_same_at_endpoint(incident, seen);
}

TEST(DoctorIncidents, HealthyServerRaisesNothingAboveNotice) {
  MAKE_INCIDENT(incident, "healthy-server");
  const Json& truth = incident.truth();
  for (const auto& further : {std::vector<std::string>{}, {"--sample", "2"}}) {
    const Visit seen = visit(truth, further);
    EXPECT_EQ(seen.alarms(truth), std::vector<std::string>{}) << seen.page["findings"].dump(2);
    EXPECT_TRUE(seen.page["looked"]);
    const Json* harmless = seen.find("time-wait-server");
    ASSERT_NE(harmless, nullptr);
    // For as long as it has gone on by now; of two looks, at the first.
    const double gone_on =
        (*harmless)["evidence"]["time_wait"].get<double>() / truth["rate"].get<double>();
    const double at_first = gone_on - seen.page["sampled_s"].get<double>();
    expect_same_at_endpoint(incident, seen,
                            {{"warm-up-ms", std::to_string(static_cast<int>(at_first * 1e3))}},
                            {.growing = {"time_wait", "bytes"}});
  }
}

TEST(DoctorIncidents, IdleForSecondsIsNotIdle) {
  MAKE_INCIDENT(incident, "idle-no-keepalive");
  const Visit seen = visit(incident.truth());
  EXPECT_EQ(seen.alarms(incident.truth()), std::vector<std::string>{});
  expect_same_at_endpoint(incident, seen);
}

// The forecast for an endpoint host that has come as far, and what then happens there.
void forecast_at_endpoint(const Incident& incident, const Visit& kernel) {
  const Json& evidence = (*kernel.find("ports-exhausting-time-wait"))["evidence"];
  const double sampled = kernel.page["sampled_s"], rate = incident.truth()["rate"];
  const double at_first = evidence["ports_taken"].get<double>() - sampled * rate;
  auto options = incident.options();
  options["at"] = std::to_string(at_first / evidence["ports_range"].get<double>());
  endpoint_incident::EndpointIncident same("forecast", options, "forecast");
  const Visit endpoint = visit_endpoint(same.look(sampled));
  expect_same_findings(findings_of(kernel, &incident.truth()), findings_of(endpoint, nullptr),
                       {.growing = {"ports_taken", "ports_free", "time_wait", "live"}});
  const Json* finding = endpoint.find("ports-exhausting-time-wait");
  ASSERT_NE(finding, nullptr);
  const auto happened = same.until_ports_run_out(60s);
  ASSERT_TRUE(happened);
  const double forecast = (*finding)["evidence"]["exhausted_in_seconds"];
  EXPECT_NEAR(forecast, seconds(*happened), 0.05 * seconds(*happened));
}

// The forecast from a single dump is within 15 % of what then happens (and so is that of two looks).
class Forecast : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Looks, Forecast, ::testing::Values("one", "two"),
                         [](const auto& looks) { return std::string(looks.param); });

TEST_P(Forecast, IsWithin15PercentOfWhatHappens) {
  MAKE_INCIDENT(incident, "forecast", "--ports=5000", "--rate=400", "--at=0.25");
  const Json& truth = incident.truth();
  const Visit seen =
      std::string(GetParam()) == "one" ? visit(truth) : visit(truth, {"--sample", "1"});
  EXPECT_FINDING(finding, seen, "ports-exhausting-time-wait");
  EXPECT_EQ((*finding)["subject"], truth["destination"]);
  const double forecast = (*finding)["evidence"]["exhausted_in_seconds"];
  forecast_at_endpoint(incident, seen);
  const auto line = incident.read_line("exhausted ");
  ASSERT_TRUE(line) << "the ports did not run out";
  const Json exhausted = Json::parse(*line);
  // A forecast is of a steady rate. A machine that is too busy to keep one proves nothing.
  for (const Json& told : {truth, exhausted}) {
    const double kept = told["rate_kept"];
    const double meant = truth["rate"];
    if (std::abs(kept - meant) > 0.03 * meant) {
      GTEST_SKIP() << "this machine kept " << kept << " connections a second of " << meant;
    }
  }
  const auto exhausted_at = exhausted["wall_time_ns"].get<std::int64_t>();
  const auto looked_at = seen.page["wall_time_ns"].get<std::int64_t>();
  const double happened = static_cast<double>(exhausted_at - looked_at) / 1e9;
  EXPECT_NEAR(forecast, happened, 0.15 * happened);
}

}  // namespace
}  // namespace lastack
