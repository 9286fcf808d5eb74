#include "lab/scenario/check.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <tuple>
#include <utility>

#include "model/printable.h"

namespace lastack::lab {

// A tree: a leaf is a number, a word or a name, the rest are operations.
struct Check::Node {
  enum class Kind : std::uint8_t { Number, Word, Name, Negate, Abs, Operation } kind = Kind::Number;
  double number = 0;
  std::string text;  // word, name, or operator
  std::string variant;
  std::vector<Node> parts;
  std::string source;  // as it is written; of a comparison and of its sides
};

namespace {

using Node = Check::Node;
using Kind = Node::Kind;

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 9> kUnits{{{"ns", 1e-9},
                                      {"us", 1e-6},
                                      {"ms", 1e-3},
                                      {"s", 1},
                                      {"min", 60},
                                      {"h", 3600},
                                      {"k", 1e3},
                                      {"M", 1e6},
                                      {"%", 0.01}}};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Recursive descent: or > and > comparison > sum > product > sign > leaf. Depth is bounded, the text is not ours.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Node> whole() {
    auto node = either();
    if (!node) return node;
    blanks();
    if (at_ < text_.size()) return wrong(left_over("there is something left over"));
    if (!is_condition(*node)) {
      return wrong("nothing is compared: ==, !=, <, <=, > or >= is needed");
    }
    return node;
  }

