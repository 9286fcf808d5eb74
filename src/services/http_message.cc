#include "services/http_message.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace lastack {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}
std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
// A letter, a digit or one of `others`.
bool is_one_of(char c, std::string_view others) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
         others.find(c) != std::string_view::npos;
}
// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return is_one_of(c, "!#$%&'*+-.^_`|~"); });
}
bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 127;
  });
}

// The line that begins at `at`, without its end; `at` moves behind it. Nothing: it has no end yet.
std::optional<std::string_view> take_line(std::string_view bytes, std::size_t& at) {
  const std::size_t end = bytes.find('\n', at);
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = bytes.substr(at, end - at);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  at = end + 1;
  return line;
}

}  // namespace

std::optional<std::string_view> HttpHead::field(std::string_view name) const {
  for (const HttpField& f : fields) {
    if (same_word(f.name, name)) return f.value;
  }
  return std::nullopt;
}

std::size_t HttpHead::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      fields.begin(), fields.end(), [&](const HttpField& f) { return same_word(f.name, name); }));
}

bool HttpHead::lists(std::string_view name, std::string_view word) const {
  for (const HttpField& f : fields) {
    if (!same_word(f.name, name)) continue;
    for (std::string_view left = f.value; !left.empty();) {
      const std::size_t end = left.find(',');
      if (same_word(trimmed(left.substr(0, end)), word)) return true;
      left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
    }
  }
  return false;
}

HeadState parse_http_head(std::string_view bytes, HttpHead& out) {
  std::size_t at = 0;
  std::optional<std::string_view> line;
  do {
    line = take_line(bytes, at);
    if (!line) return HeadState::Incomplete;
  } while (line->empty());
  out = HttpHead{};
  if (has_control(*line)) return HeadState::Bad;
  const std::size_t first = line->find(' ');
  if (first == std::string_view::npos) return HeadState::Bad;
  const std::size_t second = line->find(' ', first + 1);
  out.start[0] = line->substr(0, first);
  out.start[1] =
      line->substr(first + 1, second == std::string_view::npos ? second : second - first - 1);
  if (second != std::string_view::npos) out.start[2] = line->substr(second + 1);
  if (out.start[0].empty() || out.start[1].empty()) return HeadState::Bad;
  for (;;) {
    line = take_line(bytes, at);
    if (!line) return HeadState::Incomplete;
    if (line->empty()) break;
    const std::size_t colon = line->find(':');
    // Neither a folded line nor a blank before the colon is borne with (RFC 9112, 5.1, 5.2).
    if (colon == std::string_view::npos || !is_token(line->substr(0, colon))) return HeadState::Bad;
    const std::string_view value = trimmed(line->substr(colon + 1));
    if (value.find_first_of(std::string_view("\0\r", 2)) != std::string_view::npos) {
      return HeadState::Bad;
    }
    out.fields.push_back({line->substr(0, colon), value});
  }
  out.length = at;
  return HeadState::Complete;
}

HeadState HttpHeadReader::look(std::string_view bytes, HttpHead& out) {
  while (!begun_) {
    const std::string_view rest = bytes.substr(empty_);
    const std::size_t line = rest.starts_with('\n') ? 1 : rest.starts_with("\r\n") ? 2 : 0;
    if (line == 0) {
      begun_ = !rest.empty() && rest != "\r";
      break;
    }
    empty_ += line;
  }
  if (!begun_) return HeadState::Incomplete;
  bytes = bytes.substr(empty_);
  bool ended = false;
  for (std::size_t at = bytes.find('\n', std::max<std::size_t>(looked_, 2) - 2);
       !ended && at != std::string_view::npos; at = bytes.find('\n', at + 1)) {
    const std::string_view rest = bytes.substr(at + 1);
    ended = rest.starts_with('\n') || rest.starts_with("\r\n");
  }
  looked_ = bytes.size();
  // What is wrong in the middle of it need not wait for its end.
  if (!ended && bytes.size() < 2 * parsed_) return HeadState::Incomplete;
  parsed_ = bytes.size();
  const HeadState state = parse_http_head(bytes, out);
  if (state == HeadState::Complete) out.length += empty_;
  return state;
}

