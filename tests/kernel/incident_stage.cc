// The place of an incident: namespaces, processes, options (incident.h).
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <sstream>

#include "kernel/incident.h"
#include "lab/clock.h"
#include "net/rtnetlink.h"

namespace lastack::incident {
namespace {

constexpr Rtnetlink::Mac kMacHere = {2, 0, 0, 0, 0, 1};
constexpr Rtnetlink::Mac kMacThere = {2, 0, 0, 0, 0, 2};
constexpr Rtnetlink::Mac kMacNobody = {2, 0, 0, 0, 0, 3};

}  // namespace

std::int64_t Options::number(const std::string& name, std::int64_t usual) {
  const std::string text = word(name, std::to_string(usual));
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (errno != 0 || end == text.c_str() || *end != '\0' || value < 0) bad_.push_back(name);
  return value;
}

double Options::real(const std::string& name, double usual) {
  const std::string text = word(name, std::to_string(usual));
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != '\0' || !(value > 0)) bad_.push_back(name);
  return value;
}

std::string Options::word(const std::string& name, const std::string& usual) {
  asked_[name] = true;
  const auto found = given_.find(name);
  return found == given_.end() ? usual : found->second;
}

std::vector<std::string> Options::unknown() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : given_) {
    if (!asked_.contains(name)) names.push_back(name);
  }
  return names;
}

IpAddress here_v6() {
  return *IpAddress::parse("fd00::1");
}
IpAddress also_here_v6() {
  return *IpAddress::parse("fd00::2");
}

Result<Stage> Stage::enter(const std::vector<SysctlValue>& sysctls) {
  NamespaceOptions options;
  options.addresses = {kHere, kAlsoHere};
  // A host may have IPv6 switched off altogether; only the incidents that use it then fail.
  if (access("/proc/sys/net/ipv6", F_OK) == 0) {
    options.addresses.push_back(here_v6());
    options.addresses.push_back(also_here_v6());
  }
  options.sysctls = sysctls;
  if (auto entered = enter_private_namespace(options); !entered) {
    return tl::unexpected(std::move(entered.error()));
  }
  return Stage();
}

Result<Stage::Spawned> Stage::spawn_in(bool there, const std::string& name,
                                       const std::function<int(const Say&)>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected(system_error(errno, "cannot make a pipe"));
  UniqueFd hear(ends[0]);
  UniqueFd say(ends[1]);
  auto child = ChildProcess::start([&] {
    // What the parent holds for the incident is not this process's: it would count as its sockets.
    hear.reset();
    kept_.clear();
    loads_.clear();
    name_process(name);
    if (there) {
      const std::string path = "/proc/" + std::to_string(second_host_) + "/ns/net";
      const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!file || setns(file.get(), CLONE_NEWNET) != 0) {
        std::perror("cannot enter the second host");
        return 1;
      }
    }
    return body([&](const std::string& words) {
      const std::string line = words + "\n";
      if (write(say.get(), line.data(), line.size()) < 0) std::perror("cannot tell the incident");
      say.reset();
    });
  });
  if (!child) return tl::unexpected(std::move(child.error()));
  say.reset();
  Spawned spawned;
  spawned.pid = child->pid();
  char buffer[4096];
  for (;;) {
    const ssize_t length = read(hear.get(), buffer, sizeof buffer);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) break;
    spawned.said.append(buffer, static_cast<std::size_t>(length));
  }
  if (spawned.said.empty()) return failure(name + " ended before it was ready");
  spawned.said.pop_back();
  children_.push_back(*std::move(child));
  return spawned;
}

Result<Stage::Spawned> Stage::spawn(const std::string& name,
                                    const std::function<int(const Say&)>& body) {
  return spawn_in(false, name, body);
}

Result<Stage::Spawned> Stage::spawn_there(const std::string& name,
                                          const std::function<int(const Say&)>& body) {
  if (second_host_ < 0) {
    if (auto made = make_second_host(); !made) return tl::unexpected(std::move(made.error()));
  }
  return spawn_in(true, name, body);
}

Result<void> Stage::make_second_host() {
  // A process that only holds the namespace open; those that work there enter it.
  auto holder = spawn_in(false, "second-host", [](const Say& say) {
    if (auto entered = enter_private_namespace({}); !entered) {
      std::fprintf(stderr, "%s\n", entered.error().message.c_str());
      return 1;
    }
    say("here");
    for (;;) pause();
  });
  if (!holder) return tl::unexpected(std::move(holder.error()));
  second_host_ = holder->pid;
  auto links = Rtnetlink::open();
  if (!links) return tl::unexpected(std::move(links.error()));
  const auto try_all = [](std::initializer_list<Result<void>> deeds) -> Result<void> {
    for (const auto& deed : deeds) {
      if (!deed) return deed;
    }
    return {};
  };
  // Initialiser lists are evaluated in order.
  auto wired = try_all({links->add_veth({"wire0", kMacHere}, {"wire1", kMacThere}, second_host_),
                        links->add_address("wire0", kHereOnWire, 24), links->set_link_up("wire0"),
                        links->set_neighbour("wire0", kThere, kMacThere)});
  if (!wired) return wired;

  auto configured = spawn_in(true, "ifup", [&](const Say& say) {
    auto theirs = Rtnetlink::open();
    if (!theirs) return 1;
    const auto done =
        try_all({theirs->add_address("wire1", kThere, 24), theirs->set_link_up("wire1"),
                 theirs->set_neighbour("wire1", kHereOnWire, kMacHere)});
    say(done ? "up" : done.error().message);
    return 0;
  });
  if (!configured) return tl::unexpected(std::move(configured.error()));
  if (configured->said != "up") return failure(configured->said);
  children_.pop_back();
  return {};
}

