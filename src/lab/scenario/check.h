// A condition on what was measured, as scenario files write it:
//
//   again.result == ok
//   clients.failed.EADDRNOTAVAIL > 1000
//   reuse.took > 1 s
//   off:again.took > 10 * on:again.took          variant "off" against variant "on"
//   abs(end.took - 60 s) < 100 ms
//
// Names have a dot; words without one are results. Numbers may have a unit: ns, us, ms, s, min, h, k, M, %.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lab/scenario/measures.h"
#include "lastack/result.h"

namespace lastack::lab {

class Check {
 public:
  // The error says at which character.
  static Result<Check> parse(std::string_view text);

  // What measures are there; nothing: there is no such.
  using Lookup = std::function<const Measure*(std::string_view variant, std::string_view name)>;
  enum class Verdict { Holds, Fails, Unknown };
  struct Answer {
    Verdict verdict = Verdict::Unknown;
    std::string
        seen;  // "again.took = 1.003 s, first.took = 0.2 ms"; what is not there is "not measured"
    // Of each comparison that keeps it from holding, by how much:
    // "requests.failed == 0: it is 701, 701 too much". Empty where it holds.
    std::vector<std::string> wrong;
  };
  Answer ask(const Lookup& lookup) const;

  const std::string& text() const { return text_; }
  // A measure that has to be no more than some number: "requests.failed == 0", "reuse.took < 1 s". Of those of which the
  // whole condition is an `and`.
  struct Bound {
    std::string variant, name;
    double most = 0;
  };
  std::vector<Bound> bounds() const;
  // Names that it looks at, with their variant ("" for the run's own).
  std::vector<std::pair<std::string, std::string>> names() const;

  // A name and what it is compared with: a word, or (empty) something else. A word that is not compared with a name has
  // an empty name.
  struct Comparison {
    std::string name, word;
  };
  std::vector<Comparison> comparisons() const;

  // Whether it may come to hold without anything happening, but that time passes.
  bool names_time() const;

  struct Node;

 private:
  std::string text_;
  std::shared_ptr<const Node> root_;
};

}  // namespace lastack::lab
