#include "lab/scenario/play.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "lab/clock.h"
#include "lab/lifecycle_recorder.h"
#include "lab/scenario/can_play.h"
#include "lab/scenario/changes.h"
#include "lab/scenario/faults.h"
#include "lab/scenario/host_measures.h"
#include "lab/scenario/nat.h"
#include "lab/scenario/real_programs.h"
#include "lab/scenario/stage.h"
#include "lab/scenario/steps.h"
#include "lab/wire_capture.h"

namespace lastack::lab {
namespace {

constexpr std::size_t kSamples = 200;
constexpr Duration::rep kMarks = 400;
constexpr Duration kLeastSample = 1ms;
// With nothing else to do a run in real time looks up now and then.
constexpr Duration kLongestSleep = 100ms;

LifecycleHeader header_of(const Scenario& scenario, const PlayOptions& options) {
  const Where where = options.where;
  LifecycleHeader header;
  header.tool_version = options.tool_version;
  header.world = where == Where::Endpoint ? World::Endpoint
                 : where == Where::Kernel ? World::Kernel
                                          : World::Mixed;
  header.vantage = scenario.name;
  header.seed = options.seed;
  for (const NatSpec& nat : scenario.nats) header.nats[nat.name].address = nat.address.to_string();
  for (const HostSpec& host : scenario.hosts) {
    if (!host.behind.empty()) header.nats[host.behind].inside.push_back(host.name);
    for (const auto& [name, value] : host.settings) header.settings[host.name + " " + name] = value;
  }
  const bool kernels = where != Where::Endpoint;
  header.coverage["segment"] = Coverage::Complete;
  header.coverage["state"] = kernels ? Coverage::Absent : Coverage::Complete;
  header.coverage["timer"] = kernels ? Coverage::Absent : Coverage::Complete;
  header.coverage["timewait"] = kernels ? Coverage::Absent : Coverage::Complete;
  // What real programs call is not seen.
  header.coverage["app"] = scenario.programs.empty() ? Coverage::Complete : Coverage::Sampled;
  header.coverage["host"] = Coverage::Complete;
  return header;
}

class Play final : public Stage {
 public:
  Play(const Scenario& scenario, const PlayOptions& options)
      : scenario_(scenario), options_(options), net_(options.seed, scenario.wire) {
    if (options.for_page) marks_.emplace(scenario.duration / kMarks);
    if (options.log || options.capture) {
      recorder_.emplace(header_of(scenario, options), options.log);
    }
  }
  ~Play() {
    real_.reset();
    programs_.clear();
    hosts_.clear();
    for (const auto& nat : nats_) net_.detach(*nat);
  }

  Instant now() const override { return net_.now(); }
  bool in_real_time() const override { return !kernels_.empty(); }
  std::optional<std::uint64_t> memory() const override {
    if (!kernels_.empty()) return kernels_.front()->memory();  // all are one machine's
    std::uint64_t sum = 0;
    for (LabHost* host : in_order_) sum += host->memory().value_or(0);
    return sum;
  }
  bool crash(const std::string& name, bool quiet) override {
    const NodeId before = ids_[name];
    if (!hosts_[name]->crash(quiet)) return false;
    ids_[name] = hosts_[name]->id();
    lay_links();
    settings_.clear();
    happened(name, Happening::HostCrashed, quiet ? "quiet for an MSL" : "");
    mark(name + " crashes");
    if (faults_) faults_->moved(before, ids_[name]);
    if (capture_) capture_->moved(before, ids_[name]);
    return true;
  }
  void was_set(const std::string& host, const std::string& setting,
               const std::string& value) override {
    settings_.clear();
    happened(host, Happening::SettingChanged, fmt::format("{} = {}", setting, value));
    mark(fmt::format("{}: {} = {}", host, setting, value));
  }

