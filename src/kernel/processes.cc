#include "kernel/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <thread>

#include "kernel/text.h"

namespace lastack {
namespace {

constexpr std::size_t kSmallFile = 16384;                 // stat, status, limits, cgroup
constexpr std::size_t kMountinfo = std::size_t{4} << 20;  // hosts with thousands of containers
constexpr std::size_t kCommandLine = 1024;                // of which 256 bytes are kept

// Calls `each(name)`, NUL-terminated, for the entries of a folder whose names are numbers; stops
// when it says false. Returns 0 or an errno. Here and not readdir(3): the folder of a process with
// a hundred thousand descriptors is read in large pieces, without an allocation per process.
template <class Each>
int for_each_number(int directory, Each&& each) {
  alignas(dirent64) std::array<char, 32768> buffer;
  for (;;) {
    const ssize_t n = ::getdents64(directory, buffer.data(), buffer.size());
    if (n == 0) return 0;
    if (n < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    for (ssize_t at = 0; at < n;) {
      // The kernel aligns entries to 8 bytes.
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      if (is_digit(entry->d_name[0]) && !each(static_cast<const char*>(entry->d_name))) return 0;
    }
  }
}

struct Path {
  std::array<char, 32> text;
  const char* c_str() const { return text.data(); }
};

Path process_path(std::int32_t pid, const char* file) {
  Path path;
  std::snprintf(path.text.data(), path.text.size(), "%d/%s", pid, file);
  return path;
}

bool is_denied(int error) {
  return error == EACCES || error == EPERM;
}

struct Walk {
  std::uint64_t descriptors = 0;
  bool denied = false;
  bool go_on = true;
};

// What one link of the folder fd says.
struct Link {
  std::uint64_t inode = 0;  // of a socket; 0: something else
  int error = 0;
};

Link read_link(int directory, const char* name) {
  std::array<char, 64> link;
  const ssize_t n = ::readlinkat(directory, name, link.data(), link.size());
  if (n < 0) return {0, errno};
  // The common links of a busy program, compared before anything is parsed.
  if (n < 11 || std::memcmp(link.data(), "socket:[", 8) != 0) return {};
  const std::string_view target(link.data(), static_cast<std::size_t>(n));
  return {parse_inode_link(target, "socket").value_or(0), 0};
}

// Reads links side by side: each costs the kernel three microseconds, which is most of what a diagnosis of
// 100,000 sockets with owners takes.
void read_links(int directory, std::span<const std::int32_t> numbers, std::span<Link> links) {
  constexpr std::size_t kWorthAThread = 4096;
  constexpr std::size_t kMostThreads = 4;
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t threads = std::clamp<std::size_t>(numbers.size() / kWorthAThread, 1,
                                                      std::min(kMostThreads, processors));
  const auto read_share = [&](std::size_t share) {
    const std::size_t end = numbers.size() * (share + 1) / threads;
    for (std::size_t i = numbers.size() * share / threads; i < end; ++i) {
      std::array<char, 12> name;
      *std::to_chars(name.data(), name.data() + name.size() - 1, numbers[i]).ptr = '\0';
      links[i] = read_link(directory, name.data());
    }
  };
  std::vector<std::thread> others;
  for (std::size_t share = 1; share < threads; ++share) {
    try {
      others.emplace_back(read_share, share);
    } catch (const std::system_error&) {  // no more threads here: then one after the other
      read_share(share);
    }
  }
  read_share(0);
  for (std::thread& other : others) other.join();
}

// The descriptors of one process, whose folder fd is `directory`. Nothing when it has ended.
std::optional<Walk> walk_descriptors(int directory, std::uint32_t index,
                                     const ProcessTable::OnSocket& on_socket) {
  Walk walk;
  std::vector<std::int32_t> numbers;
  std::vector<Link> links;
  const auto read_batch = [&] {
    links.resize(numbers.size());
    read_links(directory, numbers, links);
    for (const Link& link : links) {
      // Listing the folder may be permitted where following its links is not. Closed meanwhile: ENOENT.
      if (is_denied(link.error)) walk.denied = true;
      if (link.inode != 0 && walk.go_on) walk.go_on = on_socket(link.inode, index);
    }
    numbers.clear();
  };
  constexpr std::size_t kBatch = 32768;
  const int error = for_each_number(directory, [&](const char* name) {
    ++walk.descriptors;
    if (walk.denied || !walk.go_on) return true;  // counted only
    // What is no descriptor's number leaves 0 behind: its link is read once more, which does no harm.
    numbers.push_back(parse_number<std::int32_t>(name).value_or(0));
    // The first tell whether reading more makes sense: permission, or all found.
    if (numbers.size() == kBatch || walk.descriptors == 1) read_batch();
    return true;
  });
  if (!numbers.empty()) read_batch();
  if (error != 0) return std::nullopt;
  return walk;
}

void say_what_was_closed(std::uint32_t closed, int error, std::vector<NotRead>& not_read) {
  if (closed == 0) return;
  const std::string who = closed == 1 ? "1 process" : std::to_string(closed) + " processes";
  not_read.push_back({"owners of sockets: descriptors of " + who, std::strerror(error),
                      ::geteuid() == 0
                          ? "it takes CAP_SYS_PTRACE and every capability that they have"
                          : "run as root"});
}

void say_what_was_hidden(const std::string& proc, std::vector<NotRead>& not_read) {
  const auto mountinfo = read_file((proc + "/self/mountinfo").c_str(), kMountinfo);
  const std::string option = mountinfo ? parse_hidepid(*mountinfo) : "";
  not_read.push_back(
      {"processes of other users",
       option.empty() ? "/proc does not show process 1" : "/proc is mounted with " + option,
       "run as root, or in the group that gid= of that mount names"});
}

void read_limit(int proc, Process& process) {
  const auto limits = read_file_at(proc, process_path(process.pid, "limits").c_str(), kSmallFile);
  if (limits) process.descriptor_limit = parse_limits(*limits);
}

void read_arguments(int proc, Process& process) {
  const auto text =
      read_start_of_file_at(proc, process_path(process.pid, "cmdline").c_str(), kCommandLine);
  if (text) process.arguments = parse_cmdline(*text);
}

// False when the process is gone.
bool read_details(int proc, Process& process) {
  const auto read = [&](const char* file) {
    return read_file_at(proc, process_path(process.pid, file).c_str(), kSmallFile);
  };
  const auto stat = read("stat");
  if (!stat) return is_denied(stat.error().number);
  parse_stat(*stat, process);
  if (const auto status = read("status")) {
    process.uid = parse_status_uid(*status).value_or(process.uid);
  }
  if (const auto cgroup = read("cgroup")) parse_cgroup(*cgroup, process);
  read_arguments(proc, process);
  read_limit(proc, process);
  std::array<char, 64> link;
  const ssize_t n =
      ::readlinkat(proc, process_path(process.pid, "ns/net").c_str(), link.data(), link.size());
  if (n > 0) {
    const std::string_view target(link.data(), static_cast<std::size_t>(n));
    process.net_namespace = parse_inode_link(target, "net").value_or(0);
  }
  return true;
}

}  // namespace

int for_each_pid(int directory, const std::function<void(std::int32_t)>& each) {
  return for_each_number(directory, [&](const char* name) {
    const auto pid = parse_number<std::int32_t>(name);
    if (pid && *pid > 0) each(*pid);
    return true;
  });
}

void ProcessTable::scan(const OnSocket& on_socket, std::vector<NotRead>& not_read) {
  processes_.clear();
  closed_to_us_ = 0;
  auto directory = open_file(proc_.c_str(), O_RDONLY | O_DIRECTORY);
  if (!directory) {
    not_read.push_back({"processes", directory.error().message, ""});
    return;
  }
  directory_ = std::move(*directory);
  const int proc = directory_.get();

  struct stat status {};
  // Since Linux 6.2 the size of the folder fd is the number of descriptors; before that it is 0,
  // which no number of our own descriptors can be.
  const bool size_is_count = ::fstatat(proc, "self/fd", &status, 0) == 0 && status.st_size > 0;
  const auto count_without_reading = [&](const Path& path) -> std::uint64_t {
    if (!size_is_count || ::fstatat(proc, path.c_str(), &status, 0) != 0) return 0;
    return static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
  };

  bool go_on = true;
  bool saw_first = false;
  int why_closed = EACCES;
  const int error = for_each_pid(proc, [&](std::int32_t pid) {
    saw_first = saw_first || pid == 1;
    Process process;
    process.pid = pid;
    const Path path = process_path(pid, "fd");
    if (!go_on && size_is_count) {
      process.descriptors = count_without_reading(path);
      processes_.push_back(std::move(process));
      return;
    }
    const int fd = ::openat(proc, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && !is_denied(errno)) {
      // Ended meanwhile. Out of descriptors ourselves is another matter: then say so below.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        why_closed = errno;
        ++closed_to_us_;
      }
      return;
    }
    if (fd < 0) {
      why_closed = errno;
      ++closed_to_us_;
      process.descriptors = count_without_reading(path);
    } else {
      const UniqueFd folder(fd);
      const auto index = static_cast<std::uint32_t>(processes_.size());
      static const OnSocket kOnlyCount = [](std::uint64_t, std::uint32_t) { return false; };
      const auto walk = walk_descriptors(folder.get(), index, go_on ? on_socket : kOnlyCount);
      if (!walk) return;
      process.descriptors = walk->descriptors;
      if (walk->denied) ++closed_to_us_;
      go_on = go_on && walk->go_on;
    }
    processes_.push_back(std::move(process));
  });
  if (error != 0) {
    not_read.push_back({"some processes", system_error(error, "cannot list " + proc_).message, ""});
  }
  say_what_was_closed(closed_to_us_, why_closed, not_read);
  if (!saw_first) say_what_was_hidden(proc_, not_read);
}

bool ProcessTable::load_details(std::uint32_t index) {
  return index < processes_.size() && read_details(directory_.get(), processes_[index]);
}

bool ProcessTable::load_limit(std::uint32_t index) {
  if (index >= processes_.size()) return false;
  read_limit(directory_.get(), processes_[index]);
  return processes_[index].descriptor_limit.has_value();
}

const std::string& ProcessTable::load_arguments(std::uint32_t index) {
  static const std::string kNothing;
  if (index >= processes_.size()) return kNothing;
  read_arguments(directory_.get(), processes_[index]);
  return processes_[index].arguments;
}

Result<Process> read_process(std::int32_t pid, const std::string& proc) {
  const auto directory = open_file(proc.c_str(), O_PATH | O_DIRECTORY);
  if (!directory) return tl::unexpected(directory.error());
  Process process;
  process.pid = pid;
  if (!read_details(directory->get(), process)) {
    return tl::unexpected(Error{ESRCH, "there is no process " + std::to_string(pid)});
  }
  return process;
}

}  // namespace lastack
