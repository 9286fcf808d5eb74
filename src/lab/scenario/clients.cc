// Load: connections at a rate, or as many at once; each asks, takes its answers, and ends as it is told to.
#include <fmt/format.h>

#include <deque>
#include <numeric>

#include "lab/clock.h"
#include "lab/scenario/exchange.h"
#include "lab/scenario/stage.h"

namespace lastack::lab {
namespace {

class Clients final : public Program {
 public:
  Clients(const ClientsSpec& spec, Stage& stage)
      : spec_(spec), stage_(stage), host_(stage.host(spec.host)) {}

  void start() override {
    for (const Destination& to : spec_.to)
      destinations_.push_back(stage_.endpoint(to, host().address()));
    began_ = later(stage_.now(), spec_.when.begins);
    ends_ = later(stage_.now(), spec_.when.ends);
    stage_.agenda().at(began_, [this] {
      if (spec_.rate > 0) {
        due();
      } else {
        owed_ = spec_.count;
        pump();
      }
    });
    if (spec_.when.ends != Duration::max()) {
      stage_.agenda().at(ends_, [this] { end(); });
    }
  }
  bool over() const override { return (ended_ || begun_ >= spec_.count) && in_flight_ == 0; }
  void measure(Measures& into) const override {
    const std::string& n = spec_.name;
    into[n + ".begun"] = static_cast<double>(begun_);
    into[n + ".connected"] = static_cast<double>(connected_);
    into[n + ".done"] = static_cast<double>(done_);
    into[n + ".answered"] = static_cast<double>(answered_);
    into[n + ".open"] = static_cast<double>(in_flight_);
    put_failures(into, n, failed_);
    into[n + ".served"] =
        begun_ == 0 ? 0 : static_cast<double>(done_) / static_cast<double>(begun_);
    put_latency(into, n + ".connect", connect_took_);
    put_latency(into, n + ".answer", answer_took_);
    put_latency(into, n + ".call", call_took_);
    if (first_failure_) into[n + ".first_failure.at"] = seconds(*first_failure_);
  }
  std::optional<Tally> tally() const override {
    const auto all = std::accumulate(failed_.begin(), failed_.end(), std::uint64_t{0},
                                     [](auto sum, const auto& one) { return sum + one.second; });
    return Tally{connected_, not_connected_, all - not_connected_};
  }

 private:
  enum class Phase : std::uint8_t { Free, Connecting, Writing, Reading, Pausing, Ending, Held };
  struct Connection final : SocketUser {
    explicit Connection(Clients& of) : clients(of) {}
    void ready() override { clients.go_on(*this); }
    Clients& clients;
    Sock socket{};
    Phase phase = Phase::Free;
    std::uint32_t turn = 0;
    std::uint32_t requests = 0;
    std::size_t done = 0;
    std::string tail;  // of an answer
    Instant begun{}, asked{};
  };

  LabHost& host() { return host_; }

  // The k-th is due at began_ + k / rate, whatever became of those before.
  void due() {
    if (ended_) return;
    ++owed_;
    ++offered_;
    pump();
    if (offered_ >= spec_.count) return;
    const double after = static_cast<double>(offered_) / spec_.rate * 1e9;
    stage_.agenda().at(later(began_, Duration(static_cast<Duration::rep>(after))),
                       [this] { due(); });
  }
  void pump() {
    if (pumping_) return;
    pumping_ = true;
    while (owed_ > 0 && in_flight_ < spec_.at_once && begun_ < spec_.count && !ended_) {
      --owed_;
      if (begin_one() || spec_.rate > 0) continue;
      // As fast as they go, and this one went nowhere: not in the same instant again.
      stage_.agenda().at(later(stage_.now(), 1ms), [this] { pump(); });
      break;
    }
    pumping_ = false;
  }
  bool begin_one() {
    const std::uint64_t number = begun_++;
    Connection& c = fresh();
    c.begun = stage_.now();
    c.requests = 0;
    c.done = 0;
    c.tail.clear();
    const Endpoint& to = destinations_[number % destinations_.size()];
    const auto socket = host().open(!to.address.is_v4(), c);
    if (!socket) {
      free_.push_back(&c);
      ++not_connected_;
      failed(to_string(socket.error()));
      return false;
    }
    c.socket = *socket;
    ++in_flight_;
    for (const auto& [option, value] : spec_.options)
      (void)host().set_option(c.socket, option, value);
    const Outcome<void> begun = connect(c, to, number);
    if (!begun && begun.error() != Err::in_progress) {
      c.phase = Phase::Connecting;
      fail(c, to_string(begun.error()));
      return false;
    }
    c.phase = Phase::Connecting;
    limits_.push_back({later(c.begun, spec_.patience), &c, c.turn});
    if (limits_.size() == 1) watch_limits();
    if (begun) go_on(c);
    return true;
  }
  Outcome<void> connect(Connection& c, const Endpoint& to, std::uint64_t number) {
    if (!spec_.sources.empty()) {
      const auto bound = host().bind(c.socket, {spec_.sources[number % spec_.sources.size()], 0});
      if (!bound) return bound;
    }
    // What it costs is the kernel's, in real time; virtual time knows no cost.
    if (!host().is_kernel()) return host().connect(c.socket, to);
    const Instant called = monotonic_now();
    const auto begun = host().connect(c.socket, to);
    call_took_.add(monotonic_now() - called);
    return begun;
  }
  void watch_limits() {
    while (!limits_.empty() && (limits_.front().connection->turn != limits_.front().turn))
      limits_.pop_front();
    if (limits_.empty()) return;
    stage_.agenda().at(limits_.front().at, [this] {
      while (!limits_.empty() && (limits_.front().at <= stage_.now() ||
                                  limits_.front().connection->turn != limits_.front().turn)) {
        const Limit limit = limits_.front();
        limits_.pop_front();
        if (limit.connection->turn == limit.turn && limit.connection->phase != Phase::Held)
          fail(*limit.connection, "gave_up");
      }
      watch_limits();
    });
  }

