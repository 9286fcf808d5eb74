// Processes: which one holds which socket, how many descriptors each has and may have, and what it
// is called: command, unit, container.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/file.h"
#include "kernel/process_files.h"
#include "lastack/host_snapshot.h"

namespace lastack {

// Every process that /proc shows, by ascending pid. Not threads: those of a process share its
// descriptors (all but a few programs that unshare(CLONE_FILES) in a thread).
class ProcessTable {
 public:
  // Gets the inode of a socket and the index in processes() of a process that holds it; after
  // fork() several hold the same one. False: all that was sought has been found, read no more
  // links.
  using OnSocket = std::function<bool(std::uint64_t inode, std::uint32_t process)>;

  explicit ProcessTable(std::string proc = "/proc") : proc_(std::move(proc)) {}

  // Walks the descriptors of every process: one readlink per descriptor, no other system call. A process
  // with many is read by up to four threads, joined before this returns; `on_socket` is called from this
  // one. Fills `pid` and `descriptors` of each; a process that ends meanwhile is left out.
  void scan(const OnSocket& on_socket, std::vector<NotRead>& not_read);

  // The rest of one process: command, arguments, unit, container, descriptor_limit, uid, parent,
  // net_namespace; what cannot be read stays as it was. False when the process is gone.
  bool load_details(std::uint32_t index);
  // descriptor_limit alone: one file instead of six.
  bool load_limit(std::uint32_t index);
  // Only `arguments`; empty when they cannot be read.
  const std::string& load_arguments(std::uint32_t index);

  std::vector<Process>& processes() { return processes_; }
  const std::vector<Process>& processes() const { return processes_; }
  // Processes whose descriptors we may not read. Their number of descriptors is known all the same
  // since Linux 6.2.
  std::uint32_t closed_to_us() const { return closed_to_us_; }

 private:
  std::string proc_;
  UniqueFd directory_;
  std::vector<Process> processes_;
  std::uint32_t closed_to_us_ = 0;
};

// One process by its pid.
Result<Process> read_process(std::int32_t pid, const std::string& proc = "/proc");

// Calls `each(pid)` for every process in the folder /proc, open for reading as `directory`. Returns
// 0, or an errno where the folder cannot be read.
int for_each_pid(int directory, const std::function<void(std::int32_t)>& each);

}  // namespace lastack
