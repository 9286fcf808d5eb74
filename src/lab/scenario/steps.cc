#include "lab/scenario/steps.h"

#include <fmt/format.h>

#include "lab/clock.h"
#include "lab/scenario/exchange.h"
#include "lab/scenario/scenario_reader.h"  // to_string(StepSpec::Deed)

namespace lastack::lab {
namespace {

using Deed = StepSpec::Deed;

// How often conditions are looked at that nothing announces. In real time a look at tens of thousands of sockets takes
// longer than that, and what is looked at has to go on: a tenth of the time is for looking.
constexpr Duration kLook = 1ms;
constexpr int kLookShare = 10;

// What lasts, and is weighed: STEP.processor, STEP.memory.
bool is_weighed(Deed deed) {
  return deed == Deed::Wait || deed == Deed::Until;
}

std::string word(Err error) {
  return error == Err::none ? "ok" : std::string(to_string(error));
}
template <class T>
std::string word(const Outcome<T>& outcome) {
  return outcome ? "ok" : word(outcome.error());
}

}  // namespace

Steps::Steps(const std::vector<StepSpec>& specs, Stage& stage,
             std::function<void(const std::string&)> ended,
             std::function<Check::Answer(const Check&)> ask)
    : specs_(specs), stage_(stage), ended_(std::move(ended)), ask_(std::move(ask)) {}

void Steps::start() {
  stage_.agenda().at(stage_.began(), [this] { look(); });
}

void Steps::measure(Measures& into) const {
  for (const auto& [name, value] : measured_) into[name] = value;
}

Steps::Socket& Steps::socket_of(const std::string& name, LabHost& host) {
  Socket& socket = sockets_.try_emplace(name, *this).first->second;
  if (socket.open) (void)socket.host->close(socket.sock);  // the name is used again
  socket.open = false;
  socket.host = &host;
  return socket;
}

void Steps::begin_next() {
  const StepSpec& spec = specs_[next_++];
  Active& active = active_.emplace_back();
  active.spec = &spec;
  active.begun = stage_.now();
  if (is_weighed(spec.deed)) {
    active.processor = processor_time();
    active.memory = stage_.memory();
  }
  active.turn = ++turns_;
  if (!spec.background) foreground_ = &active;
  limit(active);
  if (spec.deed == Deed::Until) {
    ++untils_;
    timed_ += spec.until->names_time() ? 1 : 0;
  }
}

std::list<Steps::Active>::iterator Steps::find(std::uint64_t turn) {
  auto at = active_.begin();
  while (at != active_.end() && at->turn != turn) ++at;
  return at;
}

void Steps::limit(const Active& active) {
  const Duration limit = active.spec->deed == Deed::Wait ? active.spec->time : active.spec->within;
  stage_.agenda().at(later(active.begun, limit), [this, turn = active.turn] {
    const auto at = find(turn);
    if (at == active_.end()) return;
    end(at, at->spec->deed == Deed::Wait ? "ok" : "timeout");
    look();
  });
}

void Steps::happened() {
  if (untils_ != 0) look_soon(false);
}

void Steps::look_soon(bool later_on) {
  if (look_due_) return;
  const Instant when =
      std::max(stage_.now(), later(looked_, std::max(kLook, kLookShare * look_cost_)));
  if (!later_on && when == stage_.now()) return look();
  look_due_ = true;
  stage_.agenda().at(
      when,
      [this] {
        look_due_ = false;
        look();
      },
      Agenda::Kind::Look);
}

void Steps::look() {
  if (looking_) {
    again_ = true;
    return;
  }
  looking_ = true;
  const Instant begun = stage_.in_real_time() ? monotonic_now() : Instant{};
  do {
    again_ = false;
    for (auto at = active_.begin(); at != active_.end();) {
      const auto here = at++;
      if (const auto result = attempt(*here)) {
        end(here, *result);
        again_ = true;
      }
    }
    if (foreground_ == nullptr && next_ < specs_.size()) {
      begin_next();
      again_ = true;
    }
  } while (again_);
  looking_ = false;
  if (stage_.in_real_time()) look_cost_ = monotonic_now() - begun;
  if (untils_ != 0) looked_ = stage_.now();
  if (timed_ != 0) look_soon(true);
}

void Steps::end(std::list<Active>::iterator active, const std::string& result) {
  const StepSpec& spec = *active->spec;
  measured_[spec.name + ".result"] = result;
  tell_fate(spec, result);
  measured_[spec.name + ".took"] = seconds(stage_.now() - active->begun);
  measured_[spec.name + ".at"] = seconds(stage_.now() - stage_.began());
  if (is_weighed(spec.deed)) {
    measured_[spec.name + ".processor"] = seconds(processor_time() - active->processor);
    const auto memory = stage_.memory();
    if (memory && active->memory)
      measured_[spec.name + ".memory"] =
          static_cast<double>(*memory) - static_cast<double>(*active->memory);
  }
  if (spec.deed == Deed::Read || spec.deed == Deed::Write) {
    measured_[spec.name + ".bytes"] = static_cast<double>(active->done);
    if (spec.deed == Deed::Read && spec.check_fill) {
      measured_[spec.name + ".foreign"] = static_cast<double>(active->foreign);
    }
  }
  if (spec.deed == Deed::Until) {
    --untils_;
    timed_ -= spec.until->names_time() ? 1 : 0;
  }
  if (foreground_ == &*active) foreground_ = nullptr;
  active_.erase(active);
  ended_(spec.name);
}

void Steps::tell_fate(const StepSpec& spec, const std::string& result) {
  const bool good = result == "ok" || result == "end";
  const std::string& used = spec.deed == Deed::Accept ? spec.of : spec.socket;
  const bool opens = spec.deed == Deed::Listen || spec.deed == Deed::Connect;
  if (!good && !opens && !used.empty()) {
    const auto socket = sockets_.find(used);
    // One that is open, and that nothing has befallen, fails for a reason of its own.
    if (socket == sockets_.end()) {
      notes_[spec.name + ".result"] = fmt::format("{} was never opened", used);
    } else if (!socket->second.fate.empty()) {
      notes_[spec.name + ".result"] =
          fmt::format("it follows {}, so {} is {}", socket->second.fate, used,
                      socket->second.open ? "no connection" : "not open");
    }
  }
  if (spec.socket.empty()) return;
  Socket& socket = sockets_.try_emplace(spec.socket, *this).first->second;
  const auto deed = to_string(spec.deed);
  if (opens || spec.deed == Deed::Accept) {
    socket.fate = good ? "" : fmt::format("{} ({}), which came to {}", spec.name, deed, result);
  } else if (good && (spec.deed == Deed::Close || spec.deed == Deed::Abort)) {
    socket.fate = fmt::format("{} ({})", spec.name, deed);
  }
}

std::optional<std::string> Steps::attempt(Active& active) {
  const StepSpec& spec = *active.spec;
  Socket* socket = nullptr;
  if (const auto found = sockets_.find(spec.socket); found != sockets_.end())
    socket = &found->second;
  const bool needs_socket = spec.deed == Deed::Read || spec.deed == Deed::Write ||
                            spec.deed == Deed::Shutdown || spec.deed == Deed::Close ||
                            spec.deed == Deed::Abort || spec.deed == Deed::Option;
  if (needs_socket && (socket == nullptr || !socket->open)) return word(Err::bad_descriptor);
  switch (spec.deed) {
    case Deed::Listen:
      return listen(spec);
    case Deed::Connect:
      return connect(active);
    case Deed::Accept:
      return accept(spec);
    case Deed::Read:
      return read(active);
    case Deed::Write:
      return write(active);
    case Deed::Shutdown:
      return word(socket->host->shutdown(socket->sock, spec.how));
    case Deed::Close:
      socket->open = false;
      return word(socket->host->close(socket->sock));
    case Deed::Abort:
      socket->open = false;
      return word(socket->host->abort(socket->sock));
    case Deed::Option:
      for (const auto& [option, value] : spec.options) {
        const auto set = socket->host->set_option(socket->sock, option, value);
        if (!set) return word(set);
      }
      return "ok";
    case Deed::Wait:
      return std::nullopt;  // its limit ends it
    case Deed::Until: {
      const auto answer = ask_(*spec.until);
      if (answer.verdict == Check::Verdict::Holds) return "ok";
      return std::nullopt;
    }
    case Deed::Set: {
      const auto set = stage_.host(spec.host).set(spec.setting, spec.setting_value);
      if (set) stage_.was_set(spec.host, spec.setting, spec.setting_value);
      return set ? "ok" : "refused";
    }
    case Deed::Crash: {
      LabHost& host = stage_.host(spec.host);
      for (auto& [name, one] : sockets_) {
        if (one.host != &host) continue;
        one.open = false;
        one.fate = fmt::format("{} (crash)", spec.name);
      }
      return stage_.crash(spec.host, spec.quiet) ? "ok" : "cannot";
    }
  }
  return "ok";
}

std::string Steps::listen(const StepSpec& spec) {
  LabHost& host = stage_.host(spec.host);
  Socket& socket = socket_of(spec.socket, host);
  const IpAddress address = spec.from_address.value_or(host.any());
  const auto sock = host.open(!address.is_v4(), socket);
  if (!sock) return word(sock.error());
  socket.sock = *sock;
  socket.open = true;
  for (const auto& [option, value] : spec.options) {
    if (const auto set = host.set_option(socket.sock, option, value); !set) return word(set);
  }
  if (const auto bound = host.bind(socket.sock, {address, spec.port}); !bound) {
    return word(bound);
  }
  return word(host.listen(socket.sock, spec.backlog));
}

std::optional<std::string> Steps::connect(Active& active) {
  const StepSpec& spec = *active.spec;
  LabHost& host = stage_.host(spec.host);
  if (!active.called) {
    active.called = true;
    Socket& socket = socket_of(spec.socket, host);
    const Endpoint to = stage_.endpoint(
        spec.to, spec.from_address ? spec.from_address : std::optional(host.address()));
    const auto sock = host.open(!to.address.is_v4(), socket);
    if (!sock) return word(sock.error());
    socket.sock = *sock;
    socket.open = true;
    for (const auto& [option, value] : spec.options) {
      if (const auto set = host.set_option(socket.sock, option, value); !set) return word(set);
    }
    if (spec.from_port != 0 || spec.from_address) {
      const IpAddress any = to.address.is_v4() ? IpAddress::v4(0) : IpAddress::v6({});
      const auto bound = host.bind(socket.sock, {spec.from_address.value_or(any), spec.from_port});
      if (!bound) return word(bound);
    }
    const auto begun = host.connect(socket.sock, to);
    if (begun) return "ok";
    if (begun.error() != Err::in_progress) return word(begun);
    return std::nullopt;
  }
  Socket& socket = sockets_.at(spec.socket);
  if (!socket.open) return word(Err::canceled);
  const Readiness ready = host.readiness(socket.sock);
  if (!ready.writable && !ready.error && !ready.hung_up) return std::nullopt;
  const auto error = host.take_error(socket.sock);
  return word(error ? *error : error.error());
}

std::optional<std::string> Steps::accept(const StepSpec& spec) {
  const auto listener = sockets_.find(spec.of);
  if (listener == sockets_.end() || !listener->second.open) return word(Err::bad_descriptor);
  LabHost& host = *listener->second.host;
  const auto known = sockets_.find(spec.socket);
  if (known != sockets_.end() && known->second.open) socket_of(spec.socket, host);
  Socket& socket = sockets_.try_emplace(spec.socket, *this).first->second;
  const auto sock = host.accept(listener->second.sock, socket);
  if (!sock) {
    if (sock.error() == Err::would_block) return std::nullopt;
    return word(sock.error());
  }
  socket.host = &host;
  socket.sock = *sock;
  socket.open = true;
  return "ok";
}

// So many bytes, or all that come until the end.
std::optional<std::string> Steps::read(Active& active) {
  const StepSpec& spec = *active.spec;
  Socket& socket = sockets_.at(spec.socket);
  const std::uint64_t all = spec.bytes.value_or(UINT64_MAX);
  while (active.done < all) {
    const std::size_t most =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, all - active.done));
    const auto n = socket.host->read(socket.sock, std::span(piece()).first(most));
    if (!n) {
      if (n.error() == Err::would_block) return std::nullopt;
      return word(n.error());
    }
    if (*n == 0) return "end";
    for (std::size_t i = 0; spec.check_fill && i < *n; ++i) {
      if (piece()[i] != static_cast<std::byte>(spec.fill)) ++active.foreign;
    }
    active.done += *n;
  }
  return "ok";
}

std::optional<std::string> Steps::write(Active& active) {
  const StepSpec& spec = *active.spec;
  Socket& socket = sockets_.at(spec.socket);
  const std::uint64_t all = spec.bytes.value_or(1);
  piece().fill(static_cast<std::byte>(spec.fill));
  do {
    const std::size_t most =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, all - active.done));
    const auto n = socket.host->write(
        socket.sock,
        spec.text.empty()
            ? std::span<const std::byte>(piece()).first(most)
            : std::as_bytes(std::span(spec.text)).subspan(static_cast<std::size_t>(active.done)));
    if (!n) {
      if (n.error() == Err::would_block) return std::nullopt;
      return word(n.error());
    }
    active.done += *n;
  } while (active.done < all);
  return "ok";
}

}  // namespace lastack::lab
