// What a run of a scenario has to say on a page of report/log_html.h, beside its lifecycle log.
#pragma once

#include <string>
#include <vector>

#include "lab/scenario/run.h"
#include "report/log_html.h"

namespace lastack::lab {

ReportText page_text(const ScenarioFile& file, const RunReport& report, const VariantRun& variant,
                     const std::string& replay);
// Records in TIME_WAIT and descriptors of each host, as they were sampled; `zero` is the log's time of the start.
std::vector<ReportSeries> page_series(const VariantRun& variant, Instant zero);

}  // namespace lastack::lab
