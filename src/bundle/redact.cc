// What --redact does: addresses, host names, command lines, units and containers are replaced, the
// same by the same, in both looks and inside every text. Replacements are numbered in the order of
// appearance, so nothing of the original is left to compute back from. Ports, states, counts, times
// and process names stay.
#include "bundle/enter_command.h"
#include "bundle/fields.h"
#include "bundle/scrub.h"
#include "lastack/bundle.h"

namespace lastack {

namespace {

constexpr std::string_view kRedacted = "redacted";

template <class T>
inline constexpr bool kSequence = false;
template <class T>
inline constexpr bool kSequence<std::vector<T>> = true;
template <class T, std::size_t n>
inline constexpr bool kSequence<std::array<T, n>> = true;
template <class T>
inline constexpr bool kOptional = false;
template <class T>
inline constexpr bool kOptional<std::optional<T>> = true;

// Every address and every text of a value, however deep. Goes by the same lists as the codec, so that
// a new member is redacted as soon as it can be written.
template <class T, class Visit>
void walk(T& value, const Visit& visit) {
  using Type = std::remove_const_t<T>;
  if constexpr (std::same_as<Type, IpAddress> || std::same_as<Type, std::string>) {
    visit(value);
  } else if constexpr (Described<Type>) {
    for_each_field<Type>([&](const auto& field) { walk(value.*field.member, visit); });
  } else if constexpr (kSequence<Type>) {
    for (auto& element : value) walk(element, visit);
  } else if constexpr (kOptional<Type>) {
    if (value) walk(*value, visit);
  }
}

bool of_the_system(std::string_view file) {
  for (std::string_view folder : {"/etc/", "/run/", "/usr/", "/lib/"}) {
    if (file.starts_with(folder)) return true;
  }
  return false;
}

// The kernel's version is left out: "5.10.0.1-custom" is no address.
void learn(Scrubber& scrubber, const HostSnapshot& host) {
  scrubber.learn_host(host.hostname);
  for (const Process& process : host.processes) {
    scrubber.learn_unit(process.unit);
    scrubber.learn_container(process.container);
    scrubber.learn_arguments(process.arguments, kRedacted);
  }
  for (const NamespaceSnapshot& space : host.namespaces) {
    for (const ContestedPort& port : space.sockets.contested) {
      scrubber.learn_arguments(port.evidence, kRedacted);
    }
  }
  walk(host, [&]<class T>(const T& value) {
    if constexpr (std::same_as<T, IpAddress>) {
      scrubber.learn_address(value);
    } else if (&value != &host.kernel) {
      scrubber.learn_addresses_in(value);
    }
  });
}

void replace_whole(std::string& text) {
  if (!text.empty()) text = kRedacted;
}

// Only what it enters is anybody's name, and it stays one word for a shell.
std::string redact_enter(const Scrubber& scrubber, const std::string& enter) {
  EnterCommand command;
  if (!parse_enter_command(enter, command)) return std::string(kRedacted);
  const std::string before(command.program);
  const std::string after(command.rest);
  if (!after.empty()) return enter;
  std::string redacted = before + scrubber.scrub(command.name_space);
  EnterCommand still;
  return parse_enter_command(redacted, still) ? redacted : before + std::string(kRedacted);
}

void apply(const Scrubber& scrubber, HostSnapshot& host) {
  for (Process& process : host.processes) replace_whole(process.arguments);
  for (NamespaceSnapshot& space : host.namespaces) {
    // It quotes a command line.
    for (ContestedPort& port : space.sockets.contested) replace_whole(port.evidence);
  }
  // The kernel's own words stay, whatever the host is called.
  const std::vector<SysctlLine> sysctl_lines = host.sysctl_lines;
  std::vector<std::string> enter;
  enter.reserve(host.namespaces.size());
  for (const NamespaceSnapshot& space : host.namespaces) {
    enter.push_back(redact_enter(scrubber, space.enter));
  }
  walk(host, [&]<class T>(T& value) {
    if constexpr (std::same_as<T, IpAddress>) {
      value = scrubber.replacement(value);
    } else if (&value != &host.kernel) {
      value = scrubber.scrub(value);
    }
  });
  for (std::size_t i = 0; i < enter.size(); ++i) host.namespaces[i].enter = enter[i];
  for (std::size_t i = 0; i < sysctl_lines.size(); ++i) {
    SysctlLine& line = host.sysctl_lines[i];
    line.name = sysctl_lines[i].name;
    if (of_the_system(sysctl_lines[i].file)) {
      line.file = sysctl_lines[i].file;
    } else {
      replace_whole(line.file);
    }
  }
}

}  // namespace

Observation redact(const Observation& observation) {
  Scrubber scrubber;
  if (observation.earlier) learn(scrubber, *observation.earlier);
  learn(scrubber, observation.now);
  scrubber.assign();
  Observation redacted = observation;
  if (redacted.earlier) apply(scrubber, *redacted.earlier);
  apply(scrubber, redacted.now);
  return redacted;
}

}  // namespace lastack