 private:
  static bool is_arithmetic(std::string_view op) {
    return op == "+" || op == "-" || op == "*" || op == "/";
  }
  static bool is_condition(const Node& node) {
    return node.kind == Kind::Operation && !is_arithmetic(node.text);
  }
  tl::unexpected<Error> wrong(std::string_view what) const { return wrong_at(at_, what); }
  tl::unexpected<Error> wrong_at(std::size_t at, std::string_view what) const {
    return failure(fmt::format("at character {} of \"{}\": {}", at + 1, printable(text_), what));
  }
  // What other languages have in this place.
  std::string left_over(std::string_view otherwise) const {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with('=')) return "did you mean \"==\"? There is no \"=\"";
    if (rest.starts_with('&')) return "did you mean \"and\"?";
    if (rest.starts_with('|')) return "did you mean \"or\"?";
    if (rest.starts_with('!')) return "did you mean \"!=\"?";
    return std::string(otherwise);
  }
  static constexpr std::string_view kNoNot =
      "there is no \"not\": turn the comparison round, != for ==, >= for <";
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n'))
      ++at_;
  }
  bool take(std::string_view token) {
    blanks();
    if (!text_.substr(at_).starts_with(token)) return false;
    if (is_letter(token[0]) && at_ + token.size() < text_.size()) {
      const char next = text_[at_ + token.size()];
      if (is_letter(next) || is_digit(next) || next == '.' || next == ':') return false;
    }
    at_ += token.size();
    return true;
  }

  using Level = Result<Node> (Parser::*)();
  Result<Node> chain(Level below, std::initializer_list<std::string_view> operators) {
    blanks();
    std::size_t begin = at_;
    auto left = (this->*below)();
    while (left) {
      std::string_view found;
      for (const std::string_view op : operators) {
        if (take(op)) {
          found = op;
          break;
        }
      }
      if (found.empty()) break;
      const std::size_t here = at_ - found.size();
      blanks();
      const std::size_t after = at_;
      auto right = (this->*below)();
      if (!right) return right;
      if (auto good = parts_fit(found, *left, begin, here, *right, after); !good)
        return tl::unexpected(good.error());
      Node node{Kind::Operation, 0, std::string(found), "", {}, ""};
      node.parts.push_back(*std::move(left));
      node.parts.push_back(*std::move(right));
      left = std::move(node);
    }
    return left;
  }
  // "and" and "or" join comparisons; everything else takes numbers and words.
  Result<void> parts_fit(std::string_view op, const Node& left, std::size_t begin, std::size_t here,
                         const Node& right, std::size_t after) const {
    const std::string a = trimmed(text_.substr(begin, here - begin));
    const std::string b = trimmed(text_.substr(after, at_ - after));
    const auto quoted = [](const std::string& text) { return printable(text); };
    if (op == "and" || op == "or") {
      for (const auto& [node, at, text] :
           {std::tuple(&left, begin, &a), std::tuple(&right, after, &b)}) {
        if (!is_condition(*node))
          return wrong_at(at, fmt::format("nothing is compared in \"{}\": ==, !=, <, <=, > or >= "
                                          "is needed on each side of \"{}\"",
                                          quoted(*text), op));
      }
      return {};
    }
    if (is_condition(left) && left.text != "and" && left.text != "or" && !is_arithmetic(op) &&
        !a.starts_with('(')) {
      return wrong_at(here, fmt::format("two comparisons in one: write \"{} and {} {} {}\"",
                                        quoted(a), quoted(left.parts[1].source), op, quoted(b)));
    }
    for (const auto& [node, at, text] :
         {std::tuple(&left, begin, &a), std::tuple(&right, after, &b)}) {
      if (is_condition(*node))
        return wrong_at(at, fmt::format("\"{}\" is a comparison, and \"{}\" takes numbers and "
                                        "words: join comparisons by \"and\" and \"or\"",
                                        quoted(*text), op));
    }
    return {};
  }
  Result<Node> either() { return chain(&Parser::both, {"or"}); }
  Result<Node> both() { return chain(&Parser::comparison, {"and"}); }
  Result<Node> comparison() {
    blanks();
    const std::size_t begin = at_;
    auto node = chain(&Parser::side, {"==", "!=", "<=", ">=", "<", ">"});
    if (node && node->source.empty()) node->source = trimmed(text_.substr(begin, at_ - begin));
    return node;
  }
  static std::string trimmed(std::string_view text) {
    const std::size_t end = text.find_last_not_of(" \t\n");
    return std::string(text.substr(0, end == std::string_view::npos ? 0 : end + 1));
  }
  // With what is written there, for errors.
  Result<Node> side() {
    blanks();
    const std::size_t begin = at_;
    auto node = sum();
    if (node && node->source.empty()) node->source = trimmed(text_.substr(begin, at_ - begin));
    return node;
  }
  Result<Node> sum() { return chain(&Parser::product, {"+", "-"}); }
  Result<Node> product() { return chain(&Parser::leaf, {"*", "/"}); }

  Result<Node> leaf() {
    if (++depth_ > 64) return wrong("too deep");
    auto node = leaf_here();
    --depth_;
    return node;
  }
  Result<Node> leaf_here() {
    blanks();
    if (at_ == text_.size()) return wrong("something is missing here");
    if (take("(")) return closed(either());
    if (take("-")) {
      blanks();
      const std::size_t begin = at_;
      auto inner = leaf();
      if (!inner) return inner;
      if (is_condition(*inner)) return wrong_at(begin, "a comparison is no number");
      return Node{Kind::Negate, 0, "", "", {*std::move(inner)}, ""};
    }
    if (text_.substr(at_).starts_with("abs(")) {
      at_ += 4;
      const std::size_t begin = at_;
      auto inner = closed(sum());
      if (!inner) return inner;
      if (is_condition(*inner)) return wrong_at(begin, "a comparison is no number");
      return Node{Kind::Abs, 0, "", "", {*std::move(inner)}, ""};
    }
    if (is_digit(text_[at_])) return number();
    if (text_[at_] == '!') return wrong(kNoNot);
    if (is_letter(text_[at_])) return name();
    return wrong("a number, a name or a word is expected");
  }
  Result<Node> closed(Result<Node> inner) {
    if (inner && !take(")")) return wrong(left_over("')' is missing"));
    return inner;
  }
  Result<Node> number() {
    double value = 0;
    const char* const begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc() || !std::isfinite(value)) return wrong("not a number");
    at_ += static_cast<std::size_t>(end - begin);
    const std::size_t here = at_;
    blanks();
    std::size_t stop = at_;
    if (stop < text_.size() && text_[stop] == '%') ++stop;
    while (stop < text_.size() && is_letter(text_[stop])) ++stop;
    const std::string_view unit = text_.substr(at_, stop - at_);
    for (const Unit& u : kUnits) {
      if (unit == u.name) {
        at_ = stop;
        return Node{Kind::Number, value * u.factor, "", "", {}, ""};
      }
    }
    if (!unit.empty() && unit != "and" && unit != "or") {
      return wrong("no such unit: there are ns, us, ms, s, min, h, k, M and %");
    }
    at_ = here;
    return Node{Kind::Number, value, "", "", {}, ""};
  }
  // Parts may have '-', ':' and '+' inside where that is part of a name: "timewait:entered", "SYN+ACK". A variant is
  // before the first ':' if no '.' came before.
  Result<Node> name() {
    const std::size_t begin = at_;
    bool dot = false;
    std::size_t colon = std::string_view::npos;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool more =
          at_ + 1 < text_.size() && (is_letter(text_[at_ + 1]) || is_digit(text_[at_ + 1]));
      if (c == ':' && !dot && colon == std::string_view::npos && more) {
        colon = at_;
      } else if (c == '.' && more) {
        dot = true;
      } else if (!is_letter(c) && !is_digit(c) && !((c == '-' || c == ':' || c == '+') && more)) {
        break;
      }
      ++at_;
    }
    Node node{dot ? Kind::Name : Kind::Word, 0, "", "", {}, ""};
    std::size_t from = begin;
    if (dot && colon != std::string_view::npos) {
      node.variant = text_.substr(begin, colon - begin);
      from = colon + 1;
    }
    node.text = text_.substr(from, at_ - from);
    if (node.text == "not" && !dot) return wrong_at(begin, kNoNot);
    return node;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

