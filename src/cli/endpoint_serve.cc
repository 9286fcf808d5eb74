#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <memory>

#include "cli/endpoint_live.h"
#include "cli/endpoint_runs.h"
#include "cli/endpoint_stage.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "services/http_server.h"
#include "services/plain_services.h"

namespace lastack {
namespace {

constexpr const char* kName = "endpoint serve";
constexpr std::array kOptions{"--http", "--echo", "--discard", "--chargen"};

struct Services {
  std::unique_ptr<HttpServer> http;
  std::array<std::unique_ptr<PlainService>, 3> plain;
  std::array<Port, 3> ports{};

  std::uint64_t accepted() const {
    std::uint64_t sum = http ? http->counts().accepted : 0;
    for (const auto& service : plain) sum += service ? service->counts().accepted : 0;
    return sum;
  }
  std::uint64_t failed() const {
    std::uint64_t sum = http ? http->counts().failed : 0;
    for (const auto& service : plain) sum += service ? service->counts().failed : 0;
    return sum;
  }
};

// No port is given to two services.
Result<void> check_ports(const ServeArguments& arguments, bool with_http) {
  const std::array<unsigned, 4> ports{with_http ? arguments.http : 0, arguments.echo,
                                      arguments.discard, arguments.chargen};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (ports[i] == 0 || ports[i] != ports[j]) continue;
      return failure(fmt::format("{} {}: that is the port of {} already; 0 for no such service",
                                 kOptions[i], ports[i], kOptions[j]));
    }
  }
  return {};
}

// What went wrong with a service, and which option is to be changed.
Error named(const char* option, Error error, const ServeArguments& arguments) {
  error.message = fmt::format("{}: {}", option, error.message);
  if (error.number == EMFILE) {
    error.message += fmt::format("; each service takes one of the sockets, and --sockets is {}",
                                 arguments.stage.sockets);
  }
  return error;
}

Result<Services> open_services(const ServeArguments& arguments, Stage& stage) {
  Services services;
  const bool with_http = !arguments.directory.empty() && arguments.http != 0;
  if (auto fine = check_ports(arguments, with_http); !fine) return tl::unexpected(fine.error());
  constexpr std::array kKinds{PlainService::Kind::Echo, PlainService::Kind::Discard,
                              PlainService::Kind::Chargen};
  services.ports = {static_cast<Port>(arguments.echo), static_cast<Port>(arguments.discard),
                    static_cast<Port>(arguments.chargen)};
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (services.ports[i] == 0) continue;
    services.plain[i] = std::make_unique<PlainService>(kKinds[i], stage.host(), stage.events());
    if (auto listening = services.plain[i]->listen(services.ports[i]); !listening) {
      return tl::unexpected(named(kOptions[i + 1], std::move(listening.error()), arguments));
    }
  }
  if (!with_http) return services;
  auto root = FileRoot::open(arguments.directory);
  if (!root) return tl::unexpected(std::move(root.error()));
  services.http = std::make_unique<HttpServer>(std::move(*root), stage.host(), stage.events());
  if (auto listening = services.http->listen(static_cast<Port>(arguments.http)); !listening) {
    return tl::unexpected(named(kOptions[0], std::move(listening.error()), arguments));
  }
  return services;
}

std::string offer(const ServeArguments& arguments, const Services& services) {
  std::string text;
  if (services.http) {
    text += fmt::format("http {} (files of {})", arguments.http, arguments.directory);
  }
  constexpr std::array kNames{"echo", "discard", "chargen"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (!services.plain[i]) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : " · ", kNames[i], services.ports[i]);
  }
  return "ports: " + (text.empty() ? "none" : text) + "\n";
}

LiveSample sample(Stage& stage, const Services& services, Instant begun) {
  const Host& host = stage.host();
  const Instant now = EventLoop::now();
  LiveSample s;
  s.at = now - begun;
  s.states_known = host.connections() + host.time_waits() <= kMostCounted;
  if (s.states_known) s.states = count_states(host, now);
  s.time_waits = host.time_waits();
  s.opened = services.accepted();
  s.failed = services.failed();
  s.recycled = host.counters().TWRecycled;
  s.in = stage.tun().counts().bytes_in;
  s.out = stage.tun().counts().bytes_out;
  return s;
}

}  // namespace

int run_endpoint_serve(const ServeArguments& arguments) {
  auto stage = Stage::set(kName, arguments.stage);
  if (!stage) return report(kName, stage.error());
  Stage& s = **stage;
  const auto services = open_services(arguments, s);
  if (!services) {
    complain(kName, services.error().message);
    const int number = services.error().number;
    return number == ENOENT || number == ENOTDIR ? exit_code::kNoInput
           : number == EACCES || number == EPERM ? exit_code::kNotPermitted
                                                 : exit_code::kUsage;
  }
  if (!print(kName, s.description() + offer(arguments, *services))) return exit_code::kCannotWrite;
  s.every(1s, [&] {
    if (services->http) services->http->sweep(EventLoop::now());
    for (const auto& service : services->plain) {
      if (service) service->look_again(EventLoop::now());
    }
  });
  const Instant begun = EventLoop::now();
  LiveSample last = sample(s, *services, begun);
  std::uint64_t lines = 0;
  if (arguments.live) {
    s.every(1s, [&] {
      const LiveSample next = sample(s, *services, begun);
      if (!print_if_read(kName, (lines++ % 20 == 0 ? live_head() : "") + live_line(last, next)))
        s.end();
      last = next;
    });
  }
  const auto ended = s.run();
  if (!ended) return report(kName, ended.error());
  const bool written = s.write_files();  // of how it was while it served
  if (services->http) services->http->end_all(EventLoop::now());
  for (const auto& service : services->plain) {
    if (service) service->end_all(EventLoop::now());
  }
  (void)s.loop().run_once(Duration{});
  if (!s.flush_log() || !written) return exit_code::kCannotWrite;
  return *ended == 0 ? exit_code::kCannotWrite : 128 + *ended;
}

}  // namespace lastack
