#include "lab/scenario/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>

#include "bundle/whole_file.h"
#include "lab/child_process.h"
#include "lab/private_namespace.h"
#include "lab/scenario/can_play.h"
#include "lab/unique_fd.h"
#include "lab/write_all.h"
#include "lastack/bundle.h"

namespace lastack::lab {
namespace {

using Json = nlohmann::json;

constexpr unsigned kRounds = 2;  // of playing again
constexpr std::size_t kLargestResult = std::size_t{64} << 20;

struct Played {
  std::optional<PlayResult> result;
  std::string why_not;
  bool denied = false;
  bool forbidden = false;  // something else that needs a permission
  bool unwritten = false;
};

Played unwritten(const std::string& why) {
  return {std::nullopt, why, false, false, true};
}

Played play_here(const Scenario& scenario, PlayOptions options, const std::string& log,
                 const std::string& capture) {
  std::vector<WholeFile> files;
  files.reserve(2);  // they stay where they are
  std::string error;
  const auto open = [&](const std::string& path, std::function<void(std::string_view)>& taker) {
    if (path.empty() || !error.empty()) return;
    auto opened = WholeFile::open(path, 0666);
    if (!opened) {
      error = opened.error().message;
      return;
    }
    files.push_back(*std::move(opened));
    taker = [&error, &file = files.back()](std::string_view bytes) {
      if (const auto put = file.write(bytes); !put) error = put.error().message;
    };
  };
  open(log, options.log);
  open(capture, options.capture);
  options.in_vain = [&] { return !error.empty(); };
  if (!error.empty()) return unwritten(error);
  auto played = play(scenario, options);
  if (!error.empty()) return unwritten(error);
  if (!played) {
    const int number = played.error().number;
    return {std::nullopt, played.error().message, false, number == EACCES || number == EPERM};
  }
  for (WholeFile& file : files) {
    if (const auto whole = file.finish(); !whole) return unwritten(whole.error().message);
  }
  return {*std::move(played), ""};
}

// --- Across a pipe

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}
std::string from_hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes += static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1]));
  return bytes;
}

