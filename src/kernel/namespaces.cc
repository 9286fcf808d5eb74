#include "kernel/namespaces.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "kernel/processes.h"
#include "kernel/text.h"

namespace lastack {
namespace {

// The initial network namespace's number, fixed since Linux 6.18; no namespace of an older kernel has it,
// since those that are given out begin at 0xf0000000.
constexpr std::uint64_t kInitialNetwork = 0xeffffff9;
// The initial process namespace's, fixed since 3.8.
constexpr std::uint64_t kInitialProcesses = 0xeffffffc;

struct NamespaceFile {
  UniqueFd fd;
  std::uint64_t inode = 0;
};

Result<NamespaceFile> open_namespace(const std::string& path) {
  // O_NONBLOCK: a user may name a FIFO.
  auto fd = open_file(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (!fd) return tl::unexpected(std::move(fd.error()));
  struct statfs fs {};
  struct stat status {};
  if (::fstatfs(fd->get(), &fs) != 0 || ::fstat(fd->get(), &status) != 0) {
    return tl::unexpected(system_error(errno, "cannot read " + path));
  }
  // `ip netns` leaves a plain empty file behind where the mount on it is gone.
  const int type = fs.f_type == NSFS_MAGIC ? ::ioctl(fd->get(), NS_GET_NSTYPE) : 0;
  const bool cannot_tell = type < 0 && errno == ENOTTY;  // before Linux 4.11
  if (type != CLONE_NEWNET && !cannot_tell) {
    return tl::unexpected(Error{EINVAL, path + " is not a network namespace"});
  }
  return NamespaceFile{std::move(*fd), status.st_ino};
}

// Names of the files in a folder, sorted; none when it is not there.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), &::closedir);
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  return names;
}

std::uint64_t inode_of_link(const std::string& path, std::string_view kind) {
  std::array<char, 64> link;
  const ssize_t n = ::readlink(path.c_str(), link.data(), link.size());
  if (n <= 0) return 0;
  return parse_inode_link({link.data(), static_cast<std::size_t>(n)}, kind).value_or(0);
}

class Finder {
 public:
  Finder(const NamespacePlaces& places, std::vector<NotRead>& not_read)
      : places_(places), not_read_(not_read) {}

  Result<std::vector<NamespaceRef>> find(const LookOptions& options) {
    auto own = open_namespace(places_.proc + "/thread-self/ns/net");
    if (own) own_ = own->inode;
    find_host();
    if (options.namespaces.empty() && options.pids.empty() && !options.all_namespaces) {
      if (!own) return tl::unexpected(std::move(own.error()));
      add_own();
    }
    for (const std::string& name : options.namespaces) {
      if (auto done = add_named(name); !done) return tl::unexpected(std::move(done.error()));
    }
    for (const std::int32_t pid : options.pids) {
      if (auto done = add_process(pid); !done) return tl::unexpected(std::move(done.error()));
    }
    if (options.all_namespaces) add_all();
    name_them();
    return std::move(found_);
  }

 private:
  // Which namespace is the initial one. Knobs of the whole host, such as tcp_mem, appear in
  // /proc/sys/net/ipv4 of the initial namespace only: that settles it for our own without any privilege. For
  // the others there is process 1, unless it is a container's.
  void find_host() {
    const std::string knobs = places_.proc + "/sys/net/ipv4/";
    own_is_host_ = ::access((knobs + "tcp_mem").c_str(), F_OK) == 0;
    if (own_is_host_) {
      host_ = own_;
    } else if (inode_of_link(places_.proc + "/self/ns/pid", "pid") == kInitialProcesses) {
      host_ = inode_of_link(places_.proc + "/1/ns/net", "net");
    }
  }
  bool is_host(std::uint64_t inode) const {
    return inode != 0 && (inode == host_ || inode == kInitialNetwork);
  }

  // Nothing twice. Null when it is there already.
  NamespaceRef* add(std::uint64_t inode, std::string path, std::int32_t pid) {
    if (inode != 0 &&
        std::ranges::any_of(found_, [&](const auto& r) { return r.inode == inode; })) {
      return nullptr;
    }
    found_.push_back({inode, {}, std::move(path), pid, is_host(inode)});
    return &found_.back();
  }

  void add_own() { add(own_, places_.proc + "/thread-self/ns/net", ::getpid()); }

  // A name of `ip netns`, or a path.
  Result<void> add_named(const std::string& name) {
    const bool is_path = name.find('/') != std::string::npos;
    const std::string path = is_path ? name : places_.netns + "/" + name;
    auto file = name.empty() || name == "." || name == ".."
                    ? tl::unexpected(Error{ENOENT, "\"" + name + "\" is no name"})
                    : open_namespace(path);
    if (!file) {
      if (is_path || file.error().number != ENOENT) return tl::unexpected(std::move(file.error()));
      std::string message = "there is no network namespace \"" + printable(name) + "\"; ";
      const auto names = names_in(places_.netns);
      message += names.empty() ? "`ip netns` has made none" : "there are";
      for (std::size_t i = 0; i < names.size(); ++i) {
        message += (i == 0 ? " " : ", ") + printable(names[i]);
      }
      return tl::unexpected(Error{ENOENT, std::move(message)});
    }
    if (NamespaceRef* ref = add(file->inode, path, 0)) {
      ref->name = printable(is_path ? name_in_netns(ref->inode) : name);
      if (ref->name.empty() && !ref->is_host) ref->name = printable(name);
    }
    return {};
  }

  Result<void> add_process(std::int32_t pid) {
    const std::string path = places_.proc + "/" + std::to_string(pid) + "/ns/net";
    auto file = open_namespace(path);
    if (!file && (file.error().number == ENOENT || file.error().number == ESRCH)) {
      return tl::unexpected(Error{ESRCH, "there is no process " + std::to_string(pid)});
    }
    // Another user's: its namespace has no number for us, but /proc/PID/net can be read.
    add(file ? file->inode : 0, path, pid);
    return {};
  }

