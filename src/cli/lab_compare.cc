// lastack lab compare: scenarios in both worlds, side by side.
#include <fmt/format.h>

#include "cli/exit_codes.h"
#include "cli/lab_choice.h"
#include "cli/output.h"
#include "lab/scenario/compare.h"

namespace lastack {

int run_lab_compare(const LabArguments& arguments) {
  std::vector<lab::ScenarioFile> files;
  if (arguments.scenario.empty()) {
    auto all = whole_library();
    if (!all) return exit_code::kInternal;
    files = *std::move(all);
  } else {
    int code = 0;
    auto file = find_scenario(arguments.scenario, code);
    if (!file) return code;
    files.push_back(*std::move(file));
  }
  const auto seeds = seeds_of(arguments.seeds);
  auto overrides = overrides_of(arguments);
  if (!seeds || !overrides) return exit_code::kUsage;
  const TemporaryFolder folder;
  if (folder.path().empty()) return exit_code::kCannotWrite;
  bool agrees = true;
  bool compared = false;
  bool written = true;
  Progress progress;
  for (const lab::ScenarioFile& file : files) {
    if (!known_variants(file, arguments)) return exit_code::kUsage;
    lab::CompareRequest request{*seeds,
                                *overrides,
                                arguments.variants,
                                arguments.full,
                                LASTACK_VERSION,
                                folder.path(),
                                [&](double share) { progress(file.name(), share); },
                                [&](const lab::VariantComparison& one) {
                                  progress.clear();
                                  written = written && print(kLab, lab::comparison_text(file, one));
                                }};
    const auto comparison = lab::compare(file, request);
    if (!comparison) {
      complain(kLab, comparison.error().message);
      return exit_code::kUsage;
    }
    agrees = agrees && comparison->agrees();
    compared = compared || !comparison->variants.empty();
    if (!comparison->why_not.empty() && written)
      written = print(kLab, lab::comparison_text(file, *comparison));
    if (!written) return exit_code::kCannotWrite;
  }
  if (!compared) return exit_code::kNoLook;
  return agrees ? 0 : exit_code::kProblem;
}

}  // namespace lastack
