// lastack lab sweep: a scenario over a grid of values and seeds, on all processors.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>

#include "cli/exit_codes.h"
#include "cli/lab_choice.h"
#include "cli/output.h"
#include "kernel/text.h"
#include "kernel/unique_fd.h"
#include "lab/child_process.h"
#include "lab/scenario/sweep.h"
#include "model/printable.h"

namespace lastack {
namespace {

// "--set key=a,b,c" is an axis of the grid.
std::optional<std::vector<lab::Axis>> axes_of(const LabArguments& arguments) {
  const auto overrides = overrides_of(arguments);
  if (!overrides) return std::nullopt;
  std::vector<lab::Axis> axes;
  for (const lab::Override& o : *overrides) {
    lab::Axis axis{o.key, {}};
    for (std::size_t begin = 0; begin <= o.value.size();) {
      const std::size_t end = std::min(o.value.find(',', begin), o.value.size());
      axis.values.push_back(o.value.substr(begin, end - begin));
      begin = end + 1;
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

}  // namespace

int run_lab_sweep(const LabArguments& arguments) {
  int code = 0;
  const auto file = find_scenario(arguments.scenario, code);
  if (!file) return code;
  const auto axes = axes_of(arguments);
  const auto seeds = seeds_of(arguments.seeds);
  if (!axes || !seeds || !known_variants(*file, arguments)) return exit_code::kUsage;
  std::uint64_t shard = 1, shards = 1;
  if (!arguments.shard.empty()) {
    const std::size_t slash = arguments.shard.find('/');
    const auto i = parse_number<std::uint64_t>(arguments.shard.substr(0, slash));
    const auto n = slash == std::string::npos
                       ? std::nullopt
                       : parse_number<std::uint64_t>(arguments.shard.substr(slash + 1));
    if (!i || !n || *i == 0 || *i > *n) {
      complain(kLab,
               fmt::format("--shard {}: it is I/N, from 1/N to N/N", printable(arguments.shard)));
      return exit_code::kUsage;
    }
    shard = *i, shards = *n;
  }
  std::vector<lab::SweepPoint> points = lab::sweep_points(*axes, *seeds);
  const lab::Where where = *lab::where_from(arguments.on);
  // What is there already, whole lines only, is not done again; a line that was cut gets its end.
  std::set<std::string> done;
  bool cut = false;
  if (arguments.output != "-") {
    std::ifstream before(arguments.output);
    for (std::string line; std::getline(before, line);) {
      cut = before.eof();
      if (const auto point = lab::sweep_identity(line); point && !cut) done.insert(*point);
    }
  }
  std::erase_if(points, [&](const lab::SweepPoint& p) {
    return p.number % shards != shard - 1 || done.contains(lab::sweep_identity(*file, where, p));
  });
  const UniqueFd out(
      arguments.output == "-"
          ? ::dup(1)
          : ::open(arguments.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!out || (cut && ::write(out.get(), "\n", 1) != 1)) {
    complain(kLab, system_error(errno, "cannot write " + arguments.output).message);
    return exit_code::kCannotWrite;
  }
  const auto work = [&](std::size_t worker, std::size_t workers) {
    for (std::size_t i = worker; i < points.size(); i += workers) {
      lab::RunRequest request;
      request.where = where;
      request.seed = points[i].seed;
      request.overrides = points[i].overrides;
      request.variants = arguments.variants;
      request.full = arguments.full;
      const auto report = lab::run(*file, request);
      if (!report) {
        complain(kLab, report.error().message);
        return exit_code::kUsage;
      }
      // One write: lines of several workers do not mix.
      const std::string line = lab::sweep_line(*file, points[i], *report) + "\n";
      if (::write(out.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        complain(kLab, system_error(errno, "cannot write " + arguments.output).message);
        return exit_code::kCannotWrite;
      }
    }
    return 0;
  };
  const auto workers = std::min<std::size_t>(
      points.size(), static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))));
  std::vector<ChildProcess> children;
  for (std::size_t w = 0; w < workers; ++w) {
    auto child = ChildProcess::start([&] { return work(w, workers); });
    if (!child) {
      complain(kLab, child.error().message);
      return exit_code::kInternal;
    }
    children.push_back(*std::move(child));
  }
  int worst = 0;
  for (ChildProcess& child : children) worst = std::max(worst, child.wait());
  return worst;
}

}  // namespace lastack
