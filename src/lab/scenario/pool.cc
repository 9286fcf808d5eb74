// Requests over connections that are kept: the remedy for short connections, with everything that has to fit in it.
#include <fmt/format.h>

#include <deque>
#include <numeric>

#include "lab/scenario/exchange.h"
#include "lab/scenario/stage.h"

namespace lastack::lab {
namespace {

class Pool final : public Program {
 public:
  Pool(const PoolSpec& spec, Stage& stage)
      : spec_(spec), stage_(stage), host_(stage.host(spec.host)) {
    for (std::uint32_t i = 0; i < spec.size; ++i) members_.emplace_back(*this);
  }

  void start() override {
    to_ = stage_.endpoint(spec_.to, host().address());
    began_ = later(stage_.now(), spec_.when.begins);
    stage_.agenda().at(began_, [this] { due(); });
    if (spec_.when.ends != Duration::max()) {
      stage_.agenda().at(later(stage_.now(), spec_.when.ends), [this] { end(); });
    }
  }
  bool over() const override { return ended_ && in_use_ == 0; }
  void measure(Measures& into) const override {
    const std::string& n = spec_.name;
    into[n + ".asked"] = static_cast<double>(asked_);
    into[n + ".done"] = static_cast<double>(done_);
    into[n + ".opened"] = static_cast<double>(opened_);
    into[n + ".heartbeats"] = static_cast<double>(heartbeats_);
    put_failures(into, n, failed_);
    into[n + ".served"] =
        asked_ == 0 ? 0 : static_cast<double>(done_) / static_cast<double>(asked_);
    put_latency(into, n + ".answer", took_);
  }
  std::optional<Tally> tally() const override {
    const auto all = std::accumulate(failed_.begin(), failed_.end(), std::uint64_t{0},
                                     [](auto sum, const auto& one) { return sum + one.second; });
    return Tally{done_, all, 0};
  }

 private:
  enum class Phase : std::uint8_t { Closed, Connecting, Idle, Writing, Reading };
  struct Member final : SocketUser {
    explicit Member(Pool& of) : pool(of) {}
    void ready() override { pool.go_on(*this); }
    Pool& pool;
    Sock socket{};
    Phase phase = Phase::Closed;
    std::uint32_t turn = 0;
    std::size_t done = 0;
    bool heartbeat = false;  // what is asked now is asked by the pool itself
    bool serves = false;     // a request waits for it
    Instant due{}, used{};
  };

  LabHost& host() { return host_; }

  void due() {
    if (ended_) return;
    ++asked_;
    const Instant at = stage_.now();
    waiting_.push_back(at);
    stage_.agenda().at(later(at, spec_.waiting), [this, at] {
      while (!waiting_.empty() && waiting_.front() <= at) {
        waiting_.pop_front();
        ++failed_["waited"];
      }
    });
    serve();
    const double after = static_cast<double>(asked_) / spec_.rate * 1e9;
    stage_.agenda().at(later(began_, Duration(static_cast<Duration::rep>(after))),
                       [this] { due(); });
  }
  // Those who wait get a connection that is idle, the one used last first; else one is opened.
  void serve() {
    while (!waiting_.empty()) {
      Member* best = nullptr;
      Member* closed = nullptr;
      std::size_t opening = 0;
      for (Member& m : members_) {
        if (m.phase == Phase::Idle && (best == nullptr || m.used > best->used)) best = &m;
        if (m.phase == Phase::Closed) closed = &m;
        if (m.phase == Phase::Connecting) ++opening;
      }
      if (best != nullptr) {
        best->due = waiting_.front();
        waiting_.pop_front();
        ask(*best, false);
        continue;
      }
      if (closed == nullptr || opening >= waiting_.size() || !open(*closed)) return;
    }
  }
  bool open(Member& m) {
    const auto socket = host().open(!to_.address.is_v4(), m);
    if (!socket) return open_failed(to_string(socket.error()));
    m.socket = *socket;
    ++opened_;
    for (const auto& [option, value] : spec_.options)
      (void)host().set_option(m.socket, option, value);
    const auto begun = host().connect(m.socket, to_);
    if (!begun && begun.error() != Err::in_progress) {
      (void)host().close(m.socket);
      return open_failed(to_string(begun.error()));
    }
    m.phase = Phase::Connecting;
    m.done = 0;
    limit(m, spec_.connecting, "connect");
    return true;
  }
  bool open_failed(std::string_view why) {
    ++failed_[std::string("connect_") + std::string(why)];
    if (!waiting_.empty()) waiting_.pop_front();
    return false;
  }
  void limit(Member& m, Duration after, const char* what) {
    stage_.agenda().at(later(stage_.now(), after),
                       [this, &m, what, turn = m.turn, phase = m.phase] {
                         if (m.turn == turn && m.phase == phase) lose(m, what);
                       });
  }
  void ask(Member& m, bool heartbeat) {
    ++m.turn;
    m.heartbeat = heartbeat;
    m.serves = !heartbeat;
    if (heartbeat) ++heartbeats_;
    m.phase = Phase::Writing;
    m.done = 0;
    ++in_use_;
    go_on(m);
  }
  void idle(Member& m) {
    ++m.turn;
    m.phase = Phase::Idle;
    m.used = stage_.now();
    const Duration first = std::min(spec_.heartbeat, spec_.idle_limit);
    if (first != Duration::max()) {
      stage_.agenda().at(later(m.used, first), [this, &m, turn = m.turn] {
        if (m.turn != turn || m.phase != Phase::Idle) return;
        if (spec_.idle_limit <= spec_.heartbeat) {
          close(m);
        } else {
          ask(m, true);
        }
      });
    }
    serve();
  }