  Result<PlayResult> run() {
    began_ = net_.now();
    if (auto made = make_hosts(); !made) return tl::unexpected(made.error());
    make_wire();
    if (auto made = make_programs(); !made) return tl::unexpected(made.error());
    for (const auto& host : in_order_) before_[host->name()] = host->counts();
    sample();
    const Instant end = later(began_, scenario_.duration);
    if (kernels_.empty()) {
      run_virtually(end);
    } else if (auto ran = run_in_real_time(end); !ran) {
      return tl::unexpected(ran.error());
    }
    sample_now();
    if (capture_) capture_->finish(now());
    if (marks_) result_.marks = marks_->all();
    measure();
    if (steps_) result_.notes = steps_->notes();
    if (real_) result_.programs = real_->end();
    result_.took = now() - began_;
    return std::move(result_);
  }

 private:
  Result<void> make_hosts() {
    std::uint64_t number = 0;
    for (const HostSpec& spec : scenario_.hosts) {
      ++number;
      const HostKind kind = kind_in(spec, options_.where, number == 1);
      const auto states = kind == HostKind::Endpoint ? LifecycleRecorder::States::Told
                                                     : LifecycleRecorder::States::Untold;
      HostObserver* observer = recorder_ ? recorder_->observe(spec.name, states) : nullptr;
      std::unique_ptr<LabHost> host;
      if (kind == HostKind::Endpoint) {
        host = make_endpoint_host(spec, net_, options_.seed * 1'000'003 + number, observer);
      } else {
        auto kernel = KernelHost::make(spec, net_, observer);
        if (!kernel) return tl::unexpected(kernel.error());
        kernels_.push_back(kernel->get());
        if (observer != nullptr) observed_[(*kernel)->id()] = observer;
        host = *std::move(kernel);
      }
      in_order_.push_back(host.get());
      ids_[spec.name] = host->id();
      hosts_[spec.name] = std::move(host);
    }
    if (kernels_.size() == 1) kernels_.front()->limit_process();
    if (!recorder_) return {};
    for (LabHost* host : in_order_) {
      host->on_refusal([this, host](const Endpoint& remote, Err error) {
        happened(host->name(), Happening::AppRefused,
                 fmt::format("{}, to {}", to_string(error), remote.to_string()));
        if (capture_) capture_->refused(host->name(), remote, error);
      });
    }
    return {};
  }

  void make_wire() {
    for (const NatSpec& spec : scenario_.nats) {
      nats_.push_back(std::make_unique<Nat>(spec));
      net_.attach(*nats_.back());
      if (recorder_) {
        nats_.back()->on_loss([this, name = spec.name](auto packet, Instant at, auto why) {
          lost_in(name, packet, at, why);
        });
      }
      ids_[spec.name] = net_.id(*nats_.back());
    }
    changes_.emplace(scenario_, *this, net_, ids_, nats_,
                     [this](const std::string& of, const ChangeSpec& change) {
                       happened("wire", Happening::SettingChanged,
                                fmt::format("{}: {}", of, change.text));
                       mark(fmt::format("{}: {}", of, change.text));
                     });
    lay_links();
    if (recorder_) {
      // A kernel does not tell what it sends and gets: its device does. Before the wire, where something begins there;
      // after it, where it ends.
      if (!observed_.empty())
        net_.add_tap([this](const WireNote& note) { tell_of(note, WireEvent::Sent, note.from); });
      recorder_->watch(net_);
      if (marks_) net_.add_tap([this](const WireNote& note) { mark_loss(note); });
      if (options_.capture) begin_capture();
      if (!observed_.empty())
        net_.add_tap(
            [this](const WireNote& note) { tell_of(note, WireEvent::Delivered, note.to); });
    }
    if (!scenario_.faults.empty()) {
      faults_.emplace(scenario_.faults, began_, ids_);
      net_.set_fault([this](Passage& passage) {
        faults_->look_at(passage);
        if (recorder_) name_faults();
        if (!capture_) return;
        for (const std::size_t which : faults_->struck_last())
          capture_->struck(scenario_.faults[which].name);
      });
    }
  }

