// A scenario as it is written: a TOML file with what it shows, the scenario itself, its variants, the conditions that
// have to hold, and what they decide. docs/scenarios.md describes the language. Errors name file, line and column, and
// the nearest word that there is.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/scenario/check.h"
#include "lab/scenario/scenario.h"
#include "lastack/result.h"

namespace lastack::lab {

// Of a file, in bytes.
inline constexpr std::size_t kLargestScenario = 1 << 20;

// Where a run takes place.
enum class Where : std::uint8_t { Endpoint, Kernel, Mixed };
std::string_view to_string(Where where);
std::optional<Where> where_from(std::string_view name);

struct CheckSpec {
  Check check;
  std::string why;
  std::optional<Where> only_on;
  std::vector<std::string> only_in;  // variants; empty: all, or once if it looks at more than one
};

struct VerdictSpec {
  std::string claim;    // "A5"
  std::string verdict;  // "true", "false", "half true", ...
  std::string because;  // {name} stands for what was measured, {variant:name} in that variant
};

// [proof]: a finding of the doctor that comes about in the scenario, and goes with its remedies (lab/proof).
struct ProofSpec {
  std::string finding;
  std::string host;  // at which it is found
  struct Column {
    std::string head, measure;
  };
  std::vector<Column> shows;  // what the programs noticed
  // The variants: the first without a remedy is how it comes about.
  struct Part {
    std::string variant;
    std::string remedy;   // its layer (lastack/doctor.h, Layer); empty: none
    std::string told;     // what its text has in it, where several are of one layer
    std::string no_help;  // what the finding says will not help, by a part of it
  };
  std::vector<Part> parts;
};

// What a variant says of itself: that it is a remedy, or that it is none although people try it.
struct AdviceSpec {
  std::string variant;
  std::string text;                     // what to do, in words
  bool helps = true;                    // false: it will not help
  std::string caution;                  // what it may break; empty: nothing
  std::vector<std::string> instead_of;  // variants that show the trouble
};

// Where two variants differ: a key, and its values as they are written. Empty: it is not there.
struct Difference {
  std::string key;
  std::string before, after;
};

// key=value, as --set takes it: "host.client.settings.tcp_tw_reuse" and "1".
struct Override {
  std::string key, value;
};

class ScenarioFile {
 public:
  // `place`: how errors call it, "scenarios/port-exhaustion.toml".
  static Result<ScenarioFile> parse(std::string_view text, std::string place);
  static Result<ScenarioFile> read(const std::string& path);

  ScenarioFile(ScenarioFile&&) noexcept;
  ScenarioFile& operator=(ScenarioFile&&) noexcept;
  ~ScenarioFile();

  const std::string& name() const;
  const std::string& title() const;
  const std::string& about() const;
  const std::vector<std::string>& claims() const;
  // At least one: "" where there are none.
  const std::vector<std::string>& variants() const;
  // Why not on a kernel at all; or what takes long there: of one variant, or of all. Empty: nothing is in the way.
  std::string not_on_kernel(std::string_view variant = {}) const;
  std::string long_on_kernel(std::string_view variant = {}) const;
  // What the kernel is known to do otherwise than the endpoint here; empty: nothing.
  std::string differs(std::string_view variant = {}) const;
  // Nothing else is played beside it: it weighs what it shares with others, or has to be fast.
  bool alone() const;
  const std::vector<CheckSpec>& checks() const;
  const std::vector<VerdictSpec>& verdicts() const;
  const std::optional<ProofSpec>& proof() const;
  // Of variants, in the order of the file.
  const std::vector<AdviceSpec>& remedies() const;
  // What follows from the whole of it, in words; empty: nothing is said.
  const std::string& advice() const;
  // What the second variant has otherwise than the first, in one world; "": the file without any.
  std::vector<Difference> differences(std::string_view before, std::string_view after, Where where,
                                      const std::vector<Override>& overrides = {}) const;

  // What one world has otherwise than the file says before ([on.WORLD]).
  std::vector<Difference> in_world(Where where) const;

  // Of one variant in one world; "": the file without any. An override that leads nowhere, or to something that cannot be, is an error.
  Result<Scenario> scenario(std::string_view variant, Where where,
                            const std::vector<Override>& overrides = {}) const;

 private:
  struct Impl;
  explicit ScenarioFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lastack::lab
