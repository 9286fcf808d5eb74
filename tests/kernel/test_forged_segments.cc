// What no client sends: forged segments, the same to the running kernel by way of a TUN device and to a host of ours, and
// what either makes of them.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "attack/forger.h"
#include "kernel/unique_fd.h"
#include "lastack/tun_device.h"
#include "net/rtnetlink.h"
#include "private_test.h"

namespace lastack {
namespace {

using namespace tcp_flag;
using test::Bytes;
using test::forged;
using test::with;

const IpAddress kSelf = *IpAddress::parse("10.77.0.1");
const IpAddress kPeer = *IpAddress::parse("10.77.0.2");
constexpr Port kPort = 80;

// Somebody who listens at kSelf, and is sent packets.
class Side {
 public:
  virtual ~Side() = default;
  virtual void send(const Bytes& packet) = 0;
  // What it has sent since, that is TCP and to `to`.
  virtual std::vector<TcpSegment> answers(const IpAddress& to) = 0;
  virtual void listen() = 0;
  // Accepts the only connection there is, and reads what has come.
  virtual std::string read() = 0;

 protected:
  static void keep(std::span<const std::byte> packet, const IpAddress& to,
                   std::vector<TcpSegment>& found) {
    const auto ip = parse_ip(packet);
    if (!ip || ip->header.protocol != kProtocolTcp || ip->header.destination != to) return;
    auto segment = parse_tcp(ip->payload, ip->header, Checksum::Trust);
    if (!segment) return;
    segment->payload = {};
    found.push_back(*segment);
  }
};

class Kernel final : public Side {
 public:
  Kernel() {
    auto opened = TunDevice::open("la0", {.create = true, .offloads = false});
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      std::_Exit(1);
    }
    tun_.emplace(std::move(*opened));
    const auto configured = tun_->configure({{kSelf, 24}});
    EXPECT_TRUE(configured) << configured.error().message;
  }
  void send(const Bytes& packet) override { EXPECT_TRUE(tun_->write(packet)); }
  std::vector<TcpSegment> answers(const IpAddress& to) override {
    std::vector<TcpSegment> found;
    for (;;) {
      const auto packet = tun_->read();
      if (!packet || !*packet) return found;
      keep((*packet)->bytes, to, found);
    }
  }
  void listen() override {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(kPort);
    at.sin_addr.s_addr = htonl(kSelf.v4_value());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
  }
  std::string read() override {
    const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
    EXPECT_TRUE(fd);
    const linger off{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &off, sizeof off);
    std::string text(4096, 0);
    const ssize_t n = ::recv(fd.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }

 private:
  std::optional<TunDevice> tun_;
  UniqueFd listener_;
};

class Ours final : public Side {
 public:
  Ours() : host_({.seed = 1}) { host_.add_address(kSelf); }
  void send(const Bytes& packet) override { host_.receive(packet, now_ += 1ms); }
  std::vector<TcpSegment> answers(const IpAddress& to) override {
    std::vector<TcpSegment> found;
    for (auto p = host_.next_packet(); !p.empty(); p = host_.next_packet()) keep(p, to, found);
    return found;
  }
  void listen() override {
    listener_ = *host_.open();
    EXPECT_TRUE(host_.bind(listener_, {kSelf, kPort}));
    EXPECT_TRUE(host_.listen(listener_, 16));
  }
  std::string read() override {
    const auto s = host_.accept(listener_);
    EXPECT_TRUE(s);
    if (!s) return {};
    std::string text(4096, 0);
    const auto n = host_.read(*s, std::as_writable_bytes(std::span(text)), now_);
    text.resize(n.value_or(0));
    EXPECT_TRUE(host_.abort(*s, now_));
    return text;
  }

