// incident NAME [--option=value]... [--hold=SECONDS]
//
// Makes an incident (incident.h), prints a line "ready {json}" with the truth about it, and holds it until
// its standard input ends or the time is over (60 s unless told otherwise). Exit code 77: this machine does
// not permit private namespaces, or lacks what the incident needs; 1: it could not be made; 2: wrong arguments.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>

#include "kernel/incident.h"
#include "lab/clock.h"

namespace lastack::incident {
namespace {

const Incident* find(std::string_view name) {
  for (const auto incidents :
       {port_incidents(), close_wait_incidents(), state_incidents(), service_incidents()}) {
    for (const Incident& incident : incidents) {
      if (incident.name == name) return &incident;
    }
  }
  return nullptr;
}

int usage() {
  std::fprintf(stderr, "incident NAME [--option=value]... [--hold=SECONDS]\n");
  for (const auto incidents :
       {port_incidents(), close_wait_incidents(), state_incidents(), service_incidents()}) {
    for (const Incident& incident : incidents) {
      std::fprintf(stderr, "  %-22s %s\n", std::string(incident.name).c_str(),
                   std::string(incident.what).c_str());
    }
  }
  return 2;
}

// The program's second trade: a service that wants a port and says so on its command line, as services do.
// It tries again and again, as its supervisor would.
int want_port(const char* port) {
  name_process("wanted-service");
  const Endpoint local{IpAddress::v4(0), static_cast<Port>(std::strtoul(port, nullptr, 10))};
  const pid_t parent = getppid();
  for (bool told = false; getppid() == parent;) {
    auto listener = start_listen(local, 16);
    if (!told) {
      std::printf("%s\n", listener ? "listening" : "refused");
      std::fflush(stdout);
      told = true;
    }
    if (listener) {
      while (getppid() == parent) std::this_thread::sleep_for(200ms);
      return 0;
    }
    std::this_thread::sleep_for(200ms);
  }
  return 0;
}

void hold(Stage& stage, Duration longest) {
  const Instant stop = monotonic_now() + longest;
  pollfd input{STDIN_FILENO, POLLIN, 0};
  char rest[256];
  while (monotonic_now() < stop) {
    const int ready = poll(&input, 1, stage.meanwhile ? 0 : 200);
    if (ready > 0 && read(STDIN_FILENO, rest, sizeof rest) <= 0) return;
    if (stage.meanwhile) stage.meanwhile();
  }
}

int run(const Incident& incident, Options& options) {
  auto stage = Stage::enter(incident.settings(options));
  if (!stage) {
    std::fprintf(stderr, "incident: %s\n", stage.error().message.c_str());
    return is_denial(stage.error()) ? 77 : 1;
  }
  const auto seconds = options.number("hold", 60);
  name_process(std::string(incident.name).substr(0, 15));
  auto truth = incident.make(options, *stage);
  if (!options.bad().empty() || !options.unknown().empty()) {
    for (const auto& name : options.bad()) {
      std::fprintf(stderr, "incident: --%s: not such a value\n", name.c_str());
    }
    for (const auto& name : options.unknown()) {
      std::fprintf(stderr, "incident: --%s: no such option\n", name.c_str());
    }
    return 2;
  }
  if (!truth) {
    std::fprintf(stderr, "incident: %s\n", truth.error().message.c_str());
    return incident.may_be_lacking ? 77 : 1;
  }
  Json line;
  line["incident"] = incident.name;
  tell_place(line);
  line.update(*truth);
  announce("ready", line);
  hold(*stage, std::chrono::seconds(seconds));
  return 0;
}

}  // namespace
}  // namespace lastack::incident

int main(int argc, char** argv) {
  using namespace lastack::incident;
  if (argc == 3 && std::strncmp(argv[2], "--port=", 7) == 0 &&
      std::strcmp(argv[1], "want-port") == 0) {
    return want_port(argv[2] + 7);
  }
  if (argc < 2) return usage();
  const Incident* incident = find(argv[1]);
  if (incident == nullptr) return usage();
  std::map<std::string, std::string> given;
  for (int i = 2; i < argc; ++i) {
    std::string text = argv[i];
    if (text.rfind("--", 0) != 0) return usage();
    const auto equals = text.find('=');
    given[text.substr(2, equals == text.npos ? text.npos : equals - 2)] =
        equals == text.npos ? "1" : text.substr(equals + 1);
  }
  Options options(std::move(given));
  return run(*incident, options);
}
