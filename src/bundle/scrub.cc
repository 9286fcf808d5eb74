#include "bundle/scrub.h"

#include <algorithm>
#include <cctype>

namespace lastack {

namespace {

constexpr std::size_t kLongestAddress = 45;  // "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"
// A shorter command line is a word that texts may use for reasons of their own.
constexpr std::size_t kTellingArguments = 8;

bool is_alnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}
bool is_alpha(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool is_hex(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}
char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}
std::size_t row_of(char c) {
  return static_cast<unsigned char>(lower(c));
}

bool starts_with(std::string_view text, std::string_view name) {
  return text.size() >= name.size() &&
         std::equal(name.begin(), name.end(), text.begin(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

bool stands_alone(std::string_view text, std::size_t at, std::size_t length) {
  return (at == 0 || !is_alnum(text[at - 1])) &&
         (at + length == text.size() || !is_alnum(text[at + length]));
}

bool secret(const IpAddress& address) {
  return !address.is_loopback() && !address.is_unspecified();
}

}  // namespace

void Scrubber::learn_name(Name name) {
  name.whole_word = std::all_of(name.original.begin(), name.original.end(), is_alpha);
  replacements_.emplace(name.original, name.replacement);
  names_[row_of(name.original[0])].push_back(std::move(name));
}

// "web-3.example.com" is also called "web-3", and its neighbours end in "example.com".
void Scrubber::learn_host(std::string_view name) {
  // "host" is also what the initial namespace is called.
  if (name.empty() || name == "localhost" || name == "host" || replacements_.contains(name)) return;
  const std::string replacement = "host-" + std::to_string(++hosts_);
  learn_name({std::string(name), replacement});
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || IpAddress::parse(name)) return;
  const std::string_view label = name.substr(0, dot);
  const std::string_view domain = name.substr(dot + 1);
  if (label.size() > 1 && !std::all_of(label.begin(), label.end(), is_digit) &&
      !replacements_.contains(label)) {
    learn_name({std::string(label), replacement});
  }
  if (domain.find('.') != std::string_view::npos && !replacements_.contains(domain)) {
    learn_name({std::string(domain), "domain-" + std::to_string(++domains_)});
  }
}

// What kind of unit it is says nothing about whose.
void Scrubber::learn_unit(std::string_view unit) {
  if (unit.empty() || replacements_.contains(unit)) return;
  std::string replacement = "unit-" + std::to_string(++units_);
  for (std::string_view kind : {".service", ".scope", ".slice", ".socket"}) {
    if (unit.ends_with(kind)) replacement += kind;
  }
  learn_name({std::string(unit), replacement});
}

void Scrubber::learn_container(std::string_view container) {
  if (container.empty() || replacements_.contains(container)) return;
  Name name{std::string(container), "container-" + std::to_string(++containers_)};
  name.hex_follows = std::all_of(container.begin(), container.end(), is_hex);
  learn_name(std::move(name));
}

void Scrubber::learn_arguments(std::string_view arguments, std::string_view replacement) {
  if (arguments.size() < kTellingArguments || replacements_.contains(arguments)) return;
  learn_name({std::string(arguments), std::string(replacement)});
}

void Scrubber::learn_address(const IpAddress& address) {
  if (secret(address) && addresses_.emplace(address, address).second) order_.push_back(address);
}

void Scrubber::learn_addresses_in(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Found found = address_at(text, at);
    if (found.length != 0) learn_address(found.address);
    at += std::max<std::size_t>(1, found.length);
  }
}

// "10.0.0.1" would be read in a "10.0.0.12" that stands for something else.
bool Scrubber::would_show_an_original(const IpAddress& candidate) const {
  const std::string text = candidate.to_string();
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (std::size_t length = 2; length <= text.size() - at; ++length) {
      const auto inside = IpAddress::parse(std::string_view(text).substr(at, length));
      if (inside && addresses_.contains(*inside)) return true;
    }
  }
  return false;
}

void Scrubber::assign() {
  for (auto& row : names_) {
    std::stable_sort(row.begin(), row.end(), [](const Name& a, const Name& b) {
      return a.original.size() > b.original.size();
    });
  }
  // 10.0.0.0/8 and fd00::/8 have room for more than a bundle can hold.
  std::uint32_t last_v4 = 0x0a000000;
  IpAddress::Bytes last_v6{0xfd};
  for (const IpAddress& original : order_) {
    IpAddress candidate;
    do {
      if (original.is_v4()) {
        candidate = IpAddress::v4(++last_v4);
      } else {
        for (std::size_t i = last_v6.size(); ++last_v6[--i] == 0;) {
        }
        candidate = IpAddress::v6(last_v6);
      }
    } while (would_show_an_original(candidate));
    addresses_[original] = candidate;
  }
}

IpAddress Scrubber::replacement(const IpAddress& address) const {
  const auto found = addresses_.find(address);
  return found == addresses_.end() ? address : found->second;
}

const Scrubber::Name* Scrubber::name_at(std::string_view text, std::size_t at,
                                        std::size_t& length) const {
  for (const Name& name : names_[row_of(text[at])]) {
    if (!starts_with(text.substr(at), name.original)) continue;
    length = name.original.size();
    if (name.hex_follows) {
      while (at + length < text.size() && is_hex(text[at + length])) ++length;
    }
    if (!name.whole_word || stands_alone(text, at, length)) return &name;
  }
  return nullptr;
}

Scrubber::Found Scrubber::address_at(std::string_view text, std::size_t at) const {
  std::size_t length = 0;
  int dots = 0;
  int colons = 0;
  while (at + length < text.size() && length < kLongestAddress) {
    const char c = text[at + length];
    if (!is_hex(c) && c != '.' && c != ':') break;
    dots += c == '.' ? 1 : 0;
    colons += c == ':' ? 1 : 0;
    ++length;
  }
  if (dots < 3 && colons < 2) return {};
  for (; length >= 2; --length) {
    const auto address = IpAddress::parse(text.substr(at, length));
    if (!address) continue;
    // In "std::cout" there is a valid "d::c". What is known to be an address is one anywhere.
    if (addresses_.contains(*address) || stands_alone(text, at, length)) return {length, *address};
  }
  return {};
}

std::string Scrubber::scrub(std::string_view text) const {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = 0;
    if (const Name* name = name_at(text, at, length)) {
      out += name->replacement;
    } else if (const Found found = address_at(text, at); found.length != 0) {
      length = found.length;
      out += secret(found.address) ? replacement(found.address).to_string()
                                   : std::string(text.substr(at, length));
    } else {
      length = 1;
      out += text[at];
    }
    at += length;
  }
  return out;
}

}  // namespace lastack
