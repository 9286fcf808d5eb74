// The two worlds that a differential asks: the running kernel, and the endpoint. One interface, in the words of
// lastack/host.h, so that a script cannot tell which one answers.
//
//   kernel    sockets in a private network namespace. Its only interface beside lo is a TUN device that the
//             test holds, so that every segment comes from the test and goes to it
//   endpoint  a lastack::Host, whose time is what the test tells it
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/host.h"
#include "lastack/result.h"

namespace lastack::differential {

using Bytes = std::vector<std::byte>;

// The host that is asked, and the network of the others, whom the test plays.
inline const IpAddress kHere = IpAddress::v4(0x0a4d0001);  // 10.77.0.1
inline const IpAddress kThere = IpAddress::v4(0x0a4d0002);
inline const IpAddress kHereV6 = *IpAddress::parse("fd77::1");
inline const IpAddress kThereV6 = *IpAddress::parse("fd77::2");
inline const IpAddress kLoopback = IpAddress::v4(0x7f000001);

// A socket of a world, until it is closed.
using Handle = int;

class World {
 public:
  virtual ~World() = default;
  virtual std::string_view name() const = 0;

  // A sysctl by the last part of its name. False when the world refuses the value or lacks the setting.
  virtual bool set(const std::string& name, const std::string& value) = 0;

  // --- Packets and time
  virtual void receive(std::span<const std::byte> packet, Instant now) = 0;
  // What it has sent since it was asked last.
  virtual std::vector<Bytes> sent() = 0;
  // Until `now` is over.
  virtual void advance(Instant now) = 0;
  // When it will do something by itself, as far as it tells.
  virtual Instant next_deadline() { return Instant::max(); }
  // The value of a sysctl, nothing where the world does not tell.
  virtual std::optional<std::string> setting(const std::string&) { return std::nullopt; }

  // --- Calls: nothing blocks
  virtual Outcome<Handle> open(bool v6) = 0;
  virtual Outcome<void> bind(Handle socket, const Endpoint& local) = 0;
  virtual Outcome<void> listen(Handle socket, int backlog) = 0;
  virtual Outcome<void> connect(Handle socket, const Endpoint& remote, Instant now) = 0;
  virtual Outcome<Handle> accept(Handle listener) = 0;
  virtual Outcome<std::size_t> read(Handle socket, std::size_t most, Instant now) = 0;
  virtual Outcome<std::size_t> write(Handle socket, std::size_t length, Instant now) = 0;
  virtual Outcome<void> shutdown(Handle socket, ShutdownHow how, Instant now) = 0;
  virtual Outcome<void> close(Handle socket, Instant now) = 0;
  virtual Outcome<void> set_option(Handle socket, Option option, int value, Instant now) = 0;
  virtual Outcome<int> option(Handle socket, Option option) = 0;
  virtual Outcome<Err> take_error(Handle socket) = 0;
  virtual Outcome<Endpoint> local(Handle socket) = 0;
  virtual Outcome<Endpoint> remote(Handle socket) = 0;
  virtual Readiness readiness(Handle socket) = 0;

  // --- What it looks like
  virtual std::vector<SocketRecord> rows(Instant now) = 0;
  virtual Counters counters() = 0;
  virtual std::uint64_t small_records(Instant now) = 0;  // "tw" of sockstat
};

// In the namespace that the calling process has entered, which gets its TUN device here. An error when there is
// no /dev/net/tun, or it may not be used.
Result<std::unique_ptr<World>> make_kernel_world();

struct EndpointOptions {
  std::uint64_t seed = 1;
  Instant now{};
};
std::unique_ptr<World> make_endpoint_world(const EndpointOptions& options);

}  // namespace lastack::differential
