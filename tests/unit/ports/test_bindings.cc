// Who may bind beside whom (linux-facts 17, 19; claim B8). tests/kernel asks the kernel the same questions.
#include <gtest/gtest.h>

#include "ports/bindings.h"

namespace lastack {
namespace {

constexpr Port kPort = 8080;

PortHolder at(const char* address) {
  PortHolder h;
  h.address = *IpAddress::parse(address);
  return h;
}
PortHolder reuse_address(PortHolder h) {
  h.reuse_address = true;
  return h;
}
PortHolder reuse_port(PortHolder h, std::uint32_t uid = 0) {
  h.reuse_port = true;
  h.uid = uid;
  return h;
}
PortHolder listening(PortHolder h) {
  h.listening = true;
  return h;
}
PortHolder time_wait(PortHolder h) {
  h.time_wait = true;
  return h;
}
PortHolder v6_only(PortHolder h) {
  h.v6_only = true;
  return h;
}

bool may_bind(const PortHolder& holds, const PortHolder& asks) {
  Bindings b;
  b.add(kPort, holds);
  EXPECT_TRUE(b.may_bind(kPort + 1, asks));
  return b.may_bind(kPort, asks).has_value();
}

TEST(Bindings, AddressesThatOverlap) {
  const auto overlap = [](const PortHolder& a, const PortHolder& b) {
    EXPECT_EQ(addresses_overlap(a, b), addresses_overlap(b, a));
    return addresses_overlap(a, b);
  };
  const PortHolder any4 = at("0.0.0.0");
  const PortHolder any6 = at("::");
  EXPECT_TRUE(overlap(any4, any4));
  EXPECT_TRUE(overlap(any4, at("10.0.0.1")));
  EXPECT_FALSE(overlap(at("10.0.0.1"), at("10.0.0.2")));
  EXPECT_TRUE(overlap(any6, any4));
  EXPECT_TRUE(overlap(any6, at("10.0.0.1")));
  EXPECT_TRUE(overlap(any6, at("2001:db8::1")));
  EXPECT_FALSE(overlap(any4, at("2001:db8::1")));
  EXPECT_FALSE(overlap(v6_only(any6), any4));
  EXPECT_FALSE(overlap(v6_only(any6), at("10.0.0.1")));
  EXPECT_TRUE(overlap(v6_only(any6), at("2001:db8::1")));
  EXPECT_TRUE(overlap(v6_only(any6), any6));
  EXPECT_FALSE(overlap(at("2001:db8::2"), at("2001:db8::1")));
}

TEST(Bindings, B8_reuse_address_on_both_and_neither_listens) {
  const PortHolder plain = at("0.0.0.0");
  const PortHolder willing = reuse_address(plain);
  EXPECT_FALSE(may_bind(plain, plain));
  EXPECT_FALSE(may_bind(willing, plain));
  EXPECT_FALSE(may_bind(plain, willing));
  EXPECT_TRUE(may_bind(willing, willing));
  EXPECT_FALSE(may_bind(listening(willing), willing));
}

TEST(Bindings, B8_reuse_port_on_both_of_one_user) {
  const PortHolder plain = at("0.0.0.0");
  EXPECT_TRUE(may_bind(reuse_port(plain), reuse_port(plain)));
  EXPECT_TRUE(may_bind(listening(reuse_port(plain)), reuse_port(plain)));
  EXPECT_FALSE(may_bind(reuse_port(plain, 1000), reuse_port(plain, 1001)));
  EXPECT_FALSE(may_bind(reuse_port(plain), plain));
  EXPECT_FALSE(may_bind(reuse_port(plain), reuse_address(plain)));
}

TEST(Bindings, B8_F17_a_server_that_starts_again_while_records_of_it_wait) {
  const PortHolder any = at("0.0.0.0");
  const PortHolder record = time_wait(at("10.0.0.1"));
  EXPECT_FALSE(may_bind(record, any));
  EXPECT_FALSE(may_bind(record, reuse_address(any))) << "the old socket had not set it";
  EXPECT_TRUE(may_bind(reuse_address(record), reuse_address(any)));
  EXPECT_FALSE(may_bind(reuse_address(record), any));
  EXPECT_TRUE(may_bind(reuse_port(record), reuse_port(any, 1000))) << "whose it was is forgotten";
  EXPECT_TRUE(may_bind(record, at("10.0.0.2")));
}

TEST(Bindings, ListenAsksAgain) {
  const PortHolder willing = reuse_address(at("0.0.0.0"));
  Bindings b;
  b.add(kPort, willing);
  EXPECT_TRUE(b.may_listen(kPort, willing)) << "it is alone";
  b.add(kPort, willing);
  EXPECT_TRUE(b.may_listen(kPort, willing)) << "two have bound, the first may listen";
  b.remove(kPort, willing);
  b.add(kPort, listening(willing));
  EXPECT_FALSE(b.may_listen(kPort, willing)) << "and the second may not";
  EXPECT_FALSE(b.may_bind(kPort, willing));
  b.remove(kPort, listening(willing));
  EXPECT_TRUE(b.may_listen(kPort, willing));
}

TEST(Bindings, F21_bind_zero_wants_a_port_that_nobody_holds) {
  Bindings b;
  const PortHolder willing = reuse_port(reuse_address(at("10.0.0.1")));
  EXPECT_TRUE(b.free_for_bind_zero(kPort, willing));
  b.add(kPort, willing);
  EXPECT_FALSE(b.free_for_bind_zero(kPort, willing)) << "on whatever terms";
  EXPECT_TRUE(b.free_for_bind_zero(kPort, at("10.0.0.2")));
}

TEST(Bindings, F19_connect_passes_over_what_a_bind_holds) {
  Bindings b;
  PortHolder chosen = at("10.0.0.1");
  chosen.by_connect = true;
  EXPECT_FALSE(b.passed_over_by_connect(kPort));
  b.add(kPort, chosen);
  EXPECT_FALSE(b.passed_over_by_connect(kPort));
  b.add(kPort, at("10.9.9.9"));
  EXPECT_TRUE(b.passed_over_by_connect(kPort)) << "at whatever address";
  b.remove(kPort, at("10.9.9.9"));
  EXPECT_FALSE(b.passed_over_by_connect(kPort));
}

TEST(Bindings, ARecordHoldsAsItsSocketDid) {
  TimeWaitRecord r;
  r.tuple.local = {IpAddress::v4(0x0a000001), kPort};
  r.port = {true, true, false};
  const PortHolder h = holder_of(r);
  EXPECT_EQ(h.address, IpAddress::v4(0x0a000001));
  EXPECT_TRUE(h.time_wait);
  EXPECT_TRUE(h.reuse_address);
  EXPECT_FALSE(h.reuse_port);
  EXPECT_FALSE(h.by_connect);
}

TEST(Bindings, TermsThatNobodyHoldsAreForgotten) {
  Bindings b;
  const PortHolder stays = at("10.0.0.1");
  const auto terms = b.add(kPort, stays);
  std::size_t early = 0, late = 0;
  for (std::uint32_t uid = 1; uid <= 2000; ++uid) {
    PortHolder other = at("10.0.0.2");
    other.uid = uid;
    b.remove(kPort, b.add(kPort, other));
    std::size_t& most = uid <= 400 ? early : late;
    most = std::max(most, b.bytes());
  }
  EXPECT_LE(late, early);
  EXPECT_EQ(b.holder(terms), stays);
  EXPECT_EQ(b.holders(kPort), 1u);
  b.remove(kPort, stays);
  EXPECT_EQ(b.held_ports(), 0u);
}

TEST(Bindings, ManyOfOneKindAreOneEntry) {
  Bindings b;
  const PortHolder record = time_wait(at("10.0.0.1"));
  b.add(kPort, record);
  const std::size_t of_one = b.bytes();
  for (int i = 1; i < 28'000; ++i) b.add(kPort, record);
  EXPECT_EQ(b.holders(kPort), 28'000u);
  EXPECT_EQ(b.bytes(), of_one);
  for (int i = 0; i < 27'999; ++i) b.remove(kPort, record);
  EXPECT_FALSE(b.may_bind(kPort, at("0.0.0.0")));
  b.remove(kPort, record);
  b.remove(kPort, record);
  EXPECT_TRUE(b.may_bind(kPort, at("0.0.0.0")));
  EXPECT_EQ(b.held_ports(), 0u);
}

}  // namespace
}  // namespace lastack
