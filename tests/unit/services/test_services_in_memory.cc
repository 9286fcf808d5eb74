// The services over a network in memory: whole files through loss, an idle client, connections that end in every way.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lastack/virtual_network.h"
#include "services/churn.h"
#include "services/http_fetch.h"
#include "services/http_server.h"
#include "services/plain_services.h"

namespace lastack {
namespace {

const IpAddress kClient = *IpAddress::parse("10.0.0.1");
const IpAddress kServer = *IpAddress::parse("10.0.0.2");

class Services : public ::testing::Test {
 public:
  void SetUp() override {
    char name[] = "/tmp/lastack-www-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    content_.resize(300'000);
    for (std::size_t i = 0; i < content_.size(); ++i) {
      content_[i] = static_cast<char>(i * 2654435761U >> 11U);
    }
    std::ofstream(folder_ + "/file") << content_;
    net_.on_event(client_, [this](SocketId s) { client_events_.on_event(s, net_.now()); });
    net_.on_event(server_, [this](SocketId s) { server_events_.on_event(s, net_.now()); });
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void link(double loss) {
    LinkOptions options;
    options.loss = loss;
    options.delay = 3ms;
    net_.link(client_, server_, options);
  }
  std::unique_ptr<HttpServer> http(HttpServerOptions options = {}) {
    auto server =
        std::make_unique<HttpServer>(*FileRoot::open(folder_), server_, server_events_, options);
    EXPECT_TRUE(server->listen(80));
    return server;
  }
  // What was fetched, from `from` on.
  std::string fetch(std::string_view url, std::uint64_t from, Duration limit) {
    std::string got;
    HttpFetch fetch(client_, client_events_,
                    [&](std::uint64_t offset, std::span<const std::byte> bytes) {
                      EXPECT_EQ(offset, from + got.size());
                      got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                      return Result<void>{};
                    });
    const auto target = parse_http_url(url);
    EXPECT_TRUE(target && fetch.start({kServer, target->port}, *target,
                                      {.length = from, .version = {}, .whole = {}}, net_.now()));
    net_.run_for(limit);
    EXPECT_TRUE(fetch.done());
    result_ = fetch.result();
    return got;
  }

  // All that the server says to it.
  std::string say(std::string_view request) {
    const SocketId socket = *client_.open();
    EXPECT_EQ(client_.connect(socket, {kServer, 80}, net_.now()).error(), Err::in_progress);
    net_.run_for(100ms);
    EXPECT_TRUE(client_.write(socket, std::as_bytes(std::span(request)), net_.now()));
    net_.run_for(1s);
    std::string answer;
    std::array<std::byte, 4096> room;
    for (auto n = client_.read(socket, room, net_.now()); n && *n > 0;
         n = client_.read(socket, room, net_.now())) {
      answer.append(reinterpret_cast<const char*>(room.data()), *n);
    }
    EXPECT_TRUE(client_.close(socket, net_.now()));
    net_.run_for(3s);
    return answer;
  }

  std::string folder_;
  std::string content_;
  VirtualNetwork net_{7};
  Host& client_ = net_.add_host({.name = "client"}, {kClient});
  Host& server_ = net_.add_host({.name = "server"}, {kServer});
  SocketEvents client_events_, server_events_;
  Result<FetchResult> result_;
};

TEST_F(Services, FilesComeWholeThroughLoss) {
  const auto server = http();
  for (const double loss : {0.0, 0.05}) {
    link(loss);
    EXPECT_TRUE(fetch("http://10.0.0.2/file", 0, 120s) == content_) << loss;
    ASSERT_TRUE(result_) << result_.error().message;
    EXPECT_EQ(result_->status, 200);
    EXPECT_EQ(result_->whole, content_.size());
  }
  EXPECT_TRUE(fetch("http://10.0.0.2/file", 299'000, 60s) == content_.substr(299'000));
  EXPECT_EQ(result_->status, 206);
  EXPECT_EQ(fetch("http://10.0.0.2/file", 300'000, 60s), "");
  EXPECT_EQ(result_->status, 416);
  EXPECT_EQ(fetch("http://10.0.0.2/none", 0, 60s), "");
  EXPECT_FALSE(result_);
}

TEST_F(Services, WhoSaysNothingIsSentAway) {
  link(0);
  const auto server = http();
  const auto socket = client_.open();
  ASSERT_TRUE(socket);
  EXPECT_EQ(client_.connect(*socket, {kServer, 80}, net_.now()).error(), Err::in_progress);
  net_.run_for(1s);
  ASSERT_TRUE(client_.write(*socket, std::as_bytes(std::span("GET /")).first(5), net_.now()));
  net_.touch(client_);
  const auto wait = [&](Duration how_long) {
    for (Duration slept{}; slept < how_long; slept += 1s) {
      net_.run_for(1s);
      server->sweep(net_.now());
      net_.touch(server_);
    }
    net_.run_for(1s);
  };
  wait(25s);
  EXPECT_EQ(server->counts().open, 1U);
  wait(10s);  // 30 s for a head
  EXPECT_EQ(server->counts().open, 0U);
  EXPECT_EQ(server->counts().timed_out, 1U);
  EXPECT_TRUE(client_.readiness(*socket).read_hung_up);
}

// From the first byte on, and not from the last one.
TEST_F(Services, WhoSaysItSlowlyIsSentAway) {
  link(0);
  const auto server = http();
  const SocketId socket = *client_.open();
  EXPECT_EQ(client_.connect(socket, {kServer, 80}, net_.now()).error(), Err::in_progress);
  net_.run_for(1s);
  int said = 0;
  // Empty lines before a head are nobody's head: they are borne with for a minute.
  for (const char c : std::string_view("\r\n\r\nGET / HTTP/1.1\r\nX: aaaa")) {
    const auto put = client_.write(socket, std::as_bytes(std::span(&c, 1)), net_.now());
    if (!put || client_.readiness(socket).read_hung_up) break;
    ++said;
    for (int i = 0; i < 12; ++i) {
      net_.run_for(1s);
      server->sweep(net_.now());
      net_.touch(server_);
    }
  }
  EXPECT_EQ(said, 7) << "four of empty lines, and three in 30 s";
  EXPECT_EQ(server->counts().timed_out, 1U);
}

TEST_F(Services, WhatCouldBeReadInTwoWaysIsRefused) {
  const auto server = http();
  const std::string second = "GET /file HTTP/1.1\r\nHost: smuggled\r\n\r\n";
  for (const std::string field :
       {"Content-Length: 0\r\nContent-Length: 44\r\n",
        "Content-Length: 44\r\nContent-Length: 0\r\n", "Content-Length: 0\r\nContent-Length: 0\r\n",
        "Content-Length: 0, 44\r\n", "Host: y\r\n", "Content-Length: 44\r\n"}) {
    const std::string answer = say("GET /none HTTP/1.1\r\nHost: x\r\n" + field + "\r\n" + second);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << field << answer;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << field;
  }
  for (const std::string bad :
       {"GET / HTTP/1.1\r\nHost: a b/\x01\r\n\r\n", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://a b/ HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    EXPECT_TRUE(say(bad).starts_with("HTTP/1.1 400 ")) << bad;
  }
  EXPECT_EQ(server->counts().requests, 10U);
}

TEST_F(Services, ARedirectionStaysOnThisServer) {
  std::filesystem::create_directories(folder_ + "/sub/a b");
  const auto server = http();
  const auto location = [&](const std::string& target) -> std::string {
    const std::string answer =
        say("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const std::size_t at = answer.find("\r\nLocation: ");
    if (!answer.starts_with("HTTP/1.1 301 ") || at == std::string::npos) return answer;
    return answer.substr(at + 12, answer.find("\r\n", at + 2) - at - 12);
  };
  EXPECT_EQ(location("/sub"), "/sub/");
  EXPECT_EQ(location("//sub"), "/sub/");
  EXPECT_EQ(location("//evil.example/..%2f"), "/");
  EXPECT_EQ(location("http://x//evil.example/..%2f"), "/");
  EXPECT_EQ(location("/%2fevil.example/..%2fsub"), "/sub/");
  EXPECT_EQ(location("/sub/a%20b?x"), "/sub/a%20b/");
  EXPECT_EQ(location("/sub/%0d%0aX:%20y/.."), "/sub/");
}

TEST_F(Services, FilesOfAnyDateAreServed) {
  const auto server = http();
  using std::chrono::sys_days;
  for (const auto when :
       {sys_days(std::chrono::year(2400) / 1 / 1), sys_days(std::chrono::year(1800) / 1 / 1)}) {
    const timespec times[2] = {{}, {.tv_sec = when.time_since_epoch() / 1s, .tv_nsec = 0}};
    if (::utimensat(AT_FDCWD, (folder_ + "/file").c_str(), times, 0) != 0) GTEST_SKIP();
    const std::string answer = say("HEAD /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
    const std::size_t at = answer.find("Last-Modified: ");
    ASSERT_NE(at, std::string::npos);
    const auto told = parse_http_date(std::string_view(answer).substr(at + 15, 29));
    ASSERT_TRUE(told) << answer;
    EXPECT_LE(*told, std::time(nullptr)) << "RFC 9110, 8.8.2.1";
  }
}

TEST_F(Services, EchoGivesBackWhatCameBeforeTheEnd) {
  link(0.02);
  PlainService echo(PlainService::Kind::Echo, server_, server_events_);
  ASSERT_TRUE(echo.listen(7));
  struct Talker final : SocketOwner {
    explicit Talker(Services& in) : test(in) {}
    void on_event(SocketId socket, Instant now) override {
      Host& host = test.client_;
      while (sent < test.content_.size()) {
        const auto put =
            host.write(socket, std::as_bytes(std::span(test.content_)).subspan(sent), now);
        if (!put) break;
        sent += *put;
        if (sent == test.content_.size()) {
          EXPECT_TRUE(host.shutdown(socket, ShutdownHow::Write, now));
        }
      }
      std::array<std::byte, 4096> room;
      for (auto n = host.read(socket, room, now); n; n = host.read(socket, room, now)) {
        if (*n == 0) {
          ended = true;
          return;
        }
        got.append(reinterpret_cast<const char*>(room.data()), *n);
      }
    }
    Services& test;
    std::size_t sent = 0;
    std::string got;
    bool ended = false;
  } talker(*this);
  const auto socket = client_.open();
  client_events_.own(*socket, talker);
  EXPECT_EQ(client_.connect(*socket, {kServer, 7}, net_.now()).error(), Err::in_progress);
  net_.run_for(120s);
  EXPECT_TRUE(talker.ended);
  EXPECT_TRUE(talker.got == content_);
  EXPECT_EQ(echo.counts().open, 0U);
}

// A host that is out of sockets accepts nobody. Those who wait are accepted when one is given back, by the same
// service or by another one of the host.
TEST_F(Services, WhoWaitedForASocketIsAcceptedLater) {
  const IpAddress kSmall = *IpAddress::parse("10.0.0.3");
  Host& small = net_.add_host({.name = "small", .most_sockets = 6}, {kSmall});
  SocketEvents events;
  net_.on_event(small, [&](SocketId s) { events.on_event(s, net_.now()); });
  PlainService echo(PlainService::Kind::Echo, small, events);
  PlainService discard(PlainService::Kind::Discard, small, events);
  HttpServer web(*FileRoot::open(folder_), small, events);
  ASSERT_TRUE(echo.listen(7) && discard.listen(9) && web.listen(80));
  std::vector<SocketId> peers;
  const auto dial = [&](Port port) {
    peers.push_back(*client_.open());
    const auto begun = client_.connect(peers.back(), {kSmall, port}, net_.now());
    EXPECT_EQ(begun.error(), Err::in_progress);
    net_.run_for(50ms);
  };
  const auto hang_up = [&](std::size_t i) {
    EXPECT_TRUE(client_.close(peers[i], net_.now()));
    net_.touch(client_);
    net_.run_for(50ms);
  };
  for (const int port : {7, 7, 7, 7, 9, 80, 80}) dial(static_cast<Port>(port));
  EXPECT_EQ(echo.counts().open, 3U);
  EXPECT_EQ(discard.counts().open + web.counts().open, 0U);
  hang_up(0);  // an echo's socket, which goes to the echo that waits
  EXPECT_EQ(echo.counts().accepted, 4U);
  for (const std::size_t i : {1U, 2U}) hang_up(i);
  EXPECT_EQ(discard.counts().accepted + web.counts().accepted, 0U) << "nobody has told them";
  discard.look_again(net_.now());
  web.sweep(net_.now());
  net_.touch(small);
  net_.run_for(50ms);
  EXPECT_EQ(discard.counts().open, 1U);
  EXPECT_EQ(web.counts().accepted, 1U);
  hang_up(5);
  EXPECT_EQ(web.counts().accepted, 2U);
}

// Not until patience ends, with all that has come kept for so long.
TEST_F(Services, ChurnEndsWhatIsNoAnswer) {
  link(0);
  PlainService chargen(PlainService::Kind::Chargen, server_, server_events_);
  ASSERT_TRUE(chargen.listen(19));
  ChurnOptions options;
  options.destinations = {{kServer, 19}};
  options.count = 3;
  options.exchange = ChurnExchange::Http;
  Churn churn(client_, client_events_, options);
  churn.advance(net_.now());
  net_.touch(client_);
  net_.run_for(1s);
  EXPECT_TRUE(churn.done());
  EXPECT_EQ(churn.counts().failures, (std::map<Err, std::uint64_t>{{Err::protocol_error, 3}}));
}

struct Way {
  ChurnEnd end;
  bool peer_first;
  std::size_t left_here;
  std::size_t left_there;
};

TEST_F(Services, ChurnEndsAsItWasTold) {
  link(0);
  const auto server = http();
  for (const Way way : {Way{ChurnEnd::Close, false, 50, 0}, Way{ChurnEnd::Shutdown, false, 50, 0},
                        Way{ChurnEnd::Close, true, 0, 50}, Way{ChurnEnd::Reset, false, 0, 0}}) {
    ChurnOptions options;
    options.destinations = {{kServer, 80}};
    options.count = 50;
    options.concurrency = 5;
    options.exchange = ChurnExchange::Http;
    options.path = "/file";
    options.end = way.end;
    options.peer_first = way.peer_first;
    Churn churn(client_, client_events_, options);
    for (int i = 0; i < 2000 && !churn.done(); ++i) {
      churn.advance(net_.now());
      net_.touch(client_);
      net_.run_for(churn.tick());
    }
    EXPECT_TRUE(churn.done());
    EXPECT_EQ(churn.counts().finished, 50U);
    EXPECT_EQ(churn.counts().failed, 0U);
    EXPECT_EQ(churn.counts().most_at_once, 5U);
    net_.run_for(3s);
    EXPECT_EQ(client_.time_waits(), way.left_here);
    EXPECT_EQ(server_.time_waits(), way.left_there);
    net_.run_for(70s);
    EXPECT_EQ(client_.time_waits() + server_.time_waits(), 0U);
  }
}

}  // namespace
}  // namespace lastack
