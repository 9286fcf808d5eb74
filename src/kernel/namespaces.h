// Network namespaces: which there are, what to call them, and how to be in one for a while.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/file.h"
#include "lastack/host_snapshot.h"
#include "lastack/kernel.h"
#include "lastack/result.h"

namespace lastack {

struct NamespaceRef {
  std::uint64_t inode = 0;  // of the namespace file: its identity
  // A name of `ip netns`, else "host", else container, service or command of its process.
  std::string name;
  std::string path;  // of a namespace file: /run/netns/web, /proc/12/ns/net
  std::int32_t pid =
      0;  // a process in it, 0 if none is known: /proc/PID/net works without entering
  bool is_host = false;  // the initial namespace

  friend bool operator==(const NamespaceRef&, const NamespaceRef&) = default;
};

// Where to look; tests look elsewhere.
struct NamespacePlaces {
  std::string proc = "/proc";
  std::string netns = "/run/netns";
  std::string docker = "/run/docker/netns";
};

// The namespaces that `options` asks for, each once: the host's first, then in the order asked for, or by
// name. Fails when one that was named is not there; namespaces that only may not be seen are said in
// `not_read`.
Result<std::vector<NamespaceRef>> find_namespaces(const LookOptions& options,
                                                  std::vector<NotRead>& not_read,
                                                  const NamespacePlaces& places = {});

// The calling thread is in another network namespace while this lives.
class NamespaceScope {
 public:
  // Does nothing when the thread is in it already, so one's own namespace needs no privilege. Entering
  // another one takes CAP_SYS_ADMIN in the user namespace that owns it, in one's own, and, for the way
  // back, in that of the namespace one comes from: the way back is tried before leaving. A namespace that
  // has gone, or whose file now is another one's, is an error.
  static Result<NamespaceScope> enter(const NamespaceRef& ref);

  NamespaceScope(NamespaceScope&&) = default;
  NamespaceScope& operator=(NamespaceScope&&) = delete;
  // Goes back, on the same thread. Should the kernel refuse after all, the program ends with a message: to
  // go on would be to report one namespace as another.
  ~NamespaceScope();

 private:
  explicit NamespaceScope(UniqueFd home) : home_(std::move(home)) {}
  UniqueFd home_;  // none when nothing was entered
};

}  // namespace lastack
