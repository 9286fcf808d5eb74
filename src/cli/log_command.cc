// lastack log: a lifecycle log on a terminal, as a page, and beside another one.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <vector>

#include "bundle/whole_file.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "kernel/unique_fd.h"
#include "report/log_diff.h"
#include "report/log_html.h"
#include "report/log_text.h"

namespace lastack {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 18;
constexpr std::size_t kRowsShown = 1000;
constexpr std::size_t kRowsInPage = 20'000;

struct Choice {
  std::string connection;
  std::optional<double> from, to;  // milliseconds
  std::optional<std::size_t> rows;
};

struct LogArguments {
  std::string file, other;
  Choice choice;
  bool list = false, diagram = false;
  std::string color = "auto";
  std::size_t width = 0;
  std::string output, title;
  double tolerance = 1, share = 1;  // milliseconds, per cent
  bool ignore_times = false;
  std::size_t context = 4;
};

struct ReadLog {
  std::optional<LogTrace> trace;
  int code = 0;  // where there is none, and it has been said why
};

std::string named(const std::string& file) {
  return file == "-" ? "standard input" : file;
}

std::int64_t nanoseconds(double milliseconds) {
  return static_cast<std::int64_t>(std::llround(std::min(milliseconds * 1e6, 9.2e18)));
}

ReadLog read_log(const std::string& command, const std::string& file) {
  UniqueFd opened;
  int fd = STDIN_FILENO;
  if (file != "-") {
    opened.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    fd = opened.get();
    if (fd < 0) {
      complain(command, system_error(errno, "cannot open " + file).message);
      return {{}, exit_code::kNoInput};
    }
  }
  LogTraceReader reader;
  const auto bad = [&](const Error& error) {
    complain(command, named(file) + ": " + error.message);
    return ReadLog{{}, exit_code::kBadData};
  };
  std::vector<char> piece(kPiece);
  while (true) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      complain(command, system_error(errno, "cannot read " + named(file)).message);
      return {{}, exit_code::kNoInput};
    }
    if (n == 0) break;
    if (const auto fed = reader.feed({piece.data(), static_cast<std::size_t>(n)}); !fed) {
      return bad(fed.error());
    }
  }
  if (const auto done = reader.finish(); !done) return bad(done.error());
  return {reader.take(), 0};
}

// Into the options of a drawing. False: it has been said what is wrong.
template <class Options>
bool choose(const std::string& command, const Choice& choice, const LogTrace& trace,
            std::size_t usual_rows, Options& options) {
  if (!choice.connection.empty()) {
    const auto found = trace.find(choice.connection);
    if (!found) {
      complain(command, "--connection: " + found.error().message);
      return false;
    }
    options.connections = *found;
  }
  if (choice.from) options.from = nanoseconds(*choice.from);
  if (choice.to) options.to = nanoseconds(*choice.to);
  options.rows = choice.rows.value_or(usual_rows);
  return true;
}

int run_show(const LogArguments& arguments) {
  const ReadLog log = read_log("log show", arguments.file);
  if (!log.trace) return log.code;
  LogTextOptions options;
  if (!choose("log show", arguments.choice, *log.trace, kRowsShown, options))
    return exit_code::kUsage;
  options.color = wants_color(arguments.color);
  options.width = page_width(arguments.width, 120, 160);
  const std::string text =
      arguments.list ? event_list(*log.trace, options) : sequence_diagram(*log.trace, options);
  return print("log show", text) ? 0 : exit_code::kCannotWrite;
}

int run_html(const LogArguments& arguments) {
  const ReadLog log = read_log("log html", arguments.file);
  if (!log.trace) return log.code;
  LogHtmlOptions options;
  if (!choose("log html", arguments.choice, *log.trace, kRowsInPage, options))
    return exit_code::kUsage;
  ReportText text;
  text.title = arguments.title.empty() ? named(arguments.file) : arguments.title;
  const std::string page = log_html(*log.trace, text, {}, options);
  if (const auto written = write_whole_file(arguments.output, page, 0666); !written) {
    complain("log html", written.error().message);
    return exit_code::kCannotWrite;
  }
  return 0;
}