  void mark(const std::string& label) {
    if (marks_) marks_->put(label, Instant(now() - began_));
  }
  // Of a host, and of no connection.
  void happened(const std::string& host, Happening what, std::string why) {
    if (!recorder_) return;
    LifecycleEvent e;
    e.at = now();
    e.host = host;
    e.what = what;
    e.why = std::move(why);
    recorder_->tell(std::move(e));
  }
  void name_faults() {
    std::string names;
    for (const std::size_t which : faults_->struck_last()) {
      const std::string& name = scenario_.faults[which].name;
      mark("fault " + name);
      const FaultSpec& spec = scenario_.faults[which];
      // What is late, or comes again, does its harm then.
      if (marks_ && spec.by > Duration::zero()) {
        const bool copies = spec.deed == FaultSpec::Deed::Duplicate;
        marks_->put(fmt::format("fault {}: {}", name, copies ? "copies arrive" : "arrive late"),
                    later(Instant(now() - began_), spec.by));
      }
      names += (names.empty() ? "" : ", ") + name;
    }
    recorder_->struck(std::move(names));
  }
  void lost_in(const std::string& nat, std::span<const std::byte> packet, Instant at,
               std::string_view why) {
    const auto view = PacketView::of(packet);
    if (!view) return;
    LifecycleEvent e;
    e.at = at;
    e.host = "wire";
    e.tuple = view->tuple;
    e.what = Happening::SegmentDropped;
    e.why = fmt::format("{}: {}", nat, why);
    e.segment = seen(*view);
    e.segment_id = recorder_->arriving();
    recorder_->tell(std::move(e));
    mark(fmt::format("{} drops: {}", nat, why));
  }
  // What the wire loses by chance or for its limits: a fault is named when it strikes.
  void mark_loss(const WireNote& note) {
    switch (note.event) {
      case WireEvent::Lost:
        return mark("lost on the wire");
      case WireEvent::QueueFull:
        return mark("lost: queue full");
      case WireEvent::TooBig:
        return mark("lost: larger than the MTU");
      case WireEvent::Unroutable:
      case WireEvent::Gone:
        return mark("lost: nobody there");
      default:
        return;
    }
  }

  void begin_capture() {
    std::vector<WireCapture::Place> places;
    const auto add = [&](const std::string& name, std::string about, bool tells_why,
                         const std::vector<IpAddress>& addresses) {
      const auto& only = options_.capture_at;
      if (!only.empty() && std::find(only.begin(), only.end(), name) == only.end()) return;
      places.push_back({ids_[name], {name, std::move(about), addresses}, tells_why});
    };
    for (const LabHost* host : in_order_) {
      add(host->name(), host->is_kernel() ? "a host: the running kernel" : "a host: an endpoint",
          !host->is_kernel(), host->spec().addresses);
    }
    for (const NatSpec& nat : scenario_.nats) add(nat.name, "a NAT", true, {nat.address});
    capture_.emplace(
        "lastack " + options_.tool_version,
        fmt::format("{}: on {}, seed {}. Times are those of the run, which begins at 1 s; a packet "
                    "is here once for each host that sends or gets it.",
                    scenario_.name, to_string(options_.where), options_.seed),
        places, options_.capture);
    capture_->watch(net_, *recorder_);
  }

  void lay_links() {
    for (const HostSpec& spec : scenario_.hosts) {
      if (!spec.behind.empty()) net_.set_gateway(ids_[spec.name], ids_[spec.behind]);
    }
    changes_->lay_links();
  }

  void tell_of(const WireNote& note, WireEvent event, NodeId whom) {
    if (note.event != event) return;
    const auto observed = observed_.find(whom);
    if (observed == observed_.end()) return;
    const auto view = PacketView::of(note.bytes);
    if (!view) return;
    if (event == WireEvent::Sent) {
      observed->second->sent(note.at, view->tuple, seen(*view));
    } else {
      observed->second->received(note.at, {view->tuple.remote, view->tuple.local}, seen(*view));
    }
  }

