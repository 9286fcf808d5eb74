// Tasks in real time: nodes behind a TUN device, the kernel before it. The same loop runs both ends: the kernel's sockets do
// not block, and are watched.
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "kernel/private_test.h"
#include "kernel/unique_fd.h"
#include "lab/tcp_socket.h"
#include "lastack/lastack.h"

namespace lastack {
namespace {

const IpAddress kKernel = "10.77.0.1"_ip;
const IpAddress kOurs = "10.77.0.2"_ip;

// A device with an address of the kernel, or why not.
Result<TunDevice> device() {
  auto tun = TunDevice::open("la0", {.create = true});
  if (!tun) return tun;
  if (auto up = tun->configure({{kKernel, 24}}); !up) return tl::unexpected(up.error());
  return tun;
}

// Sends `data` over a socket of the kernel as it takes it, then shuts it down; keeps what comes back.
struct KernelClient {
  KernelClient(EventLoop& of, std::string data) : loop(of), left(std::move(data)) {
    fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const SocketAddress to = socket_address({kOurs, 7});
    EXPECT_TRUE(::connect(fd.get(), to.get(), to.length) == 0 || errno == EINPROGRESS);
    watch(true);
  }
  void watch(bool writing) {
    EXPECT_TRUE(loop.watch(
        fd.get(), {.readable = true, .writable = writing}, [this](EventLoop::Ready ready) {
          if (ready.writable && !left.empty()) {
            const ssize_t n = ::send(fd.get(), left.data(), left.size(), MSG_NOSIGNAL);
            if (n > 0) left.erase(0, static_cast<std::size_t>(n));
            if (left.empty()) {
              EXPECT_EQ(::shutdown(fd.get(), SHUT_WR), 0);
              watch(false);
            }
          }
          if (!ready.readable) return;
          std::array<char, 65536> buffer;
          const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
          if (n > 0) got.append(buffer.data(), static_cast<std::size_t>(n));
          if (n == 0) {
            ended = true;
            loop.unwatch(fd.get());
            loop.stop();
          }
        }));
  }
  EventLoop& loop;
  UniqueFd fd;
  std::string left, got;
  bool ended = false;
};

Task<> echo(TcpStream c) {
  std::array<std::byte, 16384> buffer;
  for (;;) {
    const auto n = co_await c.read(buffer);
    if (!n || *n == 0 || !co_await c.write(std::span(buffer).first(*n))) co_return;
  }
}

TEST(LoopDriver, TheKernelGetsBackWhatItSent) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    auto tun = device();
    if (!tun) GTEST_SKIP() << tun.error().message;
    EventLoop loop;
    Node node(tun->fitting({}), {kOurs});
    LoopDriver driver(loop);
    ASSERT_TRUE(driver.attach(node, *tun));
    LoopDriver another(loop);
    EXPECT_FALSE(another.attach(node, *tun)) << "it has a driver";
    ASSERT_TRUE(node.serve({kOurs, 7}, echo));
    std::string sent(1 << 20, 'x');
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 40503 >> 6);
    KernelClient client(loop, sent);
    ASSERT_TRUE(loop.run_for(30s));
    EXPECT_TRUE(client.ended);
    EXPECT_TRUE(client.got == sent);
    EXPECT_EQ(node.tasks(), 1u) << "the listening";
  });
}

TEST(LoopDriver, SleepsTimeOutsConnectsAndFailures) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    auto tun = device();
    if (!tun) GTEST_SKIP() << tun.error().message;
    EventLoop loop;
    Node node(tun->fitting({}), {kOurs});
    LoopDriver driver(loop);
    ASSERT_TRUE(driver.attach(node, *tun));
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress at = socket_address({kKernel, 80});
    ASSERT_EQ(::bind(listener.get(), at.get(), at.length), 0);
    ASSERT_EQ(::listen(listener.get(), 8), 0);
    std::string steps;
    node.spawn([&]() -> Task<> {
      const Instant begun = node.now();
      co_await node.sleep_for(5ms);
      if (node.now() - begun >= 5ms) steps += "slept ";
      const auto refused = co_await node.connect({kKernel, 81});
      if (!refused) steps += to_string(refused.error());
      auto c = co_await node.connect({kKernel, 80});
      if (!c) co_return;
      std::array<std::byte, 10> buffer;
      const auto n = co_await c->read(buffer).within(20ms);  // the kernel's side says nothing
      if (!n) steps += " " + std::string(to_string(n.error()));
      loop.stop();
    });
    ASSERT_TRUE(loop.run_for(30s));
    EXPECT_EQ(steps, "slept ECONNREFUSED ETIMEDOUT");
    EXPECT_EQ(node.tasks(), 0u);

    node.spawn([&]() -> Task<> {
      co_await node.sleep_for(1ms);
      throw std::runtime_error("reported");
    });
    EXPECT_THROW((void)loop.run_for(30s), std::runtime_error);
    bool later = false;
    node.spawn([&]() -> Task<> {
      co_await node.sleep_for(1ms);
      later = true;
      loop.stop();
    });
    ASSERT_TRUE(loop.run_for(30s)) << "the loop goes on after that";
    EXPECT_TRUE(later);
  });
}

TEST(LoopDriver, NodesComeAndGoWhileTheLoopRuns) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    auto tun = device();
    if (!tun) GTEST_SKIP() << tun.error().message;
    EventLoop loop;
    LoopDriver driver(loop);
    int ran = 0;
    for (int i = 0; i < 3; ++i) {
      Node node(tun->fitting({}), {kOurs});
      ASSERT_TRUE(driver.attach(node, *tun));
      node.spawn([&]() -> Task<> {
        co_await node.sleep_for(1ms);
        ++ran;
        loop.stop();
        co_await node.sleep_for(1000s);
      });
      ASSERT_TRUE(loop.run_for(30s));
    }
    EXPECT_EQ(ran, 3);
    ASSERT_TRUE(loop.run_for(2ms));
  });
}

}  // namespace
}  // namespace lastack
