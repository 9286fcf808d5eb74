#include "lab/scenario/toml_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include "model/nearest_word.h"
#include "model/printable.h"

namespace lastack::lab {
namespace {

constexpr std::size_t kMostListed = 24;  // words, where none is near

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    default:
      return "a date or time";
  }
}

// As it stands in the file, or nearly.
std::string written_as(const toml::node& node) {
  if (const auto* s = node.as_string()) return fmt::format("\"{}\"", printable(**s));
  if (const auto* i = node.as_integer()) return fmt::format("{}", **i);
  if (const auto* f = node.as_floating_point()) return fmt::format("{}", **f);
  if (const auto* b = node.as_boolean()) return **b ? "true" : "false";
  return std::string(kind_of(node));
}

}  // namespace

void no_toml() {
  throw std::logic_error("this is not TOML");
}

std::string hint(std::string_view word, std::span<const std::string_view> words) {
  if (const std::string_view near = nearest_word(word, words); !near.empty()) {
    return fmt::format("; the nearest is \"{}\"", near);
  }
  if (words.empty() || words.size() > kMostListed) return "";
  return fmt::format("; there are {}", fmt::join(words, ", "));
}

std::optional<Duration> parse_duration(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !(value >= 0)) return std::nullopt;
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  static constexpr std::array<std::pair<std::string_view, double>, 8> kUnits{{{"ns", 1},
                                                                              {"us", 1e3},
                                                                              {"ms", 1e6},
                                                                              {"s", 1e9},
                                                                              {"min", 6e10},
                                                                              {"h", 3.6e12},
                                                                              {"d", 8.64e13},
                                                                              {"", 1e9}}};
  for (const auto& [name, ns] : kUnits) {
    if (unit != name) continue;
    const double all = value * ns;
    if (all > 3.2e16) return std::nullopt;  // a year
    return Duration(std::llround(all));
  }
  return std::nullopt;
}

std::string TomlTable::name_of(std::string_view key) const {
  return called_.empty() ? std::string(key) : fmt::format("{}.{}", called_, key);
}
std::string TomlTable::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

std::string name_in_list(std::string_view list, const toml::node& one, std::size_t n) {
  const toml::table* table = one.as_table();
  if (table != nullptr && table->get_as<std::string>("name") != nullptr) {
    const std::string& name = **table->get_as<std::string>("name");
    if (!name.empty()) return printable(name);
  }
  return fmt::format("{}{}", list == "steps" ? "step" : list, n + 1);
}

std::string TomlSource::place(const toml::source_position& at) const {
  return fmt::format("{}:{}:{}: ", file, at.line, at.column);
}

std::string TomlSource::place(const std::string& path) const {
  // What has been put there, or a table around it; or else something in it.
  for (std::string part = path; !part.empty();) {
    if (const auto put = puts.find(part); put != puts.end()) return put->second;
    const std::size_t end = part.find_last_of(".[");
    part.erase(end == std::string::npos ? 0 : end);
  }
  for (auto at = puts.lower_bound(path); at != puts.end() && at->first.starts_with(path); ++at) {
    if (path.empty() || at->first[path.size()] == '.' || at->first[path.size()] == '[')
      return at->second;
  }
  // What stands in the file was good as long as nothing was put beside it.
  if (const std::size_t dot = path.rfind('.'); dot != std::string::npos) {
    const std::string beside = path.substr(0, dot + 1);
    const auto at = puts.lower_bound(beside);
    if (at != puts.end() && at->first.starts_with(beside)) return at->second;
  }
  const toml::node* node = written;
  for (std::size_t begin = 0; node != nullptr && begin < path.size();) {
    const bool index = path[begin] == '[';
    const std::size_t end = std::min(path.find_first_of(".[", begin + 1), path.size());
    if (index) {
      const toml::array* list = node->as_array();
      std::size_t number = 0;
      (void)std::from_chars(path.data() + begin + 1, path.data() + end, number);
      node = list == nullptr ? nullptr : list->get(number);
    } else {
      const std::size_t from = path[begin] == '.' ? begin + 1 : begin;
      const toml::table* table = node->as_table();
      node = table == nullptr ? nullptr : table->get(path.substr(from, end - from));
    }
    begin = end;
  }
  if (node != nullptr && node->source().begin.line > 0) return place(node->source().begin);
  return file + ": ";
}

