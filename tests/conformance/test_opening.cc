// RFC 9293, 3.4 to 3.5, 3.7 and 3.8.5: segments and options, and how connections begin.
#include <set>

#include "conformance/script.h"
#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

CONFORMANCE(MUST_1_a_window_above_32767_is_no_negative_number) {
  Script(profile).run(R"(
    passive mss 1460 win 65535
    write 10000
    > ACK 1+1460
    > ACK 1461+1460
    > ACK 2921+1460
    > ACK 4381+1460
    > ACK 5841+1460
    > ACK 7301+1460
    > ACK,PSH 8761+1240
  )");
}

CONFORMANCE(MUST_2_every_segment_has_a_good_checksum) {
  // `>` does not take a segment with a bad one.
  for (const bool v6 : {false, true}) {
    Script({.profile = profile, .v6 = v6, .options = {}}).run(R"(
      active mss 1000
      write 777
      > ACK,PSH 1+777 ack 1
      < ACK 1 ack 778
      close
      > FIN,ACK 778 ack 1
      < RST,ACK 1 ack 778
    )");
  }
}

// A packet of the peer, with a byte changed after its checksum was made.
std::vector<std::byte> spoiled_syn(const Script& s, std::size_t at) {
  TcpSegment syn;
  syn.source = 9000;
  syn.destination = 80;
  syn.flags = tcp_flag::kSyn;
  std::vector<std::byte> packet(40);
  const FourTuple tuple = s.tuple();
  write_ip(packet.data(), {.source = tuple.remote.address, .destination = tuple.local.address}, 20);
  write_tcp_header(packet.data() + 20, syn);
  write_tcp_checksum(std::span(packet).subspan(20), tuple.remote.address, tuple.local.address);
  packet[at] ^= std::byte{4};
  return packet;
}

CONFORMANCE(MUST_3_a_wrong_checksum_is_dropped) {
  Script s(profile);
  s.run("listen");
  for (const std::size_t at : {20U, 24U, 33U, 36U}) s.host.receive(spoiled_syn(s, at), s.now);
  s.run(R"(
    nothing
    counter InErrs 4
  )");
}

CONFORMANCE(MUST_5_options_are_taken_in_any_segment) {
  Script(profile)
      .run(R"(
    passive mss 1460 sackok ts 100
    < ACK,PSH 1+10 ack 1 ts 200
    within 1s > ACK 1 ack 11 ts */200
    read 10
  )")
      .last();
}

// A segment with options of the test's own.
std::vector<std::byte> with_options(const Script& s, std::vector<unsigned> options) {
  const FourTuple tuple = s.tuple();
  TcpSegment syn;
  syn.source = tuple.remote.port;
  syn.destination = tuple.local.port;
  syn.flags = tcp_flag::kSyn;
  syn.window = 65535;
  while (options.size() % 4 != 0) options.push_back(0);
  std::vector<std::byte> packet(40 + options.size());
  write_ip(packet.data(), {.source = tuple.remote.address, .destination = tuple.local.address},
           20 + options.size());
  write_tcp_header(packet.data() + 20, syn);
  packet[32] = static_cast<std::byte>((5 + options.size() / 4) << 4);
  for (std::size_t i = 0; i < options.size(); ++i)
    packet[40 + i] = static_cast<std::byte>(options[i]);
  write_tcp_checksum(std::span(packet).subspan(20), tuple.remote.address, tuple.local.address);
  return packet;
}

CONFORMANCE(MUST_6_unknown_options_are_passed_over) {
  Script s(profile);
  s.run("listen\nisn 0");
  // Two that nobody knows, and the MSS (1000) after them.
  s.host.receive(with_options(s, {253, 4, 1, 2, 77, 2, 2, 4, 3, 232}), s.now);
  s.run("> SYN,ACK 0 ack 1\n< ACK 1 ack 1\naccept\nwrite 1500\n> ACK 1+1000\n> ACK,PSH 1001+500");
}

CONFORMANCE(MUST_7_an_illegal_length_does_no_harm) {
  for (const auto& options : std::vector<std::vector<unsigned>>{{2, 0, 5, 5},
                                                                {2, 1, 5, 5},
                                                                {2, 40, 5, 5},
                                                                {2, 3, 5, 0},
                                                                {8, 255, 0, 0},
                                                                {3, 2, 0, 0},
                                                                {5, 9, 0, 0}}) {
    Script s(profile);
    s.run("listen\nisn 0");
    s.host.receive(with_options(s, options), s.now);
    s.run("> SYN,ACK 0 ack 1\n< ACK 1 ack 1\naccept\nstate ESTABLISHED");
  }
}

CONFORMANCE(MUST_14_the_MSS_option_is_sent_and_kept_to) {
  Script(profile).run(R"(
    connect
    > SYN 0 mss 1460
    < SYN,ACK 0 ack 1 mss 600
    > ACK 1 ack 1
    write 700
    > ACK 1+600
    > ACK,PSH 601+100
  )");
  Script(profile).run(R"(
    listen
    < SYN 0 mss 1000
    > SYN,ACK 0 ack 1 mss 1460
  )");
}

