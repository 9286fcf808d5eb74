#include "cli/doctor_prove.h"

#include <fmt/format.h>

#include "cli/exit_codes.h"
#include "cli/lab_choice.h"
#include "cli/output.h"
#include "lab/proof/proof.h"
#include "model/nearest_word.h"
#include "model/printable.h"

namespace lastack {
namespace {

constexpr const char* kDoctor = "doctor";

int list(const std::vector<lab::Provable>& all) {
  std::string out;
  for (const lab::Provable& one : all) {
    if (one.scenario != nullptr) out += fmt::format("{:<34}{}\n", one.finding, one.about);
  }
  out += "\nCannot be made to happen in small:\n";
  for (const lab::Provable& one : all) {
    if (one.scenario == nullptr) out += fmt::format("{:<34}{}\n", one.finding, one.why_not);
  }
  return print(kDoctor, out) ? 0 : exit_code::kCannotWrite;
}

}  // namespace

int run_prove(const ProveArguments& arguments) {
  const std::vector<lab::Provable> all = lab::provable();
  if (arguments.finding == "list") return list(all);
  const lab::Provable* chosen = nullptr;
  std::vector<std::string_view> names{"list"};
  for (const lab::Provable& one : all) {
    names.push_back(one.finding);
    if (one.finding == arguments.finding) chosen = &one;
  }
  if (chosen == nullptr) {
    const std::string_view near = nearest_word(arguments.finding, names);
    complain(kDoctor, fmt::format("there is no finding '{}'{}", printable(arguments.finding),
                                  near.empty() ? "; 'lastack doctor --prove list' has those that "
                                                 "can be proved"
                                               : fmt::format("; did you mean {}?", near)));
    return exit_code::kUsage;
  }
  if (chosen->scenario == nullptr) {
    complain(kDoctor, fmt::format("{} cannot be made to happen in small: {}", chosen->finding,
                                  chosen->why_not));
    return exit_code::kNoLook;
  }
  const auto file = lab::ScenarioFile::parse(chosen->scenario->text,
                                             "prove/" + std::string(chosen->scenario->name));
  if (!file) {
    complain(kDoctor, file.error().message);
    return exit_code::kInternal;
  }
  Progress progress;
  lab::ProofRequest request;
  request.full = arguments.full;
  request.tool_version = LASTACK_VERSION;
  request.progress = [&](double share) { progress(chosen->finding, share); };
  const auto proof = lab::prove(*file, request);
  if (!proof) {
    complain(kDoctor, proof.error().message);
    return exit_code::kInternal;
  }
  if (proof->denied) {
    complain(kDoctor,
             "a proof is played in private namespaces with TUN devices in them: " + proof->why_not);
    return exit_code::kNotPermitted;
  }
  const std::string out = arguments.json
                              ? lab::proof_json(*proof)
                              : lab::proof_text(*proof, {arguments.color, arguments.width});
  if (!print(kDoctor, out)) return exit_code::kCannotWrite;
  if (!proof->why_not.empty()) return exit_code::kNoLook;
  return proof->holds() ? 0 : exit_code::kProblem;
}

}  // namespace lastack
