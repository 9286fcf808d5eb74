// A server of files over HTTP/1.1 and 1.0 (RFC 9110, 9112): GET and HEAD, ranges, conditions, keep-alive, pipelining.
// Who closes first is told in every answer; a closing side half-closes and waits for the peer's end, so that what is
// still on its way is not answered with a RST (RFC 9112, 9.6).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "services/file_root.h"
#include "services/http_message.h"
#include "services/service.h"

namespace lastack {

struct HttpServerCounts {
  std::uint64_t accepted = 0;
  std::uint64_t open = 0;
  std::uint64_t requests = 0;
  std::uint64_t refused = 0;  // answered with 4xx or 5xx
  std::uint64_t bytes_out = 0;
  std::uint64_t failed = 0;  // connections that ended with an error
  std::uint64_t timed_out = 0;
};

struct HttpServerOptions {
  Duration idle = 60s;      // between requests
  Duration patience = 30s;  // for a head to be whole once it has begun, for a reader to read on
  Duration lingering = 2s;  // for the peer's end after ours
  std::uint32_t most_requests = 0;  // on one connection; 0: any number
};

class HttpServer final : public SocketOwner {
 public:
  HttpServer(FileRoot root, Host& host, SocketEvents& events, HttpServerOptions options = {})
      : root_(std::move(root)), host_(host), events_(events), options_(options) {}
  Result<void> listen(Port port);
  void on_event(SocketId socket, Instant now) override;
  // Ends what has waited too long; to be called every second or so.
  void sweep(Instant now);
  // A RST to every peer: what is open ends now.
  void end_all(Instant now);
  const HttpServerCounts& counts() const { return counts_; }

 private:
  enum class Phase : std::uint8_t { Request, Answer, Lingering };
  struct Session {
    std::string input;  // what has come and was not dealt with
    HttpHeadReader head;
    std::string output;  // head, and a body that is short
    std::size_t written = 0;
    UniqueFd file;
    std::uint64_t offset = 0;
    std::uint64_t left = 0;
    std::uint32_t requests = 0;
    Phase phase = Phase::Request;
    bool keep = true;  // the connection goes on after this answer
    Instant since{};   // of the first byte of a head; else of the last progress
  };
  struct Answer;

  void accept(Instant now);
  bool go_on(SocketId socket, Session& session, Instant now);
  bool read_request(SocketId socket, Session& session, Instant now, bool& again);
  bool send_answer(SocketId socket, Session& session, Instant now, bool& again);
  bool linger(SocketId socket, Instant now);
  void answer_request(Session& session, const HttpHead& head);
  void answer_file(Session& session, const HttpHead& head, Answer& answer);
  void refuse(Session& session, int status, bool keep, bool body, std::string_view more = {});
  void begin(Session& session, const Answer& answer);
  void end(SocketId socket, Instant now, bool reset);
  const std::string& date();

  FileRoot root_;
  Host& host_;
  SocketEvents& events_;
  HttpServerOptions options_;
  SocketId listener_{};
  std::unordered_map<SocketId, Session> sessions_;
  HttpServerCounts counts_;
  bool held_back_ = false;  // connections wait, and the host had no socket for them
  std::time_t date_of_ = -1;
  std::string date_;
};

}  // namespace lastack
