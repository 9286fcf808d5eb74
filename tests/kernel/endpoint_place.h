// Where an incident happens on endpoint hosts: what lab/echo_server.h and lab/workload.h do on the kernel, done on
// hosts of ours in virtual time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lastack/virtual_network.h"

namespace lastack::endpoint_incident {

enum class Closes { Client, Server, Nobody };

class Place;

// The host that is looked at, or the one it speaks to.
struct Side {
  Host* host = nullptr;
  std::unordered_map<SocketId, std::function<void(SocketId)>> owners;
};

// Accepts, answers each request, and closes first, second, or never. Accepts nothing with `accepts` false.
class Server {
 public:
  struct Options {
    std::vector<Endpoint> listen_on;
    Closes closes = Closes::Client;
    bool half_close = false;  // shutdown() in place of close()
    int backlog = 4096;
    bool accepts = true;
  };
  Server(Place& place, Side& side, Options options);
  const std::unordered_set<SocketId>& open() const { return open_; }

 private:
  void accept(SocketId listener);
  void answer(SocketId socket);
  void close(SocketId socket);

  Place& place_;
  Side& side_;
  Options options_;
  std::unordered_set<SocketId> open_;
  std::unordered_set<SocketId> half_closed_;
};

// Connects, asks, is answered, and closes first, second, or never.
class Client {
 public:
  Client(Place& place, Side& side, Closes closes, std::optional<IpAddress> from = {},
         bool bind_zero = false, bool v6 = false)
      : place_(place), side_(side), closes_(closes), from_(from), bind_zero_(bind_zero), v6_(v6) {}
  // Err::none once it is on its way.
  Err dial(const Endpoint& to);
  // Those that wait for an answer give up.
  void give_up();
  // All of them, with a RST.
  void abort_all();
  const std::unordered_set<SocketId>& open() const { return open_; }

 private:
  void on_event(SocketId socket);
  void close(SocketId socket);

  Place& place_;
  Side& side_;
  Closes closes_;
  std::optional<IpAddress> from_;
  bool bind_zero_;
  bool v6_;
  std::unordered_set<SocketId> open_, asked_, answered_;
};

class Place {
 public:
  // The host that is looked at. `name` is its own and that of its one process, which has so many other
  // descriptors, as a process of the kernel has its standard three and more.
  Place(const std::string& name, const std::vector<IpAddress>& addresses,
        std::uint32_t descriptor_limit, std::uint32_t other_descriptors);
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  // The second host, a wire away.
  Side& add_second_host(const IpAddress& address);
  // What this host sends to the second one vanishes from now on.
  void set_second_host_deaf();

  Side& here() { return here_; }
  Server& add_server(Side& side, Server::Options options);
  template <class... Arguments>
  Client& add_client(Side& side, Arguments&&... arguments) {
    clients_.push_back(
        std::make_unique<Client>(*this, side, std::forward<Arguments>(arguments)...));
    return *clients_.back();
  }
  // Calls `dial` with 0, 1, 2, ... every `interval`, `most` times, from now on, while time passes.
  void add_load(Duration interval, std::uint64_t most, std::function<void(std::uint64_t)> dial);

  Instant now() const { return network_.now(); }
  void run_for(Duration duration);
  // Until every load has dialled all that it may, and a moment more.
  void run_loads();

 private:
  struct Load {
    Duration interval;
    std::uint64_t left;
    std::function<void(std::uint64_t)> dial;
    Instant next;
    std::uint64_t dialled = 0;
  };
  void watch(Side& side);
  // The load that is due first.
  Load* next_load();

  VirtualNetwork network_;
  Side here_, there_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Load> loads_;
};

}  // namespace lastack::endpoint_incident
