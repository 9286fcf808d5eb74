// A host of ours on a TUN device against the running kernel: devices and their errors, the loop, and bytes through
// both in either direction, with the offloads and without.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/unique_fd.h"
#include "lastack/event_loop.h"
#include "lastack/tun_device.h"
#include "net/rtnetlink.h"
#include "private_test.h"

namespace lastack {
namespace {

const IpAddress kKernel4 = *IpAddress::parse("10.77.0.1");
const IpAddress kOurs4 = *IpAddress::parse("10.77.0.2");
const IpAddress kKernel6 = *IpAddress::parse("fd77::1");
const IpAddress kOurs6 = *IpAddress::parse("fd77::2");

std::byte pattern(std::uint64_t at) {
  return static_cast<std::byte>((at * 2654435761U) >> 13U);
}

sockaddr_storage socket_address(const Endpoint& at) {
  sockaddr_storage storage{};
  if (at.address.is_v4()) {
    auto& in = reinterpret_cast<sockaddr_in&>(storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(at.port);
    in.sin_addr.s_addr = htonl(at.address.v4_value());
  } else {
    auto& in = reinterpret_cast<sockaddr_in6&>(storage);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(at.port);
    std::copy_n(at.address.bytes().data(), 16, in.sin6_addr.s6_addr);
  }
  return storage;
}

// A socket of the kernel, without blocking, on its way to `at`.
UniqueFd kernel_connect(const Endpoint& at) {
  const auto storage = socket_address(at);
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(fd);
  const int done = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), sizeof storage);
  EXPECT_TRUE(done == 0 || errno == EINPROGRESS) << errno;
  return fd;
}

UniqueFd kernel_listen(const Endpoint& at) {
  const auto storage = socket_address(at);
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), sizeof storage), 0);
  EXPECT_EQ(::listen(fd.get(), 16), 0);
  return fd;
}

// The device, the kernel's addresses on it, and a host with ours behind it.
struct Pair {
  explicit Pair(bool offloads) {
    auto opened = TunDevice::open("la0", {.create = true, .offloads = offloads});
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      std::_Exit(1);
    }
    tun.emplace(std::move(*opened));
    const auto configured = tun->configure({{kKernel4, 24}, {kKernel6, 64}});
    EXPECT_TRUE(configured) << configured.error().message;
    host.emplace(tun->fitting({.seed = 7}));
    host->add_address(kOurs4);
    host->add_address(kOurs6);
    const auto attached = loop.attach(*host, *tun);
    EXPECT_TRUE(attached);
  }
  std::optional<TunDevice> tun;
  std::optional<Host> host;
  EventLoop loop;
};

struct Case {
  bool offloads;
  bool v6;
};

// Why this machine has no TUN devices for us, if that is so.
SkipReason no_tun() {
  const UniqueFd control(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (control) return std::nullopt;
  return system_error(errno, "cannot open /dev/net/tun").message;
}

class WithTun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = no_tun()) GTEST_SKIP() << *why;
  }
};
class TunDeviceTest : public WithTun {};
class EventLoopTest : public WithTun {};

class Transfer : public WithTun, public ::testing::WithParamInterface<Case> {};

// The kernel connects, sends `kBytes` and closes; the host sends all of it back and then closes.
TEST_P(Transfer, EchoesWhatTheKernelSends) {
  constexpr std::uint64_t kBytes = 3'000'000;
  const Case c = GetParam();
  RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [&] {
    Pair pair(c.offloads);
    Host& host = *pair.host;
    const Endpoint ours{c.v6 ? kOurs6 : kOurs4, 7};
    const auto listener = host.open(c.v6 ? Host::Family::V6 : Host::Family::V4);
    ASSERT_TRUE(listener && host.bind(*listener, ours) && host.listen(*listener, 8));
    std::array<std::byte, 32768> room;
    std::size_t held = 0;  // in room, not written yet
    std::size_t from = 0;
    bool ended = false;
    pair.loop.set_handler(host, [&](SocketId socket) {
      if (socket == *listener) {
        while (host.accept(*listener)) {
        }
        return;
      }
      for (;;) {
        const Instant now = EventLoop::now();
        if (held == 0) {
          const auto got = host.read(socket, room, now);
          if (!got) return;
          if (*got == 0) {
            if (!std::exchange(ended, true)) {
              EXPECT_TRUE(host.close(socket, now));
            }
            return;
          }
          held = *got;
          from = 0;
        }
        const auto put = host.write(socket, std::span(room).subspan(from, held), now);
        if (!put) return;
        from += *put;
        held -= *put;
      }
    });

    const UniqueFd fd = kernel_connect(ours);
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t wrong = 0;
    std::vector<std::byte> buffer(65536);
    const auto step = [&](EventLoop::Ready ready) {
      if (ready.writable && sent < kBytes) {
        const std::size_t n = std::min<std::uint64_t>(buffer.size(), kBytes - sent);
        for (std::size_t i = 0; i < n; ++i) buffer[i] = pattern(sent + i);
        const ssize_t put = ::send(fd.get(), buffer.data(), n, MSG_NOSIGNAL);
        if (put > 0) sent += static_cast<std::uint64_t>(put);
        if (sent == kBytes) {
          ::shutdown(fd.get(), SHUT_WR);
          pair.loop.stop();  // the terms of watching change
        }
      }
      if (ready.readable) {
        const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (got == 0) pair.loop.stop();
        for (ssize_t i = 0; i < got; ++i) {
          if (buffer[static_cast<std::size_t>(i)] !=
              pattern(received + static_cast<std::uint64_t>(i)))
            ++wrong;
        }
        if (got > 0) received += static_cast<std::uint64_t>(got);
      }
    };
    ASSERT_TRUE(pair.loop.watch(fd.get(), {.readable = true, .writable = true}, step));
    ASSERT_TRUE(pair.loop.run_for(20s));
    ASSERT_EQ(sent, kBytes);
    ASSERT_TRUE(pair.loop.watch(fd.get(), {.readable = true}, step));
    ASSERT_TRUE(pair.loop.run_for(20s));
    EXPECT_EQ(received, kBytes);
    EXPECT_EQ(wrong, 0U);
    pair.loop.unwatch(fd.get());
    if (c.offloads) {
      // Super-segments went both ways: far fewer packets than segments.
      EXPECT_LT(pair.tun->counts().packets_out, kBytes / 1400);
      EXPECT_LT(pair.tun->counts().packets_in, kBytes / 1400);
    } else {
      EXPECT_GT(pair.tun->counts().packets_out, kBytes / 1500);
    }
    EXPECT_EQ(pair.tun->counts().lost, 0U);
    EXPECT_EQ(host.counters().InErrs, 0U);
  });
}