std::string TomlTable::place(const toml::node* at) const {
  const toml::source_position here = at != nullptr ? at->source().begin : table_.source().begin;
  if (here.line > 0) return source_.place(here);
  for (const auto& [key, value] : table_) {
    const toml::array* list = value.as_array();
    const bool in_list = list != nullptr && std::any_of(list->begin(), list->end(),
                                                        [&](auto& one) { return &one == at; });
    if (&value == at || in_list) return source_.place(path_of(key.str()));
  }
  return source_.place(path_);
}

void TomlTable::wrong(const toml::node* at, std::string_view what) const {
  throw Misread{{EINVAL, fmt::format("{}{}", place(at), what)}};
}
void TomlTable::wrong(std::string_view key, std::string_view what) {
  wrong(node(key), fmt::format("{} {}", name_of(key), what));
}

const toml::node* TomlTable::node(std::string_view key) {
  asked_.emplace_back(key);
  return table_.get(key);
}

std::optional<std::string> TomlTable::text(std::string_view key) {
  const toml::node* n = node(key);
  if (n == nullptr) return std::nullopt;
  if (const auto* s = n->as_string()) return **s;
  wrong(n, fmt::format("{} has to be a text, and is {}", name_of(key), kind_of(*n)));
}

std::optional<bool> TomlTable::flag(std::string_view key) {
  const toml::node* n = node(key);
  if (n == nullptr) return std::nullopt;
  if (const auto* b = n->as_boolean()) return **b;
  wrong(n, fmt::format("{} has to be true or false, and is {}", name_of(key), kind_of(*n)));
}

std::optional<std::int64_t> TomlTable::whole(std::string_view key, std::int64_t least,
                                             std::int64_t most) {
  const toml::node* n = node(key);
  if (n == nullptr) return std::nullopt;
  const auto* i = n->as_integer();
  if (i == nullptr) {
    wrong(n, fmt::format("{} has to be a whole number, and is {}", name_of(key), kind_of(*n)));
  }
  if (**i < least || **i > most) {
    wrong(n, fmt::format("{} has to be from {} to {}, and is {}", name_of(key), least, most, **i));
  }
  return **i;
}

std::optional<double> TomlTable::number(std::string_view key, double least, double most) {
  const toml::node* n = node(key);
  if (n == nullptr) return std::nullopt;
  double value = 0;
  if (const auto* i = n->as_integer()) {
    value = static_cast<double>(**i);
  } else if (const auto* f = n->as_floating_point()) {
    value = **f;
  } else {
    wrong(n, fmt::format("{} has to be a number, and is {}", name_of(key), kind_of(*n)));
  }
  if (!(value >= least && value <= most)) {
    wrong(n,
          fmt::format("{} has to be from {} to {}, and is {}", name_of(key), least, most, value));
  }
  return value;
}

std::optional<Duration> TomlTable::duration(std::string_view key) {
  const toml::node* n = node(key);
  if (n == nullptr) return std::nullopt;
  std::optional<Duration> value;
  if (const auto* s = n->as_string()) {
    value = parse_duration(**s);
  } else if (const auto* i = n->as_integer()) {
    value = parse_duration(fmt::format("{}", **i));
  } else if (const auto* f = n->as_floating_point()) {
    value = parse_duration(fmt::format("{}", **f));
  }
  if (!value) {
    wrong(
        n,
        fmt::format(
            "{} has to be a time from 0 to a year, such as \"20 ms\", \"1.5 s\" or \"2 min\", and "
            "is {}",
            name_of(key), written_as(*n)));
  }
  return value;
}

std::optional<IpAddress> TomlTable::address(std::string_view key) {
  const auto written = text(key);
  if (!written) return std::nullopt;
  const auto address = IpAddress::parse(*written);
  if (!address) {
    wrong(table_.get(key),
          fmt::format("{} has to be an address, and is \"{}\"", name_of(key), printable(*written)));
  }
  return address;
}

std::vector<std::string> TomlTable::texts(std::string_view key) {
  const toml::node* n = node(key);
  std::vector<std::string> all;
  if (n == nullptr) return all;
  if (const auto* s = n->as_string()) {
    all.push_back(**s);
    return all;
  }
  const toml::array* list = n->as_array();
  if (list == nullptr)
    wrong(n, fmt::format("{} has to be a text, or a list of texts", name_of(key)));
  for (const toml::node& one : *list) {
    const auto* s = one.as_string();
    if (s == nullptr) wrong(&one, fmt::format("{} has to be a list of texts", name_of(key)));
    all.push_back(**s);
  }
  return all;
}

