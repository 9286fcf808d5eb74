// Findings on a host of liblastack are those on a kernel. What differs is how a thing is done there: a setting
// is `--set` of `lastack endpoint`, or Host::set(), and no sysctl; the limit of descriptors is `--sockets`, or
// HostOptions::most_sockets; `ss`, /proc and a plain `lastack doctor` look at the kernel's connections.
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "doctor/finding.h"

namespace lastack {

namespace {

constexpr std::string_view kStart = "lastack endpoint ...";
constexpr std::string_view kCheck = "lastack doctor --from FILE";

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kWords{{
    {"the kernel caps it at net.core.somaxconn", "the endpoint caps it at somaxconn"},
    {"no counter of the kernel says so", "Host::ports_exhausted() counts it"},
    {"no counter of the kernel will say so", "Host::ports_exhausted() will count it"},
    {"lastack doctor --sample 5", "lastack endpoint --sample 5"},
    {"setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) before bind() (Linux 4.2)",
     "Option::bind_address_no_port before bind()"},
    {"set IP_BIND_ADDRESS_NO_PORT (Linux 4.2) before bind()",
     "set Option::bind_address_no_port before bind()"},
    {"end the TIME_WAIT records by hand (Linux 6.x, as root)",
     "end the TIME_WAIT records by hand (Host::destroy())"},
    {"raise the limit of the running process (and where it is started: ulimit -n)",
     "raise the limit (--sockets; HostOptions::most_sockets)"},
    {"raise the process's limit", "raise the limit (--sockets; HostOptions::most_sockets)"},
    {"and end this connection", "and end this connection (Host::destroy())"},
}};

void replace_words(std::string& text) {
  for (const auto& [from, to] : kWords) {
    for (auto at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  }
}

// What follows `mark`; empty without it.
std::string_view after(std::string_view text, std::string_view mark) {
  const auto at = text.find(mark);
  return at == text.npos ? std::string_view{} : text.substr(at + mark.size());
}

// "sysctl -w 'net.ipv4.ip_local_port_range=1024 65535'" as " --set 'ip_local_port_range=1024 65535'", several
// with " && " between as several; empty for what an endpoint has no option for.
std::string options_for(std::string_view command) {
  std::string options;
  while (!command.empty()) {
    const auto end = command.find(" && ");
    const std::string_view one = command.substr(0, end);
    command.remove_prefix(end == command.npos ? command.size() : end + 4);
    if (std::string_view set = after(one, "sysctl -w "); !set.empty()) {
      const bool quoted = set.starts_with('\'');
      if (quoted) set = set.substr(1, set.find_last_of('\'') - 1);
      const auto equals = set.find('=');
      const auto dot = set.substr(0, equals).rfind('.');
      if (dot != set.npos) set.remove_prefix(dot + 1);
      const char* quote = quoted ? "'" : "";
      options.append(" --set ").append(quote).append(set).append(quote);
    } else if (const std::string_view limit = after(one, "--nofile="); !limit.empty()) {
      options.append(" --sockets ").append(limit.substr(0, limit.find(':')));
    }
  }
  return options;
}

}  // namespace

void speak_of_an_endpoint(Finding& f) {
  for (std::string& detail : f.details) replace_words(detail);
  replace_words(f.why);
  for (Remedy& r : f.remedies) {
    std::string options;
    for (const std::string& command : r.commands) options += options_for(command);
    r.commands.clear();
    if (!options.empty()) r.commands.push_back(std::string(kStart) + options);
    const std::string undo = options_for(r.undo);
    r.undo = undo.empty() ? "" : std::string(kStart) + undo;
    r.check = kCheck;
    replace_words(r.text);
    // Of sysctl.d, and of soft and hard limits, there is nothing to mind.
    if (r.caution.find("hard limit") != r.caution.npos) {
      const auto rest = r.caution.find("; the hard limit");
      r.caution = rest == r.caution.npos ? "" : r.caution.substr(0, rest);
    }
  }
}

}  // namespace lastack
