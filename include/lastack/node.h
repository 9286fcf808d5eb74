// A host, and the tasks that run on it.
//
//   VirtualNetwork net(42);
//   Node& server = net.add_node({.name = "server"}, {"10.0.0.2"_ip});
//   auto serving = server.serve({"10.0.0.2"_ip, 80}, [](TcpStream c) -> Task<> {
//     std::array<std::byte, 4096> buffer;
//     for (;;) {
//       const auto n = co_await c.read(buffer);
//       if (!n || *n == 0) co_return;                       // closes
//       if (!co_await c.write(std::span(buffer).first(*n))) co_return;
//     }
//   });
//
// A node does nothing by itself: a Driver gives it packets and the time. VirtualNetwork is one, LoopDriver (TUN devices,
// real time) another; packet_node.h says what a third has to do.
//
// Lifetime. A node may be destroyed at any time but from within one of its own tasks. Then its tasks are destroyed where
// they wait, their streams closed, and tasks of other nodes that wait for this one go on with Err::canceled. Streams,
// listeners and jobs may outlive it. Threads: one at a time, that of its driver.
#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lastack/host.h"
#include "lastack/packet_node.h"
#include "lastack/stream.h"
#include "lastack/task.h"

namespace lastack {

// Options of a socket, set before it is bound, in this order.
using OptionValues = std::vector<std::pair<Option, int>>;

struct ConnectOptions {
  // The local address, the port, or both; 0 and an unspecified address: to be chosen.
  std::optional<Endpoint> from{};
  OptionValues options{};

  // ConnectOptions{}.set(Option::no_delay, 1)
  ConnectOptions& set(Option option, int value) {
    options.emplace_back(option, value);
    return *this;
  }
};

struct ListenOptions {
  int backlog = 4096;  // cut to the setting somaxconn
  // SO_REUSEADDR: so that a server finds its port again while earlier connections are in TIME_WAIT.
  bool reuse_address = true;
  OptionValues options{};  // accepted connections inherit them

  ListenOptions& set(Option option, int value) {
    options.emplace_back(option, value);
    return *this;
  }
};

namespace detail {

class [[nodiscard]] ConnectOperation final : public OperationOf<ConnectOperation, TcpStream> {
 public:
  ConnectOperation(CoreRef core, const Endpoint& to, ConnectOptions options)
      : OperationOf(std::move(core)), to_(to), options_(std::move(options)) {}
  ~ConnectOperation() override { give_up(); }

 private:
  bool attempt() override;
  void fail(Err error) override;
  Outcome<void> start();
  void give_up();
  Endpoint to_;
  ConnectOptions options_;
  bool begun_ = false;
};

class [[nodiscard]] SleepOperation final : public Operation {
 public:
  SleepOperation(CoreRef core, Instant until);
  void await_resume() {}

 private:
  bool attempt() override;
  void fail(Err) override {}
};

class JoinOperation;

}  // namespace detail

// A task that was spawned. May be copied, and outlive it.
class Job {
 public:
  Job() = default;
  // It has ended, or there is none.
  bool done() const;
  // Destroys it where it waits. From within itself: at its next co_await.
  void cancel();
  // co_await job.ended(): until it has, however it came.
  detail::JoinOperation ended() const;

 private:
  friend class Node;
  friend class detail::JoinOperation;
  Job(detail::CoreRef core, std::uint32_t index, std::uint32_t generation)
      : core_(std::move(core)), index_(index), generation_(generation) {}
  detail::Root* root() const;
  detail::CoreRef core_;
  std::uint32_t index_ = 0;
  std::uint32_t generation_ = 0;
};

namespace detail {

class [[nodiscard]] JoinOperation final : public Operation {
 public:
  explicit JoinOperation(Job job);
  void await_resume() {}

 private:
  bool attempt() override;
  void fail(Err) override {}
  Waiting* waits_in() override;
  Job job_;
};

// Keeps what is called, and its argument, as long as the task.
template <class F, class... Arguments>
Task<> call(F what, Arguments... with) {
  co_await what(std::move(with)...);
}

}  // namespace detail

class Node final : public PacketNode {
 public:
  // Throws std::invalid_argument with what check(options, addresses) says, where it says something.
  explicit Node(HostOptions options = {}, std::initializer_list<IpAddress> addresses = {});
  ~Node() override;

  // For addresses, settings, snapshots, counters, and every call that waits for nothing. Ask for it anew where you need
  // it: that is how the driver learns that the host has to be looked after. next_event() is the node's.
  Host& host();
  const Host& host() const;
  Instant now() const;

  // --- Connections
  // Opens a connection. Err::address_not_available: no local port is left for this destination; connection_refused,
  // timed_out, host_unreachable ...: docs/errors.md.
  detail::ConnectOperation connect(const Endpoint& to, ConnectOptions options = {}) {
    return {core_, to, std::move(options)};
  }
  Outcome<TcpListener> listen(const Endpoint& at, const ListenOptions& options = {});
  // Listens, and runs `each(stream)` as a task of its own for every connection. The job is the listening; cancelling it
  // leaves the connections alone.
  template <class F>
    requires std::is_invocable_r_v<Task<>, F, TcpStream>
  Outcome<Job> serve(const Endpoint& at, F each, const ListenOptions& options = {}) {
    auto listener = listen(at, options);
    if (!listener) return tl::unexpected(listener.error());
    return spawn(accept_all(std::move(*listener), std::move(each)));
  }
  // Takes over a socket that was made by calls of Host.
  TcpStream adopt(SocketId socket);

  // --- Tasks
  // Runs it from the next time on that the driver comes round. A task that ends, or is never awaited again, is destroyed.
  Job spawn(Task<> task);
  // A callable is kept as long as its task, so that its captures may be used.
  template <class F>
    requires std::is_invocable_r_v<Task<>, F>
  Job spawn(F make) {
    return spawn(detail::call(std::move(make)));
  }
  detail::SleepOperation sleep_for(Duration duration) { return {core_, later(now(), duration)}; }
  detail::SleepOperation sleep_until(Instant when) { return {core_, when}; }
  // Tasks that have been spawned and have not ended.
  std::size_t tasks() const;
  // Called with what a spawned task has thrown. Without it the exception comes out of what drives the node: run_for(),
  // EventLoop::run().
  void on_failure(std::function<void(std::exception_ptr)> handler);

  // --- PacketNode
  void receive(std::span<const std::byte> packet, Instant now) override;
  std::span<const std::byte> next_packet() override;
  std::uint16_t segment_size() const override;
  Instant next_deadline() const override;
  void advance(Instant now) override;
  void pump(Instant now) override;
  bool has_address(const IpAddress& address) const override;
  // For drivers that see to the host themselves, as EventLoop does: an event of Host::next_event(), after which they call
  // pump(); and when they have to call it without one.
  void on_event(SocketId socket);
  Instant next_task() const;

 private:
  friend struct detail::Core;
  template <class F>
  Task<> accept_all(TcpListener listener, F each) {
    for (;;) {
      auto stream = co_await listener.accept();
      if (stream) {
        spawn(detail::call(each, std::move(*stream)));
      } else if (stream.error() == Err::too_many_files || stream.error() == Err::no_buffers) {
        co_await sleep_for(10ms);  // others have to end first
      } else {
        co_return;
      }
    }
  }
  detail::CoreRef core_;
};

}  // namespace lastack
