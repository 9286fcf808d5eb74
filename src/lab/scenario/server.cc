// A service: takes connections, answers requests, and closes first, after its clients, or never.
#include <fmt/format.h>

#include <deque>

#include "lab/scenario/exchange.h"
#include "lab/scenario/stage.h"

namespace lastack::lab {
namespace {

class Server final : public Program {
 public:
  Server(const ServerSpec& spec, Stage& stage)
      : spec_(spec), stage_(stage), host_(stage.host(spec.host)) {}

  void start() override {
    started_ = stage_.now();
    stage_.agenda().at(later(started_, spec_.when.begins), [this] { begin(); });
  }
  bool over() const override { return true; }
  void measure(Measures& into) const override {
    const std::string& n = spec_.name;
    into[n + ".accepted"] = static_cast<double>(accepted_);
    into[n + ".answered"] = static_cast<double>(answered_);
    into[n + ".open"] = static_cast<double>(open_);
    put_failures(into, n, failed_);
    for (const auto& [error, count] : accept_failed_) {
      into[fmt::format("{}.accept_failed.{}", n, to_string(error))] = static_cast<double>(count);
    }
  }

 private:
  enum class Phase : std::uint8_t { Free, Reading, Thinking, Writing, Ending, Held };
  struct Connection final : SocketUser {
    explicit Connection(Server& of) : server(of) {}
    void ready() override { server.go_on(*this); }
    Server& server;
    Sock socket{};
    Phase stage = Phase::Free;
    std::uint32_t turn = 0;
    std::uint32_t requests = 0;
    std::size_t done = 0;
    std::string tail;  // of a request
    Instant heard{};
  };
  struct Listener final : SocketUser {
    explicit Listener(Server& of) : server(of) {}
    void ready() override { server.accept_all(); }
    Server& server;
  };

  LabHost& host() { return host_; }

  void begin() {
    const Endpoint at{spec_.address.value_or(host().any()), spec_.port};
    const auto socket = host().open(!at.address.is_v4(), listening_);
    if (!socket) return fail_accept(socket.error());
    listener_ = *socket;
    (void)host().set_option(listener_, Option::reuse_address, 1);
    if (const auto bound = host().bind(listener_, at); !bound) return fail_accept(bound.error());
    if (const auto listens = host().listen(listener_, spec_.backlog); !listens)
      return fail_accept(listens.error());
    listens_ = true;
    if (spec_.when.ends != Duration::max()) {
      stage_.agenda().at(later(started_, spec_.when.ends), [this] { end(); });
    }
  }
  void end() {
    listens_ = false;
    (void)host().close(listener_);
    for (Connection& c : connections_) {
      if (c.stage != Phase::Free) finish(c, false);
    }
  }
  void fail_accept(Err error) { ++accept_failed_[error]; }

  void accept_all() {
    if (!spec_.accepts) return;
    while (listens_) {
      Connection& c = fresh();
      const auto socket = host().accept(listener_, c);
      if (!socket) {
        free_.push_back(&c);
        if (socket.error() == Err::would_block) return;
        fail_accept(socket.error());
        if (socket.error() != Err::too_many_files) continue;
        // Nothing tells when there is a descriptor again.
        if (!tries_again_) {
          tries_again_ = true;
          stage_.agenda().at(later(stage_.now(), 10ms), [this] {
            tries_again_ = false;
            accept_all();
          });
        }
        return;
      }
      ++accepted_;
      ++open_;
      c.socket = *socket;
      c.stage = Phase::Reading;
      c.requests = 0;
      c.done = 0;
      c.tail.clear();
      c.heard = stage_.now();
      watch_idle(c);
      if (spec_.request == 0) {
        answer(c);
      } else {
        go_on(c);
      }
    }
  }
  void watch_idle(Connection& c) {
    if (spec_.idle_limit == Duration::max()) return;
    stage_.agenda().at(later(c.heard, spec_.idle_limit), [this, &c, turn = c.turn] {
      if (c.turn != turn || c.stage == Phase::Free) return;
      if (stage_.now() - c.heard >= spec_.idle_limit && c.stage == Phase::Reading)
        return finish(c, false);
      if (stage_.now() - c.heard >= spec_.idle_limit) c.heard = stage_.now();
      watch_idle(c);
    });
  }