Result<void> Stage::set_second_host_deaf(bool deaf) {
  auto links = Rtnetlink::open();
  if (!links) return tl::unexpected(std::move(links.error()));
  return links->set_neighbour("wire0", kThere, deaf ? kMacNobody : kMacThere);
}

namespace {

std::function<int(const Stage::Say&)> server_body(const ServerOptions& options,
                                                  std::int64_t limit) {
  return [options, limit](const Stage::Say& say) {
    if (limit > 0 && !limit_descriptors(limit)) {
      std::perror("cannot lower the limit of descriptors");
      return 1;
    }
    auto server = EchoServer::start(options);
    if (!server) {
      std::fprintf(stderr, "%s\n", server.error().message.c_str());
      return 1;
    }
    say("listening");
    server->serve();
  };
}

Result<pid_t> pid_only(Result<Stage::Spawned> spawned) {
  if (!spawned) return tl::unexpected(std::move(spawned.error()));
  return spawned->pid;
}

}  // namespace

Result<pid_t> Stage::spawn_server(const std::string& name, const ServerOptions& options,
                                  std::int64_t descriptor_limit) {
  return pid_only(spawn(name, server_body(options, descriptor_limit)));
}

Result<pid_t> Stage::spawn_server_there(const std::string& name, const ServerOptions& options) {
  return pid_only(spawn_there(name, server_body(options, 0)));
}

std::map<std::string, std::uint64_t> count_states() {
  // The kernel's numbers of the states, as /proc/net/tcp writes them.
  static const char* const kNames[] = {
      "?",      "ESTABLISHED", "SYN_SENT", "SYN_RECEIVED", "FIN_WAIT_1", "FIN_WAIT_2",  "TIME_WAIT",
      "CLOSED", "CLOSE_WAIT",  "LAST_ACK", "LISTEN",       "CLOSING",    "SYN_RECEIVED"};
  std::map<std::string, std::uint64_t> counts;
  for (const char* path : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);  // the heading
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::string slot, local, remote, state;
      words >> slot >> local >> remote >> state;
      const auto number = std::strtoul(state.c_str(), nullptr, 16);
      ++counts[number < std::size(kNames) ? kNames[number] : "?"];
    }
  }
  return counts;
}

std::uint64_t open_descriptors(pid_t pid) {
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/" + std::to_string(pid) + "/fd", error);
  return error ? 0 : static_cast<std::uint64_t>(std::distance(begin(entries), end(entries)));
}

std::uint64_t open_sockets(pid_t pid) {
  std::error_code error;
  std::uint64_t sockets = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
    const auto target = std::filesystem::read_symlink(entry.path(), error);
    if (target.string().rfind("socket:", 0) == 0) ++sockets;
  }
  return sockets;
}

bool limit_descriptors(std::int64_t most) {
  const auto value = static_cast<rlim_t>(most);
  const rlimit limit{value, value};
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

void announce(const std::string& word, const Json& truth) {
  std::printf("%s %s\n", word.c_str(), truth.dump().c_str());
  std::fflush(stdout);
}

SysctlValue port_range(std::int64_t ports) {
  return {"net.ipv4.ip_local_port_range", "40000 " + std::to_string(40000 + ports - 1)};
}

std::string arrow(const IpAddress& source, const Endpoint& destination) {
  return source.to_string() + " -> " + destination.to_string();
}

void tell_place(Json& truth) {
  struct stat ns {};
  stat("/proc/self/ns/net", &ns);
  truth["pid"] = getpid();
  truth["netns_pid"] = getpid();
  truth["netns_inode"] = ns.st_ino;
}

void name_process(const std::string& name) {
  prctl(PR_SET_NAME, name.c_str());
}

Result<LoadCounts> run_until_answered(ShortConnections& load, std::uint64_t wanted,
                                      Duration longest) {
  const Instant stop = monotonic_now() + longest;
  LoadCounts counts;
  while (counts.ok < wanted && monotonic_now() < stop) counts += load.run_for(5ms);
  if (counts.ok >= wanted) return counts;
  std::string why = "only " + std::to_string(counts.ok) + " of " + std::to_string(wanted) +
                    " connections were answered";
  for (const auto& [number, count] : counts.errors) {
    why += "; " + std::to_string(count) + " x " + system_error(number, "failed").message;
  }
  return failure(why);
}

}  // namespace lastack::incident