CONFORMANCE(MUST_15_without_it_536_and_1220) {
  Script(profile).run("passive\nwrite 600\n> ACK 1+536\ndrain");
  Script({.profile = profile, .v6 = true, .options = {}})
      .run("passive\nwrite 1300\n> ACK 1+1220\ndrain");
}

CONFORMANCE(MUST_16_no_segment_is_longer_than_the_peer_takes) {
  // Twelve bytes of timestamps come off what the peer takes.
  Script(profile).run(R"(
    passive mss 1000 ts 5
    write 2000
    > ACK 1+988
    > ACK 989+988
    drain
  )");
}

CONFORMANCE(MUST_65_MSS_goes_with_SYNs_only) {
  Script s(profile);
  s.run("passive mss 1460\nwrite 10\n> ACK,PSH 1+10");
  EXPECT_FALSE(s.last().options.mss);
  s.run("close\n> FIN,ACK 11");
  EXPECT_FALSE(s.last().options.mss);
}

CONFORMANCE(MUST_17_Nagle_can_be_switched_off) {
  Script(profile).run(R"(
    passive mss 1460
    set no_delay 1
    write 10
    > ACK,PSH 1+10
    write 10
    > ACK,PSH 11+10
    write 10
    > ACK,PSH 21+10
  )");
}

CONFORMANCE(SHLD_7_Nagle_is_on_by_default) {
  Script(profile).run(R"(
    passive mss 1460
    write 10
    > ACK,PSH 1+10
    write 10
    write 10
    nothing
    < ACK 1 ack 11
    > ACK,PSH 11+20
  )");
}

CONFORMANCE(MUST_30_urgent_data_is_sent_and_told_of) {
  Script(profile).run(R"(
    passive mss 1460
    write 5 urgent
    > ACK,PSH,URG 1+5 urg 5
  )");
}

CONFORMANCE(MUST_31_urgent_data_may_be_longer_than_a_segment) {
  Script(profile).run(R"(
    passive mss 1000
    write 3000 urgent
    > ACK,URG 1+1000 urg 3000
    > ACK,URG 1001+1000 urg 2000
    > ACK,PSH,URG 2001+1000 urg 1000
  )");
}

CONFORMANCE(MUST_32_the_user_is_told_when_urgent_data_comes) {
  Script(profile).run(R"(
    passive mss 1460
    urgent no
    < ACK,URG,PSH 1+10 ack 1 urg 10
    urgent yes
    drain
  )");
}

CONFORMANCE(MUST_33_and_how_much_comes_before_its_end) {
  Script(profile).run(R"(
    passive mss 1460
    < ACK,URG,PSH 1+10 ack 1 urg 6       # the sixth byte is the urgent one
    drain
    urgent yes
    unread 5
    mark no
    read 100 -> 5
    mark yes
    readable yes
    skip
    read 100 -> 4
    mark no
  )");
}

CONFORMANCE(MUST_60_what_is_written_is_pushed) {
  Script(profile).run(R"(
    passive mss 1460
    write 100
    > ACK,PSH 1+100
    < ACK 1 ack 101
    write 3000
    > ACK 101+1460
    > ACK 1561+1460
    > ACK,PSH 3021+80
  )");
}

// --- Opening

std::uint32_t isn_at(Profile profile, Duration later, std::uint64_t seed, Port from) {
  HostOptions options;
  options.seed = seed;
  Script s({.profile = profile, .v6 = false, .options = options});
  s.now += later;
  s.run("connect " + std::to_string(from) + "\n> SYN 0");
  return s.host_isn();
}

CONFORMANCE(MUST_8_initial_numbers_follow_a_clock) {
  const std::uint32_t first = isn_at(profile, 0s, 5, 40000);
  const std::uint32_t later = isn_at(profile, 1s, 5, 40000);
  const Duration tick = profile == Profile::Linux ? 64ns : 4us;
  EXPECT_EQ(later - first, 1s / tick);
}

CONFORMANCE(SHLD_1_each_four_tuple_has_a_place_of_its_own) {
  std::set<std::uint32_t> seen;
  for (Port port = 40000; port < 40050; ++port) seen.insert(isn_at(profile, 0s, 5, port) >> 20);
  EXPECT_GT(seen.size(), 40U);
}

CONFORMANCE(MUST_9_without_the_key_the_number_is_not_known) {
  std::set<std::uint32_t> seen;
  for (std::uint64_t seed = 1; seed <= 50; ++seed)
    seen.insert(isn_at(profile, 0s, seed, 40000) >> 20);
  EXPECT_GT(seen.size(), 40U);
}