 private:
  Host host_;
  SocketId listener_{};
  Instant now_{1s};
};

struct Piece {
  std::uint32_t at;
  std::string data;
};

// Whether the kernel joins a piece that begins here to one that ends here, or drops it for one that has it already,
// depends on which of both it meets first on its way through its tree.
bool depends_on_the_tree(const std::vector<Piece>& pieces, std::uint32_t at) {
  bool ends = false, goes_on = false;
  for (const Piece& p : pieces) {
    const auto end = p.at + static_cast<std::uint32_t>(p.data.size());
    ends = ends || end == at;
    goes_on = goes_on || (p.at <= at && at < end);
  }
  return ends && goes_on;
}

// What is read of a connection that these come to, in this order, the first byte at 0.
std::string read_of(Side& side, Port from, const std::vector<Piece>& pieces) {
  const Endpoint self{kSelf, kPort}, peer{kPeer, from};
  TcpSegment syn = with(kSyn, SeqNum(1000));
  syn.options.mss = 1460;
  syn.options.sack_permitted = true;
  side.answers(kPeer);
  side.send(forged(peer, self, syn));
  const auto answer = side.answers(kPeer);
  if (answer.size() != 1 || !answer[0].syn()) {
    ADD_FAILURE() << "no SYN,ACK";
    return {};
  }
  const SeqNum ack = answer[0].seq + 1;
  side.send(forged(peer, self, with(kAck, SeqNum(1001), ack)));
  for (const Piece& p : pieces) {
    side.send(forged(peer, self, with(kAck, SeqNum(1001) + p.at, ack), test::bytes_of(p.data)));
  }
  std::string text = side.read();
  side.answers(kPeer);
  return text;
}

class ForgedSegments : public ::testing::Test {
 protected:
  void SetUp() override {
    const UniqueFd control(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    if (!control) GTEST_SKIP() << system_error(errno, "cannot open /dev/net/tun").message;
  }
};

// Pieces that overlap in every way and do not agree: what is read is what the kernel reads.
TEST_F(ForgedSegments, OverlapsThatDoNotAgree) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    constexpr std::uint64_t kSeed = 3;
    constexpr std::uint32_t kEnd = 60;
    std::mt19937_64 random(kSeed);
    const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    Kernel kernel;
    Ours ours;
    kernel.listen();
    ours.listen();
    const char* const asked = std::getenv("LASTACK_FORGED_RUNS");
    const auto runs = static_cast<std::uint32_t>(asked == nullptr ? 400 : std::atoi(asked));
    for (std::uint32_t run = 0; run < runs && !::testing::Test::HasFailure(); ++run) {
      std::vector<Piece> pieces;
      const std::uint32_t n = 1 + below(12);
      const std::uint32_t longest = run % 2 == 0 ? 8 : 30;
      std::string tried;
      for (std::uint32_t i = 0; i < n; ++i) {
        // One in ten may be in order; the rest is beyond the first byte.
        const std::uint32_t at = below(10) == 0 ? 0 : 1 + below(kEnd - 1);
        const std::uint32_t length = 1 + below(std::min(longest, kEnd - at));
        if (depends_on_the_tree(pieces, at)) continue;
        pieces.push_back({at, std::string(length, static_cast<char>('A' + i))});
        tried += " " + std::to_string(at) + pieces.back().data;
      }
      // What is missing, byte by byte: what is there already is known.
      for (std::uint32_t at = 0; at < kEnd; ++at) pieces.push_back({at, "."});
      const auto port = static_cast<Port>(2000 + run % 60'000);
      const std::string read = read_of(kernel, port, pieces);
      EXPECT_EQ(read.size(), kEnd);
      EXPECT_EQ(read_of(ours, port, pieces), read) << "seed " << kSeed << ", run " << run << tried;
    }
  });
}

// Data that is the next to come, with an ACK for what was never sent: RFC 5961, 5.2, has it dropped. The kernel does so with the
// first data of a connection; later its header prediction takes the data before it looks at the ACK.
TEST_F(ForgedSegments, DataWithAnAckThatIsTooOldIsTakenByTheKernelOnly) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    const auto read_of = [](Side& side, Port from, const std::string& before) {
      const Endpoint self{kSelf, kPort}, peer{kPeer, from};
      side.answers(kPeer);
      side.send(forged(peer, self, with(kSyn, SeqNum(1000))));
      const auto answer = side.answers(kPeer);
      if (answer.size() != 1) return std::string("no SYN,ACK");
      const SeqNum ack = answer[0].seq + 1;
      const auto data = [&](std::uint32_t at, SeqNum acked, const std::string& text) {
        side.send(forged(peer, self, with(kAck, SeqNum(at), acked), test::bytes_of(text)));
      };
      side.send(forged(peer, self, with(kAck, SeqNum(1001), ack)));
      if (!before.empty()) data(1001, ack, before);
      data(1001 + static_cast<std::uint32_t>(before.size()), ack - 1, "blind");
      return side.read();
    };
    Kernel kernel;
    Ours ours;
    kernel.listen();
    ours.listen();
    EXPECT_EQ(read_of(kernel, 5000, ""), "");
    EXPECT_EQ(read_of(ours, 5000, ""), "");
    EXPECT_EQ(read_of(kernel, 5001, "first "), "first blind");
    EXPECT_EQ(read_of(ours, 5001, "first "), "first ");
  });
}