bool is_http_authority(std::string_view text) {
  std::size_t end = text.find(':');
  if (text.starts_with('[')) {
    end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    const std::string_view address = text.substr(1, end - 1);
    if (!std::all_of(address.begin(), address.end(),
                     [](char c) { return is_one_of(c, ":.-_~!$&'()*+,;="); })) {
      return false;
    }
    text = text.substr(end + 1);
    return text.empty() ||
           (text.front() == ':' && std::all_of(text.begin() + 1, text.end(), is_digit));
  }
  // h2load writes an IPv6 address without brackets; nothing else has two colons.
  if (end != std::string_view::npos && text.find(':', end + 1) != std::string_view::npos) {
    return text.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
  }
  const std::string_view name = text.substr(0, end);
  const std::string_view port = end == std::string_view::npos ? "" : text.substr(end + 1);
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_one_of(c, "-._~%!$&'()*+,;="); }) &&
         std::all_of(port.begin(), port.end(), is_digit);
}

std::string percent_encoded(std::string_view path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  for (const char c : path) {
    if (is_one_of(c, "/-._~!$&'()*+,;=:@")) {
      text += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    text += '%';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<int> http_minor(std::string_view version) {
  if (version == "HTTP/1.1") return 1;
  if (version == "HTTP/1.0") return 0;
  return std::nullopt;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

RangeKind parse_range(std::string_view value, std::uint64_t size, ByteRange& out) {
  constexpr std::string_view kUnit = "bytes=";
  if (value.size() < kUnit.size() || !same_word(value.substr(0, kUnit.size()), kUnit)) {
    return RangeKind::Whole;
  }
  value = trimmed(value.substr(kUnit.size()));
  const std::size_t dash = value.find('-');
  if (dash == std::string_view::npos || value.find(',') != std::string_view::npos) {
    return RangeKind::Whole;
  }
  const std::string_view from = trimmed(value.substr(0, dash));
  const std::string_view to = trimmed(value.substr(dash + 1));
  if (from.empty()) {  // the last so many bytes
    const auto last = parse_decimal(to);
    if (!last) return RangeKind::Whole;
    if (*last == 0 || size == 0) return RangeKind::Unsatisfiable;
    out.length = std::min(*last, size);
    out.first = size - out.length;
    return RangeKind::Part;
  }
  const auto first = parse_decimal(from);
  if (!first) return RangeKind::Whole;
  std::uint64_t last = UINT64_MAX;
  if (!to.empty()) {
    const auto given = parse_decimal(to);
    if (!given || *given < *first) return RangeKind::Whole;
    last = *given;
  }
  if (*first >= size) return RangeKind::Unsatisfiable;
  out.first = *first;
  out.length = std::min(last, size - 1) - *first + 1;
  return RangeKind::Part;
}

std::string http_date(std::time_t when) {
  std::tm parts{};
  gmtime_r(&when, &parts);
  char text[64];
  // The names are English in every locale, as this program chooses none.
  const std::size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, length};
}

std::optional<std::time_t> parse_http_date(std::string_view text) {
  const std::string copy(text);
  std::tm parts{};
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return timegm(&parts);
}

Result<HttpUrl> parse_http_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with("https://")) return failure("there is no TLS in here: only http:// URLs");
  if (!url.starts_with(kScheme)) return failure("a URL begins with http://");
  url.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(url.find_first_of("/?#"), url.size());
  std::string_view authority = url.substr(0, slash);
  std::string_view path = url.substr(slash);
  path = path.substr(0, path.find('#'));
  HttpUrl out;
  out.path = path.empty() || path.front() != '/' ? "/" + std::string(path) : std::string(path);
  if (authority.find('@') != std::string_view::npos) {
    return failure("a URL with a user's name is not understood");
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return failure("the ] of the IPv6 address is missing");
    out.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return failure("after ] only :port may follow");
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    out.host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (out.host.empty()) return failure("the URL names no host");
  if (port.size() > 1) {
    const auto number = parse_decimal(port.substr(1));
    if (!number || *number == 0 || *number > 65535) {
      return failure("a port is a number from 1 to 65535, not '" + std::string(port.substr(1)) +
                     "'");
    }
    out.port = static_cast<Port>(*number);
  }
  if (std::any_of(out.path.begin(), out.path.end(), [](char c) { return c <= ' ' || c == 127; }) ||
      std::any_of(out.host.begin(), out.host.end(), [](char c) { return c <= ' ' || c == 127; })) {
    return failure("a URL has neither blanks nor control characters");
  }
  return out;
}

}  // namespace lastack