  void go_on(Connection& c) {
    while (true) {
      if (c.stage == Phase::Reading) {
        if (!spec_.reads) return;
        const auto taken = spec_.until.empty() ? take_more(host(), c.socket, c.done, spec_.request)
                                               : take_until(host(), c.socket, c.tail, spec_.until);
        if (!taken) return fail(c, taken.error());
        if (*taken == Taken::NotYet) return;
        if (*taken == Taken::End) return peer_ended(c);
        c.heard = stage_.now();
        c.done = 0;
        if (spec_.think > Duration::zero()) {
          c.stage = Phase::Thinking;
          stage_.agenda().at(later(stage_.now(), spec_.think), [this, &c, turn = c.turn] {
            if (c.turn == turn && c.stage == Phase::Thinking) answer(c);
          });
          return;
        }
        c.stage = Phase::Writing;
      } else if (c.stage == Phase::Writing) {
        const auto sent = send_more(host(), c.socket, c.done, spec_.answer, spec_.says);
        if (!sent) return fail(c, sent.error());
        if (c.done < spec_.answer) return;
        ++answered_;
        c.done = 0;
        ++c.requests;
        if (spec_.requests != 0 && c.requests >= spec_.requests) {
          if (spec_.closes == Closing::First) return finish(c, false);
          if (spec_.closes == Closing::Reset) return finish(c, true);
          c.stage = Phase::Ending;
        } else {
          c.stage = Phase::Reading;
        }
      } else if (c.stage == Phase::Ending) {
        const auto end = await_end(host(), c.socket);
        if (!end) return fail(c, end.error());
        if (*end == Taken::NotYet) return;
        return peer_ended(c);
      } else {
        return;
      }
    }
  }
  void answer(Connection& c) {
    c.stage = Phase::Writing;
    c.done = 0;
    go_on(c);
  }
  void peer_ended(Connection& c) {
    if (spec_.closes == Closing::Never) {
      c.stage = Phase::Held;
    } else {
      finish(c, spec_.closes == Closing::Reset);
    }
  }
  void fail(Connection& c, Err error) {
    ++failed_[std::string(to_string(error))];
    if (spec_.closes == Closing::Never) {
      c.stage = Phase::Held;
      return;
    }
    finish(c, false);
  }
  void finish(Connection& c, bool reset) {
    if (reset) {
      (void)host().abort(c.socket);
    } else {
      (void)host().close(c.socket);
    }
    c.stage = Phase::Free;
    ++c.turn;
    --open_;
    free_.push_back(&c);
  }
  Connection& fresh() {
    if (free_.empty()) return connections_.emplace_back(*this);
    Connection* c = free_.back();
    free_.pop_back();
    return *c;
  }

  ServerSpec spec_;
  Stage& stage_;
  LabHost& host_;
  Listener listening_{*this};
  Sock listener_{};
  bool listens_ = false;
  bool tries_again_ = false;            // for a descriptor
  std::deque<Connection> connections_;  // where they are they stay
  std::vector<Connection*> free_;
  Instant started_{};
  std::uint64_t accepted_ = 0, answered_ = 0, open_ = 0;
  std::map<std::string, std::uint64_t> failed_;
  std::map<Err, std::uint64_t> accept_failed_;
};

}  // namespace

std::unique_ptr<Program> make_server(const ServerSpec& spec, Stage& stage) {
  return std::make_unique<Server>(spec, stage);
}

void put_failures(Measures& into, const std::string& name,
                  const std::map<std::string, std::uint64_t>& failed) {
  std::uint64_t all = 0;
  for (const auto& [error, count] : failed) {
    into[fmt::format("{}.failed.{}", name, error)] = static_cast<double>(count);
    all += count;
  }
  into[name + ".failed"] = static_cast<double>(all);
}

void put_latency(Measures& into, const std::string& name, const LatencyHistogram& histogram) {
  if (histogram.count() == 0) return;
  into[name + ".p50"] = seconds(histogram.median());
  into[name + ".p90"] = seconds(histogram.quantile(0.9));
  into[name + ".p99"] = seconds(histogram.p99());
  into[name + ".longest"] = seconds(histogram.quantile(1));
}

}  // namespace lastack::lab
