// --redact: nothing secret is left, and the findings keep their shape.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "bundle/encode.h"
#include "bundle/scrub.h"
#include "lastack/bundle.h"
#include "random_observation.h"
#include "watched.h"

namespace lastack {
namespace {

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

Observation web_server() {
  Observation o;
  HostSnapshot& host = o.now;
  host.hostname = "web-3.customer.example";
  host.kernel = "5.10.0.1-custom";
  host.processes.resize(2);
  host.processes[0].command = host.processes[1].command = "php-fpm";
  host.processes[0].unit = host.processes[1].unit = "acme-billing.service";
  host.processes[0].arguments = "php-fpm --password=hunter2 --listen=203.0.113.9:8080";
  host.processes[0].container = "3f2a9c0b11d4";
  NamespaceSnapshot& space = host.namespaces.emplace_back();
  space.name = "container 3f2a9c0b11d4e5f60718 on web-3";
  space.enter = "nsenter --net=/run/netns/203.0.113.9";
  SocketCensus& census = space.sockets;
  for (const char* source : {"203.0.113.9", "127.0.0.1", "2001:db8:5::9", "203.0.113.9"}) {
    Destination& d = census.destinations.emplace_back();
    d.source = ip(source);
    d.remote = {ip("198.51.100.77"), 3306};
  }
  census.services.emplace_back().local = {ip("::"), 443};
  census.services.emplace_back().local = {ip("0.0.0.0"), 80};
  census.self_connected.push_back({{ip("203.0.113.9"), 40000}, {ip("203.0.113.9"), 40000}});
  ContestedPort& contested = census.contested.emplace_back();
  contested.port = 8080;
  contested.wanted_by = 0;
  contested.evidence = "--listen=203.0.113.9:8080";
  contested.taken_by = {{ip("203.0.113.9"), 8080}, {ip("192.0.2.200"), 443}};
  space.not_read.push_back({"peers of 203.0.113.9:443 and [2001:DB8:5:0:0:0:0:9]:443",
                            "web-3.customer.example: mail.customer.example refused", "ask WEB-3"});
  host.sysctl_lines.push_back({"/etc/sysctl.d/99-net.conf", 3, "net.ipv4.tcp_tw_reuse", "1"});
  host.sysctl_lines.push_back({"/home/alice/sysctl.conf", 4, "net.ipv4.tcp_fin_timeout", "15"});
  o.earlier = o.now;
  return o;
}

TEST(Redact, AWebServer) {
  const Observation r = redact(web_server());
  const HostSnapshot& host = r.now;
  EXPECT_EQ(host.hostname, "host-1");
  EXPECT_EQ(host.kernel, "5.10.0.1-custom");
  EXPECT_EQ(host.processes[0].command, "php-fpm");
  EXPECT_EQ(host.processes[0].arguments, "redacted");
  EXPECT_EQ(host.processes[0].unit, "unit-1.service");
  EXPECT_EQ(host.processes[1].unit, "unit-1.service");
  EXPECT_EQ(host.processes[0].container, "container-1");
  EXPECT_EQ(host.processes[1].arguments, "");
  const NamespaceSnapshot& space = host.namespaces[0];
  EXPECT_EQ(space.name, "container container-1 on host-1");
  EXPECT_EQ(space.enter, "nsenter --net=/run/netns/10.0.0.1");
  const SocketCensus& census = space.sockets;
  EXPECT_EQ(census.destinations[0].source, ip("10.0.0.1"));
  EXPECT_EQ(census.destinations[1].source, ip("127.0.0.1"));
  EXPECT_EQ(census.destinations[2].source, ip("fd00::1"));
  EXPECT_EQ(census.destinations[3].source, ip("10.0.0.1"));
  EXPECT_EQ(census.destinations[0].remote, (Endpoint{ip("10.0.0.2"), 3306}));
  EXPECT_EQ(census.services[0].local, (Endpoint{ip("::"), 443}));
  EXPECT_EQ(census.services[1].local, (Endpoint{ip("0.0.0.0"), 80}));
  EXPECT_EQ(census.self_connected[0].local, census.self_connected[0].remote);
  EXPECT_EQ(census.contested[0].evidence, "redacted");
  EXPECT_EQ(census.contested[0].taken_by.local, (Endpoint{ip("10.0.0.1"), 8080}));
  EXPECT_EQ(space.not_read[0].what, "peers of 10.0.0.1:443 and [fd00::1]:443");
  EXPECT_EQ(space.not_read[0].why, "host-1: mail.domain-1 refused");
  EXPECT_EQ(space.not_read[0].mend, "ask host-1");
  EXPECT_EQ(host.sysctl_lines[0],
            (SysctlLine{"/etc/sysctl.d/99-net.conf", 3, "net.ipv4.tcp_tw_reuse", "1"}));
  EXPECT_EQ(host.sysctl_lines[1].file, "redacted");
  EXPECT_EQ(r.earlier, r.now);
}

TEST(Redact, TheDomainOfTheHostGoesToo) {
  Observation o;
  o.now.hostname = "db.eu.customer.example";
  o.now.not_read.push_back({"mail.eu.customer.example", "", ""});
  EXPECT_EQ(redact(o).now.not_read[0].what, "mail.domain-1");
}

// Addresses that are there already, and would be read inside others, are not given to anyone.
TEST(Redact, ReplacementsNeverLookLikeAnOriginal) {
  Observation o;
  SocketCensus& census = o.now.namespaces.emplace_back().sockets;
  for (const char* text : {"10.0.0.1", "10.0.0.3", "0.0.0.4", "192.0.2.1", "192.0.2.2", "fd00::1",
                           "::2", "2001:db8::1"}) {
    census.destinations.emplace_back().source = ip(text);
  }
  const std::string text = encode_bundle(redact(o));
  for (const Destination& d : census.destinations) {
    EXPECT_EQ(text.find(d.source.to_string()), std::string::npos) << d.source.to_string() << '\n'
                                                                  << text;
  }
}

// What is shown in front of commands stays a command, whatever the host is called.
TEST(Redact, EnteringANamespace) {
  Observation o;
  o.now.hostname = "net";
  for (const char* enter :
       {"ip netns exec net", "nsenter --net='/run/my net'", "nsenter -t 12 -n"}) {
    o.now.namespaces.emplace_back().enter = enter;
  }
  const Observation r = redact(o);
  EXPECT_EQ(r.now.namespaces[0].enter, "ip netns exec host-1");
  EXPECT_EQ(r.now.namespaces[1].enter, "nsenter --net='/run/my host-1'");
  EXPECT_EQ(r.now.namespaces[2].enter, "nsenter -t 12 -n");
}

TEST(Redact, WordsStayWords) {
  Scrubber scrubber;
  scrubber.learn_host("web");
  scrubber.learn_address(ip("10.0.0.1"));
  scrubber.assign();
  EXPECT_EQ(scrubber.scrub("webserver at web, std::cout, 12:34:56, 1.2.3"),
            "webserver at host-1, std::cout, 12:34:56, 1.2.3");
  // 10.0.0.1 is known to be an address wherever it stands, ::1 is nobody's.
  EXPECT_EQ(scrubber.scrub("x10.0.0.1y ::1 127.0.0.1"), "x10.0.0.2y ::1 127.0.0.1");
}

// Every text of a random observation, with secrets planted in all of them.
struct Secrets {
  std::set<IpAddress> addresses;
  std::set<std::string> names;
};

void plant(test::Random& random, HostSnapshot& host, Secrets& secrets) {
  const auto fresh = [&](const char* kind) {
    const std::string name = std::string(kind) + "-secret-" + std::to_string(random() % 50);
    secrets.names.insert(name);
    return name;
  };
  const auto see = [&](const IpAddress& a) {
    if (!a.is_loopback() && !a.is_unspecified()) secrets.addresses.insert(a);
  };
  host.hostname = fresh("host");
  std::vector<std::string> known{host.hostname};
  for (Process& p : host.processes) {
    known.push_back(p.arguments = fresh("prog --user"));
    known.push_back(p.unit = fresh("unit") + ".service");
    known.push_back(p.container = fresh("box"));
  }
  std::vector<NotRead*> texts;
  for (NotRead& n : host.not_read) texts.push_back(&n);
  for (NamespaceSnapshot& space : host.namespaces) {
    for (NotRead& n : space.not_read) texts.push_back(&n);
    SocketCensus& census = space.sockets;
    for (Destination& d : census.destinations) see(d.source), see(d.remote.address);
    for (Service& s : census.services) see(s.local.address);
    for (FourTuple& t : census.self_connected) see(t.local.address), see(t.remote.address);
    for (ContestedPort& c : census.contested) {
      c.evidence = fresh("evidence");
      see(c.taken_by.local.address);
      see(c.taken_by.remote.address);
    }
    space.name = "of " + known[random() % known.size()];
    space.enter = "nsenter --net='/run/netns/" + known[random() % known.size()] + "'";
  }
  const std::vector<IpAddress> addresses(secrets.addresses.begin(), secrets.addresses.end());
  for (NotRead* n : texts) {
    if (!addresses.empty()) {
      n->what += " at " + Endpoint{addresses[random() % addresses.size()], 80}.to_string();
      n->mend = addresses[random() % addresses.size()].to_string();
    }
    n->why += " of " + known[random() % known.size()] + "!";
  }
}

TEST(Redact, RandomObservations) {
  const std::uint64_t first = test::seed_from_environment(1);
  const bool one = std::getenv("LASTACK_SEED") != nullptr;
  for (std::uint64_t seed = first; seed < first + (one ? 1 : rounds(200)); ++seed) {
    test::Random random(seed);
    Observation o = test::random_observation(random, {.most_elements = 6, .plain = true});
    Secrets secrets;
    plant(random, o.now, secrets);
    if (o.earlier) plant(random, *o.earlier, secrets);
    const Observation r = redact(o);

    const std::string text = encode_bundle(r);
    for (const std::string& name : secrets.names) {
      ASSERT_EQ(text.find(name), std::string::npos) << name << '\n' << test::replay(seed);
    }
    for (const IpAddress& address : secrets.addresses) {
      ASSERT_EQ(text.find(address.to_string()), std::string::npos) << address.to_string() << '\n'
                                                                   << test::replay(seed);
    }

    // One to one, and of the same kind.
    std::map<IpAddress, IpAddress> forward;
    std::map<IpAddress, IpAddress> back;
    const auto compare = [&](const IpAddress& before, const IpAddress& after) {
      ASSERT_EQ(before.is_v4(), after.is_v4()) << test::replay(seed);
      ASSERT_EQ(before.is_loopback(), after.is_loopback()) << test::replay(seed);
      ASSERT_EQ(before.is_unspecified(), after.is_unspecified()) << test::replay(seed);
      ASSERT_EQ(forward.emplace(before, after).first->second, after) << test::replay(seed);
      ASSERT_EQ(back.emplace(after, before).first->second, before) << test::replay(seed);
    };
    // With the originals put back where only originals may differ, nothing else has changed.
    Observation restored = r;
    const auto restore = [&](const HostSnapshot& before, HostSnapshot& after) {
      after.hostname = before.hostname;
      after.not_read = before.not_read;
      for (std::size_t i = 0; i < before.processes.size(); ++i) {
        after.processes[i].arguments = before.processes[i].arguments;
        after.processes[i].unit = before.processes[i].unit;
        after.processes[i].container = before.processes[i].container;
      }
      for (std::size_t i = 0; i < before.sysctl_lines.size(); ++i) {
        ASSERT_EQ(after.sysctl_lines[i].file,
                  before.sysctl_lines[i].file.empty() ? "" : "redacted");
        after.sysctl_lines[i].file = before.sysctl_lines[i].file;
      }
      for (std::size_t n = 0; n < before.namespaces.size(); ++n) {
        const NamespaceSnapshot& from = before.namespaces[n];
        NamespaceSnapshot& to = after.namespaces[n];
        to.name = from.name;
        to.enter = from.enter;
        to.not_read = from.not_read;
        const auto undo = [&](const IpAddress& was, IpAddress& is) {
          compare(was, is);
          is = was;
        };
        for (std::size_t i = 0; i < from.sockets.destinations.size(); ++i) {
          undo(from.sockets.destinations[i].source, to.sockets.destinations[i].source);
          undo(from.sockets.destinations[i].remote.address,
               to.sockets.destinations[i].remote.address);
        }
        for (std::size_t i = 0; i < from.sockets.services.size(); ++i) {
          undo(from.sockets.services[i].local.address, to.sockets.services[i].local.address);
        }
        for (std::size_t i = 0; i < from.sockets.self_connected.size(); ++i) {
          undo(from.sockets.self_connected[i].local.address,
               to.sockets.self_connected[i].local.address);
          undo(from.sockets.self_connected[i].remote.address,
               to.sockets.self_connected[i].remote.address);
        }
        for (std::size_t i = 0; i < from.sockets.contested.size(); ++i) {
          const ContestedPort& was = from.sockets.contested[i];
          ContestedPort& is = to.sockets.contested[i];
          undo(was.taken_by.local.address, is.taken_by.local.address);
          undo(was.taken_by.remote.address, is.taken_by.remote.address);
          is.evidence = was.evidence;
        }
      }
    };
    restore(o.now, restored.now);
    if (o.earlier) restore(*o.earlier, *restored.earlier);
    ASSERT_EQ(restored, o) << test::replay(seed);
  }
}

}  // namespace
}  // namespace lastack
