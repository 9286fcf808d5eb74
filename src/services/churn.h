// Many short connections: opened at a rate or so many at a time, a word with the peer, and an end of the chosen kind.
// Everything that TIME_WAIT, CLOSE_WAIT and exhausted ports are made of.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/http_message.h"
#include "services/service.h"

namespace lastack {

enum class ChurnExchange : std::uint8_t {
  None,  // connect, and end
  Echo,  // a byte there and back
  Http,  // GET, and the whole answer
};
enum class ChurnEnd : std::uint8_t {
  Close,     // close(): FIN
  Shutdown,  // shutdown(): FIN; close() once the peer's has come
  Reset,     // RST
  Vanish,    // not a packet more, in neither direction: as if the cable had been cut
};

struct ChurnOptions {
  std::vector<Endpoint> destinations;  // taken in turn; one family's, at least one
  std::uint32_t concurrency = 100;     // at most so many at a time
  double rate = 0;                     // connections a second; 0: as many as `concurrency` lets
  std::uint64_t count = 0;             // attempts in all; 0: no limit
  ChurnExchange exchange = ChurnExchange::Echo;
  std::string path = "/";   // of Http
  bool peer_first = false;  // wait for the peer's FIN before the end
  ChurnEnd end = ChurnEnd::Close;
  Duration patience = 10s;  // for the whole of a connection
};

struct ChurnCounts {
  std::uint64_t attempts = 0;
  std::uint64_t opened = 0;    // connect() came through
  std::uint64_t finished = 0;  // everything went as asked
  std::uint64_t failed = 0;
  std::map<Err, std::uint64_t> failures;  // timed_out also for `patience`; protocol_error: no HTTP
  std::uint64_t bytes_in = 0;
  Duration opening{};  // from connect() to established, summed over `opened`
  std::uint32_t most_at_once = 0;
};

class Churn final : public SocketOwner {
 public:
  Churn(Host& host, SocketEvents& events, ChurnOptions options);
  // Begins what is due. To be called every few milliseconds (Churn::tick()).
  void advance(Instant now);
  Duration tick() const { return options_.rate > 0 ? Duration(1ms) : Duration(5ms); }
  void on_event(SocketId socket, Instant now) override;
  // No new ones; those that are open go on to their end.
  void stop() { stopped_ = true; }
  bool done() const { return sessions_.empty() && (stopped_ || all_begun()); }

  // What Vanish does on the wire: whether this packet, on its way in or out, is one of a connection that is gone.
  bool swallows(std::span<const std::byte> packet, bool inbound) const;

  const ChurnCounts& counts() const { return counts_; }
  std::size_t open() const { return sessions_.size(); }

 private:
  enum class Phase : std::uint8_t { Connecting, Exchange, PeersEnd, OurEnd };
  struct Session {
    Instant begun{};
    Phase phase = Phase::Connecting;
    std::uint32_t destination = 0;
    std::size_t sent = 0;
    std::string answer;  // of Http, until its length is known
    HttpHeadReader head;
    std::uint64_t left = 0;
    bool length_known = false;
  };

  bool all_begun() const { return options_.count != 0 && counts_.attempts >= options_.count; }
  // Whether one more has been begun.
  bool begin_one(Instant now);
  void refill(Instant now);
  // Whether the session goes on.
  bool go_on(SocketId socket, Session& session, Instant now);
  bool exchange(SocketId socket, Session& session, Instant now);
  // The end of the chosen kind; whether there is still something to wait for.
  bool finish(SocketId socket, Session& session, Instant now);
  bool fail(Err error);
  // Whether it can still be the answer that was asked for.
  bool take_answer(Session& session, std::span<const std::byte> bytes);
  void forget(SocketId socket, Instant now);

  Host& host_;
  SocketEvents& events_;
  ChurnOptions options_;
  std::string request_;
  std::unordered_map<SocketId, Session> sessions_;
  std::vector<std::vector<bool>> vanished_;  // by destination and local port
  ChurnCounts counts_;
  Instant first_{};
  Instant swept_{};
  bool started_ = false;
  bool stopped_ = false;
  bool held_back_ = false;  // the last attempt failed at once: the next one waits for advance()
};

}  // namespace lastack