  Result<void> make_programs() {
    const auto add = [&](const auto& spec, std::unique_ptr<Program> program) {
      begin_after_.push_back(spec.when.after);
      program_names_.emplace_back(spec.name, spec.host);
      programs_.push_back(std::move(program));
    };
    for (const ServerSpec& spec : scenario_.servers) add(spec, make_server(spec, *this));
    for (const ClientsSpec& spec : scenario_.clients) add(spec, make_clients(spec, *this));
    for (const PoolSpec& spec : scenario_.pools) add(spec, make_pool(spec, *this));
    if (!scenario_.steps.empty()) {
      steps_.emplace(
          scenario_.steps, *this, [this](const std::string& step) { ended(step); },
          [this](const Check& check) {
            looked_.clear();
            return check.ask(
                [this](std::string_view, std::string_view name) { return measure_now(name); });
          });
    }
    if (scenario_.programs.empty()) {
      begin();
      return {};
    }
    auto real = RealPrograms::make(
        scenario_, *this, [this] { begin(); },
        [this](const std::string& program) { ended(program); });
    if (!real) return tl::unexpected(real.error());
    real_ = *std::move(real);
    real_->start();
    return {};
  }

  // What waits for nothing.
  void begin() {
    changes_->start_after("");
    start_programs("");
    if (steps_) steps_->start();
  }
  // A step, or a real program.
  void ended(const std::string& name) {
    if (faults_) faults_->ended(name);
    changes_->start_after(name);
    start_programs(name);
  }

  // Those that wait for this step; "": for none.
  void start_programs(const std::string& step) {
    for (std::size_t i = 0; i < programs_.size(); ++i) {
      if (begin_after_[i] == step) programs_[i]->start();
    }
    if (real_) real_->start_after(step);
  }

  bool over() const {
    if (in_vain_) return true;
    if (real_ && real_->failed()) return true;
    if (scenario_.programs_decide) return false;
    return (!steps_ || steps_->over()) && (!real_ || real_->over());
  }

  void tell_progress() {
    if (!options_.progress) return;
    options_.progress(seconds(now() - began_) / std::max(1e-9, seconds(scenario_.duration)));
  }

  void run_virtually(Instant end) {
    while (now() < end && !over()) {
      // One instant after the other: what happens in it may put something on the agenda that is due before the next.
      const bool sent = net_.step(std::min(agenda_.next(), end));
      const bool done = agenda_.advance(net_.now());
      if (steps_ && (sent || done)) steps_->happened();
    }
    net_.run_until(net_.now());  // what was done last is sent
  }

  // The wire's clock follows the real one.
  Result<void> run_in_real_time(Instant end) {
    const Instant started = monotonic_now();
    const Instant base = net_.now();
    std::vector<pollfd> waits;
    for (KernelHost* kernel : kernels_) waits.push_back({kernel->descriptor(), POLLIN, 0});
    if (real_) real_->add_to(waits);
    while (now() < end && !over()) {
      const Instant due = std::min(agenda_.next(), net_.next_time());
      const Instant begun = base + (monotonic_now() - started);
      if (due < end) result_.late = std::max(result_.late, begun - due);
      // What a kernel has sent while this slept is sent now, and not when it went to sleep. What was due before comes
      // first, and in its order, however late it is.
      for (Instant next = agenda_.next(); next < begun; next = agenda_.next()) {
        net_.run_until(next);
        agenda_.advance(next);
      }
      net_.run_until(begun);
      for (KernelHost* kernel : kernels_) kernel->wake();
      if (real_) real_->wake();
      net_.run_until(base + (monotonic_now() - started));
      agenda_.advance(net_.now());
      if (steps_) steps_->happened();  // a kernel does not say what it does
      const Instant next = std::min({agenda_.next(), net_.next_time(), end});
      const Instant here = base + (monotonic_now() - started);
      // What came while this was busy has waited, and so has what a step looks for.
      result_.late = std::max(result_.late, here - begun);
      const Duration sleep = std::clamp<Duration>(next - here, Duration::zero(), kLongestSleep);
      const timespec time{sleep.count() / 1'000'000'000, sleep.count() % 1'000'000'000};
      if (::ppoll(waits.data(), waits.size(), &time, nullptr) < 0 && errno != EINTR) {
        return tl::unexpected(system_error(errno, "cannot wait for a device"));
      }
      // Not that it slept so long: what a kernel sent meanwhile waits at its device.
      result_.late =
          std::max(result_.late, base + (monotonic_now() - started) - later(here, sleep));
    }
    return {};
  }

