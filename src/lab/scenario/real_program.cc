#include "lab/scenario/real_program.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "kernel/text.h"
#include "lab/clock.h"
#include "lab/epoll_watch.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

constexpr Duration kLookForListener = 2ms;
// Between the signal that it ends with, and SIGKILL.
constexpr Duration kGrace = 2s;
constexpr std::size_t kMostOutput = 16384;  // is kept
constexpr std::size_t kMostAtOnce = 1 << 20;
constexpr std::size_t kMostValues = 100, kLongestName = 40, kLongestLine = 4096;

constexpr std::uint64_t kOutput = 0, kLine = 1;

}  // namespace

std::string with_places(std::string text, const std::string& folder,
                        const std::map<std::string, std::string>& addresses) {
  const auto replace = [&](const std::string& what, const std::string& by) {
    for (std::size_t at = text.find(what); at != std::string::npos;
         at = text.find(what, at + by.size()))
      text.replace(at, what.size(), by);
  };
  replace("{folder}", folder);
  for (const auto& [name, address] : addresses)
    replace(fmt::format("{{{}.address}}", name), address);
  return text;
}

RealProgram::RealProgram(const ProgramSpec& spec, Stage& stage, const PrivateFolder& folder,
                         std::function<void(const RealProgram&)> changed)
    : spec_(spec),
      stage_(stage),
      // cannot_play() has seen to it that it is one.
      host_(static_cast<KernelHost&>(stage.host(spec.host))),
      folder_(folder),
      changed_(std::move(changed)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

void RealProgram::start() {
  started_ = stage_.now();
  stage_.agenda().at(later(started_, spec_.begins), [this] { begin(); });
  if (spec_.ends != Duration::max())
    stage_.agenda().at(later(started_, spec_.ends), [this] { stop(); });
}

void RealProgram::begin() {
  begun_ = stage_.now();
  auto file = find_program(spec_.run.front());
  if (!file) return fail(file.error().message);
  for (const auto& [name, text] : spec_.files) {
    const auto written = folder_.write(name, with_places(text, folder_.path(), spec_.addresses));
    if (!written) return fail(written.error().message);
  }
  CommandLine command;
  command.file = *std::move(file);
  for (const std::string& word : spec_.run)
    command.words.push_back(with_places(word, folder_.path(), spec_.addresses));
  const char* const path = std::getenv("PATH");
  command.environment = {
      {"PATH", fmt::format("{}:/usr/local/sbin:/usr/sbin:/sbin", path != nullptr ? path : "/bin")},
      {"HOME", folder_.path()},
      {"TMPDIR", folder_.path()},
      {"LC_ALL", "C"}};
  for (const auto& [name, value] : spec_.environment)
    command.environment.emplace_back(name, with_places(value, folder_.path(), spec_.addresses));
  command.folder = folder_.path();
  const std::uint32_t most = host_.spec().options.most_sockets;
  if (most < HostOptions{}.most_sockets) command.descriptors = most;
  auto process = host_.start(command);
  if (!process) return fail(process.error().message);
  process_.emplace(*std::move(process));
  (void)epoll_watch(epoll_.get(), EPOLL_CTL_ADD, process_->output(), EPOLLIN, kOutput);
  (void)epoll_watch(epoll_.get(), EPOLL_CTL_ADD, process_->line(), EPOLLIN, kLine);
  if (spec_.ready_after) {
    stage_.agenda().at(later(begun_, *spec_.ready_after), [this] { become_ready(); });
  } else if (spec_.ready_port != 0) {
    look_whether_ready();
  } else if (spec_.ends == Duration::max()) {
    stage_.agenda().at(later(begun_, spec_.within), [this] {
      if (ended_) return;
      too_long_ = true;
      stop();
    });
  }
}

void RealProgram::look_whether_ready() {
  if (ready_ || failed() || ended_) return;
  if (host_.listens(spec_.ready_port)) return become_ready();
  if (stage_.now() - begun_ >= spec_.within) {
    return fail(fmt::format("it did not listen on port {} within {:.6g} s", spec_.ready_port,
                            seconds(spec_.within)));
  }
  stage_.agenda().at(
      later(stage_.now(), kLookForListener), [this] { look_whether_ready(); }, Agenda::Kind::Look);
}

void RealProgram::become_ready() {
  if (ready_ || failed() || ended_) return;
  ready_ = true;
  changed_(*this);
}

void RealProgram::fail(std::string why) {
  why_not_ = std::move(why);
  changed_(*this);
}

void RealProgram::wake() {
  if (!process_) return;
  read_output();
  const auto status = process_->status();
  if (process_->gone()) read_output();  // nobody writes any more
  if (!status || ended_) return;
  read_output();
  status_ = status;
  ended_ = stage_.now();
  if (serves() && !ready_ && !told_to_end_) return fail("it ended before it was ready");
  changed_(*this);
}

void RealProgram::read_output() {
  char buffer[65536];
  for (std::size_t all = 0; all < kMostAtOnce;) {
    const ssize_t n = ::read(process_->output(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0)  // else it would stay readable
      (void)epoll_watch(epoll_.get(), EPOLL_CTL_DEL, process_->output(), 0, kOutput);
    if (n <= 0) return;
    all += static_cast<std::size_t>(n);
    take({buffer, static_cast<std::size_t>(n)});
  }
}

void RealProgram::take(std::string_view text) {
  bytes_ += text.size();
  output_ += text;
  if (output_.size() > 2 * kMostOutput) output_.erase(0, output_.size() - kMostOutput);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (last_line_.size() < kLongestLine) last_line_ += text.substr(0, end);
    if (end == std::string_view::npos) return;
    ++lines_;
    take_value(last_line_);
    last_line_.clear();
    text.remove_prefix(end + 1);
  }
}

// "connects=2" and "connects = 2" are measures.
void RealProgram::take_value(std::string_view line) {
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return;
  const std::string_view name = trim(line.substr(0, equals));
  const std::string_view written = trim(line.substr(equals + 1));
  const bool plain =
      !name.empty() && name.size() <= kLongestName &&
      std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
      });
  double value = 0;
  const auto [end, error] = std::from_chars(written.data(), written.data() + written.size(), value);
  if (!plain || error != std::errc() || end != written.data() + written.size()) return;
  const std::string known(name);
  if (said_.size() < kMostValues || said_.contains(known)) said_[known] = value;
}

