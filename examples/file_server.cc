// An HTTP/1.1 server of the files below a directory.
//
//   file_server DIRECTORY FILE    in memory: a client fetches FILE from it, over a wire of 100 Mbit/s
//   file_server DIRECTORY --tun la0   on the TUN device la0, which it makes (needs root): try  curl http://10.77.0.2/FILE
#include <lastack/lastack.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

using namespace lastack;
namespace fs = std::filesystem;

// A request, up to the empty line; empty: the end, or none that we would read.
Task<std::string> read_head(TcpStream& c, std::string& unread) {
  std::array<char, 2048> buffer;
  for (;;) {
    if (const auto end = unread.find("\r\n\r\n"); end != std::string::npos) {
      std::string head = unread.substr(0, end + 2);
      unread.erase(0, end + 4);
      co_return head;
    }
    // Thirty seconds for a client that says nothing, 16 KiB for one that does not stop.
    const auto n = co_await c.read(buffer).within(30s);
    if (!n || *n == 0 || unread.size() > 16384) co_return "";
    unread.append(buffer.data(), *n);
  }
}

std::string header(const char* status, std::uintmax_t length) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(length) +
         "\r\n\r\n";
}

Task<> serve(TcpStream c, fs::path root) {
  std::string unread;
  for (;;) {
    const std::string head = co_await read_head(c, unread);
    if (head.empty()) break;
    const auto path_end = head.find(' ', 4);
    if (!head.starts_with("GET /") || path_end == std::string::npos) {
      co_await c.write(header("501 Not Implemented", 0));
      break;
    }
    // Nothing outside of the directory, whatever dots or links say.
    std::error_code none;
    const fs::path file = fs::weakly_canonical(root / head.substr(5, path_end - 5), none);
    const bool within =
        std::mismatch(root.begin(), root.end(), file.begin(), file.end()).first == root.end();
    std::ifstream in(file, std::ios::binary);
    if (!within || !fs::is_regular_file(file, none) || !in) {
      co_await c.write(header("404 Not Found", 0));
    } else {
      std::uintmax_t left = fs::file_size(file, none);
      if (!co_await c.write(header("200 OK", left))) co_return;
      std::array<char, 65536> piece;
      while (left > 0) {
        in.read(piece.data(), static_cast<std::streamsize>(std::min<std::uintmax_t>(left, 65536)));
        const auto n = static_cast<std::size_t>(in.gcount());
        if (n == 0) co_return;  // it has shrunk: the client sees an end too early
        if (!co_await c.write(std::string_view(piece.data(), n))) co_return;
        left -= n;
      }
    }
    if (head.find("Connection: close") != std::string::npos) break;
  }
  co_await c.finish().within(5s);  // so that the last answer is not lost to a RST
}

int in_memory(const fs::path& root, const std::string& file) {
  VirtualNetwork net(1, {.delay = 5ms, .rate = 100'000'000});
  Node& server = net.add_node({.name = "server"}, {"10.0.0.2"_ip});
  Node& client = net.add_node({.name = "client"}, {"10.0.0.1"_ip});
  if (!server.serve({"10.0.0.2"_ip, 80}, [&](TcpStream c) { return serve(std::move(c), root); }))
    return 1;
  std::size_t bytes = 0;
  std::string status;
  client.spawn([&]() -> Task<> {
    auto c = co_await client.connect({"10.0.0.2"_ip, 80});
    if (!c) co_return;
    co_await c->write("GET /" + file + " HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n");
    std::array<char, 65536> buffer;
    for (;;) {
      const auto n = co_await c->read(buffer);
      if (!n || *n == 0) break;
      if (bytes == 0) status.assign(buffer.data(), std::string_view(buffer.data(), *n).find('\r'));
      bytes += *n;
    }
    std::printf("%s: %zu bytes with the header, after %.1f ms\n", status.c_str(), bytes,
                seconds(client.now() - Instant(1s)) * 1e3);
  });
  net.run_for(3600s);
  return status == "HTTP/1.1 200 OK" ? 0 : 1;
}

int on_tun(const fs::path& root, const char* name) {
  auto tun = TunDevice::open(name, {.create = true});
  if (!tun) return std::fprintf(stderr, "%s\n", tun.error().message.c_str()), 1;
  if (const auto up = tun->configure({{"10.77.0.1"_ip, 24}}); !up) {
    return std::fprintf(stderr, "%s\n", up.error().message.c_str()), 1;
  }
  Node server(tun->fitting({}), {"10.77.0.2"_ip});
  EventLoop loop;
  LoopDriver driver(loop);
  if (!driver.attach(server, *tun)) return 1;
  if (!server.serve({"10.77.0.2"_ip, 80}, [&](TcpStream c) { return serve(std::move(c), root); }))
    return 1;
  std::printf("%s at http://10.77.0.2/\n", root.c_str());
  return loop.run() ? 0 : 1;
}

int main(int argc, char** argv) {
  std::error_code error;
  const fs::path root = fs::canonical(argc > 2 ? argv[1] : "", error);
  if (error)
    return std::fprintf(stderr, "file_server DIRECTORY FILE | file_server DIRECTORY --tun NAME\n"),
           2;
  return argc > 3 ? on_tun(root, argv[3]) : in_memory(root, argv[2]);
}
