#include "lab/scenario/real_programs.h"

#include <algorithm>

#include "lab/clock.h"

namespace lastack::lab {
namespace {

// How long all have, when the run is over, to end by themselves.
constexpr Duration kGraceAtEnd = 2s;

// Whatever begins waits for it.
bool is_awaited(const RealProgram& program) {
  return program.serves() && program.spec().after.empty();
}

}  // namespace

Result<std::unique_ptr<RealPrograms>> RealPrograms::make(
    const Scenario& scenario, Stage& stage, std::function<void()> ready,
    std::function<void(const std::string&)> ended) {
  auto folder = PrivateFolder::make();
  if (!folder) return tl::unexpected(folder.error());
  std::unique_ptr<RealPrograms> made(new RealPrograms(*std::move(folder)));
  made->ready_ = std::move(ready);
  made->ended_ = std::move(ended);
  for (const ProgramSpec& spec : scenario.programs) {
    made->all_.push_back(std::make_unique<RealProgram>(
        spec, stage, made->folder_,
        [one = made.get()](const RealProgram& program) { one->changed(program); }));
  }
  return made;
}

void RealPrograms::start() {
  bool any = false;
  for (const auto& one : all_) {
    if (!is_awaited(*one)) continue;
    any = true;
    one->start();
  }
  if (any) return;
  all_ready_ = true;
  ready_();
}

void RealPrograms::start_after(const std::string& name) {
  for (const auto& one : all_) {
    if (one->spec().after == name && !is_awaited(*one)) one->start();
  }
}

void RealPrograms::changed(const RealProgram& program) {
  if (over_) return;
  if (program.ended()) ended_(program.spec().name);
  if (all_ready_) return;
  all_ready_ = std::all_of(all_.begin(), all_.end(),
                           [](const auto& one) { return !is_awaited(*one) || one->ready(); });
  if (all_ready_) ready_();
}

bool RealPrograms::over() const {
  return std::all_of(all_.begin(), all_.end(), [](const auto& one) { return one->over(); });
}

bool RealPrograms::failed() const {
  return std::any_of(all_.begin(), all_.end(), [](const auto& one) { return one->failed(); });
}

void RealPrograms::add_to(std::vector<pollfd>& waits) const {
  for (const auto& one : all_) waits.push_back({one->descriptor(), POLLIN, 0});
}

void RealPrograms::wake() {
  for (const auto& one : all_) one->wake();
}

void RealPrograms::measure(Measures& into) const {
  for (const auto& one : all_) one->measure(into);
}

std::vector<ProgramOutcome> RealPrograms::end() {
  over_ = true;
  for (const auto& one : all_) one->ask_to_end();
  const Instant limit = monotonic_now() + kGraceAtEnd;
  std::vector<ProgramOutcome> outcomes;
  for (const auto& one : all_) {
    one->await_end(limit);
    outcomes.push_back(one->outcome());
  }
  return outcomes;
}

}  // namespace lastack::lab
