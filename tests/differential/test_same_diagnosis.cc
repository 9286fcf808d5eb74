// `lastack doctor` says the same about an endpoint host as about a kernel host in the same incident. The kernel's
// is made by the program `incident` in a private namespace; the endpoint's by endpoint_incidents.cc in virtual
// time, written as a bundle and read with --from.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <regex>

#include "differential/endpoint_incidents.h"
#include "kernel/incident_program.h"
#include "lastack/bundle.h"

namespace lastack::differential {
namespace {

// A process is called by its name there, and the one process of an endpoint by the host's.
std::string without_processes(const std::string& text) {
  static const std::regex kProcess("\\S+ \\(pid \\d+\\)");
  return std::regex_replace(text, kProcess, "PROCESS");
}

// What of the kernel's page is about the incident: other processes of the machine may be in whatever trouble
// they like.
std::vector<Json> findings_of(const Json& page, const Json* truth) {
  std::vector<Json> all;
  for (const Json& finding : page["findings"]) {
    bool ours = truth == nullptr || !finding["namespace"].get<std::string>().empty();
    if (!ours) {
      for (const Json& owner : finding["owners"]) {
        for (const char* name : {"pid", "owner_pid", "server_pid"}) {
          ours = ours || (truth->contains(name) && owner["pid"] == (*truth)[name]);
        }
      }
    }
    if (ours) all.push_back(finding);
  }
  return all;
}

std::string headline(const Json& finding) {
  return finding["severity"].get<std::string>() + ' ' + finding["id"].get<std::string>() + ' ' +
         without_processes(finding["subject"].get<std::string>());
}
std::string headlines(const std::vector<Json>& findings) {
  std::string all;
  for (const Json& finding : findings) all += headline(finding) + '\n';
  return all;
}

// Numbers that cannot be the same: a process of the kernel has descriptors besides its sockets, and moments of
// real time are not those of virtual time. The former may differ by eight, the latter are there or not.
bool is_descriptor_count(const std::string& name) {
  return name == "descriptors" || name == "descriptors_open";
}
bool is_time(const std::string& name) {
  return name.ends_with("_seconds") || name.ends_with("_per_second") || name.ends_with("_s") ||
         name.ends_with("_ms");
}

void expect_same_evidence(const std::string& id, const Json& kernel, const Json& endpoint) {
  for (const auto& [name, value] : kernel.items()) {
    if (!endpoint.contains(name)) {
      ADD_FAILURE() << id << ": the endpoint has no " << name << ", the kernel " << value;
      continue;
    }
    const Json& other = endpoint[name];
    if (name == "pid" || name.ends_with("_pid") || is_time(name)) continue;
    if (value.is_number() && other.is_number()) {
      const double a = value.get<double>(), b = other.get<double>();
      const double most = is_descriptor_count(name) ? 8 : 0.02 * std::abs(a);
      EXPECT_LE(std::abs(a - b), most) << id << ' ' << name << ": " << a << " and " << b;
    } else if (value.is_string() && other.is_string()) {
      EXPECT_EQ(without_processes(value), without_processes(other)) << id << ' ' << name;
    } else {
      EXPECT_EQ(value, other) << id << ' ' << name;
    }
  }
  for (const auto& [name, value] : endpoint.items()) {
    EXPECT_TRUE(kernel.contains(name)) << id << ": only the endpoint has " << name << ' ' << value;
  }
}

std::uint64_t sockets_owned(const Json& finding) {
  std::uint64_t most = 0;
  for (const Json& owner : finding["owners"]) {
    most = std::max(most, owner["sockets"].get<std::uint64_t>());
  }
  return most;
}
std::vector<std::string> layers(const Json& finding) {
  std::vector<std::string> all;
  for (const Json& remedy : finding["remedies"]) all.push_back(remedy["layer"]);
  return all;
}

void expect_same(const std::vector<Json>& kernel, const std::vector<Json>& endpoint) {
  ASSERT_EQ(headlines(kernel), headlines(endpoint));
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const Json& a = kernel[i];
    const Json& b = endpoint[i];
    const std::string id = a["id"];
    EXPECT_EQ(without_processes(a["who_closed_first"]), without_processes(b["who_closed_first"]))
        << id;
    expect_same_evidence(id, a["evidence"], b["evidence"]);
    EXPECT_EQ(layers(a), layers(b)) << id;
    EXPECT_EQ(a["owners"].empty(), b["owners"].empty()) << id << a["owners"] << b["owners"];
    const auto of_a = sockets_owned(a), of_b = sockets_owned(b);
    EXPECT_LE(std::abs(static_cast<double>(of_a) - static_cast<double>(of_b)),
              0.02 * static_cast<double>(of_a))
        << id << a["owners"] << b["owners"];
  }
}

struct Case {
  const char* name;
  std::vector<std::pair<std::string, std::string>> options{};
};

class SameDiagnosis : public ::testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(
    Incidents, SameDiagnosis,
    ::testing::Values(Case{"ports-time-wait"}, Case{"ports-established"}, Case{"connect-cliff"},
                      Case{"bind-before-connect"},
                      Case{"bind-before-connect", {{"state", "time-wait"}}},
                      Case{"close-wait-leak"}, Case{"close-wait-leak", {{"connections", "300"}}},
                      Case{"close-wait-leak", {{"side", "client"}}},
                      Case{"close-wait-leak", {{"side", "client"}, {"connections", "300"}}},
                      Case{"time-wait-overflow"}, Case{"fin-wait-2"},
                      Case{"fin-wait-2", {{"how", "shutdown"}}}, Case{"last-ack"}, Case{"closing"},
                      Case{"syn-sent"}, Case{"accept-queue-overflow"}, Case{"self-connect"},
                      Case{"idle-no-keepalive"}, Case{"healthy-server"}),
    [](const auto& of) {
      std::string name = of.param.name;
      for (const auto& [option, value] : of.param.options) name += '_' + option + '_' + value;
      for (char& c : name) {
        if (c == '-') c = '_';
      }
      return name;
    });

TEST_P(SameDiagnosis, OfTheKernelAndOfTheEndpoint) {
  IncidentOptions options;
  std::vector<std::string> arguments{GetParam().name};
  for (const auto& [name, value] : GetParam().options) {
    options.emplace(name, value);
    arguments.push_back("--" + name + '=' + value);
  }
  const HostSnapshot snapshot = endpoint_incident(GetParam().name, options);
  const auto path =
      std::filesystem::temp_directory_path() / ("lastack-endpoint-" + std::to_string(getpid()));
  const auto written = write_bundle({.earlier = {}, .now = snapshot}, path.string());
  ASSERT_TRUE(written) << written.error().message;
  const Visit endpoint = ask_doctor({"--from", path.string()});
  std::filesystem::remove(path);

  Incident incident(arguments);
  if (incident.denied()) GTEST_SKIP() << "this machine permits no private namespaces";
  ASSERT_TRUE(incident.made());
  const Visit kernel = visit(incident.truth());
  EXPECT_EQ(kernel.page["looked"], endpoint.page["looked"]);
  expect_same(findings_of(kernel.page, &incident.truth()), findings_of(endpoint.page, nullptr));
  if (::testing::Test::HasFailure()) {
    std::printf("kernel: %s\nendpoint: %s\n", kernel.page["findings"].dump(1).c_str(),
                endpoint.page["findings"].dump(1).c_str());
  }
}

}  // namespace
}  // namespace lastack::differential
