#include "cli/selection.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>

#include "cli/checks.h"
#include "cli/exit_codes.h"

namespace lastack {

namespace {
constexpr double kShortestSample = 0.2;
constexpr double kLongestSample = 3600;
// Short connections come and go between two looks; owners are looked for this often in between.
constexpr auto kWatchEvery = 250ms;
// Without --sample: long enough to see a hundred connections at the rates that burn ports.
constexpr auto kShortWatch = 300ms;
}  // namespace

void add_selection(CLI::App& command, Selection& selection, bool listeners) {
  auto* netns =
      command
          .add_option(
              "--netns", selection.look.namespaces,
              "look at this network namespace (a name of 'ip netns', or a path); repeatable")
          ->type_name("NAME|PATH")
          ->check(not_empty())
          ->allow_extra_args(false);
  auto* pid = command
                  .add_option("--pid", selection.look.pids,
                              "look at the network namespace of this process; repeatable")
                  ->type_name("PID")
                  ->transform(whole_number(1, INT32_MAX))
                  ->allow_extra_args(false);
  command
      .add_flag("--all-netns", selection.look.all_namespaces,
                "look at every network namespace that can be entered")
      ->excludes(netns)
      ->excludes(pid);
  command
      .add_option(
          "--sample", selection.sample_seconds,
          "look twice, this many seconds apart: rates, growth, and who opens short connections")
      ->type_name("SECONDS")
      ->check(number(kShortestSample, kLongestSample));
  if (!listeners) return;
  command
      .add_option("--expect-listener", selection.look.expected_listeners,
                  "a port that something should be able to listen on: is it taken? repeatable")
      ->type_name("PORT")
      ->transform(whole_number(1, 65535))
      ->allow_extra_args(false);
}

bool selects_anything(const CLI::App& command) {
  for (const char* name : {"--netns", "--pid", "--all-netns", "--sample", "--expect-listener"}) {
    const CLI::Option* option = command.get_option_no_throw(name);
    if (option != nullptr && option->count() > 0) return true;
  }
  return false;
}

Result<Observation> observe(const Selection& selection) {
  LookOptions options = selection.look;
  options.watch_if_unowned = kShortWatch;
  Observation observation;
  if (selection.sample_seconds <= 0) {
    auto now = look(options);
    if (!now) return tl::unexpected(now.error());
    observation.now = std::move(*now);
    return observation;
  }
  CookieOwners owners;
  options.remember = &owners;
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                       std::chrono::duration<double>(selection.sample_seconds));
  auto first = look(options);
  if (!first) return tl::unexpected(first.error());
  OpenerCounts openers;
  bool can_watch = !options.counters_only;
  for (;;) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) break;
    const auto nap = std::min<std::chrono::steady_clock::duration>(left, kWatchEvery);
    can_watch = can_watch && watch_openers(nap, openers).has_value();
    if (!can_watch) std::this_thread::sleep_for(nap);
    if (options.counters_only || end - std::chrono::steady_clock::now() < kWatchEvery / 2) continue;
    if (auto between = remember_owners(options); !between) break;
  }
  options.remember = nullptr;
  options.remembered = &owners;
  if (openers.watched > Duration::zero()) options.openers = &openers;
  auto second = look(options);
  if (!second) return tl::unexpected(second.error());
  observation.earlier = std::move(*first);
  observation.now = std::move(*second);
  return observation;
}

int exit_code_for(const Error& error) {
  if (error.number == EPERM || error.number == EACCES) return exit_code::kNotPermitted;
  return exit_code::kNoInput;
}

}  // namespace lastack
