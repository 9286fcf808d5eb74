// A lifecycle log as one HTML file that needs nothing else: what was found, states and counts over time, a sequence
// diagram, a table of events. A pure function of the log and of what the caller has to say about it. Nothing of either is
// taken as markup: a log may come from anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/log_trace.h"

namespace lastack {

// What there is to say about the run; what is empty is left out. Texts of people (cause, advice) may have paragraphs,
// *stress* and `code`.
struct ReportText {
  std::string title;
  std::string part;  // of the whole, that is shown here: the variant
  std::string run;   // where and how it was run; else what the log says of itself
  // Something that was claimed, and what was found.
  struct Piece {
    std::string text;
    bool measured = false;
  };
  struct Claim {
    std::string id;       // "A3"
    std::string verdict;  // "true", "both half right"
    std::string text;     // what is claimed
    std::vector<Piece> because;
    bool stands = true;
  };
  std::vector<Claim> claims;
  std::string verdict;              // one sentence, where there is no claim
  std::vector<std::string> failed;  // conditions that do not hold, and by how much
  std::string cause;
  struct Row {
    std::string name, value;
  };
  std::vector<Row> evidence;
  struct Condition {
    std::string says, measured, text;
    bool holds = true;
  };
  std::vector<Condition> conditions;
  // What to do about it.
  struct Step {
    std::string place;  // the host; empty where the words say it
    std::string words;
    std::string command, undo;  // as it is typed
    std::string call;           // in a program
    std::string check;          // shows what the reader's own host has
    std::string keep;           // for good
  };
  struct Remedy {
    std::string name;  // the variant that shows it
    std::string text;  // in words
    std::vector<Step> steps;
    std::string caution;
    std::string check;  // what shows that it worked
    std::string gain;   // what came of it, measured
    std::string price;  // and what got worse by it
    std::string note;   // why there is nothing measured
    std::string file;   // its own page; empty: there is none
    bool helps = true;
    bool here = false;  // this page shows it
  };
  std::string advice;  // what follows from the whole
  std::vector<Remedy> change;
  bool looked_for_change = false;  // that there is none is said
  // Before and after: a column for each way it was run.
  enum class Mark : std::uint8_t { None, Better, Worse };
  struct Cell {
    std::string text;
    Mark mark = Mark::None;
    std::string more{};  // below it
  };
  struct ProofRow {
    std::string name;
    std::vector<Cell> cells;  // as many as heads
  };
  std::vector<std::string> proof_heads;
  std::vector<ProofRow> proof;
  // Other pages of the same run, beside this one.
  struct Page {
    std::string name, file;
    bool here = false;
  };
  std::vector<Page> pages;
  std::vector<Row> replay;  // what a command line makes again, and the line
  // Where to go in the diagram.
  struct Moment {
    std::string label;
    std::int64_t at = 0;  // nanoseconds of the log's clock
  };
  std::vector<Moment> moments;
};

// A number over time: it holds from its point to the next one.
struct ReportSeries {
  std::string name;                                     // "ports taken, client to 10.0.0.2:3306"
  std::string unit;                                     // "ports"
  std::vector<std::pair<std::int64_t, double>> points;  // nanoseconds of the log's clock, ascending
  std::optional<double> limit{};                        // beyond which it cannot go
  std::string limit_name{};
};

// Numbers over time, one on top of the other.
struct ReportStack {
  std::string name, unit;
  // What its colour is: that of a state by its name, else "good", "bad", "warn".
  struct Part {
    std::string name, color;
  };
  std::vector<Part> parts;
  struct Point {
    std::int64_t at = 0;
    std::vector<double> values;  // of each part
  };
  std::vector<Point> points;
  bool key = false;  // it stands at the top of the page
};

// While something was made to go wrong.
struct ReportBand {
  std::int64_t from = 0, to = 0;  // nanoseconds of the log's clock
  std::string label;
  enum class Kind : std::uint8_t { Fault, Loss, Nat, Crash, Setting } kind = Kind::Fault;
  std::uint64_t count = 0;  // how many segments it struck; 0: is not counted
};

struct ReportCharts {
  std::vector<ReportSeries> series{};
  std::vector<ReportBand> bands{};
  std::vector<ReportStack> stacks{};
};

struct LogHtmlOptions {
  // As in LogTextOptions.
  std::optional<std::vector<std::uint32_t>> connections;
  std::optional<std::int64_t> from, to;
  std::size_t rows =
      20'000;  // events in the file at most, the first ones; 0: all. What is left out is said
  // Times are said from here; else as the log has them.
  std::optional<std::int64_t> zero{};
};

std::string log_html(const LogTrace& trace, const ReportText& text, const ReportCharts& charts = {},
                     const LogHtmlOptions& options = {});

// As text between tags, or within an attribute.
std::string escaped_html(std::string_view text);
// Paragraphs, *stress* and `code` of a text, and nothing else of it, as markup.
std::string marked_html(std::string_view text);
// Of several runs: all that their pages say above and below the drawings, and where these are.
std::string overview_html(const ReportText& text);
// The part of the page above the charts: what happened, why, what to change, the proof.
std::string summary_html(const ReportText& text);
// And that below: what was checked, how to run it again.
std::string appendix_html(const ReportText& text);

}  // namespace lastack