  void go_on(Member& m) {
    while (true) {
      if (m.phase == Phase::Connecting) {
        const Readiness ready = host().readiness(m.socket);
        if (!ready.writable && !ready.error && !ready.hung_up) return;
        const auto error = host().take_error(m.socket);
        if (error && *error != Err::none) return lose(m, to_string(*error));
        return idle(m);
      }
      if (m.phase == Phase::Writing) {
        const auto sent = send_more(host(), m.socket, m.done, spec_.request);
        if (!sent) return lose(m, to_string(sent.error()));
        if (m.done < spec_.request) return;
        m.done = 0;
        m.phase = Phase::Reading;
        limit(m, spec_.reading, "read");
      } else if (m.phase == Phase::Reading) {
        const auto taken = take_more(host(), m.socket, m.done, spec_.answer);
        if (!taken) return lose(m, to_string(taken.error()));
        if (*taken == Taken::NotYet) return;
        if (*taken == Taken::End) return lose(m, "no_answer");
        --in_use_;
        if (m.serves) {
          ++done_;
          took_.add(stage_.now() - m.due);
        }
        m.serves = false;
        return idle(m);
      } else {
        return;  // idle: that the other side has closed is seen when it is used next, as in most pools
      }
    }
  }
  void close(Member& m) {
    (void)host().close(m.socket);
    if (m.phase == Phase::Writing || m.phase == Phase::Reading) --in_use_;
    m.phase = Phase::Closed;
    ++m.turn;
  }
  void lose(Member& m, std::string_view why) {
    const bool connecting = m.phase == Phase::Connecting;
    const bool counts = connecting || m.serves;
    close(m);
    m.serves = false;
    if (counts) ++failed_[(connecting ? "connect_" : "") + std::string(why)];
    // Who waited for this connection has had his answer.
    if (connecting && !waiting_.empty()) waiting_.pop_front();
    serve();
  }
  void end() {
    ended_ = true;
    waiting_.clear();
    for (Member& m : members_) {
      if (m.phase != Phase::Closed) close(m);
    }
  }

  PoolSpec spec_;
  Stage& stage_;
  LabHost& host_;
  Endpoint to_;
  Instant began_{};
  std::deque<Member> members_;
  std::deque<Instant> waiting_;  // since when
  std::uint64_t asked_ = 0, done_ = 0, opened_ = 0, heartbeats_ = 0, in_use_ = 0;
  std::map<std::string, std::uint64_t> failed_;
  LatencyHistogram took_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Program> make_pool(const PoolSpec& spec, Stage& stage) {
  return std::make_unique<Pool>(spec, stage);
}

}  // namespace lastack::lab
