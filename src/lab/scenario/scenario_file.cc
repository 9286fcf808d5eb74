#include "lab/scenario/scenario_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <stdexcept>

#include "kernel/file.h"
#include "lab/scenario/claims.h"
#include "lab/scenario/measure_names.h"
#include "lab/scenario/overrides.h"
#include "lab/scenario/scenario_reader.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

constexpr std::array<std::string_view, 3> kWhere{"endpoint", "kernel", "mixed"};

// What a variant says of itself, and changes nothing.
constexpr std::array<std::string_view, 10> kOfVariants{
    "not_on_kernel", "long_on_kernel", "differs",       "advice",  "remedy",
    "told",          "no_help",        "will_not_help", "caution", "instead_of"};
// What a variant says of itself for a proof.
constexpr std::array<std::string_view, 6> kOfParts{"remedy",        "told",    "no_help",
                                                   "will_not_help", "caution", "instead_of"};

// As a person writes it: a text without its quotes.
std::string value_text(const toml::node* node) {
  if (node == nullptr) return "";
  if (const auto text = node->value_exact<std::string>()) return *text;
  if (const auto number = node->value_exact<double>()) return fmt::format("{}", *number);
  if (const toml::array* list = node->as_array()) {
    std::string all;
    for (const toml::node& one : *list) all += (all.empty() ? "" : ", ") + value_text(&one);
    return all;
  }
  if (const toml::table* table = node->as_table()) {
    std::string all;
    for (const std::string& key : in_file_order(*table))
      all += fmt::format("{}{} = {}", all.empty() ? "" : ", ", key, value_text(table->get(key)));
    return "{ " + all + " }";
  }
  std::ostringstream out;
  out << toml::node_view<const toml::node>(node);
  return out.str();
}

// Of tables what is in them.
void add_differences(const std::string& key, const toml::node* before, const toml::node* after,
                     std::vector<Difference>& found) {
  const toml::table* const a = before == nullptr ? nullptr : before->as_table();
  const toml::table* const b = after == nullptr ? nullptr : after->as_table();
  if (a == nullptr && b == nullptr) {
    Difference d{key, value_text(before), value_text(after)};
    if (d.before != d.after) found.push_back(std::move(d));
    return;
  }
  if (b != nullptr) {
    for (const auto& [name, value] : *b)
      add_differences(fmt::format("{}.{}", key, name.str()), a == nullptr ? nullptr : a->get(name),
                      &value, found);
  }
  if (a == nullptr) return;
  for (const auto& [name, value] : *a) {
    if (b == nullptr || b->get(name) == nullptr)
      add_differences(fmt::format("{}.{}", key, name.str()), &value, nullptr, found);
  }
}

// The keys that a variant gives other values, with dots, in the order of the file. What it says of itself is none.
std::vector<std::string> changed_keys(const toml::table& variant, const std::string& under = "") {
  std::vector<std::string> keys;
  for (const std::string& key : in_file_order(variant)) {
    const toml::table* const inner = variant.get(key)->as_table();
    const bool dots = key.find('.') != std::string::npos;
    const std::string whole = under.empty() ? key : under + "." + key;
    if (inner != nullptr && !inner->is_inline() && !dots) {
      for (std::string& one : changed_keys(*inner, whole)) keys.push_back(std::move(one));
    } else if (dots || !under.empty() ||
               std::find(kOfVariants.begin(), kOfVariants.end(), key) == kOfVariants.end()) {
      keys.push_back(whole);
    }
  }
  return keys;
}

