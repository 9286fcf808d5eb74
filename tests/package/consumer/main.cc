// Uses every room that an ordinary program meets, so that a link line which forgets zlib or fmt does
// not link.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "lastack/bundle.h"
#include "lastack/counters.h"
#include "lastack/doctor.h"
#include "lastack/four_tuple.h"
#include "lastack/ip_address.h"
#include "lastack/kernel.h"
#include "lastack/settings.h"
#include "lastack/tcp_state.h"

namespace {
void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "consumer: expected that %s\n", what);
  std::exit(1);
}
}  // namespace

int main() {
  using namespace lastack;

  const auto address = IpAddress::parse("2001:db8:0::1");
  expect(address && address->to_string() == "2001:db8::1", "an address is read and written");
  expect(!IpAddress::parse("10.0.0.256"), "what is no address is refused");
  const FourTuple tuple{{IpAddress::v4(0x0a000001), 40000}, {*address, 80}};
  expect(tuple.to_string() == "10.0.0.1:40000 -> [2001:db8::1]:80", "a four-tuple is written");
  expect(parse_tcp_state("TIME_WAIT") == TcpState::TimeWait, "a state is read");
  expect(find_setting("tcp_tw_reuse") != nullptr, "tcp_tw_reuse is a setting");
  expect(find_counter("TCPTimeWaitOverflow").has_value(), "TCPTimeWaitOverflow is a counter");

  // A bundle that is none (zlib, JSON), one that is, and its diagnosis.
  expect(!from_bundle("not a bundle").has_value(), "what is no bundle is refused");
  Observation observation;
  observation.now.hostname = "nowhere";
  const auto again = from_bundle(to_bundle(observation));
  expect(again && *again == observation, "a bundle keeps an observation");
  expect(diagnose(*again).hostname == "nowhere", "the diagnosis is of that host");

  // The kernel. What may be read differs between machines; that there is an answer does not.
  const auto host = look({.counters_only = true});
  expect(host ? host->namespaces.size() == 1 : !host.error().message.empty(),
         "the kernel is looked at");

  std::printf("consumer: %s\n", tuple.to_string().c_str());
}