// Which sources are answered: a SYN to a listener, and one to nobody.
TEST_F(ForgedSegments, SourcesThatCannotBe) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Kernel kernel;
    Ours ours;
    kernel.listen();
    ours.listen();
    auto links = Rtnetlink::open();
    ASSERT_TRUE(links);
    ASSERT_TRUE(links->add_route(IpAddress::v4(0), 0, "la0"));
    for (const char* source :
         {"0.0.0.0", "0.0.0.1", "10.77.0.9", "127.0.0.1", "127.1.2.3", "192.0.2.9", "224.0.0.1",
          "239.1.2.3", "240.0.0.1", "255.255.255.254", "255.255.255.255"}) {
      for (const Port port : {kPort, Port{99}}) {
        const IpAddress from = *IpAddress::parse(source);
        const Bytes syn = forged({from, 5000}, {kSelf, port}, with(kSyn, SeqNum(1)));
        kernel.answers(from);
        kernel.send(syn);
        ours.send(syn);
        EXPECT_EQ(ours.answers(from).size(), kernel.answers(from).size())
            << source << " to port " << port;
      }
    }
  });
}

// How fast initial sequence numbers go on: those of two connections, one after the other, of one four-tuple.
TEST_F(ForgedSegments, TheClockOfInitialSequenceNumbers) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    const Endpoint self{kSelf, kPort}, peer{kPeer, 5000};
    const auto open = [&](Side& side) {
      side.send(forged(peer, self, with(kSyn, SeqNum(1000))));
      const auto answer = side.answers(kPeer);
      EXPECT_EQ(answer.size(), 1U);
      side.send(forged(peer, self, with(kRst, SeqNum(1001))));
      return answer.empty() ? SeqNum{} : answer[0].seq;
    };
    const auto now = [] { return std::chrono::steady_clock::now(); };
    Kernel kernel;
    kernel.listen();
    const auto t1 = now();
    const SeqNum first = open(kernel);
    const auto t2 = now();
    std::this_thread::sleep_for(50ms);
    const auto t3 = now();
    const SeqNum second = open(kernel);
    const auto t4 = now();
    const Duration told = (second - first) * 64ns;
    EXPECT_GE(told, t3 - t2);
    EXPECT_LE(told, t4 - t1 + 64ns);

    Ours ours;
    ours.listen();
    const SeqNum before = open(ours);
    EXPECT_EQ((open(ours) - before) * 64ns, 2ms) << "a millisecond for each packet sent";
  });
}

}  // namespace
}  // namespace lastack