std::string written(const Played& played) {
  Json json;
  json["why_not"] = played.why_not;
  json["denied"] = played.denied;
  json["forbidden"] = played.forbidden;
  json["unwritten"] = played.unwritten;
  if (played.result) {
    json["took"] = played.result->took.count();
    json["cost"] = played.result->cost.count();
    json["late"] = played.result->late.count();
    Json& measures = json["measures"] = Json::object();
    for (const auto& [name, value] : played.result->measures) {
      if (const double* number = std::get_if<double>(&value)) {
        measures[name] = *number;
      } else {
        measures[name] = std::get<std::string>(value);
      }
    }
    json["notes"] = played.result->notes;
    Json& series = json["series"] = Json::array();
    for (const HostSeries& host : played.result->series) {
      Json samples = Json::array();
      for (const Sample& s : host.samples) {
        Json one = {s.at.time_since_epoch().count(), s.time_waits, s.descriptors};
        for (const TcpState state : kAllTcpStates) {
          if (s.states) one.push_back((*s.states)[state]);
        }
        samples.push_back(std::move(one));
      }
      series.push_back({{"host", host.host}, {"samples", samples}});
    }
    Json& tallies = json["tallies"] = Json::array();
    for (const TallySeries& one : played.result->tallies) {
      Json samples = Json::array();
      for (const auto& [at, t] : one.samples)
        samples.push_back({at.time_since_epoch().count(), t.succeeded, t.failed, t.broken});
      tallies.push_back({{"program", one.program}, {"host", one.host}, {"samples", samples}});
    }
    Json& marks = json["marks"] = Json::array();
    for (const Mark& m : played.result->marks) {
      marks.push_back(
          {m.label, m.from.time_since_epoch().count(), m.to.time_since_epoch().count(), m.count});
    }
    Json& programs = json["programs"] = Json::array();
    for (const ProgramOutcome& p : played.result->programs) {
      programs.push_back({{"name", p.name},
                          {"command", p.command},
                          {"meant", p.meant},
                          {"seen", p.seen},
                          {"as_meant", p.as_meant},
                          {"output", p.output},
                          {"bytes", p.bytes}});
    }
    Json& looks = json["looks"] = Json::object();
    for (const auto& [host, look] : played.result->looks)
      looks[host] = hex(to_bundle({.earlier = std::nullopt, .now = look}));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Played parsed(const std::string& text) {
  Played played;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return {std::nullopt, "the process that played it ended without a word"};
  played.why_not = json.value("why_not", "");
  played.denied = json.value("denied", false);
  played.forbidden = json.value("forbidden", false);
  played.unwritten = json.value("unwritten", false);
  if (!json.contains("measures")) return played;
  PlayResult result;
  result.took = Duration(json.value("took", std::int64_t{0}));
  result.cost = Duration(json.value("cost", std::int64_t{0}));
  result.late = Duration(json.value("late", std::int64_t{0}));
  for (const auto& [name, value] : json["measures"].items()) {
    if (value.is_number()) {
      result.measures[name] = value.get<double>();
    } else if (value.is_string()) {
      result.measures[name] = value.get<std::string>();
    }
  }
  for (const auto& [name, note] : json["notes"].items())
    result.notes[name] = note.get<std::string>();
  for (const Json& host : json["series"]) {
    HostSeries series{host.value("host", ""), {}};
    for (const Json& s : host["samples"]) {
      series.samples.push_back({Instant(Duration(s[0].get<std::int64_t>())),
                                s[1].get<std::uint64_t>(),
                                s[2].get<std::uint64_t>(),
                                {}});
      if (s.size() < 3 + kAllTcpStates.size()) continue;
      StateCounts& states = series.samples.back().states.emplace();
      for (std::size_t i = 0; i < kAllTcpStates.size(); ++i)
        states[kAllTcpStates[i]] = s[3 + i].get<std::uint64_t>();
    }
    result.series.push_back(std::move(series));
  }
  const auto instant = [](const Json& number) {
    return Instant(Duration(number.get<std::int64_t>()));
  };
  for (const Json& one : json["tallies"]) {
    TallySeries series{one.value("program", ""), one.value("host", ""), {}};
    for (const Json& s : one["samples"]) {
      series.samples.emplace_back(
          instant(s[0]),
          Tally{s[1].get<std::uint64_t>(), s[2].get<std::uint64_t>(), s[3].get<std::uint64_t>()});
    }
    result.tallies.push_back(std::move(series));
  }
  for (const Json& m : json["marks"]) {
    result.marks.push_back(
        {m[0].get<std::string>(), instant(m[1]), instant(m[2]), m[3].get<std::uint64_t>()});
  }
  for (const Json& p : json["programs"]) {
    result.programs.push_back({p.value("name", ""), p.value("command", ""), p.value("meant", ""),
                               p.value("seen", ""), p.value("as_meant", false),
                               p.value("output", ""), p.value("bytes", std::uint64_t{0})});
  }
  for (const auto& [host, bundle] : json["looks"].items()) {
    if (auto look = from_bundle(from_hex(bundle.get<std::string>())))
      result.looks.emplace(host, std::move(look->now));
  }
  played.result = std::move(result);
  return played;
}

// A run that is prepared, under way, or over.
struct Job {
  std::size_t report = 0;
  std::size_t variant = 0;
  Scenario scenario;
  PlayOptions options;
  std::string log, capture;
  bool privately = false;  // it has kernel hosts
  bool alone = false;      // and nothing else may run meanwhile
  bool once = false;       // RunRequest::once
  double share = 0;        // of it that is over
  Played played;
};

// A job in a process of its own, which dies with this one, in namespaces of its own, which die with the process.
class PrivatePlay {
 public:
  static Result<PrivatePlay> start(Job& job) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      return tl::unexpected(system_error(errno, "cannot make a pipe"));
    }
    UniqueFd out(ends[0]), in(ends[1]);
    auto child = ChildProcess::start([&] {
      out.reset();
      Played played;
      PlayOptions inside = job.options;
      // Progress comes as lines before the result.
      inside.progress = [&](double share) {
        (void)write_all(in.get(), fmt::format("{:.3f}\n", share));
      };
      if (auto entered = enter_private_namespace({}); !entered) {
        played.why_not = entered.error().message;
        played.denied = is_denial(entered.error());
      } else {
        played = play_here(job.scenario, inside, job.log, job.capture);
      }
      (void)write_all(in.get(), written(played));
      return 0;
    });
    if (!child) return tl::unexpected(child.error());
    return PrivatePlay(job, *std::move(child), std::move(out));
  }

  int descriptor() const { return out_.get(); }
  // Takes what has come. Whether it is over.
  bool go_on() {
    char buffer[65536];
    const ssize_t n = ::read(out_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return false;
    if (n > 0 && text_.size() <= kLargestResult) {
      text_.append(buffer, static_cast<std::size_t>(n));
      for (std::size_t end = text_.find('\n'); end != std::string::npos && text_[0] != '{';
           end = text_.find('\n')) {
        job_->share = std::atof(text_.substr(0, end).c_str());
        text_.erase(0, end + 1);
      }
      return false;
    }
    const int status = child_.wait();
    if (text_.empty() || text_[0] != '{') {
      job_->played.why_not = fmt::format("the process that played it ended with status {}", status);
    } else {
      job_->played = parsed(text_);
    }
    job_->share = 1;
    return true;
  }

 private:
  PrivatePlay(Job& job, ChildProcess child, UniqueFd out)
      : job_(&job), child_(std::move(child)), out_(std::move(out)) {}
  Job* job_;
  ChildProcess child_;
  UniqueFd out_;
  std::string text_;
};

// Kernels wait more than they work: several at once, beside the endpoints, which work here.
void play_all(std::vector<Job>& jobs, const std::function<void(double)>& progress) {
  const std::size_t at_once =
      2 * static_cast<std::size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  std::vector<PrivatePlay> running;
  std::size_t next_private = 0, next_here = 0;
  const auto tell = [&] {
    if (!progress || jobs.empty()) return;
    double sum = 0;
    for (const Job& job : jobs) sum += job.share;
    progress(sum / static_cast<double>(jobs.size()));
  };
  const auto start = [&](Job& job) {
    auto started = PrivatePlay::start(job);
    if (started) {
      running.push_back(*std::move(started));
    } else {
      job.played.why_not = started.error().message;
    }
  };
  const auto wait = [&](int milliseconds) {
    std::vector<pollfd> waits;
    for (const PrivatePlay& one : running) waits.push_back({one.descriptor(), POLLIN, 0});
    if (::poll(waits.data(), waits.size(), milliseconds) <= 0) return;
    for (std::size_t i = waits.size(); i-- > 0;) {
      if (waits[i].revents != 0 && running[i].go_on())
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  // First: what others leave behind goes while these are weighed.
  for (Job& job : jobs) {
    if (!job.privately || !job.alone) continue;
    for (start(job); !running.empty(); tell()) wait(500);
  }
  for (;;) {
    while (running.size() < at_once) {
      while (next_private < jobs.size() &&
             (!jobs[next_private].privately || jobs[next_private].alone))
        ++next_private;
      if (next_private == jobs.size()) break;
      start(jobs[next_private++]);
    }
    while (next_here < jobs.size() && jobs[next_here].privately) ++next_here;
    const bool work_here = next_here < jobs.size();
    if (work_here) {
      Job& job = jobs[next_here++];
      job.options.progress = [&](double share) {
        job.share = share;
        tell();
      };
      job.played = play_here(job.scenario, job.options, job.log, job.capture);
      job.share = 1;
    }
    tell();
    if (running.empty()) {
      if (!work_here && next_private == jobs.size()) return;
      continue;
    }
    wait(work_here ? 0 : 500);
  }
}

bool has_kernel(const Scenario& scenario, Where where) {
  if (where != Where::Endpoint) return true;
  return std::any_of(scenario.hosts.begin(), scenario.hosts.end(),
                     [](const HostSpec& h) { return h.kind == HostKind::Kernel; });
}

// Why this variant is not run in this world. Empty: it is.
std::string not_there(const ScenarioFile& file, const std::string& variant,
                      const Scenario& scenario, const RunRequest& request) {
  if (request.where != Where::Endpoint) {
    if (std::string why = file.not_on_kernel(variant); !why.empty()) return why;
    if (const std::string why = file.long_on_kernel(variant); !why.empty() && !request.full)
      return fmt::format("takes long on a kernel ({}); --full runs it", why);
  }
  return cannot_play(scenario, request.where);
}

}  // namespace

std::string file_of_variant(const std::string& path, const std::string& variant, bool several) {
  if (!several || variant.empty()) return path;
  const std::size_t slash = path.rfind('/');
  const std::size_t dot = path.rfind('.');
  const bool ending =
      dot != std::string::npos && dot != 0 && (slash == std::string::npos || dot > slash + 1);
  return ending ? fmt::format("{}-{}{}", path.substr(0, dot), variant, path.substr(dot))
                : fmt::format("{}-{}", path, variant);
}

namespace {

Result<RunReport> prepare(const ScenarioFile& file, const RunRequest& request, std::size_t number,
                          std::vector<Job>& jobs) {
  RunReport report;
  report.where = request.where;
  const std::vector<std::string> variants =
      request.variants.empty() ? file.variants() : request.variants;
  for (const std::string& variant : variants) {
    auto scenario = file.scenario(variant, request.where, request.overrides);
    if (!scenario) return tl::unexpected(scenario.error());
    VariantRun one;
    one.variant = variant;
    one.seed = request.seed.value_or(scenario->seed);
    if (!request.log.empty()) one.log = file_of_variant(request.log, variant, variants.size() > 1);
    if (!request.capture.empty())
      one.capture = file_of_variant(request.capture, variant, variants.size() > 1);
    one.why_not = not_there(file, variant, *scenario, request);
    one.skipped = !one.why_not.empty();
    if (!one.skipped) {
      Job job;
      job.report = number;
      job.variant = report.variants.size();
      job.privately = has_kernel(*scenario, request.where);
      job.alone = file.alone();
      job.scenario = *std::move(scenario);
      job.options.where = request.where;
      job.options.seed = one.seed;
      job.options.keep_looks = request.keep_looks;
      job.options.for_page = request.for_page;
      job.once = request.once;
      job.options.tool_version = request.tool_version;
      job.options.capture_at = request.capture_at;
      job.log = one.log;
      job.capture = one.capture;
      jobs.push_back(std::move(job));
    }
    report.variants.push_back(std::move(one));
  }
  if (std::all_of(report.variants.begin(), report.variants.end(),
                  [](const VariantRun& v) { return v.skipped; })) {
    report.why_not = report.variants.front().why_not;
    report.skipped = true;
  }
  return report;
}

void take_over(std::vector<Job>& jobs, std::vector<RunReport>& reports) {
  for (Job& job : jobs) {
    RunReport& report = reports[job.report];
    if (job.played.denied) {
      report.why_not = job.played.why_not;
      report.skipped = true;
      report.denied = true;
    }
    VariantRun& variant = report.variants[job.variant];
    variant.forbidden = job.played.forbidden;
    variant.result = std::move(job.played.result);
    variant.why_not = std::move(job.played.why_not);
    variant.unwritten = job.played.unwritten;
  }
}

// What is to be played again, alone.
std::vector<Job> in_vain(const std::vector<Job>& jobs, std::vector<RunReport>& reports) {
  std::vector<Job> again;
  for (const Job& job : jobs) {
    RunReport& report = reports[job.report];
    VariantRun& variant = report.variants[job.variant];
    if (!job.privately || job.once || !variant.result || variant.result->late < kLate) continue;
    const bool failed =
        std::any_of(report.checks.begin(), report.checks.end(), [&](const CheckOutcome& c) {
          return c.verdict != Check::Verdict::Holds &&
                 (c.variant.empty() || c.variant == variant.variant);
        });
    if (!failed) continue;
    ++variant.in_vain;
    variant.late = variant.result->late;
    again.push_back(job);
    again.back().alone = true;
  }
  return again;
}

}  // namespace

Result<std::vector<RunReport>> run_all(
    const std::vector<std::pair<const ScenarioFile*, RunRequest>>& requests,
    const std::function<void(double)>& progress) {
  std::vector<Job> jobs;
  std::vector<RunReport> reports;
  for (const auto& [file, request] : requests) {
    auto report = prepare(*file, request, reports.size(), jobs);
    if (!report) return tl::unexpected(report.error());
    reports.push_back(*std::move(report));
  }
  play_all(jobs, progress);
  take_over(jobs, reports);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (reports[i].why_not.empty()) judge(*requests[i].first, reports[i]);
  }
  for (unsigned round = 0; round < kRounds; ++round) {
    std::vector<Job> again = in_vain(jobs, reports);
    if (again.empty()) break;
    play_all(again, {});
    take_over(again, reports);
    for (const Job& job : again) {
      RunReport& report = reports[job.report];
      report.checks.clear();
      report.verdicts.clear();
      judge(*requests[job.report].first, report);
    }
  }
  return reports;
}

Result<RunReport> run(const ScenarioFile& file, const RunRequest& request) {
  auto reports = run_all({{&file, request}}, request.progress);
  if (!reports) return tl::unexpected(reports.error());
  return std::move(reports->front());
}

}  // namespace lastack::lab
