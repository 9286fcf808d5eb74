#include "lab/scenario/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <nlohmann/json.hpp>

#include "lab/scenario/library.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

constexpr std::array kClaims{
    ClaimInfo{"A1", "the side that closes first has TIME_WAIT, and keeps the port with it"},
    ClaimInfo{"A2", "TIME_WAIT lets a lost last ACK be repaired"},
    ClaimInfo{"A3", "TIME_WAIT keeps old duplicates out of a new connection"},
    ClaimInfo{
        "A4",
        "the orderly close runs through FIN_WAIT_1, CLOSE_WAIT, FIN_WAIT_2, LAST_ACK, TIME_WAIT"},
    ClaimInfo{"A5", "a port is used again while the peer is in LAST_ACK: SYN ignored, or reset?"},
    ClaimInfo{"A6", "twice MSL: one for the last ACK, one for the FIN it answers"},
    ClaimInfo{"A7", "after 2 MSL the peer may still be in LAST_ACK, if every ACK was lost"},
    ClaimInfo{"A8", "TIME_WAIT on a server uses up its listening port"},
    ClaimInfo{"A9", "before choosing sequence numbers again, keep quiet for an MSL"},
    ClaimInfo{"A10", "TIME_WAIT is a constant: 60 s on Linux, 240 s in RFC 793"},
    ClaimInfo{"A11", "an accepted connection takes a new local port of the server"},
    ClaimInfo{"B1", "above tcp_max_tw_buckets connections skip TIME_WAIT, and its protection"},
    ClaimInfo{"B2", "tcp_tw_reuse lets the connecting side take a TIME_WAIT port after a second"},
    ClaimInfo{"B3", "timestamps throw away the old duplicates of a reused connection (PAWS)"},
    ClaimInfo{"B4", "a range of ports gives so many connections a second to one destination"},
    ClaimInfo{"B5", "tcp_fin_timeout shortens TIME_WAIT"},
    ClaimInfo{"B6", "tcp_tw_recycle makes clients behind one NAT address lose connections"},
    ClaimInfo{"B7", "keep-alive finds dead peers"},
    ClaimInfo{"B8",
              "SO_REUSEADDR, SO_REUSEPORT, SO_LINGER: which of them helps against TIME_WAIT?"},
    ClaimInfo{"B9", "tcp_tw_reuse breaks when the clocks of the two hosts differ"},
    ClaimInfo{"B10", "TIME_WAIT and CLOSE_WAIT both use up descriptors"},
    ClaimInfo{"C1", "looking up a connection stays fast with many in TIME_WAIT"},
    ClaimInfo{"C2", "finding a free port costs processor time"},
    ClaimInfo{"C3", "10,000 connections in TIME_WAIT cost about 1 MB"},
    ClaimInfo{"C4", "a server that closes 1,000 a second piles up 240,000 records"},
    ClaimInfo{"D1", "count connections by state"},
    ClaimInfo{"D2", "a service that is up for a while and down for a while, as ports run out"},
    ClaimInfo{"D3", "who closed first decides who pays"},
    ClaimInfo{"D4", "CLOSE_WAIT is a fault of the application; no knob of the kernel helps"},
    ClaimInfo{"D5", "pools: time-outs, size, waiting time and heartbeat have to fit"},
    ClaimInfo{"D6", "a load balancer out of ports has these remedies"},
    ClaimInfo{"D7", "keep-alive in HTTP, and who closes there"},
    ClaimInfo{"D8", "what to look at when TIME_WAIT piles up"},
    ClaimInfo{"D9", "reading or writing after the other end closed or reset"},
    ClaimInfo{"D10", "descriptors are limited, per process and for the system"},
};

constexpr std::array kWorlds{Where::Endpoint, Where::Kernel};

// Of all scenarios about a row, in one world.
std::string_view state_of(const ClaimRow& row, Where where) {
  bool any = false, ran = false, stands = true, in_part = false;
  for (const ClaimEvidence& e : row.evidence) {
    if (e.where != where) continue;
    any = true;
    if (!e.ran) continue;
    ran = true;
    stands = stands && e.stands;
    in_part = in_part || e.in_part;
  }
  if (!any) return "-";
  if (!ran) return "not run";
  if (!stands) return "CONTRADICTED";
  return in_part ? "in part" : "ran";
}

std::string verdict_of(const ClaimRow& row) {
  for (const ClaimEvidence& e : row.evidence) {
    if (e.ran && e.stands) return e.verdict;
  }
  for (const ClaimEvidence& e : row.evidence) {
    if (e.ran) return "contradicted";
  }
  return "open";
}

ClaimEvidence evidence_of(const ScenarioFile& file, const RunReport& report,
                          const VerdictSpec& spec) {
  ClaimEvidence evidence{file.name(), report.where, "", report.why_not, false, false};
  for (const VerdictOutcome& v : report.verdicts) {
    if (v.claim != spec.claim) continue;
    evidence.ran = true;
    evidence.stands = v.stands;
    evidence.in_part = v.in_part;
    evidence.verdict = v.verdict;
    evidence.because = v.because;
  }
  if (!evidence.ran || evidence.stands) return evidence;
  for (const CheckOutcome& c : report.checks) {
    if (c.verdict == Check::Verdict::Holds) continue;
    evidence.because = fmt::format("does not hold: {} ({})", c.text, c.seen);
    break;
  }
  for (const VariantRun& v : report.variants) {
    if (!v.result) evidence.because = fmt::format("{}: {}", v.variant, v.why_not);
  }
  return evidence;
}

}  // namespace

