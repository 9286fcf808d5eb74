#include "lab/scenario/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <optional>

#include "model/printable.h"

namespace lastack::lab {
namespace {

// The index of what a list has under this name.
std::optional<std::size_t> in_array(std::string_view list_name, const toml::array& list,
                                    const std::string& part) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_table() && name_in_list(list_name, list[i], i) == part) return i;
  }
  return std::nullopt;
}

std::vector<std::string> names_in(std::string_view list_name, const toml::array& list) {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_table()) known.push_back(name_in_list(list_name, list[i], i));
  }
  return known;
}

bool is_number(const std::string& part) {
  return !part.empty() &&
         std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// What is of the file, and not of what is played.
constexpr std::array<std::string_view, 10> kOfTheFile{
    "scenario", "title", "about", "claims", "alone", "variant", "on", "check", "verdict", "proof"};

using Wrong = std::function<void(std::string)>;

// A whole step, or program, in the place of another. It keeps that one's name, unless it has its own.
void put_whole(std::string_view list_key, std::string_view list_name, toml::array& list,
               const std::string& name, const toml::node& value, const Wrong& wrong,
               TomlSource& source, const std::string& by, const std::string& path) {
  const auto index = in_array(list_name, list, name);
  if (!index) {
    const std::vector<std::string> known = names_in(list_name, list);
    const std::vector<std::string_view> views(known.begin(), known.end());
    return wrong(fmt::format("leads nowhere: there is no \"{}\" in this scenario{}",
                             printable(name), hint(name, views)));
  }
  toml::table& before = *list.get(*index)->as_table();
  const toml::table* other = value.as_table();
  if (other == nullptr) {
    const std::string first(before.empty() ? "name" : before.begin()->first.str());
    return wrong(fmt::format(
        "is all of {}: give one of its keys another value, such as \"{}.{}\", or all of it in "
        "braces: {{ {} = ... }}",
        name, list_key, first, list_name == "steps" ? "do" : first));
  }
  toml::table whole = *other;
  if (!whole.contains("name")) {
    if (const toml::node* called = before.get("name")) whole.insert("name", *called);
  }
  before = std::move(whole);
  source.puts[fmt::format("{}[{}]", path, *index)] = by;
}

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
      known = names_in(parts[i - 1], *list);
      if (const auto index = in_array(parts[i - 1], *list, parts[i])) {
        next = list->get(*index);
        path += fmt::format("[{}]", *index);
      }
    }
    if (next == nullptr) {
      const std::vector<std::string_view> views(known.begin(), known.end());
      if (at->is_array() && is_number(parts[i]) && !known.empty())
        wrong(fmt::format(
            "leads nowhere: what is in {} goes by its name, and has no number alone; the "
            "first is \"{}\", the last \"{}\"",
            parts[i - 1], known.front(), known.back()));
      wrong(fmt::format("leads nowhere: there is no \"{}\" in this scenario{}", printable(parts[i]),
                        hint(parts[i], views)));
    }
    at = next;
  }
  if (toml::array* list = at->as_array(); list != nullptr && parts.size() > 1) {
    return put_whole(printable(key), parts[parts.size() - 2], *list, parts.back(), value, wrong,
                     source, by, path);
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
  std::string before;
  for (const std::string& part : key_parts(key)) {
    const toml::node* next = nullptr;
    if (const toml::table* table = at->as_table()) {
      next = table->get(part);
    } else if (const toml::array* list = at->as_array()) {
      if (const auto index = in_array(before, *list, part)) next = list->get(*index);
    }
    if (next == nullptr) return nullptr;
    before = part;
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
