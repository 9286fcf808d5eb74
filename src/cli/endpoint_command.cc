// lastack endpoint: our own TCP on a TUN device, for real peers.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/endpoint_runs.h"
#include "cli/selection.h"

namespace lastack {
namespace {

void add_stage_options(CLI::App& command, StageOptions& options) {
  const auto group = "The endpoint and its device";
  command.add_option("--tun", options.tun, "the TUN device (default: la0)")
      ->type_name("NAME")
      ->check(device_name())
      ->group(group);
  command
      .add_flag(
          "--create", options.create,
          "make the device, give it the peer's addresses, bring it up; it goes with this program")
      ->group(group);
  command
      .add_option("--address", options.addresses,
                  "an address of the endpoint; may be repeated (default: 10.77.0.2 and fd77::2)")
      ->type_name("IP")
      ->allow_extra_args(false)
      ->group(group);
  command
      .add_option(
          "--peer", options.peers,
          "the kernel's address on the device, for --create (default: 10.77.0.1/24 and fd77::1/64)")
      ->type_name("IP/BITS")
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("--netns", options.netns, "the device is in this network namespace")
      ->type_name("NAME|PATH")
      ->check(not_empty())
      ->group(group);
  command
      .add_option("--profile", options.profile,
                  "whose TCP: linux, rfc9293 or rfc793 (default: linux)")
      ->check(CLI::IsMember({"linux", "rfc9293", "rfc793"}))
      ->group(group);
  command
      .add_option("--set", options.settings,
                  "a sysctl of the endpoint, by the last part of its name; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false)
      ->group(group);
  command
      .add_option("--seed", options.seed,
                  "of sequence numbers, ports and losses (default: by chance)")
      ->type_name("NUMBER")
      ->transform(whole_number(0, UINT64_MAX))
      ->group(group);
  command
      .add_flag("--no-offloads", options.no_offloads,
                "every packet as on a wire: no super-segments, all checksums there")
      ->group(group);
  command
      .add_option("--loss", options.loss,
                  "lose so many per cent of the packets, each way; implies --no-offloads")
      ->type_name("PERCENT")
      ->check(number(0, 100))
      ->group(group);
  command
      .add_option(
          "--snapshot", options.snapshot,
          "write the state as a bundle for 'lastack doctor --from', at the end and at SIGUSR1")
      ->type_name("FILE")
      ->check(not_empty())
      ->group(group);
  command
      .add_option("--log", options.log,
                  "write what happens to each connection, as it happens: one JSON object a line")
      ->type_name("FILE")
      ->check(not_empty())
      ->group(group);
  command
      .add_option("--sample", options.sample,
                  "look every so many seconds: with --snapshot the bundle then holds two looks, "
                  "which tell of rates")
      ->type_name("SECONDS")
      ->check(number(0.2, 3600))
      ->group(group);
  command
      .add_option("--sockets", options.sockets,
                  "at most so many sockets, as the limit of descriptors is for a process "
                  "(default: 1048576)")
      ->type_name("N")
      ->transform(whole_number(1, HostOptions{}.most_sockets))
      ->group(group);
}

void add_endpoint_serve(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("serve", "Files over HTTP, echo, discard, chargen");
  const auto arguments = std::make_shared<ServeArguments>();
  command->add_option("DIRECTORY", arguments->directory, "serve the files below it over HTTP")
      ->check(not_empty());
  const auto port = [&](const char* name, unsigned& value, const char* what) {
    command->add_option(name, value, what)->type_name("PORT")->transform(whole_number(0, 65535));
  };
  port("--http", arguments->http, "port of HTTP (default: 80); 0: none, for these four");
  port("--echo", arguments->echo, "port of the echo service (default: 7)");
  port("--discard", arguments->discard, "port of the service that throws away (default: 9)");
  port("--chargen", arguments->chargen, "port of the character generator (default: 19)");
  command->add_flag("--live", arguments->live, "a line of counters and states every second");
  add_stage_options(*command, arguments->stage);
  command->callback(
      [arguments, &run] { run = [arguments] { return run_endpoint_serve(*arguments); }; });
}

void add_endpoint_fetch(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("fetch", "GET a URL to a file or to standard output");
  const auto arguments = std::make_shared<FetchArguments>();
  command
      ->add_option("URL", arguments->url,
                   "http://HOST[:PORT]/PATH; a name is looked up by this machine")
      ->required();
  command
      ->add_option("--output,-o", arguments->output,
                   "where to; it is FILE.part until all of it is there (default: standard output)")
      ->type_name("FILE")
      ->check(not_empty());
  command->add_flag("--resume", arguments->resume, "go on with FILE.part");
  command
      ->add_option("--patience", arguments->patience,
                   "give up when nothing comes for so long (default: 30)")
      ->type_name("SECONDS")
      ->check(number(0.001, 1'000'000));
  command->add_flag("--quiet,-q", arguments->quiet, "say nothing when all went well");
  add_stage_options(*command, arguments->stage);
  command->callback(
      [arguments, &run] { run = [arguments] { return run_endpoint_fetch(*arguments); }; });
}

void add_endpoint_churn(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("churn", "Many short connections, and how they end");
  const auto arguments = std::make_shared<ChurnArguments>();
  ChurnArguments& a = *arguments;
  command->add_option("DESTINATION", a.destinations, "ADDRESS:PORT; several are taken in turn")
      ->required();
  command->add_option("--concurrency", a.concurrency, "at most so many at a time (default: 100)")
      ->type_name("N")
      ->transform(whole_number(1, 1'000'000));
  command
      ->add_option("--rate", a.rate,
                   "connections a second (default: as many as --concurrency lets)")
      ->type_name("N")
      ->check(number(0.001, 1'000'000'000));
  command->add_option("--count", a.count, "so many in all")
      ->type_name("N")
      ->transform(whole_number(1, UINT64_MAX));
  command->add_option("--duration", a.duration, "for so long (default: 10, without --count)")
      ->type_name("SECONDS")
      ->check(number(0.001, 1'000'000));
  command
      ->add_option("--exchange", a.exchange,
                   "what is said: none, echo (a byte there and back) or http (GET) (default: echo)")
      ->check(CLI::IsMember({"none", "echo", "http"}));
  command->add_option("--path", a.path, "what is asked for with --exchange http (default: /)")
      ->check(not_empty());
  command->add_option("--first", a.first, "who closes first: us or peer (default: us)")
      ->check(CLI::IsMember({"us", "peer"}));
  command
      ->add_option("--end", a.end,
                   "how we end: close, shutdown (and wait for the peer's FIN), reset or vanish "
                   "(default: close)")
      ->check(CLI::IsMember({"close", "shutdown", "reset", "vanish"}));
  command->add_option("--patience", a.patience, "give a connection up after so long (default: 10)")
      ->type_name("SECONDS")
      ->check(number(0.001, 1'000'000));
  command->add_flag("--json", a.json, "no line every second; the summary as JSON");
  add_stage_options(*command, a.stage);
  command->callback(
      [arguments, &run] { run = [arguments] { return run_endpoint_churn(*arguments); }; });
}

}  // namespace

void add_endpoint_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "endpoint", "Run a TCP endpoint of our own on a TUN device: serve, fetch, churn");
  command->require_subcommand(1);
  add_endpoint_serve(*command, run);
  add_endpoint_fetch(*command, run);
  add_endpoint_churn(*command, run);
}

}  // namespace lastack