// The host connects to a listener of the kernel and sends; the kernel reads to the end.
TEST_P(Transfer, SendsToTheKernel) {
  constexpr std::uint64_t kBytes = 3'000'000;
  const Case c = GetParam();
  RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [&] {
    Pair pair(c.offloads);
    Host& host = *pair.host;
    const Endpoint kernel{c.v6 ? kKernel6 : kKernel4, 9};
    const UniqueFd listener = kernel_listen(kernel);
    const auto socket = host.open(c.v6 ? Host::Family::V6 : Host::Family::V4);
    ASSERT_TRUE(socket);
    std::uint64_t sent = 0;
    bool closed = false;
    std::array<std::byte, 32768> room;
    const auto push = [&](SocketId) {
      const Instant now = EventLoop::now();
      while (sent < kBytes) {
        const std::size_t n = std::min<std::uint64_t>(room.size(), kBytes - sent);
        for (std::size_t i = 0; i < n; ++i) room[i] = pattern(sent + i);
        const auto put = host.write(*socket, std::span(room).first(n), now);
        if (!put) {
          EXPECT_EQ(put.error(), Err::would_block);
          return;
        }
        sent += *put;
      }
      if (!std::exchange(closed, true)) {
        EXPECT_TRUE(host.close(*socket, now));
      }
    };
    pair.loop.set_handler(host, push);
    ASSERT_EQ(host.connect(*socket, kernel, EventLoop::now()).error(), Err::in_progress);

    UniqueFd fd;
    std::uint64_t received = 0;
    std::uint64_t wrong = 0;
    std::vector<std::byte> buffer(65536);
    ASSERT_TRUE(pair.loop.watch(listener.get(), {.readable = true}, [&](EventLoop::Ready) {
      fd.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      ASSERT_TRUE(fd);
      ASSERT_TRUE(pair.loop.watch(fd.get(), {.readable = true}, [&](EventLoop::Ready) {
        const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) pair.loop.stop();
        for (ssize_t i = 0; i < got; ++i) {
          if (buffer[static_cast<std::size_t>(i)] !=
              pattern(received + static_cast<std::uint64_t>(i)))
            ++wrong;
        }
        if (got > 0) received += static_cast<std::uint64_t>(got);
      }));
    }));
    ASSERT_TRUE(pair.loop.run_for(20s));
    EXPECT_EQ(received, kBytes);
    EXPECT_EQ(wrong, 0U);
    // We closed first: the kernel's FIN ends it, and what is left here is a record.
    pair.loop.unwatch(fd.get());
    fd.reset();
    ASSERT_TRUE(pair.loop.run_for(50ms));
    EXPECT_EQ(host.time_waits(), 1U);
  });
}

INSTANTIATE_TEST_SUITE_P(Tun, Transfer,
                         ::testing::Values(Case{true, false}, Case{true, true}, Case{false, false},
                                           Case{false, true}),
                         [](const auto& of) {
                           return std::string(of.param.v6 ? "Ipv6" : "Ipv4") +
                                  (of.param.offloads ? "Offloads" : "Plain");
                         });

