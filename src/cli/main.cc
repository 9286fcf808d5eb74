// lastack: how TCP connections end.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <sstream>
#include <string>

#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/output.h"

namespace {

// Where one of the three is closed (>&-), no other descriptor gets its number: what is meant for it must not go there.
// Opened so that its use is an error: standard output cannot be written.
void hold_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    // The lowest number that is free is this one.
    (void)::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_descriptors();
  CLI::App app{
      "How TCP connections end: who closes first, whether it hurts, how long until it breaks, what fixes it."};
  app.set_version_flag("--version", std::string("lastack ") + LASTACK_VERSION);
  app.require_subcommand(1);
  lastack::Run run;
  lastack::add_doctor_command(app, run);
  lastack::add_snapshot_command(app, run);
  lastack::add_explain_command(app, run);
  lastack::add_plan_command(app, run);
  lastack::add_demo_command(app, run);
  lastack::add_endpoint_command(app, run);
  lastack::add_lab_command(app, run);
  lastack::add_log_command(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    std::ostringstream text;
    app.exit(e, text, text);
    return lastack::print("", text.str()) ? 0 : lastack::exit_code::kCannotWrite;
  } catch (const CLI::ParseError& e) {
    app.exit(e);
    return lastack::exit_code::kUsage;
  }
  // A reader that goes away (| head) is an error of write(), not of ours.
  std::signal(SIGPIPE, SIG_IGN);
  // Nor is a limit on the size of files (ulimit -f).
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return run();
  } catch (const std::exception& e) {
    lastack::complain("", std::string("internal error: ") + e.what());
    return lastack::exit_code::kInternal;
  }
}