// Nothing: something was not measured, or words and numbers were mixed.
using Value = std::optional<Measure>;

Value value_of(const Node& node, const Check::Lookup& lookup);

std::optional<double> number_of(const Node& node, const Check::Lookup& lookup) {
  const Value value = value_of(node, lookup);
  if (!value) return std::nullopt;
  const double* number = std::get_if<double>(&*value);
  return number == nullptr ? std::nullopt : std::optional(*number);
}

std::optional<bool> compare(const Measure& a, std::string_view op, const Measure& b) {
  if (a.index() != b.index()) return std::nullopt;
  if (op == "==") return a == b;
  if (op == "!=") return a != b;
  const double* x = std::get_if<double>(&a);
  const double* y = std::get_if<double>(&b);
  if (x == nullptr) return std::nullopt;
  if (op == "<") return *x < *y;
  if (op == "<=") return *x <= *y;
  if (op == ">") return *x > *y;
  return *x >= *y;
}

std::optional<bool> truth(const Node& node, const Check::Lookup& lookup) {
  if (node.kind != Kind::Operation) return std::nullopt;
  if (node.text == "and" || node.text == "or") {
    const auto a = truth(node.parts[0], lookup);
    const auto b = truth(node.parts[1], lookup);
    const bool decisive = node.text == "or";
    if (a == decisive || b == decisive) return decisive;
    if (!a || !b) return std::nullopt;
    return !decisive;
  }
  const Value a = value_of(node.parts[0], lookup);
  const Value b = value_of(node.parts[1], lookup);
  if (!a || !b) return std::nullopt;
  return compare(*a, node.text, *b);
}

