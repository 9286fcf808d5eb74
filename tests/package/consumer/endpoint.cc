// A stranger's program with a TCP of its own: a server, a client, a wire that loses packets, an hour of virtual time.
#include <lastack/lastack.h>

#include <cstdio>
#include <string>

using namespace lastack;

namespace {

Task<> answer(TcpStream c) {
  std::array<char, 64> name;
  const auto n = co_await c.read(name);
  if (!n || *n == 0) co_return;
  co_await c.write("hello, " + std::string(name.data(), *n));
  co_await c.finish().within(30s);
}

}  // namespace

int main() {
  VirtualNetwork net(7, {.delay = 20ms, .loss = 0.2});
  Node& server = net.add_node({.name = "server"}, {"2001:db8::2"_ip});
  Node& client = net.add_node({.name = "client"}, {"2001:db8::1"_ip});
  std::string got;
  if (!server.serve({"2001:db8::2"_ip, 4000}, answer)) return 1;
  client.spawn([&]() -> Task<> {
    auto c = co_await client.connect({"2001:db8::2"_ip, 4000});
    if (!c || !co_await c->write("stranger")) co_return;
    std::array<char, 64> buffer;
    for (auto n = co_await c->read(buffer); n && *n > 0; n = co_await c->read(buffer))
      got.append(buffer.data(), *n);
  });
  net.run_for(3600s);
  std::printf("endpoint: %s\n", got.c_str());
  return got == "hello, stranger" && server.host().connections() == 0 &&
                 server.host().time_waits() == 0
             ? 0
             : 1;
}