std::vector<IpAddress> TomlTable::addresses(std::string_view key) {
  std::vector<IpAddress> all;
  for (const std::string& written : texts(key)) {
    const auto address = IpAddress::parse(written);
    if (!address) wrong(key, fmt::format("has \"{}\", which is no address", printable(written)));
    all.push_back(*address);
  }
  return all;
}

std::optional<std::size_t> TomlTable::word(std::string_view key,
                                           std::span<const std::string_view> words) {
  const auto written = text(key);
  if (!written) return std::nullopt;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == *written) return i;
  }
  wrong(table_.get(key), fmt::format("{} cannot be \"{}\"{}", name_of(key), printable(*written),
                                     hint(*written, words)));
}

std::string TomlTable::scalar(std::string_view key) {
  const toml::node* n = node(key);
  if (n != nullptr) {
    if (const auto* s = n->as_string()) return **s;
    if (const auto* i = n->as_integer()) return fmt::format("{}", **i);
    if (const auto* b = n->as_boolean()) return **b ? "1" : "0";
  }
  wrong(n, fmt::format("{} has to be a number or a text", name_of(key)));
}

std::optional<TomlTable> TomlTable::table(std::string_view key) {
  const toml::node* n = node(key);
  if (n == nullptr) return std::nullopt;
  const toml::table* inner = n->as_table();
  if (inner == nullptr)
    wrong(n, fmt::format("{} has to be a table, [{}]", name_of(key), name_of(key)));
  return TomlTable(*inner, path_of(key), name_of(key), source_);
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) {
  const toml::node* n = node(key);
  std::vector<TomlTable> all;
  if (n == nullptr) return all;
  const toml::array* list = n->as_array();
  if (list == nullptr)
    wrong(n, fmt::format("{} has to be a list of tables, [[{}]]", name_of(key), name_of(key)));
  std::size_t number = 0;
  for (const toml::node& one : *list) {
    const toml::table* inner = one.as_table();
    if (inner == nullptr) wrong(&one, fmt::format("{} has to be a list of tables", name_of(key)));
    all.push_back(TomlTable(*inner, fmt::format("{}[{}]", path_of(key), number),
                            fmt::format("{}.{}", name_of(key), name_in_list(key, one, number)),
                            source_));
    ++number;
  }
  return all;
}

std::string TomlTable::written(std::string_view key) const {
  const toml::node* n = table_.get(key);
  return n == nullptr ? "" : written_as(*n);
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> all;
  for (const auto& [key, value] : table_) all.emplace_back(key.str());
  return all;
}

void TomlTable::finish() const {
  for (const auto& [key, value] : table_) {
    if (std::find(asked_.begin(), asked_.end(), key.str()) != asked_.end()) continue;
    std::vector<std::string_view> known(asked_.begin(), asked_.end());
    const toml::source_position here = key.source().begin;
    throw Misread{{EINVAL, fmt::format("{}{} is not known{}",
                                       here.line > 0 ? source_.place(here)
                                                     : source_.place(path_of(key.str())),
                                       name_of(printable(key.str())), hint(key.str(), known))}};
  }
}

std::string plain_name(TomlTable& table, std::string_view key, const std::string& name) {
  const bool fine = !name.empty() && name.size() <= 40 &&
                    std::all_of(name.begin(), name.end(),
                                [](char c) {
                                  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                         (c >= '0' && c <= '9') || c == '-' || c == '_';
                                }) &&
                    !(name[0] >= '0' && name[0] <= '9') && name[0] != '-';
  if (!fine) {
    table.wrong(
        key,
        fmt::format(
            "has to be of letters, digits, '-' and '_', and begins with a letter: \"{}\" does not",
            printable(name)));
  }
  return name;
}

std::vector<std::string> in_file_order(const toml::table& table) {
  std::vector<std::pair<toml::source_position, std::string>> all;
  for (const auto& [key, value] : table)
    all.emplace_back(key.source().begin, std::string(key.str()));
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (auto& [place, name] : all) names.push_back(std::move(name));
  return names;
}

}  // namespace lastack::lab
