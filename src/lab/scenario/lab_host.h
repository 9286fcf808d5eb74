// A host of a scenario as its programs see it: sockets, and what a person would look at from outside. An endpoint and a
// kernel have the same face, in the words of lastack/host.h, so that no program can tell which one it runs on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lab/program_process.h"
#include "lab/scenario/scenario.h"
#include "lastack/host.h"
#include "lastack/observer.h"
#include "lastack/result.h"
#include "lastack/virtual_network.h"

namespace lastack::lab {

// Of one host, until it is closed.
enum class Sock : std::uint64_t {};

// Whoever owns a socket.
class SocketUser {
 public:
  // Its readiness may have changed; said once for each change, as by an edge-triggered epoll.
  virtual void ready() = 0;

 protected:
  ~SocketUser() = default;
};

// What there is at one moment.
struct HostCounts {
  StateCounts states;
  // Of small records (TIME_WAIT, orphans in FIN_WAIT_2): the longest time that one of them has left.
  std::map<TcpState, Duration> left;
  Counters counters;
  std::uint64_t ports_exhausted =
      0;  // of connect(), counted by whoever called where the kernel does not
  std::uint64_t descriptors = 0;  // sockets open

  void add(const SocketRecord& row) {
    ++states[row.state];
    if (row.compact) left[row.state] = std::max(left[row.state], row.timer_remaining);
  }
};

class LabHost {
 public:
  virtual ~LabHost() = default;
  const HostSpec& spec() const { return spec_; }
  const std::string& name() const { return spec_.name; }
  virtual NodeId id() const = 0;
  // The first of the family of `like`, or the first.
  IpAddress address(std::optional<IpAddress> like = {}) const;

  // What a listener without an address is bound to: every address, of both families where the host has both.
  IpAddress any() const;

  virtual Outcome<Sock> open(bool v6, SocketUser& user) = 0;
  virtual Outcome<void> bind(Sock socket, const Endpoint& local) = 0;
  virtual Outcome<void> listen(Sock socket, int backlog) = 0;
  virtual Outcome<void> connect(Sock socket, const Endpoint& remote) = 0;
  virtual Outcome<Sock> accept(Sock listener, SocketUser& user) = 0;
  virtual Outcome<std::size_t> read(Sock socket, std::span<std::byte> out) = 0;
  virtual Outcome<std::size_t> write(Sock socket, std::span<const std::byte> data) = 0;
  virtual Outcome<void> shutdown(Sock socket, ShutdownHow how) = 0;
  virtual Outcome<void> close(Sock socket) = 0;
  // A RST, and it is closed.
  virtual Outcome<void> abort(Sock socket) = 0;
  virtual Outcome<void> set_option(Sock socket, Option option, int value) = 0;
  virtual Outcome<Err> take_error(Sock socket) = 0;
  virtual Outcome<Endpoint> local(Sock socket) = 0;
  virtual Readiness readiness(Sock socket) = 0;

  virtual Result<void> set(const std::string& name, const std::string& value) = 0;
  // As they are now.
  virtual Settings settings() = 0;
  // The whole of it walks all sockets; time_waits() does not.
  virtual HostCounts counts() = 0;
  virtual std::uint64_t time_waits() = 0;
  virtual std::uint64_t descriptors() = 0;
  // Bytes: of an endpoint what time_wait_memory() says; of a kernel host all that its kernel holds for itself and cannot
  // give back (SUnreclaim), which is the whole machine's. Empty: not to be read.
  virtual std::optional<std::uint64_t> memory() = 0;
  // As the doctor looks at it.
  virtual Result<HostSnapshot> snapshot() = 0;
  // Loses its memory, as by a crash, and is there again at once, or when it has kept quiet for an MSL (RFC 9293, 3.4.3).
  // False: this kind cannot.
  virtual bool crash([[maybe_unused]] bool quiet) { return false; }
  virtual bool is_kernel() const { return false; }
  // Told of a connect() that has come to nothing at once: no port, no descriptor, no route.
  using Refusal = std::function<void(const Endpoint& remote, Err)>;
  void on_refusal(Refusal told) { refused_ = std::move(told); }

 protected:
  explicit LabHost(const HostSpec& spec) : spec_(spec) {}
  Outcome<void> seen(Outcome<void> begun, const Endpoint& remote) const {
    if (!begun && begun.error() != Err::in_progress && refused_) refused_(remote, begun.error());
    return begun;
  }
  Refusal refused_;
  HostSpec spec_;
};

// An endpoint in `network`, which outlives it. `observer` may be null.
std::unique_ptr<LabHost> make_endpoint_host(const HostSpec& spec, VirtualNetwork& network,
                                            std::uint64_t seed, HostObserver* observer);

// A kernel: a network namespace of its own, joined to `network` by a TUN device that is held here. The calling process
// is in a private namespace already, as enter_private_namespace() leaves it, and has one thread.
class KernelHost : public LabHost {
 public:
  static Result<std::unique_ptr<KernelHost>> make(const HostSpec& spec, VirtualNetwork& network,
                                                  HostObserver* observer);
  // Readable when wake() has something to do.
  virtual int descriptor() const = 0;
  // Takes packets from the device, and tells users what is ready.
  virtual void wake() = 0;
  // A program that has this host's network and no other.
  virtual Result<ProgramProcess> start(const CommandLine& command) = 0;
  // Somebody listens on this port.
  virtual bool listens(Port port) = 0;
  // Makes the host's limit of descriptors that of the process, which has no other kernel host: its programs then meet it
  // as any program does, and the doctor sees it.
  virtual void limit_process() = 0;
  bool is_kernel() const override { return true; }

 protected:
  using LabHost::LabHost;
};

}  // namespace lastack::lab
