#include "kernel/contested_ports.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "kernel/sock_diag.h"

namespace lastack {

namespace {

using namespace std::string_view_literals;

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Whether "host:" in front of a port means this host.
bool means_here(std::string_view host) {
  if (host.empty() || host == "*" || host == "localhost" || host == "[::]" || host == "::")
    return true;
  if (const auto ip = IpAddress::parse(host)) return ip->is_unspecified() || ip->is_loopback();
  return false;
}

// One blank-separated word of a command line.
std::optional<Port> port_in(std::string_view word) {
  std::size_t end = word.size();
  while (end > 0 && (word[end - 1] == ',' || word[end - 1] == '/')) --end;
  std::size_t start = end;
  while (start > 0 && digit(word[start - 1])) --start;
  if (start == end || end - start > 5) return std::nullopt;
  Port port = 0;
  const auto [next, error] = std::from_chars(word.data() + start, word.data() + end, port);
  if (error != std::errc{} || next != word.data() + end || port == 0) return std::nullopt;

  const std::string_view before = word.substr(0, start);
  if (before.empty()) return port;  // "40005", the argument of an option
  const char last = before.back();
  if (last == '=') return port;  // "--port=40005"
  if (last == ':') {
    std::string_view host = before.substr(0, before.size() - 1);
    if (const auto at = host.find_last_of("=/@"); at != std::string_view::npos) {
      host.remove_prefix(at + 1);
    }
    return means_here(host) ? std::optional(port) : std::nullopt;
  }
  if (before.size() == 2 && before[0] == '-' && letter(before[1])) return port;  // "-p40005"
  return std::nullopt;
}

// Whose numbers are no ports of their own: what a person types while looking for the trouble, too.
bool never_listens(std::string_view program) {
  constexpr std::array kTools = {
      "awk"sv,  "cat"sv,      "curl"sv,  "dig"sv,     "fuser"sv,   "gdb"sv,    "grep"sv,
      "head"sv, "iptables"sv, "kill"sv,  "lastack"sv, "less"sv,    "lsof"sv,   "nft"sv,
      "perf"sv, "ping"sv,     "ps"sv,    "sed"sv,     "seq"sv,     "sleep"sv,  "ss"sv,
      "ssh"sv,  "strace"sv,   "sudo"sv,  "tail"sv,    "tcpdump"sv, "telnet"sv, "timeout"sv,
      "vi"sv,   "vim"sv,      "watch"sv, "wget"sv};
  if (const auto slash = program.rfind('/'); slash != program.npos)
    program.remove_prefix(slash + 1);
  return std::find(kTools.begin(), kTools.end(), program) != kTools.end();
}

}  // namespace

std::vector<Port> ports_to_listen_on(std::string_view arguments) {
  std::vector<Port> ports;
  if (never_listens(arguments.substr(0, arguments.find(' ')))) return ports;
  bool first = true;
  while (!arguments.empty()) {
    const std::size_t end = std::min(arguments.find(' '), arguments.size());
    const std::string_view word = arguments.substr(0, end);
    arguments.remove_prefix(std::min(end + 1, arguments.size()));
    // The program's own name may end in digits.
    if (const auto port = port_in(word); port && !first) {
      if (std::find(ports.begin(), ports.end(), *port) == ports.end()) ports.push_back(*port);
    }
    first = false;
  }
  return ports;
}

std::vector<ContestedPort> find_contested(const SocketCensus& census, std::span<const Claim> claims,
                                          std::vector<std::uint64_t>& inodes) {
  std::vector<ContestedPort> found;
  inodes.clear();
  for (const Claim& claim : claims) {
    if (!census.used_outgoing.contains(claim.port)) continue;
    const bool served = std::any_of(
        census.services.begin(), census.services.end(),
        [&](const Service& s) { return s.listeners > 0 && s.local.port == claim.port; });
    if (served) continue;
    auto diag = SockDiag::open();
    if (!diag) return found;
    ContestedPort contested{
        .port = claim.port, .wanted_by = claim.process, .evidence = claim.evidence};
    std::uint64_t inode = 0;
    bool any = false;
    (void)diag->dump({.states = diag_states::kConnected, .local_port = claim.port},
                     [&](const DiagRow& row) {
                       // A live socket says more than a record without an owner.
                       if (!any || (inode == 0 && row.socket.inode != 0)) {
                         contested.taken_by = row.socket.tuple;
                         contested.state = row.socket.state;
                         inode = row.socket.inode;
                       }
                       any = true;
                       return inode == 0;
                     });
    if (!any) continue;
    found.push_back(std::move(contested));
    inodes.push_back(inode);
  }
  return found;
}

}  // namespace lastack