void RealProgram::stop() {
  if (!process_ || process_->gone()) return;
  ask_to_end();
  stage_.agenda().at(later(stage_.now(), kGrace), [this] {
    if (!process_->gone()) kill();
  });
}

void RealProgram::ask_to_end() {
  if (!process_) return;
  told_to_end_ = told_to_end_ || !ended_;
  process_->signal(spec_.signal);
}

void RealProgram::await_end(Instant limit) {
  while (process_ && !process_->gone()) {
    const Duration left = limit - monotonic_now();
    if (left <= Duration::zero()) return kill();
    pollfd wait{epoll_.get(), POLLIN, 0};
    (void)::poll(&wait, 1, static_cast<int>(left / 1ms) + 1);
    wake();
  }
}

void RealProgram::kill() {
  process_->kill();
  read_output();
  if (ended_) return;
  status_ = 128 + SIGKILL;
  ended_ = stage_.now();
  changed_(*this);
}

void RealProgram::measure(Measures& into) const {
  const std::string& n = spec_.name;
  into[n + ".ready"] = ready_ ? 1.0 : 0.0;
  into[n + ".running"] = process_ && !ended_ ? 1.0 : 0.0;
  into[n + ".lines"] = static_cast<double>(lines_);
  into[n + ".bytes"] = static_cast<double>(bytes_);
  for (const auto& [name, value] : said_) into[fmt::format("{}.says.{}", n, name)] = value;
  if (!ended_) return;
  into[n + ".status"] = static_cast<double>(status_.value_or(0));
  into[n + ".took"] = seconds(*ended_ - begun_);
  into[n + ".at"] = seconds(*ended_ - stage_.began());
}

ProgramOutcome RealProgram::outcome() const {
  ProgramOutcome o;
  o.name = spec_.name;
  for (const std::string& word : spec_.run) o.command += (o.command.empty() ? "" : " ") + word;
  o.output = output_.size() > kMostOutput ? output_.substr(output_.size() - kMostOutput) : output_;
  o.bytes = bytes_;
  const bool any = spec_.statuses.empty();
  const auto list = fmt::format("{}", fmt::join(spec_.statuses, " or "));
  if (!why_not_.empty()) {
    o.meant = serves() && spec_.ready_port != 0
                  ? fmt::format("{} listens on port {}", spec_.name, spec_.ready_port)
                  : fmt::format("{} runs", spec_.name);
    o.seen = why_not_;
    if (status_) o.seen += fmt::format(" ({}.status = {})", spec_.name, *status_);
    return o;
  }
  if (!process_) {
    o.meant = fmt::format("{} runs", spec_.name);
    o.seen = "it had not begun when the run was over";
    return o;
  }
  const bool may_go_on = serves() || spec_.ends != Duration::max();
  o.meant = any ? fmt::format("{} runs", spec_.name)
            : may_go_on
                ? fmt::format("{} runs until it is ended, or ends with {}", spec_.name, list)
                : fmt::format("{} ends with {}", spec_.name, list);
  if (too_long_) {
    o.seen = fmt::format("it had not ended after {:.6g} s", seconds(spec_.within));
  } else if (told_to_end_ || !ended_) {
    o.seen = "it ran until it was ended";
    o.as_meant = may_go_on || any;
  } else {
    o.seen = fmt::format("{}.status = {}", spec_.name, status_.value_or(0));
    o.as_meant = any || std::find(spec_.statuses.begin(), spec_.statuses.end(),
                                  status_.value_or(0)) != spec_.statuses.end();
  }
  return o;
}

}  // namespace lastack::lab
