// The claims of docs/claims.md, each settled by the scenarios of the library that are about it, in both worlds.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/scenario/run.h"

namespace lastack::lab {

struct ClaimInfo {
  std::string_view row;   // "A5"
  std::string_view text;  // what is claimed
};
std::span<const ClaimInfo> claims();

struct ClaimsRequest {
  bool full = false;
  std::vector<std::string> only;  // rows; empty: all
  std::string tool_version;
  std::function<void(double share)> progress;
};

// What one scenario says about one claim, in one world.
struct ClaimEvidence {
  std::string scenario;
  Where where = Where::Endpoint;
  std::string verdict;  // empty: nothing was decided there
  std::string because;  // measured; or why nothing was decided
  bool ran = false;
  bool stands = false;
  bool in_part = false;  // not all of the scenario could be run there, or was asked for
};
struct ClaimRow {
  ClaimInfo claim;
  std::vector<ClaimEvidence> evidence;
};

// An error: a row that there is not, or a scenario of the library that cannot be read.
Result<std::vector<ClaimRow>> settle_claims(const ClaimsRequest& request);
// Each has a verdict from a run, and no run contradicts it.
bool all_settled(const std::vector<ClaimRow>& rows);

std::string claims_text(const std::vector<ClaimRow>& rows);
std::string claims_json(const std::vector<ClaimRow>& rows);
std::string claims_markdown(const std::vector<ClaimRow>& rows);

}  // namespace lastack::lab