TEST_F(TunDeviceTest, SaysWhatIsInTheWay) {
  RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [] {
    const auto missing = TunDevice::open("la0");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().number, ENODEV);
    EXPECT_NE(missing.error().message.find("ip tuntap add dev la0 mode tun"), std::string::npos);
    EXPECT_EQ(if_nametoindex("la0"), 0U);  // nothing was made

    EXPECT_FALSE(TunDevice::open(""));
    EXPECT_FALSE(TunDevice::open("a-name-far-too-long-for-linux"));

    auto first = TunDevice::open("la%d", {.create = true});
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(first->name(), "la0");
    const auto busy = TunDevice::open("la0");
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().number, EBUSY);

    const auto other_kind = TunDevice::open("lo");
    ASSERT_FALSE(other_kind);
    EXPECT_EQ(other_kind.error().number, EINVAL);

    // It goes with its owner.
    first = TunDevice::open("other", {.create = true});
    ASSERT_TRUE(first);
    EXPECT_EQ(if_nametoindex("la0"), 0U);
    EXPECT_NE(if_nametoindex("other"), 0U);
  });
}

TEST_F(TunDeviceTest, LosesWhatIsSentWhileItIsDown) {
  RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [] {
    auto tun = TunDevice::open("la0", {.create = true});
    ASSERT_TRUE(tun);
    Host host(tun->fitting({}));
    host.add_address(kOurs4);
    const auto socket = host.open();
    ASSERT_EQ(host.connect(*socket, {kKernel4, 80}, EventLoop::now()).error(), Err::in_progress);
    EventLoop loop;
    ASSERT_TRUE(loop.attach(host, *tun));
    ASSERT_TRUE(loop.run_for(20ms));
    EXPECT_GE(tun->counts().lost, 1U);
    // The retransmission finds the device up, and nobody listening.
    ASSERT_TRUE(tun->configure({{kKernel4, 24}}));
    Err error = Err::none;
    loop.set_handler(host, [&](SocketId) {
      error = host.take_error(*socket).value_or(Err::none);
      if (error != Err::none) loop.stop();
    });
    ASSERT_TRUE(loop.run_for(5s));
    EXPECT_EQ(error, Err::connection_refused);
  });
}

TEST_F(EventLoopTest, TellsThatADeviceWasRemoved) {
  RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [] {
    auto tun = TunDevice::open("la0", {.create = true});
    ASSERT_TRUE(tun);
    Host host(tun->fitting({}));
    EventLoop loop;
    ASSERT_TRUE(loop.attach(host, *tun));
    loop.call_after(10ms, [] {
      auto links = Rtnetlink::open();
      ASSERT_TRUE(links && links->delete_link("la0"));
    });
    const auto ended = loop.run_for(5s);
    ASSERT_FALSE(ended);
    EXPECT_NE(ended.error().message.find("la0 has been removed"), std::string::npos);
  });
}

TEST_F(EventLoopTest, AFilterMayTakeItsOwnPlaceAndTheHostAway) {
  for (const auto taken : {EventLoop::PacketWay::In, EventLoop::PacketWay::Out}) {
    RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [&] {
      Pair pair(true);
      auto kept = std::make_shared<int>();
      const std::weak_ptr<int> seen = kept;
      int later = 0;
      pair.loop.set_filter(*pair.host, [&, kept = std::move(kept)](EventLoop::PacketWay,
                                                                   std::span<const std::byte>) {
        pair.loop.set_filter(*pair.host, [&](EventLoop::PacketWay way, std::span<const std::byte>) {
          ++later;
          if (way == taken) {
            pair.loop.detach(*pair.host);
            pair.host.reset();
          }
          return true;
        });
        EXPECT_FALSE(seen.expired()) << "it is still at work";
        return false;
      });
      // A SYN of each, and a RST in answer: nobody listens.
      const UniqueFd first = kernel_connect({kOurs4, 7});
      const UniqueFd second = kernel_connect({kOurs4, 7});
      ASSERT_TRUE(pair.loop.run_for(50ms));
      const UniqueFd third = kernel_connect({kOurs4, 7});
      ASSERT_TRUE(pair.loop.run_for(50ms));
      EXPECT_GE(later, taken == EventLoop::PacketWay::In ? 1 : 2);
      EXPECT_FALSE(pair.host);
      EXPECT_TRUE(seen.expired());
    });
  }
}

TEST_F(TunDeviceTest, LetsTheHostCheckWhatNobodyVouchesFor) {
  RUN_IN_PRIVATE_NAMESPACE(NamespaceOptions{}, [] {
    Pair pair(true);
    Host& host = *pair.host;
    // A SYN with a wrong checksum through a raw socket: the kernel sends it as it is.
    std::array<std::uint8_t, 20> syn{0x30, 0x39, 0,    80, 0, 0, 0,    1,    0, 0,
                                     0,    0,    0x50, 2,  1, 0, 0xba, 0xd0, 0, 0};
    const UniqueFd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
    ASSERT_TRUE(raw);
    const auto to = socket_address({kOurs4, 0});
    ASSERT_EQ(::sendto(raw.get(), syn.data(), syn.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                       sizeof(sockaddr_in)),
              20);
    ASSERT_TRUE(pair.loop.run_for(20ms));
    EXPECT_EQ(host.counters().InErrs, 1U);
    EXPECT_EQ(host.counters().OutRsts, 0U);
  });
}

}  // namespace
}  // namespace lastack
