// How much faster than in real time the lab plays on endpoints, on one processor: the incident of port-exhaustion-full
// (28,232 local ports, 60 s in TIME_WAIT, ten minutes of failing and going on), and a million connections, open at the same
// time or in TIME_WAIT at the same time. Simulated seconds for each second of processor time; medians.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <vector>

#include "lab/scenario/library.h"
#include "lab/scenario/run.h"
#include "measure.h"

namespace lastack {
namespace {

constexpr int kRuns = 5;

std::string million() {
  std::string addresses;
  for (int i = 1; i <= 40; ++i)
    addresses += fmt::format("{}\"10.1.0.{}\"", addresses.empty() ? "" : ", ", i);
  return fmt::format(R"(
scenario = "million"
title = "A million connections"
duration = "60 s"
[host.client]
address = [{0}]
descriptors = 1048576
settings = {{ tcp_max_tw_buckets = 1048576 }}
[host.server]
descriptors = 1048576
[wire]
delay = "0.1 ms"
[[server]]
name = "service"
host = "server"
[[clients]]
name = "load"
host = "client"
source = [{0}]
to = "server:80"
rate = 20000
count = 1000000
options = {{ bind_address_no_port = 1 }}
[variant.open]
"clients.load.closes" = "never"
[variant.time-wait]
[[check]]
holds = "client.states.ESTABLISHED == 1000000 and server.states.ESTABLISHED == 1000000"
variant = "open"
[[check]]
holds = "client.states.TIME_WAIT == 1000000"
variant = "time-wait"
)",
                     addresses);
}

// False: it did not do what it is to show, and then its time is worth nothing.
bool measure(const char* what, std::string_view name, std::string_view text,
             const std::string& variant, int runs) {
  const auto file = lab::ScenarioFile::parse(text, std::string(name));
  if (!file) {
    fmt::print(stderr, "{}: {}\n", name, file.error().message);
    return false;
  }
  std::vector<double> cost, wall;
  double took = 0, begun = 0;
  for (int i = 0; i < runs; ++i) {
    lab::RunRequest request;
    request.variants = {variant};
    const double start = bench::cpu_now();
    const auto report = lab::run(*file, request);
    cost.push_back(bench::cpu_now() - start);
    if (!report || report->failures() != 0) {
      fmt::print(stderr, "{}, {}: a condition does not hold\n", name, variant);
      return false;
    }
    const lab::PlayResult& played = *report->variants.front().result;
    wall.push_back(seconds(played.cost));
    took = seconds(played.took);
    for (const auto& [measured, value] : played.measures) {
      if (measured.ends_with(".begun")) begun = std::get<double>(value);
    }
  }
  fmt::print("{:<56} {:>6.0f} s {:>10.0f} {:>9.2f} s {:>8.0f} x {:>8.2f} us\n", what, took, begun,
             bench::median(cost), took / bench::median(cost), bench::median(cost) / begun * 1e6);
  std::fflush(stdout);
  return true;
}

int run() {
  const lab::LibraryScenario* incident = lab::find_in_library("port-exhaustion-full");
  if (incident == nullptr) return 1;
  fmt::print("{:<56} {:>8} {:>10} {:>11} {:>10} {:>11}\n", "", "lasts", "connects", "processor",
             "faster", "a connect");
  const std::string text = million();
  bool good = true;
  good &= measure("28,232 ports run out, again and again", incident->name, incident->text,
                  "flapping", kRuns);
  good &= measure("the same with tcp_tw_reuse = 1: none fails", incident->name, incident->text,
                  "reuse", kRuns);
  good &= measure("a million in TIME_WAIT", "million", text, "time-wait", 1);
  good &= measure("a million open, at both ends", "million", text, "open", 1);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("most memory: {} MB\n", usage.ru_maxrss / 1024);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace lastack

int main() {
  return lastack::run();
}
