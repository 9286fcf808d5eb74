// An echo server.
//
//   echo_server          in memory: a server, a client, and a wire between them that loses every tenth packet
//   echo_server la0      on the TUN device la0, which it makes (needs root): try  nc 10.77.0.2 7
#include <lastack/lastack.h>

#include <array>
#include <cstdio>

using namespace lastack;

Task<> echo(TcpStream c) {
  std::array<std::byte, 16384> buffer;
  for (;;) {
    const auto n = co_await c.read(buffer);
    if (!n || *n == 0) co_return;  // an error, or the end: the stream is closed with the task
    if (!co_await c.write(std::span(buffer).first(*n))) co_return;
  }
}

int in_memory() {
  VirtualNetwork net(1, {.delay = 10ms, .loss = 0.1});
  Node& server = net.add_node({.name = "server"}, {"10.0.0.2"_ip});
  Node& client = net.add_node({.name = "client"}, {"10.0.0.1"_ip});
  if (!server.serve({"10.0.0.2"_ip, 7}, echo)) return 1;
  client.spawn([&]() -> Task<> {
    auto c = co_await client.connect({"10.0.0.2"_ip, 7});
    if (!c) co_return;
    for (const char* word : {"tempus", "edax", "rerum"}) {
      std::array<char, 100> answer;
      const Instant begun = client.now();
      co_await c->write(word);
      const auto n = co_await c->read(answer);
      if (!n) co_return;
      std::printf("%.*s after %.1f ms\n", static_cast<int>(*n), answer.data(),
                  seconds(client.now() - begun) * 1e3);
    }
    co_await c->finish();
  });
  net.run_for(120s);  // takes a moment
  std::printf("%lu packets, %lu lost\n", net.counts().sent, net.counts().lost);
  return 0;
}

int on_tun(const char* name) {
  auto tun = TunDevice::open(name, {.create = true});
  if (!tun) return std::fprintf(stderr, "%s\n", tun.error().message.c_str()), 1;
  if (const auto up = tun->configure({{"10.77.0.1"_ip, 24}}); !up) {
    return std::fprintf(stderr, "%s\n", up.error().message.c_str()), 1;
  }
  Node server(tun->fitting({}), {"10.77.0.2"_ip});
  EventLoop loop;
  LoopDriver driver(loop);
  if (!driver.attach(server, *tun) || !server.serve({"10.77.0.2"_ip, 7}, echo)) return 1;
  std::printf("echo at 10.77.0.2:7\n");
  return loop.run() ? 0 : 1;
}

int main(int argc, char** argv) {
  return argc > 1 ? on_tun(argv[1]) : in_memory();
}
