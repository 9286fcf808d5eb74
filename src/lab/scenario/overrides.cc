#include "lab/scenario/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "model/printable.h"

namespace lastack::lab {
namespace {

// The index of what an array has under this number or name.
std::optional<std::size_t> in_array(const toml::array& list, const std::string& part) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    const toml::table* t = list[i].as_table();
    if (t != nullptr && t->get_as<std::string>("name") != nullptr &&
        **t->get_as<std::string>("name") == part)
      return i;
  }
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error != std::errc() || end != part.data() + part.size() || index >= list.size())
    return std::nullopt;
  return index;
}

std::vector<std::string> names_in(const toml::array& list) {
  std::vector<std::string> known;
  for (const toml::node& one : list) {
    const toml::table* of = one.as_table();
    if (of != nullptr && of->get_as<std::string>("name") != nullptr)
      known.push_back(**of->get_as<std::string>("name"));
  }
  return known;
}

// What is of the file, and not of what is played.
constexpr std::array<std::string_view, 10> kOfTheFile{
    "scenario", "title", "about", "claims", "alone", "variant", "on", "check", "verdict", "proof"};

void put(toml::table& root, std::string_view key, const toml::node& value, TomlSource& source,
         const std::string& by) {
  const auto wrong = [&](std::string what) {
    throw Misread{{EINVAL, fmt::format("{}\"{}\" {}", by, printable(key), what)}};
  };
  const std::vector<std::string> parts = key_parts(key);
  if (std::find(kOfTheFile.begin(), kOfTheFile.end(), parts.front()) != kOfTheFile.end()) {
    wrong(fmt::format("cannot be changed: {} is of the whole file ({} are)", parts.front(),
                      fmt::join(kOfTheFile, ", ")));
  }
  toml::node* at = &root;
  std::string path;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    toml::node* next = nullptr;
    std::vector<std::string> known;
    if (auto* t = at->as_table()) {
      next = t->get(parts[i]);
      for (const auto& [k, v] : *t) known.emplace_back(k.str());
      // Settings and the wire need not have been mentioned.
      if (next == nullptr &&
          (parts[i] == "settings" || parts[i] == "options" || parts[i] == "wire")) {
        t->insert(parts[i], toml::table{});
        next = t->get(parts[i]);
      }
      path += path.empty() ? parts[i] : '.' + parts[i];
    } else if (auto* list = at->as_array()) {
      known = names_in(*list);
      if (const auto index = in_array(*list, parts[i])) {
        next = list->get(*index);
        path += fmt::format("[{}]", *index);
      }
    }
    if (next == nullptr) {
      const std::vector<std::string_view> views(known.begin(), known.end());
      wrong(fmt::format("leads nowhere: there is no \"{}\" in this scenario{}", printable(parts[i]),
                        hint(parts[i], views)));
    }
    at = next;
  }
  auto* last = at->as_table();
  if (last == nullptr || parts.back().empty()) wrong("is no key of this scenario");
  last->insert_or_assign(parts.back(), value);
  source.puts[path.empty() ? parts.back() : path + '.' + parts.back()] = by;
}

void put_tree(toml::table& root, const toml::table& overrides, TomlSource& source,
              std::string_view of, const std::string& before) {
  for (const auto& [key, value] : overrides) {
    const std::string whole = before + std::string(key.str());
    const toml::table* inner = value.as_table();
    if (inner != nullptr && !inner->is_inline()) {
      put_tree(root, *inner, source, of, whole + '.');
    } else {
      put(root, whole, value, source, fmt::format("{}{}: ", source.place(key.source().begin), of));
    }
  }
}

}  // namespace

std::vector<std::string> key_parts(std::string_view key) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= key.size(); ++i) {
    if (i < key.size() && key[i] != '.') continue;
    parts.emplace_back(key.substr(begin, i - begin));
    begin = i + 1;
  }
  return parts;
}

const toml::node* find_key(const toml::table& root, std::string_view key) {
  const toml::node* at = &root;
  for (const std::string& part : key_parts(key)) {
    const toml::node* next = nullptr;
    if (const toml::table* table = at->as_table()) {
      next = table->get(part);
    } else if (const toml::array* list = at->as_array()) {
      if (const auto index = in_array(*list, part)) next = list->get(*index);
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

void put_text(toml::table& root, const Override& o, TomlSource& source) {
  const std::string by = fmt::format("--set {}={}: ", printable(o.key), printable(o.value));
  try {
    const toml::table parsed = toml::parse("v = " + o.value);
    if (parsed.size() == 1 && parsed.get("v") != nullptr) {
      // A copy has no place in a file: this one is of none.
      put(root, o.key, *parsed.get("v"), source, by);
      return;
    }
  } catch (const toml::parse_error&) {
  }
  put(root, o.key, toml::value<std::string>(o.value), source, by);
}

void put_all(toml::table& root, const toml::table& overrides, TomlSource& source,
             std::string_view of) {
  put_tree(root, overrides, source, of, "");
}

}  // namespace lastack::lab
