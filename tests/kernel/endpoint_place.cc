#include "kernel/endpoint_place.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace lastack::endpoint_incident {
namespace {

using namespace std::chrono_literals;

constexpr Duration kMoment = 5ms;
std::array<std::byte, 64> scratch;

}  // namespace

Server::Server(Place& place, Side& side, Options options)
    : place_(place), side_(side), options_(std::move(options)) {
  for (const Endpoint& local : options_.listen_on) {
    const auto family = local.address.is_v4() ? Host::Family::V4 : Host::Family::V6;
    const auto socket = side_.host->open(family);
    EXPECT_TRUE(socket);
    EXPECT_TRUE(side_.host->set_option(*socket, Option::reuse_address, 1, place_.now()));
    EXPECT_TRUE(side_.host->bind(*socket, local));
    EXPECT_TRUE(side_.host->listen(*socket, options_.backlog));
    if (options_.accepts) side_.owners[*socket] = [this](SocketId s) { accept(s); };
  }
}

void Server::accept(SocketId listener) {
  for (auto s = side_.host->accept(listener); s; s = side_.host->accept(listener)) {
    open_.insert(*s);
    side_.owners[*s] = [this](SocketId socket) { answer(socket); };
    answer(*s);
  }
}

void Server::answer(SocketId socket) {
  for (;;) {
    const auto n = side_.host->read(socket, scratch, place_.now());
    if (!n) {
      if (n.error() != Err::would_block) close(socket);
      return;
    }
    if (*n == 0) {
      if (options_.closes != Closes::Nobody) close(socket);  // whoever never closes leaks it
      return;
    }
    EXPECT_TRUE(side_.host->write(socket, std::span(scratch).first(*n), place_.now()));
    if (options_.closes != Closes::Server) continue;
    if (!options_.half_close) return close(socket);
    if (half_closed_.insert(socket).second) {
      EXPECT_TRUE(side_.host->shutdown(socket, ShutdownHow::Write, place_.now()));
    }
  }
}

void Server::close(SocketId socket) {
  side_.owners.erase(socket);
  open_.erase(socket);
  EXPECT_TRUE(side_.host->close(socket, place_.now()));
}

Err Client::dial(const Endpoint& to) {
  Host& host = *side_.host;
  const bool v6 = v6_ || !to.address.is_v4();
  const auto socket = host.open(v6 ? Host::Family::V6 : Host::Family::V4);
  if (!socket) return socket.error();
  const auto refused = [&](Err error) {
    (void)host.close(*socket, place_.now());
    return error;
  };
  if (from_) {
    EXPECT_TRUE(
        host.set_option(*socket, Option::bind_address_no_port, bind_zero_ ? 0 : 1, place_.now()));
    if (const auto bound = host.bind(*socket, {*from_, 0}); !bound) return refused(bound.error());
  }
  const auto begun = host.connect(*socket, to, place_.now());
  if (!begun && begun.error() != Err::in_progress) return refused(begun.error());
  open_.insert(*socket);
  side_.owners[*socket] = [this](SocketId s) { on_event(s); };
  return Err::none;
}

void Client::on_event(SocketId socket) {
  Host& host = *side_.host;
  if (!asked_.contains(socket)) {
    const std::byte request{1};
    if (!host.write(socket, std::span(&request, 1), place_.now())) return;
    asked_.insert(socket);
  }
  for (;;) {
    const auto n = host.read(socket, scratch, place_.now());
    if (!n && n.error() == Err::would_block) return;
    const bool answer = n && *n > 0;
    if (answer) answered_.insert(socket);
    if (closes_ == Closes::Nobody && answered_.contains(socket)) {
      side_.owners.erase(socket);  // and looks at it no more
      return;
    }
    if (!answer || closes_ == Closes::Client) return close(socket);
  }
}

void Client::give_up() {
  std::vector<SocketId> waiting;
  for (const SocketId s : open_) {
    if (!answered_.contains(s)) waiting.push_back(s);
  }
  for (const SocketId s : waiting) close(s);
}

void Client::abort_all() {
  for (const SocketId s : open_) {
    side_.owners.erase(s);
    EXPECT_TRUE(side_.host->abort(s, place_.now()));
  }
  open_.clear();
}

void Client::close(SocketId socket) {
  side_.owners.erase(socket);
  open_.erase(socket);
  asked_.erase(socket);
  answered_.erase(socket);
  EXPECT_TRUE(side_.host->close(socket, place_.now()));
}

Place::Place(const std::string& name, const std::vector<IpAddress>& addresses,
             std::uint32_t descriptor_limit, std::uint32_t other_descriptors)
    : network_(7) {
  HostOptions options;
  options.name = name;
  options.port_choice = PortChoice::LinuxWalk;
  options.most_sockets = descriptor_limit;
  here_.host = &network_.add_host(std::move(options), {});
  for (const IpAddress& address : addresses) here_.host->add_address(address);
  for (std::uint32_t i = 0; i < other_descriptors; ++i) EXPECT_TRUE(here_.host->open());
  watch(here_);
}

void Place::watch(Side& side) {
  network_.on_event(*side.host, [&side](SocketId socket) {
    const auto owner = side.owners.find(socket);
    if (owner == side.owners.end()) return;
    const auto call = owner->second;  // it may go meanwhile
    call(socket);
  });
}

Side& Place::add_second_host(const IpAddress& address) {
  there_.host =
      &network_.add_host({.name = "there", .port_choice = PortChoice::LinuxWalk}, {address});
  network_.link(*here_.host, *there_.host, {.delay = 20us});
  watch(there_);
  return there_;
}

void Place::set_second_host_deaf() {
  network_.link_one_way(*here_.host, *there_.host, {.down = true});
}

Server& Place::add_server(Side& side, Server::Options options) {
  servers_.push_back(std::make_unique<Server>(*this, side, std::move(options)));
  return *servers_.back();
}

void Place::add_load(Duration interval, std::uint64_t most,
                     std::function<void(std::uint64_t)> dial) {
  loads_.push_back({interval, most, std::move(dial), now()});
}

Place::Load* Place::next_load() {
  Load* first = nullptr;
  for (Load& load : loads_) {
    if (load.left > 0 && (first == nullptr || load.next < first->next)) first = &load;
  }
  return first;
}

void Place::run_for(Duration duration) {
  const Instant stop = now() + duration;
  for (Load* load = next_load(); load != nullptr && load->next <= stop; load = next_load()) {
    network_.run_until(load->next);
    load->next += load->interval;
    --load->left;
    load->dial(load->dialled++);
  }
  network_.run_until(stop);
}

void Place::run_loads() {
  for (Load* load = next_load(); load != nullptr; load = next_load()) run_for(load->next - now());
  run_for(kMoment);
}

}  // namespace lastack::endpoint_incident