  void go_on(Connection& c) {
    while (true) {
      if (c.phase == Phase::Connecting) {
        const Readiness ready = host().readiness(c.socket);
        if (!ready.writable && !ready.error && !ready.hung_up) return;
        const auto error = host().take_error(c.socket);
        if (error && *error != Err::none) return fail(c, to_string(*error));
        ++connected_;
        connect_took_.add(stage_.now() - c.begun);
        c.phase = spec_.requests == 0 ? Phase::Pausing : Phase::Writing;
        c.asked = c.begun;
        if (c.phase == Phase::Pausing) return pause(c);
      } else if (c.phase == Phase::Writing) {
        const auto sent = send_more(host(), c.socket, c.done, spec_.request, spec_.says);
        if (!sent) return fail(c, to_string(sent.error()));
        if (c.done < spec_.request) return;
        c.done = 0;
        c.phase = Phase::Reading;
      } else if (c.phase == Phase::Reading) {
        const auto taken = spec_.until.empty() ? take_more(host(), c.socket, c.done, spec_.answer)
                                               : take_until(host(), c.socket, c.tail, spec_.until);
        if (!taken) return fail(c, to_string(taken.error()));
        if (*taken == Taken::NotYet) return;
        if (*taken == Taken::End) return fail(c, "no_answer");
        c.done = 0;
        ++answered_;
        ++c.requests;
        answer_took_.add(stage_.now() - c.asked);
        if (spec_.pause > Duration::zero()) {
          c.phase = Phase::Pausing;
          return pause(c);
        }
        if (!after_answer(c)) return;
      } else if (c.phase == Phase::Ending) {
        const auto end = await_end(host(), c.socket);
        if (!end) return fail(c, to_string(end.error()));
        if (*end == Taken::NotYet) return;
        return finish(c, false);
      } else {
        return;
      }
    }
  }
  // Whether there is more to do at once.
  bool after_answer(Connection& c) {
    if (c.requests < spec_.requests) {
      c.phase = Phase::Writing;
      c.asked = stage_.now();
      return true;
    }
    switch (spec_.closes) {
      case Closing::First:
        finish(c, false);
        return false;
      case Closing::Reset:
        finish(c, true);
        return false;
      case Closing::After:
        c.phase = Phase::Ending;
        return true;
      case Closing::Never:
        c.phase = Phase::Held;
        ++c.turn;  // no limit any more
        return false;
    }
    return false;
  }
  void pause(Connection& c) {
    stage_.agenda().at(later(stage_.now(), spec_.pause), [this, &c, turn = c.turn] {
      if (c.turn == turn && c.phase == Phase::Pausing && after_answer(c)) go_on(c);
    });
  }

  void failed(std::string_view why) {
    if (!first_failure_) first_failure_ = stage_.now() - stage_.began();
    ++failed_[std::string(why)];
  }
  void fail(Connection& c, std::string_view why) {
    if (c.phase == Phase::Connecting) ++not_connected_;
    failed(why);
    // What a program does whose call has failed: it closes.
    leave(c, false);
  }
  void finish(Connection& c, bool reset) {
    ++done_;
    leave(c, reset);
  }
  void leave(Connection& c, bool reset) {
    if (reset) {
      (void)host().abort(c.socket);
    } else {
      (void)host().close(c.socket);
    }
    c.phase = Phase::Free;
    ++c.turn;
    --in_flight_;
    free_.push_back(&c);
    if (spec_.rate == 0 || owed_ > 0) {
      if (!pumping_) pump();
    }
  }
  void end() {
    ended_ = true;
    for (Connection& c : connections_) {
      if (c.phase != Phase::Free) leave(c, spec_.closes == Closing::Reset);
    }
  }
  Connection& fresh() {
    if (free_.empty()) return connections_.emplace_back(*this);
    Connection* c = free_.back();
    free_.pop_back();
    return *c;
  }

  struct Limit {
    Instant at;
    Connection* connection;
    std::uint32_t turn;
  };

  ClientsSpec spec_;
  Stage& stage_;
  LabHost& host_;
  std::vector<Endpoint> destinations_;
  Instant began_{}, ends_{};
  std::deque<Connection> connections_;
  std::vector<Connection*> free_;
  std::deque<Limit> limits_;  // in the order of time, since all have the same length
  std::uint64_t owed_ = 0, offered_ = 0;
  std::uint64_t begun_ = 0, connected_ = 0, done_ = 0, answered_ = 0, in_flight_ = 0;
  std::map<std::string, std::uint64_t> failed_;
  std::uint64_t not_connected_ = 0;  // of those that failed
  LatencyHistogram connect_took_, answer_took_, call_took_;
  std::optional<Duration> first_failure_;
  bool pumping_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Program> make_clients(const ClientsSpec& spec, Stage& stage) {
  return std::make_unique<Clients>(spec, stage);
}

}  // namespace lastack::lab
