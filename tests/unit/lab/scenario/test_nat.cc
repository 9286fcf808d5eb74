#include "lab/scenario/nat.h"

#include <gtest/gtest.h>

#include "lastack/literals.h"
#include "lastack/packet_view.h"
#include "lastack/virtual_network.h"

namespace lastack::lab {
namespace {

struct Behind {
  VirtualNetwork net{1};
  Nat nat{NatSpec{"gw", "192.0.2.1"_ip, 5000, 5001, 1s, 10s}};
  Host& a = net.add_host({.name = "a"}, {"10.0.0.1"_ip});
  Host& b = net.add_host({.name = "b"}, {"10.0.0.2"_ip});
  Host& server = net.add_host({.name = "server"}, {"203.0.113.1"_ip});
  SocketId listener{};

  Behind() {
    net.attach(nat);
    net.set_gateway(net.id(a), net.id(nat));
    net.set_gateway(net.id(b), net.id(nat));
    listener = *server.open();
    (void)server.bind(listener, {"203.0.113.1"_ip, 80});
    (void)server.listen(listener, 10);
  }
  ~Behind() { net.detach(nat); }
  // The state of a new connection from there, after a while.
  TcpState connect(Host& from) {
    const SocketId socket = *from.open();
    (void)from.connect(socket, {"203.0.113.1"_ip, 80}, net.now());
    net.run_for(100ms);
    return *from.state(socket);
  }
};

TEST(Nat, HostsShareAnAddress) {
  Behind w;
  EXPECT_EQ(w.connect(w.a), TcpState::Established);
  EXPECT_EQ(w.connect(w.b), TcpState::Established);
  for (int i = 0; i < 2; ++i) {
    const auto accepted = w.server.accept(w.listener);
    ASSERT_TRUE(accepted);
    EXPECT_EQ(w.server.remote(*accepted)->address, "192.0.2.1"_ip);
  }
  EXPECT_EQ(w.nat.counts().mapped, 2u);
}

TEST(Nat, PortsRunOutAndComeBack) {
  Behind w;
  EXPECT_EQ(w.connect(w.a), TcpState::Established);
  EXPECT_EQ(w.connect(w.b), TcpState::Established);
  EXPECT_EQ(w.connect(w.a), TcpState::SynSent);
  EXPECT_GT(w.nat.counts().no_port, 0u);
  w.net.run_for(15s);  // nothing comes for longer than forget_after
  EXPECT_EQ(w.connect(w.b), TcpState::Established);
  EXPECT_GT(w.nat.counts().expired, 0u);
}

// What goes out after that does so from another port, and the other end does not know it.
TEST(Nat, WhatIsForgottenDoesNotComeBack) {
  Behind w;
  EXPECT_EQ(w.connect(w.a), TcpState::Established);
  EXPECT_EQ(w.nat.mappings(w.net.now()), 1u);
  w.net.run_for(15s);
  EXPECT_EQ(w.nat.mappings(w.net.now()), 0u);
  EXPECT_EQ(w.connect(w.a), TcpState::Established);
  const auto first = w.server.accept(w.listener);
  const auto second = w.server.accept(w.listener);
  ASSERT_TRUE(first && second);
  EXPECT_NE(w.server.remote(*first)->port, w.server.remote(*second)->port);
}

TEST(Nat, FromOutsideOnlyToAMapping) {
  Behind w;
  const SocketId socket = *w.server.open();
  (void)w.server.connect(socket, {"192.0.2.1"_ip, 5000}, w.net.now());
  w.net.run_for(100ms);
  EXPECT_EQ(*w.server.state(socket), TcpState::SynSent);
  EXPECT_GT(w.nat.counts().unknown, 0u);
}

}  // namespace
}  // namespace lastack::lab
