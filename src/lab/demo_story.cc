#include "lab/demo_story.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <optional>

#include "lab/child_process.h"
#include "lab/clock.h"
#include "lab/echo_server.h"
#include "lastack/doctor.h"
#include "lastack/kernel.h"
#include "lastack/report.h"

namespace lastack {
namespace {

class Story {
 public:
  Story(const DemoScript& script, const DemoPage& page) : script_(script), page_(page) {}

  int tell();

 private:
  void say(std::string_view line);
  void heading(std::string_view text);
  // What went otherwise than told; the story ends there.
  bool wrong(std::string_view what);

  bool start_database();
  bool incident(Duration length);
  bool came_back() const;
  bool diagnosis();
  bool program_remedy();
  bool kernel_remedy();
  bool take_back_kernel_remedy();
  void summary();

  // Runs a load slice by slice and shows each. False when the page can no longer be written.
  template <class Load>
  bool show(Load& load, Duration length, bool pooled, std::vector<DemoSlice>& slices);
  Result<Diagnosis> look_around() const;
  void count_ports(DemoSlice& slice) const;
  Result<ShortConnections> short_connections() const;
  KernelConnectOptions connect_options() const;

  const DemoScript& script_;
  const DemoPage& page_;
  std::optional<ChildProcess> database_;
  std::optional<ShortConnections> service_;
  std::vector<DemoSlice> incident_;
  Instant begun_{};
  std::vector<DemoPart> parts_;
};

void Story::say(std::string_view line) {
  fmt::print(page_.out, "{}\n", line);
  std::fflush(page_.out);
}

void Story::heading(std::string_view text) {
  say("");
  say(page_.ink.strong(text));
}

bool Story::wrong(std::string_view what) {
  say("");
  say(page_.ink.bad(fmt::format("The story did not go as told: {}", what)));
  return false;
}

KernelConnectOptions Story::connect_options() const {
  return {.source = script_.client, .destination = script_.database};
}

Result<ShortConnections> Story::short_connections() const {
  LoadOptions load;
  load.connect = connect_options();
  load.rate = script_.rate;
  return ShortConnections::start(load);
}

bool Story::start_database() {
  auto server = EchoServer::start({.listen_on = {script_.database}});
  if (!server) return wrong(server.error().message);
  auto process = ChildProcess::start([&] {
    prctl(PR_SET_NAME, "demo-database");
    server->serve();
    return 0;
  });
  if (!process) return wrong(process.error().message);
  database_.emplace(*std::move(process));
  prctl(PR_SET_NAME, "demo-service");
  return true;
}

Result<Diagnosis> Story::look_around() const {
  auto snapshot = look();
  if (!snapshot) return tl::unexpected(std::move(snapshot.error()));
  Observation observation;
  observation.now = *std::move(snapshot);
  for (NamespaceSnapshot& ns : observation.now.namespaces) ns.name = "demo";
  return diagnose(observation);
}

// As the doctor counts: what a connect() to the database could not have now.
void Story::count_ports(DemoSlice& slice) const {
  slice.ports = script_.range.size();
  const auto diagnosis = look_around();
  if (!diagnosis) return;
  for (const Headroom& room : diagnosis->headroom) {
    if (room.remote != script_.database) continue;
    slice.ports_gone = room.taken - std::min(room.reusable_now, room.taken);
  }
}

template <class Load>
bool Story::show(Load& load, Duration length, bool pooled, std::vector<DemoSlice>& slices) {
  const Instant start = monotonic_now();
  for (Instant end = start; end < start + length;) {
    end = std::min(end + script_.slice, start + length);
    DemoSlice slice;
    slice.pooled = pooled;
    slice.load = load.run_for(end - monotonic_now());
    slice.at = end - begun_;
    count_ports(slice);
    say(demo_table_line(slice, page_.ink));
    if (std::ferror(page_.out) != 0) return false;
    slices.push_back(std::move(slice));
  }
  return true;
}

bool Story::incident(Duration length) {
  if (!service_) {
    auto started = short_connections();
    if (!started) return wrong(started.error().message);
    service_.emplace(*std::move(started));
    begun_ = monotonic_now();
  }
  return show(*service_, length, false, incident_);
}

bool Story::came_back() const {
  bool was_down = false;
  for (const DemoSlice& slice : incident_) {
    if (was_down && !slice.down()) return true;
    was_down = was_down || slice.down();
  }
  return false;
}

bool Story::diagnosis() {
  heading("2  The diagnosis: lastack doctor, inside, while the service is down");
  auto diagnosis = look_around();
  if (!diagnosis) return wrong(diagnosis.error().message);
  say(to_text(*diagnosis, {.width = page_.width, .color = page_.ink.color}));
  const std::string destination =
      script_.client.to_string() + " -> " + script_.database.to_string();
  const auto named = [&](const Finding& finding) {
    return finding.severity == Severity::Problem && finding.subject == destination &&
           finding.id.starts_with("ports-exhaust");
  };
  if (std::ranges::none_of(diagnosis->findings, named)) {
    return wrong("the doctor did not find the exhausted ports");
  }
  return true;
}

DemoPart part_of(std::string name, const std::vector<DemoSlice>& slices, Duration length) {
  DemoPart part;
  part.name = std::move(name);
  part.length = length;
  for (const DemoSlice& slice : slices) part.load += slice.load;
  return part;
}

bool Story::program_remedy() {
  heading(fmt::format(
      "{}  The program's remedy: a pool of {} connections that stay open, the same {:.0f}/s",
      script_.kernel_first ? 4 : 3, script_.pool, script_.rate));
  PoolOptions options;
  options.connect = connect_options();
  options.rate = script_.rate;
  options.size = script_.pool;
  auto pool = RequestPool::start(options);
  if (!pool) return wrong(pool.error().message);
  if (!pool->fill(200ms)) {
    say("no port is free for it: it waits for the first ones to come back");
    const Instant start = monotonic_now();
    if (!pool->fill(script_.hold + 3s)) return wrong("the pool could not open its connections");
    say(fmt::format("its {} connections stand, after {:.1f} s", script_.pool,
                    seconds(monotonic_now() - start)));
  }
  if (script_.kernel_first && !take_back_kernel_remedy()) return false;

  std::vector<DemoSlice> slices;
  say(demo_table_head(page_.ink, true));
  if (!show(*pool, script_.pool_part, true, slices)) return false;
  DemoPart part = part_of("a pool of " + std::to_string(script_.pool), slices, script_.pool_part);
  part.connections = pool->connections_opened();
  const std::uint64_t failed = part.load.failed;
  const std::uint64_t ok = part.load.ok;
  parts_.push_back(std::move(part));
  if (failed > 0) return wrong(fmt::format("{} requests failed with the pool", failed));
  if (ok == 0) return wrong("the pool answered nothing");
  return true;
}

bool Story::kernel_remedy() {
  const SysctlValue& remedy = script_.kernel_remedy;
  heading(fmt::format("{}  The kernel's remedy: sysctl -w {}={}, short connections as before",
                      script_.kernel_first ? 3 : 4, remedy.name, remedy.value));
  if (auto written = write_sysctl(remedy); !written) return wrong(written.error().message);
  auto service = short_connections();
  if (!service) return wrong(service.error().message);
  std::vector<DemoSlice> slices;
  say(demo_table_head(page_.ink, false));
  if (!show(*service, script_.kernel_part, false, slices)) return false;
  DemoPart part = part_of(remedy.name.substr(remedy.name.rfind('.') + 1) + "=" + remedy.value,
                          slices, script_.kernel_part);
  part.load += service->finish();
  part.connections = part.load.ok;
  const std::uint64_t failed = part.load.failed;
  const std::uint64_t ok = part.load.ok;
  parts_.push_back(std::move(part));
  if (failed > 0) return wrong(fmt::format("{} requests failed with the kernel's remedy", failed));
  if (ok == 0) return wrong("nothing was answered with the kernel's remedy");
  return true;
}

bool Story::take_back_kernel_remedy() {
  const SysctlValue& undo = script_.kernel_remedy_undo;
  if (auto written = write_sysctl(undo); !written) return wrong(written.error().message);
  say(fmt::format("the pool is open; {}={} again, so that nothing helps but the pool", undo.name,
                  undo.value));
  return true;
}

void Story::summary() {
  heading("Before and after");
  for (const std::string& line : demo_summary(parts_, page_.ink)) say(line);
  say("");
  say("The pool mends the cause: no connection is closed, so no port is held. The kernel's");
  say("setting only gives ports back sooner. `lastack doctor` looks at your own host.");
}

int Story::tell() {
  if (!start_database()) return 1;
  heading("1  The incident");
  say(demo_table_head(page_.ink, false));
  if (!incident(script_.before_diagnosis)) return 1;
  if (!incident_.empty() && incident_.front().down()) {
    wrong("the service was down from the start");
    return 1;
  }
  const bool ran_out = std::ranges::any_of(incident_, [](const DemoSlice& slice) {
    return slice.down() && slice.load.failed_with(EADDRNOTAVAIL) > 0;
  });
  if (!ran_out) {
    wrong("the local ports did not run out");
    return 1;
  }
  if (!diagnosis()) return 1;
  if (script_.after_diagnosis > Duration{}) {
    heading("1  The incident goes on");
    say(demo_table_head(page_.ink, false));
    if (!incident(script_.after_diagnosis)) return 1;
  }
  if (script_.mode != DemoMode::NoReturn && !came_back()) {
    wrong("the service did not come back while ports did");
    return 1;
  }
  DemoPart before = part_of("a connection for every request", incident_,
                            script_.before_diagnosis + script_.after_diagnosis);
  before.load += service_->finish();
  service_.reset();
  before.connections = before.load.ok;
  parts_.push_back(std::move(before));

  const bool cured = script_.kernel_first ? kernel_remedy() && program_remedy()
                                          : program_remedy() && kernel_remedy();
  if (!cured) return 1;
  summary();
  return std::ferror(page_.out) != 0 ? 1 : 0;
}

}  // namespace

int tell_demo_story(const DemoScript& script, const DemoPage& page) {
  return Story(script, page).tell();
}

}  // namespace lastack
