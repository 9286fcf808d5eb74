// Load on a destination, offered on a schedule that does not wait for answers (t_k = t_0 + k / rate), so
// that a service that is down is asked as often as one that is up. One thread, bounded in number and in
// time: every connection and request has a time limit, and there is a limit of how many at once.
//
//   ShortConnections   a connection for every request: what burns local ports
//   RequestPool        the same requests over connections that are kept open: the remedy
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "lab/latency_histogram.h"
#include "lab/tcp_socket.h"
#include "lastack/time.h"

namespace lastack {

// Counted under this where the peer closed before it had answered: no system call reports an error then.
inline constexpr int kNoAnswer = 61;  // ENODATA

struct LoadCounts {
  std::uint64_t offered = 0;  // due by the schedule
  std::uint64_t ok = 0;       // answered
  std::uint64_t failed = 0;
  std::map<int, std::uint64_t> errors;  // failed, by errno; ETIMEDOUT: our own limit as well
  LatencyHistogram
      connect_call;            // socket(), bind() and connect(), successful or not: a walk's cost
  LatencyHistogram connected;  // from connect() until the connection stood
  LatencyHistogram answered;   // from when it was due until the answer

  std::uint64_t failed_with(int number) const {
    const auto found = errors.find(number);
    return found == errors.end() ? 0 : found->second;
  }
  LoadCounts& operator+=(const LoadCounts& other);
};

// When the k-th of a steady stream is due.
class Schedule {
 public:
  explicit Schedule(double per_second) : interval_ns_(1e9 / per_second) {}
  void start(Instant at) {
    start_ = at;
    next_ = 0;
  }
  Instant next_due() const {
    return start_ + Duration(static_cast<Duration::rep>(static_cast<double>(next_) * interval_ns_));
  }
  void advance() { ++next_; }

 private:
  double interval_ns_;
  Instant start_{};
  std::uint64_t next_ = 0;
};

struct LoadOptions {
  KernelConnectOptions connect;                // `destination` is the first of
  std::vector<Endpoint> further_destinations;  // all of these, in turn
  double rate = 100;                           // per second
  std::uint64_t most = 1'000'000;              // in all; then the load ends
  std::uint32_t most_at_once = 4096;           // more than that waits its turn
  Duration timeout = 3s;                       // of one connection, from the start to the answer
  enum class Closes {
    Client,  // this side, as soon as it has the answer
    Server,  // this side only once the server has
    Nobody,  // held open until the load is destroyed
  } closes = Closes::Client;
  CloseHow how = CloseHow::Close;
};

class ShortConnections {
 public:
  static Result<ShortConnections> start(const LoadOptions& options);

  // Offers the schedule's share for `length` and says what became of it. What is still open at the end
  // stays open, and counts when it ends. The schedule runs on between two calls.
  LoadCounts run_for(Duration length);
  // Offers nothing more, waits until everything begun has ended, each within its limit.
  LoadCounts finish();

  std::uint64_t begun() const { return begun_; }
  std::uint64_t in_flight() const { return in_flight_; }
  std::uint64_t held() const { return held_; }

 private:
  enum class Stage : std::uint8_t { Free, Connecting, Asked, WaitingForEnd, Held };
  struct Connection {
    UniqueFd fd;
    Stage stage = Stage::Free;
    std::uint32_t turn = 0;  // tells a slot's connection from its successor
    Instant due{};
    Instant begun{};
  };

  ShortConnections(const LoadOptions& options, UniqueFd epoll)
      : options_(options), epoll_(std::move(epoll)), schedule_(options.rate) {}
  void begin_due(Instant now, LoadCounts& counts);
  void begin(Instant due, LoadCounts& counts);
  void handle_events(Duration longest, LoadCounts& counts);
  void handle(Connection& connection, std::uint32_t events, LoadCounts& counts);
  void fail(Connection& connection, int number, LoadCounts& counts);
  void got_answer(Connection& connection, LoadCounts& counts);
  void end(Connection& connection, CloseHow how);
  void time_out(Instant now, LoadCounts& counts);

  LoadOptions options_;
  UniqueFd epoll_;
  Schedule schedule_;
  bool running_ = false;
  std::vector<Connection> connections_;  // by descriptor
  struct Limit {
    Instant at;
    int fd;
    std::uint32_t turn;
  };
  std::deque<Limit> limits_;  // in order of time, since all have the same length
  std::uint64_t begun_ = 0;
  std::uint64_t in_flight_ = 0;
  std::uint64_t held_ = 0;
};

struct PoolOptions {
  KernelConnectOptions connect;
  double rate = 100;                    // requests per second
  std::uint32_t size = 8;               // connections
  Duration timeout = 3s;                // of one request, waiting for a free connection included
  std::uint32_t most_waiting = 10'000;  // requests beyond fail at once, with EAGAIN
};

// Connections are opened by fill() and by run_for() when one broke, at most ten attempts a second each.
class RequestPool {
 public:
  static Result<RequestPool> start(const PoolOptions& options);

  // Tries until all connections stand, or `longest` has passed. True when they do.
  bool fill(Duration longest);
  LoadCounts run_for(Duration length);

  std::uint32_t connected() const { return connected_; }
  // connect() calls so far that failed, by errno: ports that were not to be had while filling.
  const std::map<int, std::uint64_t>& connect_errors() const { return connect_errors_; }
  std::uint64_t connections_opened() const { return opened_; }

 private:
  enum class Stage : std::uint8_t { Closed, Connecting, Idle, Busy };
  struct Member {
    UniqueFd fd;
    Stage stage = Stage::Closed;
    Instant retry_at{};
    Instant limit{};
    Instant due{};  // of the request in flight
  };

  RequestPool(const PoolOptions& options, UniqueFd epoll);
  void open_members(Instant now);
  void handle_events(Duration longest, LoadCounts& counts);
  void lose(Member& member, int number, LoadCounts& counts);
  void send_waiting(Instant now, LoadCounts& counts);
  void time_out(Instant now, LoadCounts& counts);

  PoolOptions options_;
  UniqueFd epoll_;
  Schedule schedule_;
  bool running_ = false;
  std::vector<Member> members_;
  std::deque<Instant> waiting_;  // when each waiting request was due
  std::uint32_t connected_ = 0;
  std::uint64_t opened_ = 0;
  std::map<int, std::uint64_t> connect_errors_;
};

}  // namespace lastack
