// What a run of a scenario has to say on a page of report/log_html.h, beside its lifecycle log: what was found, what to
// change as its variants have shown it, the numbers before and after, and what there was over time.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/scenario/run.h"
#include "report/log_html.h"

namespace lastack::lab {

struct PageOf {
  const ScenarioFile& file;
  const RunReport& report;
  const VariantRun& variant;               // whose log it is; played, and one of the report's
  const Scenario& scenario;                // what it has played
  const std::vector<Override>& overrides;  // as given to all of them
  // The page of all of them; empty: there is none.
  std::string overview;
  // What a command line makes again, and the line.
  std::vector<std::pair<std::string, std::string>> replay;
};

ReportText page_text(const PageOf& page);
// Of the page of all variants: `page.variant` is any that was played.
ReportText overview_text(const PageOf& page);
// `zero` is the log's time of the start.
ReportCharts page_charts(const PageOf& page, const LogTrace& trace, Instant zero);

}  // namespace lastack::lab