Value value_of(const Node& node, const Check::Lookup& lookup) {
  switch (node.kind) {
    case Kind::Number:
      return Measure(node.number);
    case Kind::Word:
      return Measure(node.text);
    case Kind::Name: {
      const Measure* found = lookup(node.variant, node.text);
      return found == nullptr ? Value() : Value(*found);
    }
    case Kind::Negate:
    case Kind::Abs: {
      const auto inner = number_of(node.parts[0], lookup);
      if (!inner) return std::nullopt;
      return Measure(node.kind == Kind::Abs ? std::abs(*inner) : -*inner);
    }
    case Kind::Operation: {
      const auto a = number_of(node.parts[0], lookup);
      const auto b = number_of(node.parts[1], lookup);
      if (!a || !b) return std::nullopt;
      if (node.text == "+") return Measure(*a + *b);
      if (node.text == "-") return Measure(*a - *b);
      if (node.text == "*") return Measure(*a * *b);
      if (node.text == "/" && *b != 0) return Measure(*a / *b);
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// "client.left.TIME_WAIT"
bool is_time_left(std::string_view name) {
  return name.find(".left.") != std::string_view::npos;
}

// The first name in it: it says of what kind its numbers are.
const Node* first_name(const Node& node) {
  if (node.kind == Kind::Name) return &node;
  for (const Node& part : node.parts) {
    if (const Node* found = first_name(part)) return found;
  }
  return nullptr;
}

void collect(const Node& node, std::vector<std::pair<std::string, std::string>>& names) {
  if (node.kind == Kind::Name) names.emplace_back(node.variant, node.text);
  for (const Node& part : node.parts) collect(part, names);
}

// Some measures are there only where there is something to measure.
std::string why_not_measured(const Node& node, const Check::Lookup& lookup) {
  std::vector<std::pair<std::string, std::string>> names;
  collect(node, names);
  for (const auto& [variant, name] : names) {
    if (lookup(variant, name) == nullptr) return absent_measure(name);
  }
  return "not measured";
}

// By how much a comparison does not hold.
std::string gap(const Node& node, const Check::Lookup& lookup) {
  const Value a = value_of(node.parts[0], lookup);
  const Value b = value_of(node.parts[1], lookup);
  if (!a || !b) return why_not_measured(node, lookup);
  const Node* name = first_name(node.parts[0]);
  if (name == nullptr) name = first_name(node.parts[1]);
  const std::string kind = name == nullptr ? "" : name->text;
  const bool plain = node.parts[0].kind == Kind::Name;
  const std::string is =
      fmt::format("{} {}", plain ? "it is" : "the left side is", show_measure(kind, *a));
  const double* x = std::get_if<double>(&*a);
  const double* y = std::get_if<double>(&*b);
  if (x == nullptr || y == nullptr || node.text == "!=") return is;
  if (*x == *y) return is + ", just as much";
  const std::string apart = show_measure(kind, Measure(std::abs(*x - *y)));
  const bool wants = node.parts[1].kind == Kind::Number;
  return fmt::format("{}{}, {} too {}", is,
                     wants ? "" : fmt::format(" and the other {}", show_measure(kind, *b)), apart,
                     *x > *y ? "much" : "little");
}

// Each comparison that keeps it from holding.
void collect_wrong(const Node& node, const Check::Lookup& lookup, std::vector<std::string>& wrong) {
  if (truth(node, lookup) == true) return;
  if (node.kind == Kind::Operation && (node.text == "and" || node.text == "or")) {
    for (const Node& part : node.parts) collect_wrong(part, lookup, wrong);
    return;
  }
  std::string one = fmt::format("{}: {}", node.source, gap(node, lookup));
  for (const std::string& known : wrong) {
    if (known == one) return;
  }
  wrong.push_back(std::move(one));
}

void collect_bounds(const Node& node, std::vector<Check::Bound>& bounds) {
  if (node.kind != Kind::Operation || node.text == "or") return;
  if (node.text == "and") {
    for (const Node& part : node.parts) collect_bounds(part, bounds);
    return;
  }
  const Node& left = node.parts[0];
  const Node& right = node.parts[1];
  if (left.kind != Kind::Name || right.kind != Kind::Number) return;
  const bool none = node.text == "==" && right.number == 0;
  if (none || node.text == "<" || node.text == "<=")
    bounds.push_back({left.variant, left.text, right.number});
}

void collect_comparisons(const Node& node, std::vector<Check::Comparison>& all) {
  const bool equal = node.kind == Kind::Operation && (node.text == "==" || node.text == "!=");
  for (std::size_t i = 0; i < node.parts.size(); ++i) {
    const Node& part = node.parts[i];
    const Node* other = equal ? &node.parts[1 - i] : nullptr;
    if (part.kind == Kind::Name) {
      const bool word = other != nullptr && other->kind == Kind::Word;
      // Two names are alike if they are of a kind, which only a run tells.
      if (word || other == nullptr || other->kind != Kind::Name)
        all.push_back({part.text, word ? other->text : ""});
    } else if (part.kind == Kind::Word) {
      if (other == nullptr || other->kind != Kind::Name) all.push_back({"", part.text});
    } else {
      collect_comparisons(part, all);
    }
  }
}

}  // namespace

Result<Check> Check::parse(std::string_view text) {
  if (text.size() > 4096) return failure("a condition of more than 4096 characters");
  auto root = Parser(text).whole();
  if (!root) return tl::unexpected(root.error());
  Check check;
  check.text_ = text;
  check.root_ = std::make_shared<const Node>(*std::move(root));
  return check;
}

Check::Answer Check::ask(const Lookup& lookup) const {
  Answer answer;
  const auto holds = truth(*root_, lookup);
  answer.verdict = !holds ? Verdict::Unknown : *holds ? Verdict::Holds : Verdict::Fails;
  for (const auto& [variant, name] : names()) {
    const Measure* found = lookup(variant, name);
    if (!answer.seen.empty()) answer.seen += ", ";
    answer.seen += fmt::format("{}{}{} = {}", variant, variant.empty() ? "" : ":", name,
                               found == nullptr ? "not measured" : show_measure(name, *found));
  }
  if (answer.verdict != Verdict::Holds) collect_wrong(*root_, lookup, answer.wrong);
  return answer;
}

std::vector<Check::Bound> Check::bounds() const {
  std::vector<Bound> all;
  collect_bounds(*root_, all);
  return all;
}

std::vector<Check::Comparison> Check::comparisons() const {
  std::vector<Comparison> all;
  collect_comparisons(*root_, all);
  return all;
}

std::vector<std::pair<std::string, std::string>> Check::names() const {
  std::vector<std::pair<std::string, std::string>> all;
  collect(*root_, all);
  return all;
}

bool Check::names_time() const {
  for (const auto& [variant, name] : names()) {
    if (is_time_left(name)) return true;
  }
  return false;
}

namespace {

// "28,232"
std::string whole(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

}  // namespace

std::string absent_measure(std::string_view name) {
  if (name.ends_with(".first_failure.at")) return "nothing failed";
  if (name.find(".failed.") != std::string_view::npos) return "there was none";
  return "not measured";
}

std::string show_measure(const std::string& name, const Measure& measure) {
  if (const auto* word = std::get_if<std::string>(&measure)) return printable(*word);
  const double value = std::get<double>(measure);
  const std::size_t dot = name.rfind('.');
  const std::string_view last =
      dot == std::string::npos ? std::string_view(name) : std::string_view(name).substr(dot + 1);
  static constexpr std::array<std::string_view, 8> kTimes{"took",      "p50",     "p90", "p99",
                                                          "processor", "longest", "at",  "mean"};
  bool time = is_time_left(name);
  for (const std::string_view t : kTimes) time = time || last == t;
  if (time) {
    if (std::abs(value) >= 1) return fmt::format("{:.6g} s", value);
    if (std::abs(value) >= 1e-3 || value == 0) return fmt::format("{:.4g} ms", value * 1e3);
    return fmt::format("{:.4g} us", value * 1e6);
  }
  if (value == std::floor(value) && std::abs(value) < 1e15) return whole(value);
  return fmt::format("{:.4g}", value);
}

}  // namespace lastack::lab