  void sample() {
    Duration every = scenario_.sample;
    if (every == Duration::zero())
      every = std::max(kLeastSample, scenario_.duration / static_cast<Duration::rep>(kSamples));
    sample_now();
    tell_progress();
    in_vain_ = options_.in_vain && options_.in_vain();
    agenda_.at(
        later(now(), every), [this] { sample(); }, Agenda::Kind::Look);
  }
  void sample_now() {
    if (result_.series.empty()) {
      for (const LabHost* host : in_order_) result_.series.push_back({host->name(), {}});
      most_.resize(in_order_.size());
    }
    for (std::size_t i = 0; i < in_order_.size(); ++i) {
      Sample s{Instant(now() - began_), in_order_[i]->time_waits(), in_order_[i]->descriptors(),
               std::nullopt};
      const bool counted = scenario_.counted.contains(in_order_[i]->name());
      const bool drawn = options_.for_page && in_order_[i]->is_kernel();
      if (counted || drawn) {
        const StateCounts states = in_order_[i]->counts().states;
        if (drawn) s.states = states;
        for (const TcpState state : kAllTcpStates)
          most_[i].states[state] = std::max(most_[i].states[state], states[state]);
      }
      most_[i].time_waits = std::max(most_[i].time_waits, s.time_waits);
      most_[i].descriptors = std::max(most_[i].descriptors, s.descriptors);
      result_.series[i].samples.push_back(s);
    }
    for (std::size_t i = 0, k = 0; i < programs_.size(); ++i) {
      const auto tally = programs_[i]->tally();
      if (!tally) continue;
      if (k == result_.tallies.size()) {
        const auto& [program, host] = program_names_[i];
        result_.tallies.push_back({program, host, {}});
      }
      result_.tallies[k++].samples.emplace_back(Instant(now() - began_), *tally);
    }
  }

  // "client.settings.tcp_tw_reuse": looked at once, and again after a change.
  void measure_settings(LabHost& host, Measures& into) {
    const auto known = settings_.find(&host);
    const Settings& all =
        known != settings_.end() ? known->second : settings_[&host] = host.settings();
    put_settings(host.name(), all, into);
  }

  void measure_most(std::size_t host, Measures& into) const {
    const std::string prefix = in_order_[host]->name() + ".most.";
    into[prefix + "TIME_WAIT"] = static_cast<double>(most_[host].time_waits);
    into[prefix + "descriptors"] = static_cast<double>(most_[host].descriptors);
    if (!scenario_.counted.contains(in_order_[host]->name())) return;
    for (const TcpState state : kAllTcpStates) {
      if (state == TcpState::TimeWait || state == TcpState::Closed) continue;
      into[fmt::format("{}{}", prefix, to_string(state))] =
          static_cast<double>(most_[host].states[state]);
    }
  }

  // For `until`: whatever is measured so far.
  const Measure* measure_now(std::string_view name) {
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return nullptr;
    if (const auto host = hosts_.find(std::string(name.substr(0, dot))); host != hosts_.end()) {
      if (name.substr(dot + 1).starts_with("settings.")) {
        measure_settings(*host->second, now_);
      } else if (name.substr(dot + 1).starts_with("most.")) {
        const auto at = std::find(in_order_.begin(), in_order_.end(), host->second.get());
        measure_most(static_cast<std::size_t>(at - in_order_.begin()), now_);
      } else if (!put_count(host->first, name.substr(dot + 1), counts_now(*host->second),
                            before_[host->first], now_)) {
        return nullptr;
      }
    } else {
      for (const auto& program : programs_) program->measure(now_);
      if (real_) real_->measure(now_);
      if (steps_) steps_->measure(now_);
      measure_wire(now_);
    }
    const auto found = now_.find(name);
    return found == now_.end() ? nullptr : &found->second;
  }