// TOML has no times with a unit: "delay = 100 ms" is a mistake that its words do not explain. What is said beside them.
std::string unquoted_time(std::string_view text, const toml::source_position& at) {
  for (toml::source_index line = 1; line < at.line; ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  // The number nearest before the place, and the letters after it.
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  std::string found;
  for (std::size_t i = 0; i < text.size() && i < at.column + 1;) {
    if (!is_digit(text[i])) {
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    std::size_t unit = i;
    while (unit < text.size() && text[unit] == ' ') ++unit;
    const std::size_t first = unit;
    while (unit < text.size() && is_letter(text[unit])) ++unit;
    const std::string_view whole = text.substr(begin, unit - begin);
    const bool value = begin > 0 && (text[begin - 1] == ' ' || text[begin - 1] == '=');
    if (unit > first && value && parse_duration(whole)) found = whole;
  }
  return found.empty()
             ? ""
             : fmt::format("; a time with a unit is a text and has to be in quotes: \"{}\"",
                           printable(found));
}

}  // namespace

std::string_view to_string(Where where) {
  return kWhere[static_cast<std::size_t>(where)];
}
std::optional<Where> where_from(std::string_view name) {
  for (std::size_t i = 0; i < kWhere.size(); ++i) {
    if (kWhere[i] == name) return static_cast<Where>(i);
  }
  return std::nullopt;
}

struct ScenarioFile::Impl {
  toml::table root;
  TomlSource source;
  std::string name, title, about;
  std::string advice;
  std::vector<std::string> claims, variants;
  std::vector<AdviceSpec> remedies;
  std::vector<CheckSpec> checks;
  std::vector<VerdictSpec> verdicts;
  std::optional<ProofSpec> proof;

  // A variant's own word, or that of the whole file.
  std::string said(std::string_view key, std::string_view variant) const {
    const toml::node_view<const toml::node> own = root["variant"][variant][key];
    return own.value<std::string>().value_or(root[key].value<std::string>().value_or(""));
  }

  void read_proof(TomlTable& t, std::vector<ProofSpec::Part> parts) {
    ProofSpec p;
    p.finding = t.text("finding").value_or("");
    if (p.finding.empty()) t.wrong("finding", "is missing: one of lastack explain");
    p.host = t.text("host").value_or("");
    if (root["host"][p.host].as_table() == nullptr)
      t.wrong("host", fmt::format("names no host: \"{}\"", printable(p.host)));
    for (TomlTable& one : t.tables("shows")) {
      p.shows.push_back({one.text("head").value_or(""), one.text("measure").value_or("")});
      if (p.shows.back().head.empty()) one.wrong("head", "is missing: what the column is called");
      if (p.shows.back().measure.empty()) one.wrong("measure", "is missing: \"clients.failed\"");
      one.finish();
    }
    p.parts = std::move(parts);
    const auto plain = [](const ProofSpec::Part& part) {
      return part.remedy.empty() && part.no_help.empty();
    };
    if (std::count_if(p.parts.begin(), p.parts.end(), plain) != 1 || !plain(p.parts.front()))
      t.wrong(static_cast<const toml::node*>(nullptr),
              "the first variant, and no other, has neither remedy nor no_help");
    t.finish();
    proof = std::move(p);
  }

  void read_advice(TomlTable& t, const std::string& variant) {
    AdviceSpec one{variant, t.text("advice").value_or(""), true, t.text("caution").value_or(""),
                   t.texts("instead_of")};
    if (const auto none = t.text("will_not_help")) {
      if (!one.text.empty()) t.wrong("will_not_help", "is said of what has advice as well");
      one.text = *none;
      one.helps = false;
    }
    if (!one.text.empty()) return remedies.push_back(std::move(one));
    for (const std::string_view key : {"caution", "instead_of"}) {
      if (t.has(key)) t.wrong(key, "belongs to advice or will_not_help");
    }
  }
  void check_advice(TomlTable& all) {
    for (AdviceSpec& one : remedies) {
      auto t = all.table(one.variant);
      if (one.instead_of.empty() && one.variant != variants.front())
        one.instead_of.push_back(variants.front());
      if (one.instead_of.empty())
        t->wrong("instead_of", "is missing: the first variant is a remedy for another one");
      const std::vector<std::string_view> known(variants.begin(), variants.end());
      for (const std::string& v : one.instead_of) {
        if (std::find(known.begin(), known.end(), v) == known.end() || v == one.variant)
          t->wrong("instead_of",
                   fmt::format("names no other variant: \"{}\"{}", printable(v), hint(v, known)));
      }
    }
  }

  // Whose sockets have to be counted all the time, for conditions and verdicts to be answered.
  void ask_for_counts(Scenario& scenario) const {
    const auto ask = [&](std::string_view measure) {
      const std::size_t dot = measure.find('.');
      const std::string host(measure.substr(0, dot));
      if (dot == std::string_view::npos || !is_most_of_state(measure.substr(dot + 1))) return;
      const auto named = [&](const HostSpec& h) { return h.name == host; };
      if (std::any_of(scenario.hosts.begin(), scenario.hosts.end(), named))
        scenario.counted.insert(host);
    };
    for (const CheckSpec& c : checks) {
      for (const auto& [variant, measure] : c.check.names()) ask(measure);
    }
    for (const VerdictSpec& v : verdicts) {
      for (const Placeholder& p : placeholders(v.because)) ask(p.name);
    }
    for (const StepSpec& step : scenario.steps) {
      if (!step.until) continue;
      for (const auto& [variant, measure] : step.until->names()) ask(measure);
    }
    if (!proof) return;
    for (const ProofSpec::Column& column : proof->shows) ask(column.measure);
  }

  bool alone = false;
  void check_names(const std::vector<Scenario>& played);
  void read() {
    TomlTable t(root, "", source);
    std::vector<ProofSpec::Part> parts;
    if (!t.has("scenario")) t.wrong("scenario", "is missing: what it is called");
    name = plain_name(t, "scenario", t.text("scenario").value_or(""));
    title = t.text("title").value_or(name);
    about = t.text("about").value_or("");
    advice = t.text("advice").value_or("");
    claims = t.texts("claims");
    std::vector<std::string_view> rows;
    for (const ClaimInfo& one : lab::claims()) rows.push_back(one.row);
    for (const std::string& claim : claims) {
      if (std::find(rows.begin(), rows.end(), claim) != rows.end()) continue;
      t.wrong("claims",
              fmt::format("has \"{}\", which is no claim: they are A1 to A11, B1 to B10, C1 "
                          "to C4, D1 to D10 (lastack lab claims)",
                          printable(claim)));
    }
    (void)t.text("not_on_kernel");
    (void)t.text("long_on_kernel");
    (void)t.text("differs");
    alone = t.flag("alone").value_or(false);
    if (auto all = t.table("variant")) {
      for (const std::string& v : in_file_order(all->raw())) {
        variants.push_back(plain_name(*all, v, v));
        if (auto one = all->table(v)) {
          (void)one->text("not_on_kernel");
          (void)one->text("long_on_kernel");
          (void)one->text("differs");
          parts.push_back({variants.back(), one->text("remedy").value_or(""),
                           one->text("told").value_or(""), one->text("no_help").value_or("")});
          read_advice(*one, variants.back());
        }
      }
      check_advice(*all);
    }
    for (const std::string_view key : kOfParts) {
      if (t.has(key)) t.wrong(key, "belongs to a variant");
    }
    if (auto on = t.table("on")) {
      for (const std::string_view world : kWhere) (void)on->table(world);
      on->finish();
    }
    if (auto p = t.table("proof")) read_proof(*p, std::move(parts));
    if (variants.empty()) variants.emplace_back();
    std::vector<std::string_view> known(variants.begin(), variants.end());
    if (known.front().empty()) known.clear();
    const auto known_variant = [&](TomlTable& in, std::string_view key, const std::string& v) {
      if (std::find(known.begin(), known.end(), v) == known.end()) {
        in.wrong(key, fmt::format("names no variant: \"{}\"{}", printable(v), hint(v, known)));
      }
    };
    for (TomlTable& one : t.tables("check")) {
      const auto text = one.text("holds");
      if (!text) one.wrong("holds", "is missing: the condition");
      auto check = Check::parse(*text);
      if (!check) one.wrong("holds", "is no condition: " + check.error().message);
      CheckSpec spec{*std::move(check), one.text("why").value_or(""), std::nullopt,
                     one.texts("variant")};
      if (const auto v = one.word("on", kWhere)) spec.only_on = static_cast<Where>(*v);
      for (const std::string& v : spec.only_in) known_variant(one, "variant", v);
      for (const auto& [variant, measure] : spec.check.names()) {
        if (!variant.empty()) known_variant(one, "holds", variant);
      }
      one.finish();
      checks.push_back(std::move(spec));
    }
    for (TomlTable& one : t.tables("verdict")) {
      VerdictSpec v;
      v.claim = one.text("claim").value_or("");
      v.verdict = one.text("verdict").value_or("");
      v.because = one.text("because").value_or("");
      if (std::find(claims.begin(), claims.end(), v.claim) == claims.end()) {
        one.wrong("claim", fmt::format("is not among claims: \"{}\"", printable(v.claim)));
      }
      for (const Placeholder& p : placeholders(v.because)) {
        if (!p.variant.empty()) known_variant(one, "because", p.variant);
      }
      if (v.verdict.empty())
        one.wrong("verdict", "is missing: \"true\", \"false\", \"half true\" ...");
      one.finish();
      verdicts.push_back(std::move(v));
    }
    for (const std::string& claim : claims) {
      const bool decided = std::any_of(verdicts.begin(), verdicts.end(),
                                       [&](const VerdictSpec& v) { return v.claim == claim; });
      if (!decided)
        t.wrong("claims",
                fmt::format("has \"{}\", on which no [[verdict]] is given", printable(claim)));
    }
  }
};

// Each condition and each verdict names what a run of some variant can give.
void ScenarioFile::Impl::check_names(const std::vector<Scenario>& played) {
  const auto check_words = [&](TomlTable& in, std::string_view key, const Check& condition) {
    for (const Check::Comparison& c : condition.comparisons()) {
      if (const std::string wrong = wrong_word(c.name, c.word); !wrong.empty())
        in.wrong(key, wrong);
    }
  };
  const auto check = [&](TomlTable& in, std::string_view key, const std::string& measure) {
    std::string wrong;
    for (const Scenario& one : played) {
      wrong = wrong_measure(one, measure);
      if (wrong.empty()) return;
    }
    in.wrong(key, wrong);
  };
  TomlTable t(root, "", source);
  std::size_t number = 0;
  for (TomlTable& one : t.tables("check")) {
    for (const auto& [variant, measure] : checks[number].check.names())
      check(one, "holds", measure);
    check_words(one, "holds", checks[number].check);
    ++number;
  }
  for (TomlTable& one : t.tables("verdict")) {
    for (const Placeholder& p : placeholders(one.text("because").value_or("")))
      check(one, "because", p.name);
  }
  if (auto p = t.table("proof")) {
    for (TomlTable& one : p->tables("shows"))
      check(one, "measure", one.text("measure").value_or(""));
  }
  auto script = t.table("script");
  if (!script) return;
  std::vector<TomlTable> steps = script->tables("steps");
  for (const Scenario& one : played) {
    for (std::size_t i = 0; i < one.steps.size(); ++i) {
      const auto& until = one.steps[i].until;
      if (!until) continue;
      // A variant may have more steps, and then says so itself.
      TomlTable& in = i < steps.size() ? steps[i] : *script;
      for (const auto& [variant, measure] : until->names()) {
        if (const std::string wrong = wrong_measure(one, measure); !wrong.empty())
          in.wrong("holds", wrong);
      }
      check_words(in, "holds", *until);
    }
  }
}

ScenarioFile::ScenarioFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ScenarioFile::ScenarioFile(ScenarioFile&&) noexcept = default;
ScenarioFile& ScenarioFile::operator=(ScenarioFile&&) noexcept = default;
ScenarioFile::~ScenarioFile() = default;

Result<ScenarioFile> ScenarioFile::parse(std::string_view text, std::string place) {
  auto impl = std::make_unique<Impl>();
  const std::string called = place;
  impl->source.file = std::move(place);
  try {
    impl->root = toml::parse(text);
    if (impl->root.empty())
      return tl::unexpected(
          Error{EINVAL, fmt::format("{}: there is nothing in it: a scenario begins "
                                    "with scenario = \"NAME\"",
                                    called)});
    impl->read();
    // Whatever is wrong with it is wrong before it is run, in every variant. What is wrong without any variant has a
    // place; what a variant puts there has none.
    ScenarioFile file(std::move(impl));
    std::vector<Scenario> played;
    for (const std::string& variant : file.variants()) {
      for (const Where where : {Where::Endpoint, Where::Kernel, Where::Mixed}) {
        if (auto read = file.scenario(variant, where); !read) {
          (void)read_scenario(file.impl_->root, file.impl_->source);
          return tl::unexpected(read.error());
        } else {
          played.push_back(*std::move(read));
        }
      }
    }
    file.impl_->check_names(played);
    return file;
  } catch (const toml::parse_error& e) {
    return tl::unexpected(
        Error{EINVAL,
              fmt::format("{}:{}:{}: {}{}", called, e.source().begin.line, e.source().begin.column,
                          printable(e.description()), unquoted_time(text, e.source().begin))});
  } catch (const Misread& m) {
    return tl::unexpected(m.error);
  } catch (const std::logic_error& e) {
    return tl::unexpected(Error{EINVAL, fmt::format("{}: {}", called, e.what())});
  }
}

Result<ScenarioFile> ScenarioFile::read(const std::string& path) {
  auto text = read_file(path.c_str(), kLargestScenario);
  if (!text && text.error().number == EFBIG) {
    return tl::unexpected(
        Error{EINVAL, fmt::format("{}: a scenario file has at most 1 MiB", path)});
  }
  if (!text) return tl::unexpected(text.error());
  return parse(*text, path);
}

const std::string& ScenarioFile::name() const {
  return impl_->name;
}
const std::string& ScenarioFile::title() const {
  return impl_->title;
}
const std::string& ScenarioFile::about() const {
  return impl_->about;
}
const std::vector<std::string>& ScenarioFile::claims() const {
  return impl_->claims;
}
const std::vector<std::string>& ScenarioFile::variants() const {
  return impl_->variants;
}
std::string ScenarioFile::not_on_kernel(std::string_view variant) const {
  return impl_->said("not_on_kernel", variant);
}
std::string ScenarioFile::long_on_kernel(std::string_view variant) const {
  return impl_->said("long_on_kernel", variant);
}
bool ScenarioFile::alone() const {
  return impl_->alone;
}
std::string ScenarioFile::differs(std::string_view variant) const {
  return impl_->said("differs", variant);
}
const std::vector<CheckSpec>& ScenarioFile::checks() const {
  return impl_->checks;
}
const std::vector<VerdictSpec>& ScenarioFile::verdicts() const {
  return impl_->verdicts;
}
const std::optional<ProofSpec>& ScenarioFile::proof() const {
  return impl_->proof;
}
const std::vector<AdviceSpec>& ScenarioFile::remedies() const {
  return impl_->remedies;
}
const std::string& ScenarioFile::advice() const {
  return impl_->advice;
}

std::vector<Difference> ScenarioFile::differences(std::string_view before, std::string_view after,
                                                  Where where,
                                                  const std::vector<Override>& overrides) const {
  const toml::table* const all = impl_->root["variant"].as_table();
  if (all == nullptr) return {};
  const auto made = [&](std::string_view variant) {
    toml::table root = impl_->root;
    TomlSource unused;
    if (const toml::table* mine = (*all)[variant].as_table()) put_all(root, *mine, unused, "");
    if (const toml::table* on = impl_->root["on"][to_string(where)].as_table())
      put_all(root, *on, unused, "");
    for (const Override& o : overrides) put_text(root, o, unused);
    return root;
  };
  const toml::table first = made(before), second = made(after);
  std::vector<Difference> found;
  for (const std::string_view variant : {after, before}) {
    const toml::table* const mine = (*all)[variant].as_table();
    if (mine == nullptr) continue;
    for (const std::string& key : changed_keys(*mine)) {
      const auto known = [&](const Difference& d) {
        return d.key == key || d.key.starts_with(key + ".");
      };
      if (std::any_of(found.begin(), found.end(), known)) continue;
      add_differences(key, find_key(first, key), find_key(second, key), found);
    }
  }
  return found;
}

std::vector<Difference> ScenarioFile::in_world(Where where) const {
  const toml::table* const mine = impl_->root["on"][to_string(where)].as_table();
  if (mine == nullptr) return {};
  toml::table other = impl_->root;
  TomlSource unused;
  put_all(other, *mine, unused, "");
  std::vector<Difference> found;
  for (const std::string& key : changed_keys(*mine))
    add_differences(key, find_key(impl_->root, key), find_key(other, key), found);
  return found;
}

Result<Scenario> ScenarioFile::scenario(std::string_view variant, Where where,
                                        const std::vector<Override>& overrides) const {
  TomlSource source{impl_->source.file, &impl_->root, {}};
  std::vector<std::string> with;
  try {
    toml::table root = impl_->root;
    if (const toml::table* all = impl_->root["variant"].as_table()) {
      if (const toml::table* mine = (*all)[variant].as_table()) {
        with.push_back(fmt::format("variant {}", variant));
        put_all(root, *mine, source, with.back());
      }
    }
    if (const toml::table* on = impl_->root["on"].as_table()) {
      if (const toml::table* mine = (*on)[to_string(where)].as_table()) {
        with.push_back(fmt::format("on.{}", to_string(where)));
        put_all(root, *mine, source, with.back());
      }
    }
    for (const Override& o : overrides) {
      with.push_back(fmt::format("--set {}={}", printable(o.key), printable(o.value)));
      put_text(root, o, source);
    }
    Scenario scenario = read_scenario(root, source);
    impl_->ask_for_counts(scenario);
    return scenario;
  } catch (const Misread& m) {
    // The file as it stands may be good: what was put there is told, where the place does not tell it.
    Error error = m.error;
    const bool told = std::any_of(with.begin(), with.end(), [&](const std::string& one) {
      return error.message.find(one + ": ") != std::string::npos;
    });
    if (!told && !source.puts.empty())
      error.message += fmt::format(" (with {})", fmt::join(with, ", "));
    return tl::unexpected(error);
  }
}

}  // namespace lastack::lab