  void add_all() {
    if (own_ != 0) add_own();
    for (const std::string& name : names_in(places_.netns)) {
      const std::string path = places_.netns + "/" + name;
      const auto file = open_namespace(path);
      if (!file) {
        not_read_.push_back(
            {"network namespace " + printable(name), printable(file.error().message), ""});
      } else if (NamespaceRef* ref = add(file->inode, path, 0)) {
        if (!ref->is_host) ref->name = printable(name);
      }
    }
    for (const std::string& name : names_in(places_.docker)) {
      const std::string path = places_.docker + "/" + name;
      if (const auto file = open_namespace(path)) add(file->inode, path, 0);
    }
    add_those_of_processes();
    std::ranges::stable_sort(found_, {}, [](const auto& ref) { return !ref.is_host; });
  }

  void add_those_of_processes() {
    std::map<std::uint64_t, std::int32_t> lowest_pid;
    std::uint32_t closed = 0;
    int why = EACCES;
    const auto proc = open_file(places_.proc.c_str(), O_RDONLY | O_DIRECTORY);
    if (!proc) {
      not_read_.push_back({"network namespaces of processes", proc.error().message, ""});
      return;
    }
    for_each_pid(proc->get(), [&](std::int32_t pid) {
      std::array<char, 64> link;
      const std::string path = std::to_string(pid) + "/ns/net";
      const ssize_t n = ::readlinkat(proc->get(), path.c_str(), link.data(), link.size());
      if (n < 0) {
        if (errno == EACCES || errno == EPERM) {
          ++closed;
          why = errno;
        }
        return;
      }
      const auto inode = parse_inode_link({link.data(), static_cast<std::size_t>(n)}, "net");
      if (inode) lowest_pid.emplace(*inode, pid);  // they come in ascending order
    });
    for (const auto& [inode, pid] : lowest_pid) {
      const auto known = std::ranges::find(found_, inode, &NamespaceRef::inode);
      if (known == found_.end()) {
        add(inode, places_.proc + "/" + std::to_string(pid) + "/ns/net", pid);
      } else if (known->pid == 0) {
        known->pid = pid;
      }
    }
    if (closed != 0) {
      const std::string who = closed == 1 ? "1 process" : std::to_string(closed) + " processes";
      not_read_.push_back({"network namespaces of " + who, system_error(why, "/proc").message,
                           ::geteuid() == 0 ? "run with CAP_SYS_PTRACE" : "run as root"});
    }
  }

  // What `ip netns` calls a namespace; empty if nothing.
  std::string name_in_netns(std::uint64_t inode) {
    if (!netns_names_) {
      netns_names_.emplace();
      for (std::string& name : names_in(places_.netns)) {
        const auto file = open_namespace(places_.netns + "/" + name);
        if (file) netns_names_->emplace(file->inode, std::move(name));
      }
    }
    const auto known = netns_names_->find(inode);
    return known == netns_names_->end() ? "" : known->second;
  }

  std::string name_of_process(const NamespaceRef& ref) const {
    const auto process = read_process(ref.pid, places_.proc);
    if (!process) return "";
    if (!process->container.empty()) return process->container;
    // A scope ("session-4.scope") says who started it, not what it is.
    if (process->unit.ends_with(".service")) return process->unit;
    // Ours is no name for what we look at.
    return ref.pid == ::getpid() ? "" : process->command;
  }

  void name_them() {
    bool host_in_doubt = false;
    for (NamespaceRef& ref : found_) {
      host_in_doubt |= host_ == 0 && !ref.is_host && ref.inode != own_;
      if (!ref.name.empty()) continue;
      if (ref.is_host) {
        ref.name = "host";
        continue;
      }
      ref.name = printable(name_in_netns(ref.inode));
      if (ref.name.empty() && ref.pid != 0) ref.name = name_of_process(ref);
      if (ref.name.empty()) ref.name = name_without_process(ref);
    }
    std::map<std::string, int> uses;
    for (const NamespaceRef& ref : found_) ++uses[ref.name];
    for (NamespaceRef& ref : found_) {
      if (uses[ref.name] > 1) ref.name += " " + name_by_number(ref);
    }
    const bool host_found = std::ranges::any_of(found_, &NamespaceRef::is_host);
    if (host_in_doubt && !host_found) {
      not_read_.push_back({"which network namespace is the host's",
                           "the namespace of process 1 cannot be read", "run as root"});
    }
  }

  static std::string name_by_number(const NamespaceRef& ref) {
    if (ref.pid != 0 && ref.inode == 0) return "(pid " + std::to_string(ref.pid) + ")";
    return "net:[" + std::to_string(ref.inode) + "]";
  }
  std::string name_without_process(const NamespaceRef& ref) const {
    const bool docker = ref.path.starts_with(places_.docker + "/");
    return docker ? printable(ref.path.substr(places_.docker.size() + 1)) : name_by_number(ref);
  }

  const NamespacePlaces& places_;
  std::vector<NotRead>& not_read_;
  std::vector<NamespaceRef> found_;
  std::uint64_t own_ = 0;
  std::uint64_t host_ = 0;  // 0: not known
  bool own_is_host_ = false;
  std::optional<std::map<std::uint64_t, std::string>> netns_names_;
};

}  // namespace

Result<std::vector<NamespaceRef>> find_namespaces(const LookOptions& options,
                                                  std::vector<NotRead>& not_read,
                                                  const NamespacePlaces& places) {
  return Finder(places, not_read).find(options);
}

}  // namespace lastack