  // Of one condition each name asks; the walk over all sockets is made once.
  const HostCounts& counts_now(LabHost& host) {
    const auto known = looked_.find(&host);
    return known != looked_.end() ? known->second : looked_[&host] = host.counts();
  }

  void measure_wire(Measures& into) {
    const auto& c = net_.counts();
    into["wire.sent"] = static_cast<double>(c.sent);
    into["wire.delivered"] = static_cast<double>(c.delivered);
    into["wire.lost"] = static_cast<double>(c.lost + c.dropped + c.queue_full);
    changes_->measure(into);
    if (faults_) {
      for (std::size_t i = 0; i < scenario_.faults.size(); ++i) {
        into[scenario_.faults[i].name + ".struck"] = static_cast<double>(faults_->struck()[i]);
      }
    }
    for (std::size_t i = 0; i < nats_.size(); ++i) {
      const std::string& name = scenario_.nats[i].name;
      into[name + ".mapped"] = static_cast<double>(nats_[i]->counts().mapped);
      into[name + ".mappings"] = static_cast<double>(nats_[i]->mappings(now()));
      into[name + ".expired"] = static_cast<double>(nats_[i]->counts().expired);
      into[name + ".no_port"] = static_cast<double>(nats_[i]->counts().no_port);
      into[name + ".unknown"] = static_cast<double>(nats_[i]->counts().unknown);
    }
  }

  void measure() {
    Measures& all = result_.measures;
    for (const auto& program : programs_) program->measure(all);
    if (real_) real_->measure(all);
    if (steps_) steps_->measure(all);
    measure_wire(all);
    for (std::size_t i = 0; i < in_order_.size(); ++i) {
      LabHost& host = *in_order_[i];
      const HostCounts now = host.counts();
      const HostCounts& before = before_[host.name()];
      put_counts(host.name(), now, before, all);
      measure_settings(host, all);
      measure_most(i, all);
    }
    all["run.took"] = seconds(now() - began_);
    for (LabHost* host : in_order_) {
      auto snapshot = host->snapshot();
      if (!snapshot) continue;
      put_findings(host->name(), *snapshot, all);
      if (options_.keep_looks) result_.looks.emplace(host->name(), *std::move(snapshot));
    }
  }

  const Scenario& scenario_;
  const PlayOptions& options_;
  std::optional<LifecycleRecorder> recorder_;
  std::optional<WireCapture> capture_;
  VirtualNetwork net_;
  std::vector<LabHost*> in_order_;
  std::vector<KernelHost*> kernels_;
  std::vector<std::unique_ptr<Nat>> nats_;
  std::map<std::string, NodeId> ids_;
  std::map<NodeId, HostObserver*> observed_;  // kernels
  std::optional<Faults> faults_;
  std::optional<Changes> changes_;
  std::vector<std::unique_ptr<Program>> programs_;
  std::vector<std::string> begin_after_;                            // of each, the step
  std::vector<std::pair<std::string, std::string>> program_names_;  // and host
  std::optional<Marks> marks_;
  std::unique_ptr<RealPrograms> real_;
  std::optional<Steps> steps_;
  std::map<std::string, HostCounts> before_;
  std::map<const LabHost*, Settings> settings_;
  std::map<const LabHost*, HostCounts> looked_;  // by the condition that is asked now
  struct Most {
    std::uint64_t time_waits = 0, descriptors = 0;
    StateCounts states;
  };
  std::vector<Most> most_;  // at any sample, of each host
  Measures now_;
  bool in_vain_ = false;  // PlayOptions::in_vain
  PlayResult result_;
};

}  // namespace

Result<PlayResult> play(const Scenario& scenario, const PlayOptions& options) {
  if (const std::string why = cannot_play(scenario, options.where); !why.empty())
    return failure(why);
  const Instant begun = monotonic_now();
  Play play(scenario, options);
  auto result = play.run();
  if (result) result->cost = monotonic_now() - begun;
  return result;
}

}  // namespace lastack::lab