int run_diff(const LogArguments& arguments) {
  if (arguments.file == "-" && arguments.other == "-") {
    complain("log diff", "standard input can be one of the logs only");
    return exit_code::kUsage;
  }
  const ReadLog a = read_log("log diff", arguments.file);
  if (!a.trace) return a.code;
  const ReadLog b = read_log("log diff", arguments.other);
  if (!b.trace) return b.code;
  LogDiffOptions options;
  options.absolute = nanoseconds(arguments.tolerance);
  options.share = arguments.share / 100;
  options.times = !arguments.ignore_times;
  options.context = arguments.context;
  const LogDiff result = diff(*a.trace, *b.trace, options);
  const std::string text = diff_text(result, named(arguments.file), named(arguments.other),
                                     arguments.width > 0 ? arguments.width : 120);
  if (!print("log diff", text)) return exit_code::kCannotWrite;
  return result.equal ? 0 : exit_code::kWarning;
}

void add_choice(CLI::App& command, Choice& choice, std::size_t usual_rows) {
  command
      .add_option(
          "--connection", choice.connection,
          "only these: numbers as the list has them, ADDRESS:PORT or :PORT of either end, with commas")
      ->type_name("WHICH")
      ->check(not_empty());
  command.add_option("--from", choice.from, "from this time of the log on")
      ->type_name("MS")
      ->check(number(0, 1e12));
  command.add_option("--to", choice.to, "until this time of the log")
      ->type_name("MS")
      ->check(number(0, 1e12));
  command
      .add_option("--rows", choice.rows,
                  fmt::format("at most so many, 0 for all (default: {})", usual_rows))
      ->type_name("N")
      ->transform(whole_number(0, 1'000'000'000));
}

void add_file(CLI::App& command, const char* name, std::string& file, const char* what) {
  command.add_option(name, file, what)->type_name("FILE")->required()->check(not_empty());
}

}  // namespace

void add_log_command(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand(
      "log", "A lifecycle log (endpoint --log): as text, as an HTML page, beside another one");
  command->require_subcommand(1);
  constexpr const char* kCodes =
      "Exit codes: 0, 64 wrong usage, 65 not a log, 66 cannot be read, 73 cannot write.";

  const auto show = std::make_shared<LogArguments>();
  auto* sub = command->add_subcommand("show", "Draw it: who sent what, the states, the rules");
  add_file(*sub, "FILE", show->file, "the log; - is standard input");
  auto* list = sub->add_flag("--list", show->list, "every event on a line of its own");
  sub->add_flag("--diagram", show->diagram, "a sequence diagram (this is the default)")
      ->excludes(list);
  add_choice(*sub, show->choice, kRowsShown);
  sub->add_option("--width", show->width, "columns")->transform(whole_number(60, 1000));
  sub->add_option("--color", show->color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  sub->footer(kCodes);
  sub->callback([show, &run] { run = [show] { return run_show(*show); }; });

  const auto html = std::make_shared<LogArguments>();
  sub = command->add_subcommand("html", "One HTML file that needs no other");
  add_file(*sub, "FILE", html->file, "the log; - is standard input");
  sub->add_option("--output,-o", html->output, "where to; - is standard output")
      ->type_name("OUT")
      ->required()
      ->check(not_empty());
  sub->add_option("--title", html->title, "what stands above (default: the name of the file)")
      ->type_name("TEXT");
  add_choice(*sub, html->choice, kRowsInPage);
  sub->footer(kCodes);
  sub->callback([html, &run] { run = [html] { return run_html(*html); }; });

  const auto two = std::make_shared<LogArguments>();
  sub = command->add_subcommand("diff", "Where two logs first tell different stories");
  add_file(*sub, "A", two->file, "a log; - is standard input");
  add_file(*sub, "B", two->other, "another one");
  sub->add_option("--tolerance", two->tolerance, "times may differ by so much (default: 1)")
      ->type_name("MS")
      ->check(number(0, 1e12));
  sub->add_option("--share", two->share,
                  "and by so many per cent of the time since the connection began (default: 1)")
      ->type_name("PERCENT")
      ->check(number(0, 100));
  sub->add_flag("--ignore-times", two->ignore_times, "compare no times");
  sub->add_option("--context", two->context, "events before and after (default: 4)")
      ->type_name("N")
      ->transform(whole_number(0, 1000));
  sub->add_option("--width", two->width, "columns")->transform(whole_number(80, 1000));
  sub->footer(
      "Exit codes: 0 the same story, 1 another; 64 wrong usage, 65 not a log, 66 cannot be read, 73 cannot write.");
  sub->callback([two, &run] { run = [two] { return run_diff(*two); }; });
}

}  // namespace lastack
