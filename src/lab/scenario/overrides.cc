#include "lab/scenario/overrides.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>

#include "model/printable.h"

namespace lastack::lab {
namespace {

std::vector<std::string> parts_of(std::string_view key) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= key.size(); ++i) {
    if (i < key.size() && key[i] != '.') continue;
    parts.emplace_back(key.substr(begin, i - begin));
    begin = i + 1;
  }
  return parts;
}

// What stands in an array under this index or name.
toml::node* in_array(toml::array& list, const std::string& part) {
  for (toml::node& one : list) {
    const toml::table* t = one.as_table();
    if (t != nullptr && t->get_as<std::string>("name") != nullptr &&
        **t->get_as<std::string>("name") == part)
      return &one;
  }
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error != std::errc() || end != part.data() + part.size() || index >= list.size())
    return nullptr;
  return &list[index];
}

void put(toml::table& root, std::string_view key, const toml::node& value) {
  const std::vector<std::string> parts = parts_of(key);
  toml::node* at = &root;
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
    } else if (auto* list = at->as_array()) {
      next = in_array(*list, parts[i]);
      for (const toml::node& one : *list) {
        const toml::table* of = one.as_table();
        if (of != nullptr && of->get_as<std::string>("name") != nullptr) {
          known.push_back(**of->get_as<std::string>("name"));
        }
      }
    }
    if (next == nullptr) {
      const std::vector<std::string_view> views(known.begin(), known.end());
      throw Misread{
          {EINVAL, fmt::format("\"{}\": there is no \"{}\" in this scenario{}", printable(key),
                               printable(parts[i]), hint(parts[i], views))}};
    }
    at = next;
  }
  auto* last = at->as_table();
  if (last == nullptr || parts.back().empty()) {
    throw Misread{{EINVAL, fmt::format("\"{}\" is no key of this scenario", printable(key))}};
  }
  last->insert_or_assign(parts.back(), value);
}

}  // namespace

void put_text(toml::table& root, const Override& o) {
  try {
    const toml::table parsed = toml::parse("v = " + o.value);
    if (parsed.size() == 1 && parsed.get("v") != nullptr) {
      put(root, o.key, *parsed.get("v"));
      return;
    }
  } catch (const toml::parse_error&) {
  }
  put(root, o.key, toml::value<std::string>(o.value));
}

void put_all(toml::table& root, const toml::table& overrides) {
  for (const auto& [key, value] : overrides) put(root, key.str(), value);
}

}  // namespace lastack::lab