CONFORMANCE(MUST_10_two_SYNs_that_cross_make_one_connection) {
  Script(profile).run(R"(
    connect
    > SYN 0
    < SYN 0 mss 1460
    > SYN,ACK 0 ack 1
    state SYN_RECEIVED
    < SYN,ACK 0 ack 1 mss 1460
    state ESTABLISHED
    drain
    write 10
    > ACK,PSH 1+10 ack 1
    < ACK,PSH 1+20 ack 11
    read 20
    drain
  )");
}

CONFORMANCE(MUST_11_a_RST_leads_back_to_where_it_came_from) {
  Script passive(profile);
  passive.run(R"(
    listen
    < SYN 0 mss 1460
    > SYN,ACK 0 ack 1
    < RST 1
    state LISTEN
    connections 0
    peer 9001
    passive mss 1460
  )");
  Script(profile).run(R"(
    connect
    > SYN 0
    < SYN 0
    > SYN,ACK 0 ack 1
    < RST 1
    state CLOSED
    err yes
  )");
}

CONFORMANCE(MUST_41_a_passive_open_disturbs_nothing) {
  Script s(profile);
  s.run("passive mss 1460");
  const SocketId first = s.socket;
  s.run("close listener\nlisten\npeer 9001\npassive mss 1460\nstate ESTABLISHED");
  s.socket = first;
  s.run(
      "peer 9000\nstate ESTABLISHED\nwrite 10\n> ACK,PSH 1+10 ack 1\n< ACK,PSH 1+10 ack 11\nread 10\ndrain");
}

CONFORMANCE(MUST_42_listening_beside_a_handshake) {
  // A connection goes out from port 80, and is in SYN_SENT, then SYN_RECEIVED; others are listened for.
  Script s(profile);
  s.run(
      "connect 80\n> SYN 0\nlisten\n< SYN 0 mss 1460\n> SYN,ACK 0 ack 1\nstate SYN_RECEIVED\n"
      "peer 9001\npassive mss 1460\nstate ESTABLISHED\npeer 80\nstate SYN_RECEIVED");
}

CONFORMANCE(MUST_43_the_local_address_may_be_given) {
  Script s(profile);
  const IpAddress other = *IpAddress::parse("10.0.0.77");
  s.host.add_address(other);
  s.socket = *s.host.open();
  ASSERT_TRUE(s.host.bind(s.socket, {other, 0}));
  s.run("reconnect");
  const auto packet = s.host.local(s.socket);
  EXPECT_EQ(packet->address, other);
  s.run("> SYN 0 from 10.0.0.77");
}

CONFORMANCE(MUST_44_else_it_is_chosen_before_the_SYN) {
  Script(profile).run("connect\n> SYN 0 from 10.0.0.1");
}

CONFORMANCE(MUST_45_and_it_stays) {
  Script s(profile);
  s.run("active mss 1460");
  s.host.add_address(*IpAddress::parse("10.0.0.3"));
  s.run("write 10\n> ACK,PSH 1+10 from 10.0.0.1\n+1s drain\nclose\ndrain");
  EXPECT_EQ(s.tuple().local.address, *IpAddress::parse("10.0.0.1"));
}

CONFORMANCE(MUST_46_no_open_to_a_group) {
  for (const char* group : {"224.0.0.1", "239.255.1.1", "255.255.255.255"}) {
    Script s(profile);
    const SocketId socket = *s.host.open();
    EXPECT_EQ(s.host.connect(socket, {*IpAddress::parse(group), 80}, s.now).error(),
              Err::network_unreachable)
        << group;
  }
  Script s({.profile = profile, .v6 = true, .options = {}});
  const SocketId socket = *s.host.open(Host::Family::V6);
  EXPECT_EQ(s.host.connect(socket, {*IpAddress::parse("ff02::1"), 80}, s.now).error(),
            Err::network_unreachable);
}

CONFORMANCE(MUST_57_a_SYN_to_a_group_is_dropped) {
  Script s(profile);
  // Even on a host that takes packets for the group.
  s.host.add_address(*IpAddress::parse("224.0.0.1"));
  s.host.add_address(*IpAddress::parse("255.255.255.255"));
  const SocketId all = *s.host.open();
  ASSERT_TRUE(s.host.bind(all, {IpAddress::v4(0), 80}));
  ASSERT_TRUE(s.host.listen(all, 5));
  s.run(
      "< SYN 0 to 224.0.0.1\nnothing\n< SYN 0 to 255.255.255.255\nnothing\n< ACK 1 ack 1 to 224.0.0.1\nnothing");
}

CONFORMANCE(MUST_63_a_SYN_from_a_group_is_dropped) {
  Script s(profile);
  s.run(
      "listen\n< SYN 0 from 224.0.0.1\nnothing\n< SYN 0 from 255.255.255.255\nnothing\n< SYN 0 from 0.0.0.0\nnothing");
  Script s6({.profile = profile, .v6 = true, .options = {}});
  s6.run("listen\n< SYN 0 from ff02::1\nnothing");
}

}  // namespace
}  // namespace lastack::test
