// lastack plan: so many new connections a second: what they need, where it breaks, what helps.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "cli/selection.h"
#include "cli/terminal.h"
#include "lastack/bundle.h"
#include "plan/check.h"
#include "plan/from_host.h"
#include "plan/page.h"
#include "plan/plan.h"
#include "plan/told.h"
#include "plan/trial.h"

namespace lastack {

namespace {

constexpr const char* kName = "plan";
constexpr double kUsualSample = 2;     // seconds between the two looks at this host
constexpr double kMostAttempts = 2e7;  // of a check: some minutes
constexpr std::uint32_t kMostOfAKind = 1'000'000;

struct PlanArguments {
  double rate = 0;
  double times = 1;
  std::string lifetime, round_trip;
  std::uint32_t destinations = 1, sources = 1;
  std::string first = "us";
  std::string source_port = "connect";
  std::vector<std::string> settings;
  std::uint64_t descriptors = 0;
  double requests = 0;
  bool no_peer_timestamps = false;
  bool loopback = false;
  bool from_host = false;
  std::string from;
  std::string to;
  Selection selection;
  bool check = false;
  bool full = false;
  std::uint64_t seed = 1;
  bool json = false;
  std::string color = "auto";
  std::size_t width = 0;
};

// No TCP connection is shorter, on any host: connect() alone takes as long on loopback.
constexpr Duration kShortest = 20us;

CLI::Validator length() {
  return {
      [](const std::string& text) {
        return parse_length(text)
                   ? std::string()
                   : fmt::format(
                         "a number and its unit, please, such as 50ms (us, ms, s, min, h; a year at most), not '{}'",
                         text);
      },
      ""};
}

// What is wrong, and which exit code it deserves.
struct Refusal {
  std::string message;
  int code = exit_code::kUsage;
};
template <class T>
using Or = tl::expected<T, Refusal>;

Or<PlanOrigin> look_at_host(const PlanArguments& arguments, Load& load) {
  Result<Observation> observation;
  if (!arguments.from.empty()) {
    observation = read_bundle(arguments.from);
    if (!observation) {
      const Error& error = observation.error();
      return tl::unexpected(
          Refusal{error.message, error.number != 0 ? exit_code::kNoInput : exit_code::kBadData});
    }
  } else {
    Selection selection = arguments.selection;
    if (selection.sample_seconds <= 0) selection.sample_seconds = kUsualSample;
    observation = observe(selection);
    if (!observation)
      return tl::unexpected(
          Refusal{observation.error().message, exit_code_for(observation.error())});
  }
  const HostSnapshot& host = observation->now;
  if (host.namespaces.empty())
    return tl::unexpected(Refusal{"no namespace could be looked at", exit_code::kNoLook});
  PlanOrigin origin;
  origin.hostname = host.hostname;
  origin.kernel = host.kernel;
  if (observation->earlier && !observation->earlier->namespaces.empty()) {
    origin.sampled_s = std::max(
        0.0, seconds(host.namespaces.front().at - observation->earlier->namespaces.front().at));
  }
  origin.seen = seen_loads(*observation);
  load = load_of(host.namespaces.front());
  for (std::size_t i = 0; i < origin.seen.size(); ++i) {
    if (!arguments.to.empty() && origin.seen[i].remote.to_string() != arguments.to) continue;
    origin.chosen = i;
    load = origin.seen[i].load;
    break;
  }
  if (!arguments.to.empty() && !origin.chosen) {
    std::string there;
    for (const SeenLoad& s : origin.seen) {
      if (there.size() < 200) there += (there.empty() ? "" : ", ") + s.remote.to_string();
    }
    return tl::unexpected(Refusal{"--to " + arguments.to +
                                      ": no connections to it were seen to be opened; " +
                                      (there.empty() ? "nor to any other" : "there are " + there),
                                  exit_code::kNoInput});
  }
  return origin;
}

// What is said on the command line goes before what was seen.
Or<void> tell(const CLI::App& command, const PlanArguments& arguments, Load& load) {
  const auto said = [&](const char* option) { return command.count(option) > 0; };
  const std::map<std::string, PortSource> choices{{"connect", PortSource::Connect},
                                                  {"range", PortSource::OwnRange},
                                                  {"explicit", PortSource::Explicit},
                                                  {"bind", PortSource::BindZero}};
  if (said("--rate")) load.rate = arguments.rate;
  load.rate *= arguments.times;
  if (said("--lifetime")) load.lifetime = *parse_length(arguments.lifetime);
  if (said("--round-trip")) load.round_trip = *parse_length(arguments.round_trip);
  if (said("--destinations")) load.destinations = arguments.destinations;
  if (said("--sources")) load.sources = arguments.sources;
  if (said("--first")) load.peer_closes_first = arguments.first == "peer";
  if (said("--source-port")) load.source_port = choices.at(arguments.source_port);
  if (said("--descriptors")) {
    load.descriptors = arguments.descriptors;
    load.descriptors_assumed = false;
  }
  if (arguments.no_peer_timestamps) load.peer_timestamps = false;
  if (arguments.loopback) load.loopback = true;
  for (const std::string& text : arguments.settings) {
    if (const auto fine = set(load, text); !fine) {
      return tl::unexpected(Refusal{"--set " + text + ": " + fine.error().message});
    }
  }
  if (load.rate <= 0) {
    return tl::unexpected(Refusal{
        "no connections were seen to be opened here; say --rate and --lifetime, and everything else is taken from the host",
        exit_code::kNoLook});
  }
  if (load.lifetime <= Duration{}) {
    return tl::unexpected(
        Refusal{"--lifetime is needed: how long a connection is open, such as 50ms"});
  }
  if (load.lifetime < kShortest) {
    return tl::unexpected(Refusal{fmt::format(
        "--lifetime takes 20us or more: no connection is shorter than its handshake, not '{}'",
        arguments.lifetime)});
  }
  if (load.peer_closes_first && 2 * load.round_trip > load.lifetime) {
    return tl::unexpected(Refusal{fmt::format(
        "--round-trip {}: where the other end closes first, its FIN comes two round trips after connect() at the "
        "earliest, and the lifetime is no longer than that",
        arguments.round_trip)});
  }
  if (load.round_trip > load.lifetime) {
    return tl::unexpected(Refusal{fmt::format(
        "--round-trip {} is longer than the lifetime; a connection is not open before its handshake, which takes one",
        arguments.round_trip)});
  }
  if (port_room(load).open == 0) {
    return tl::unexpected(Refusal{
        "no local port is left: all of ip_local_port_range is reserved, or held by bind()"});
  }
  return {};
}

TextStyle style_for(const PlanArguments& arguments) {
  TextStyle style;
  style.color = wants_color(arguments.color);
  style.width = page_width(arguments.width, style.width, 120);
  return style;
}

int exit_code_for(const Plan& plan, const CheckReport* check) {
  if (check != nullptr && !check->agrees()) {
    complain(kName, "the endpoint disagrees with the closed form; that is a fault of this program");
    return exit_code::kInternal;
  }
  switch (fit_of(plan)) {
    case Fit::Fits:
      return exit_code::kHealthy;
    case Fit::AtAPrice:
      return exit_code::kWarning;
    case Fit::Breaks:
      return exit_code::kProblem;
  }
  return exit_code::kInternal;
}

int run_plan(const CLI::App& command, const PlanArguments& arguments) {
  const auto refuse = [](const Refusal& refusal) {
    complain(kName, refusal.message);
    return refusal.code;
  };
  Load load;
  std::optional<PlanOrigin> origin;
  if (arguments.from_host || !arguments.from.empty()) {
    auto looked = look_at_host(arguments, load);
    if (!looked) return refuse(looked.error());
    origin = std::move(*looked);
  }
  if (const auto told = tell(command, arguments, load); !told) return refuse(told.error());
  const Plan answer = plan(load, {.requests = arguments.requests});
  std::optional<CheckReport> report;
  if (arguments.check) {
    CheckOptions options{.full_size = arguments.full, .seed = arguments.seed, .progress = {}};
    const double size = check_size(answer, options);
    if (size > kMostAttempts || (arguments.full && load.pairs() > kMostPairs)) {
      return refuse({fmt::format(
          "--check{}: {:.0f} million connections between {:.0f} pairs of addresses are more than a check makes ({:.0f} million, "
          "{}); {}",
          arguments.full ? " --full" : "", size / 1e6, load.pairs(), kMostAttempts / 1e6,
          kMostPairs,
          arguments.full ? "without --full a part of them is made"
                         : "the rate is that far above what can be carried, or below")});
    }
    const bool terminal = isatty(STDERR_FILENO) != 0;
    if (terminal) {
      options.progress = [](std::size_t number, std::size_t of, std::string_view subject) {
        fmt::print(stderr, "\r\x1b[Kcheck {} of {}: {}", number, of, subject);
        std::fflush(stderr);
      };
    }
    report = check(answer, options);
    if (terminal) fmt::print(stderr, "\r\x1b[K");
  }
  const PlanPage page{answer, origin ? &*origin : nullptr, report ? &*report : nullptr};
  const std::string text = arguments.json ? to_json(page) : to_text(page, style_for(arguments));
  if (!print(kName, text)) return exit_code::kCannotWrite;
  return exit_code_for(answer, page.check);
}

void add_load_options(CLI::App& command, PlanArguments& a) {
  command.add_option("--rate", a.rate, "new connections a second, all together")
      ->type_name("N")
      ->check(number(0.001, 1e9));
  command
      .add_option("--lifetime", a.lifetime,
                  "how long each is open, from connect() to close(): 50ms, 2s")
      ->type_name("TIME")
      ->check(length());
  command
      .add_option("--destinations", a.destinations,
                  "addresses and ports that are connected to (default: 1)")
      ->type_name("N")
      ->transform(whole_number(1, kMostOfAKind));
  command
      .add_option("--sources", a.sources, "local addresses that connections come from (default: 1)")
      ->type_name("N")
      ->transform(whole_number(1, kMostOfAKind));
  command.add_option("--first", a.first, "who closes first: us or peer (default: us)")
      ->check(CLI::IsMember({"us", "peer"}));
  command
      .add_option("--source-port", a.source_port,
                  "where a local port comes from: connect, range (IP_LOCAL_PORT_RANGE), explicit "
                  "(bind() with SO_REUSEADDR), bind (bind() to port 0) (default: connect)")
      ->check(CLI::IsMember({"connect", "range", "explicit", "bind"}));
  command
      .add_option("--round-trip", a.round_trip, "of the network; closing takes one (default: 0ms)")
      ->type_name("TIME")
      ->check(length());
  command
      .add_option("--set", a.settings,
                  "a sysctl of the connecting host, by the last part of its name; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command
      .add_option("--descriptors", a.descriptors,
                  "that the connecting process may have for them (default: 1024)")
      ->type_name("N")
      ->transform(whole_number(1, 1'000'000'000));
  command
      .add_option(
          "--requests", a.requests,
          "price connections that are kept for so many requests (default: as many as it takes)")
      ->type_name("N")
      ->transform(whole_number(2, 1'000'000'000));
  command.add_flag("--no-peer-timestamps", a.no_peer_timestamps,
                   "the other end refuses TCP timestamps");
  command.add_flag("--loopback", a.loopback,
                   "both ends are 127.0.0.0/8 or ::1: tcp_tw_reuse 2 counts");
}

}  // namespace

void add_plan_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "plan", "So many new connections a second: what do they need, where does it break?");
  const auto arguments = std::make_shared<PlanArguments>();
  PlanArguments& a = *arguments;
  add_load_options(*command, a);
  command->add_flag(
      "--from-host", a.from_host,
      "take range, reserved ports, settings and load from this host, which is looked at twice");
  add_selection(*command, a.selection, false);
  command
      ->add_option("--from", a.from,
                   "the same from a bundle of 'lastack snapshot'; - is standard input")
      ->type_name("FILE")
      ->check(not_empty());
  command
      ->add_option("--to", a.to,
                   "of the destinations seen, this one (default: the one nearest to its limit)")
      ->type_name("IP:PORT")
      ->check(not_empty());
  command->add_option("--times", a.times, "so many times the rate")
      ->type_name("N")
      ->check(number(0.001, 1e6));
  command->add_flag("--check", a.check, "ask the endpoint as well, in virtual time, and compare");
  command->add_flag("--full", a.full, "with --check: at full size");
  command->add_option("--seed", a.seed, "with --check: of port choice and numbers (default: 1)")
      ->type_name("NUMBER")
      ->transform(whole_number(0, UINT64_MAX));
  command->add_flag("--json", a.json, "print the plan as JSON");
  command->add_option("--color", a.color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  command->add_option("--width", a.width, "columns of the page")->transform(whole_number(60, 1000));
  command->footer(
      "Exit codes: 0 it fits, 1 it fits at a price, 2 it breaks, 3 nothing was seen on the host; 64 wrong usage,\n"
      "65 bad bundle, 66 no such file, namespace or destination, 70 closed form and endpoint disagree, 77 not permitted.");
  command->callback([command, arguments, &run] {
    const PlanArguments& told = *arguments;
    const bool from_somewhere = told.from_host || !told.from.empty();
    if (told.from_host && !told.from.empty())
      throw CLI::ValidationError("--from-host and --from exclude each other");
    if (!told.from_host && selects_anything(*command)) {
      throw CLI::ValidationError(
          "--netns, --pid, --all-netns and --sample choose what --from-host looks at");
    }
    if (!from_somewhere && (command->count("--rate") == 0 || command->count("--lifetime") == 0)) {
      throw CLI::ValidationError(
          "--rate and --lifetime are needed, or --from-host: lastack plan --rate 1000 --lifetime 50ms");
    }
    if (!from_somewhere && !told.to.empty())
      throw CLI::ValidationError("--to chooses from what --from-host or --from has seen");
    if (!told.check && (told.full || command->count("--seed") > 0)) {
      throw CLI::ValidationError("--full and --seed belong to --check");
    }
    run = [command, arguments] { return run_plan(*command, *arguments); };
  });
}

}  // namespace lastack
