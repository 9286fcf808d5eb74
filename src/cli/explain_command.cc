#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "lab/proof/proof.h"
#include "lastack/doctor.h"

namespace lastack {

namespace {

bool can_be_proved(std::string_view id) {
  for (const lab::Provable& one : lab::provable()) {
    if (one.finding == id) return one.scenario != nullptr;
  }
  return false;
}

int run_explain(const std::string& id) {
  if (id.empty()) {
    std::string list;
    for (const FindingInfo& info : finding_catalogue())
      list += fmt::format("{:<34}{}\n", info.id, info.about);
    return print("explain", list) ? 0 : exit_code::kCannotWrite;
  }
  for (const FindingInfo& info : finding_catalogue()) {
    if (info.id == id) {
      std::string text = fmt::format("{}\n\n{}\n\n{}\n", info.id, info.about, info.mechanism);
      if (can_be_proved(info.id)) {
        text += fmt::format(
            "\nlastack doctor --prove {} makes it happen in small, and go with what helps.\n",
            info.id);
      }
      return print("explain", text) ? 0 : exit_code::kCannotWrite;
    }
  }
  std::string near;
  for (const FindingInfo& info : finding_catalogue()) {
    if (info.id.find(id) != std::string_view::npos)
      near += fmt::format("{}{}", near.empty() ? "" : ", ", info.id);
  }
  complain("explain", fmt::format("there is no finding '{}'{}", id,
                                  near.empty() ? "; 'lastack explain' lists them"
                                               : "; did you mean " + near + "?"));
  return exit_code::kUsage;
}

}  // namespace

void add_explain_command(CLI::App& app, Run& run) {
  auto* command =
      app.add_subcommand("explain", "What is a finding about, and how does it come about?");
  const auto id = std::make_shared<std::string>();
  command->add_option("finding", *id, "the finding; without it, all are listed")
      ->type_name("FINDING");
  command->callback([id, &run] { run = [id] { return run_explain(*id); }; });
}

}  // namespace lastack