std::span<const ClaimInfo> claims() {
  return kClaims;
}

Result<std::vector<ClaimRow>> settle_claims(const ClaimsRequest& request) {
  for (const std::string& wanted : request.only) {
    if (std::none_of(kClaims.begin(), kClaims.end(),
                     [&](const ClaimInfo& c) { return c.row == wanted; })) {
      return tl::unexpected(Error{
          EINVAL,
          fmt::format("there is no claim '{}'; they are A1 to A11, B1 to B10, C1 to C4, D1 to D10",
                      printable(wanted))});
    }
  }
  std::vector<ClaimRow> rows;
  for (const ClaimInfo& claim : kClaims) {
    const bool wanted = request.only.empty() || std::find(request.only.begin(), request.only.end(),
                                                          claim.row) != request.only.end();
    if (wanted) rows.push_back({claim, {}});
  }
  const auto row_of = [&](const std::string& name) {
    return std::find_if(rows.begin(), rows.end(),
                        [&](const ClaimRow& r) { return r.claim.row == name; });
  };
  std::deque<ScenarioFile> files;
  std::vector<std::pair<const ScenarioFile*, RunRequest>> runs;
  for (const LibraryScenario& one : library()) {
    auto file = ScenarioFile::parse(one.text, std::string(one.name));
    if (!file) return tl::unexpected(file.error());
    const bool wanted = std::any_of(file->claims().begin(), file->claims().end(),
                                    [&](const std::string& c) { return row_of(c) != rows.end(); });
    if (!wanted) continue;
    files.push_back(*std::move(file));
    for (const Where where : kWorlds) {
      RunRequest play;
      play.where = where;
      play.full = request.full;
      play.tool_version = request.tool_version;
      runs.emplace_back(&files.back(), std::move(play));
    }
  }
  const auto reports = run_all(runs, request.progress);
  if (!reports) return tl::unexpected(reports.error());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const ScenarioFile& file = *runs[i].first;
    const RunReport& report = (*reports)[i];
    for (const VerdictSpec& spec : file.verdicts()) {
      const auto row = row_of(spec.claim);
      if (row != rows.end()) row->evidence.push_back(evidence_of(file, report, spec));
    }
  }
  return rows;
}

bool all_settled(const std::vector<ClaimRow>& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const ClaimRow& row) {
    bool stands = false;
    for (const ClaimEvidence& e : row.evidence) {
      if (e.ran && !e.stands) return false;
      stands = stands || e.stands;
    }
    return stands;
  });
}

std::string claims_text(const std::vector<ClaimRow>& rows) {
  std::size_t width = 5;
  for (const ClaimRow& row : rows) width = std::max(width, row.claim.text.size());
  const auto line = [&](std::string_view row, std::string_view claim, std::string_view endpoint,
                        std::string_view kernel, std::string_view verdict) {
    return fmt::format("{:<5}{:<{}}  {:<14}{:<14}{}\n", row, claim, width, endpoint, kernel,
                       verdict);
  };
  std::string out = line("row", "claim", "endpoint", "kernel", "verdict");
  for (const ClaimRow& row : rows) {
    out += line(row.claim.row, row.claim.text, state_of(row, Where::Endpoint),
                state_of(row, Where::Kernel), verdict_of(row));
    for (const ClaimEvidence& e : row.evidence) {
      out +=
          fmt::format("     {:<9} {}: {}\n", to_string(e.where), e.scenario, printable(e.because));
    }
  }
  return out;
}

std::string claims_json(const std::vector<ClaimRow>& rows) {
  using Json = nlohmann::ordered_json;
  Json json = Json::array();
  for (const ClaimRow& row : rows) {
    Json one{{"row", row.claim.row}, {"claim", row.claim.text}, {"verdict", verdict_of(row)}};
    one["evidence"] = Json::array();
    for (const ClaimEvidence& e : row.evidence) {
      one["evidence"].push_back({{"scenario", e.scenario},
                                 {"on", to_string(e.where)},
                                 {"ran", e.ran},
                                 {"stands", e.stands},
                                 {"verdict", e.verdict},
                                 {"because", e.because}});
    }
    json.push_back(std::move(one));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string claims_markdown(const std::vector<ClaimRow>& rows) {
  std::string out = "| row | claim | verdict | endpoint | kernel |\n|---|---|---|---|---|\n";
  for (const ClaimRow& row : rows) {
    std::array<std::string, 2> cells;
    for (const ClaimEvidence& e : row.evidence) {
      std::string& cell = cells[e.where == Where::Endpoint ? 0 : 1];
      if (!cell.empty()) cell += "<br>";
      cell += fmt::format("`{}`: {}", e.scenario, printable(e.because));
    }
    out += fmt::format("| {} | {} | {} | {} | {} |\n", row.claim.row, row.claim.text,
                       verdict_of(row), cells[0], cells[1]);
  }
  return out;
}

}  // namespace lastack::lab
