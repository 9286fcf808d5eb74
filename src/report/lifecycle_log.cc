#include "report/lifecycle_log.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "bundle/json_text.h"

namespace lastack {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "lastack-lifecycle";
// Beyond it a reader with floating point numbers would lose digits: a string.
constexpr std::uint64_t kMostExact = std::uint64_t{1} << 53;
constexpr std::string_view kFlags = "FSRPAUEC";  // bit 0 and up

// --- Writing

void append_field(std::string& out, std::string_view name) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += name;
  out += "\":";
}
void append_text(std::string& out, std::string_view name, std::string_view text) {
  append_field(out, name);
  if (is_utf8(text)) {
    append_json_string(out, text);
  } else {
    append_json_string(out, printable_ascii(text));
  }
}
void append_number(std::string& out, std::string_view name, std::uint64_t number) {
  append_field(out, name);
  const std::string_view quote = number > kMostExact ? "\"" : "";
  fmt::format_to(std::back_inserter(out), "{}{}{}", quote, number, quote);
}

std::string flags_of(const SeenSegment& segment) {
  std::string text;
  for (std::size_t bit = 0; bit < kFlags.size(); ++bit) {
    if ((segment.flags >> bit & 1) != 0) text += kFlags[bit];
  }
  return text;
}

void append_segment(std::string& out, const SeenSegment& s) {
  append_text(out, "flags", flags_of(s));
  append_number(out, "seq", s.seq);
  append_number(out, "ack", s.ack);
  append_number(out, "len", s.length);
  append_number(out, "win", s.window);
  if (s.timestamps) {
    append_field(out, "ts");
    fmt::format_to(std::back_inserter(out), "[{},{}]", s.timestamps->value, s.timestamps->echo);
  }
  if (s.sack_count == 0) return;
  append_field(out, "sack");
  for (std::uint8_t i = 0; i < s.sack_count; ++i) {
    fmt::format_to(std::back_inserter(out), "{}[{},{}]", i == 0 ? "[" : ",", s.sack[i].left,
                   s.sack[i].right);
  }
  out += ']';
}

// --- Reading. What is not there, or is of another type, is nothing.

std::optional<std::uint64_t> number_at(const json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end()) return std::nullopt;
  if (at->is_number_unsigned()) return at->get<std::uint64_t>();
  if (!at->is_string()) return std::nullopt;
  const auto& text = at->get_ref<const std::string&>();
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}
template <class T>
bool take_number(const json& object, const char* name, T& into) {
  const auto number = number_at(object, name);
  if (!number || *number > std::numeric_limits<T>::max()) return false;
  into = static_cast<T>(*number);
  return true;
}
std::string text_at(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

std::optional<Endpoint> endpoint_from(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  Endpoint endpoint;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (port.empty() || error != std::errc{} || end != port.data() + port.size()) return std::nullopt;
  std::string_view address = text.substr(0, colon);
  if (address == "*") return endpoint;
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  const auto parsed = IpAddress::parse(address);
  if (!parsed) return std::nullopt;
  endpoint.address = *parsed;
  return endpoint;
}

bool take_pair(const json& at, std::uint32_t& first, std::uint32_t& second) {
  if (!at.is_array() || at.size() != 2) return false;
  for (const json& part : at) {
    if (!part.is_number_unsigned() || part.get<std::uint64_t>() > 0xffffffffU) return false;
  }
  first = at[0].get<std::uint32_t>();
  second = at[1].get<std::uint32_t>();
  return true;
}

// The error is what is wrong.
std::optional<std::string> take_segment(const json& line, SeenSegment& s) {
  for (const char flag : text_at(line, "flags")) {
    const std::size_t bit = kFlags.find(flag);
    if (bit == std::string_view::npos) return "flags: letters of FSRPAUEC";
    s.flags = static_cast<std::uint16_t>(s.flags | 1U << bit);
  }
  if (!take_number(line, "seq", s.seq) || !take_number(line, "ack", s.ack) ||
      !take_number(line, "len", s.length) || !take_number(line, "win", s.window)) {
    return "a segment has seq, ack, len (32 bits) and win (16)";
  }
  if (const auto ts = line.find("ts"); ts != line.end()) {
    SeenSegment::Stamps stamps;
    if (!take_pair(*ts, stamps.value, stamps.echo)) return "ts: two numbers of 32 bits";
    s.timestamps = stamps;
  }
  if (const auto sack = line.find("sack"); sack != line.end()) {
    if (!sack->is_array() || sack->size() > s.sack.size()) return "sack: at most four blocks";
    for (const json& block : *sack) {
      SeenSegment::Block& b = s.sack[s.sack_count++];
      if (!take_pair(block, b.left, b.right)) return "sack: pairs of numbers of 32 bits";
    }
  }
  return std::nullopt;
}

Result<LifecycleHeader> header_from(const json& line) {
  if (text_at(line, "format") != kFormat) {
    return failure("not a lifecycle log: the first line has \"format\":\"lastack-lifecycle\"");
  }
  int version = 0;
  if (!take_number(line, "version", version) || version != kLifecycleVersion) {
    return failure(fmt::format("of a version that this program does not read (it reads {})",
                               kLifecycleVersion));
  }
  LifecycleHeader header;
  header.tool_version = text_at(line, "lastack");
  const auto world = world_from(text_at(line, "world"));
  if (!world) return failure("world: endpoint, kernel, capture or mixed");
  header.world = *world;
  header.vantage = text_at(line, "vantage");
  header.profile = text_at(line, "profile");
  header.seed = number_at(line, "seed");
  if (const auto zero = number_at(line, "zero_at"); zero && *zero <= INT64_MAX) {
    header.zero_at = static_cast<std::int64_t>(*zero);
  }
  if (const auto settings = line.find("settings");
      settings != line.end() && settings->is_object()) {
    for (const auto& [name, value] : settings->items()) {
      if (value.is_string()) header.settings.emplace(name, value.get<std::string>());
    }
  }
  if (const auto nats = line.find("nats"); nats != line.end() && nats->is_object()) {
    for (const auto& [name, value] : nats->items()) {
      if (!value.is_object()) continue;
      LifecycleHeader::Nat nat{text_at(value, "address"), {}};
      const auto inside = value.find("inside");
      if (inside != value.end() && inside->is_array()) {
        for (const auto& host : *inside) {
          if (host.is_string()) nat.inside.push_back(host.get<std::string>());
        }
      }
      header.nats.emplace(name, std::move(nat));
    }
  }
  if (const auto coverage = line.find("coverage");
      coverage != line.end() && coverage->is_object()) {
    for (const auto& [category, value] : coverage->items()) {
      const auto how =
          value.is_string() ? coverage_from(value.get_ref<const std::string&>()) : std::nullopt;
      if (!how)
        return failure("coverage of " + printable_ascii(category) +
                       ": absent, sampled or complete");
      header.coverage.emplace(category, *how);
    }
  }
  return header;
}

Result<std::optional<LifecycleEvent>> event_from(const json& line) {
  const auto what = happening_from(text_at(line, "ev"));
  if (!what) {
    if (text_at(line, "ev").empty()) return failure("an event has \"ev\"");
    return std::nullopt;
  }
  LifecycleEvent event;
  event.what = *what;
  const auto t = number_at(line, "t");
  if (!t || *t > INT64_MAX) return failure("an event has \"t\", nanoseconds");
  event.at = Instant(Duration(static_cast<Duration::rep>(*t)));
  event.host = text_at(line, "host");
  if (event.host.empty()) return failure("an event has \"host\"");
  if (line.contains("local")) {
    const auto local = endpoint_from(text_at(line, "local"));
    const auto remote = endpoint_from(text_at(line, "remote"));
    if (!local || !remote) return failure("local and remote: ADDRESS:PORT");
    event.tuple = FourTuple{*local, *remote};
  }
  if (line.contains("inc") && !take_number(line, "inc", event.incarnation)) {
    return failure("inc: a number");
  }
  if (line.contains("id") && !take_number(line, "id", event.segment_id)) {
    return failure("id: a number");
  }
  if (line.contains("flags")) {
    event.segment.emplace();
    if (auto wrong = take_segment(line, *event.segment)) return failure(std::move(*wrong));
  }
  if (event.what == Happening::StateChanged) {
    event.from = parse_tcp_state(text_at(line, "from"));
    event.to = parse_tcp_state(text_at(line, "to"));
    if (!event.from || !event.to) return failure("from and to: states as RFC 9293 spells them");
  }
  event.timer = text_at(line, "timer");
  event.why = text_at(line, "why");
  event.rule = text_at(line, "rule");
  event.inferred = text_at(line, "seen") == "inferred";
  return event;
}

// --- Reading a line as append_line() writes it: these fields in this order, no escapes, ASCII. It takes a fraction of the
// time; whatever is not exactly so is left to the JSON parser, which says the same of it or what is wrong.

class PlainLine {
 public:
  explicit PlainLine(std::string_view line) : left_(line) {}

  bool take(std::string_view what) {
    if (!left_.starts_with(what)) return false;
    left_.remove_prefix(what.size());
    return true;
  }
  bool ends() const { return left_.empty(); }
  template <class T>
  bool number(T& into) {
    const char* const end = left_.data() + left_.size();
    const auto [stop, error] = std::from_chars(left_.data(), end, into);
    const auto size = static_cast<std::size_t>(stop - left_.data());
    // JSON has neither signs here nor leading zeros.
    if (error != std::errc{} || left_.front() == '-' || (left_.front() == '0' && size > 1)) {
      return false;
    }
    left_.remove_prefix(size);
    return true;
  }
  // To the closing quote, which goes as well.
  bool text(std::string_view& into) {
    std::size_t size = 0;
    while (size < left_.size() && left_[size] != '"') {
      const char c = left_[size];
      if (c < ' ' || c > '~' || c == '\\') return false;
      ++size;
    }
    if (size == left_.size()) return false;
    into = left_.substr(0, size);
    left_.remove_prefix(size + 1);
    return true;
  }
  bool text(std::string& into) {
    std::string_view found;
    if (!text(found)) return false;
    into = found;
    return true;
  }

 private:
  std::string_view left_;
};

bool take_plain_segment(PlainLine& line, SeenSegment& s) {
  std::string_view flags;
  if (!line.text(flags)) return false;
  for (const char flag : flags) {
    const std::size_t bit = kFlags.find(flag);
    if (bit == std::string_view::npos) return false;
    s.flags = static_cast<std::uint16_t>(s.flags | 1U << bit);
  }
  if (!line.take(",\"seq\":") || !line.number(s.seq) || !line.take(",\"ack\":") ||
      !line.number(s.ack) || !line.take(",\"len\":") || !line.number(s.length) ||
      !line.take(",\"win\":") || !line.number(s.window)) {
    return false;
  }
  if (line.take(",\"ts\":[")) {
    SeenSegment::Stamps stamps;
    if (!line.number(stamps.value) || !line.take(",") || !line.number(stamps.echo) ||
        !line.take("]")) {
      return false;
    }
    s.timestamps = stamps;
  }
  if (line.take(",\"sack\":[")) {
    do {
      if (s.sack_count == s.sack.size()) return false;
      SeenSegment::Block& b = s.sack[s.sack_count++];
      if (!line.take("[") || !line.number(b.left) || !line.take(",") || !line.number(b.right) ||
          !line.take("]")) {
        return false;
      }
    } while (line.take(","));
    if (!line.take("]")) return false;
  }
  return true;
}

std::optional<LifecycleEvent> plain_event(std::string_view text) {
  PlainLine line(text);
  LifecycleEvent e;
  std::int64_t t = 0;
  if (!line.take("{\"t\":") || !line.number(t) || !line.take(",\"host\":\"") ||
      !line.text(e.host) || e.host.empty()) {
    return std::nullopt;
  }
  e.at = Instant(Duration(t));
  std::string_view word;
  if (line.take(",\"local\":\"")) {
    if (!line.text(word)) return std::nullopt;
    const auto local = endpoint_from(word);
    if (!line.take(",\"remote\":\"") || !line.text(word)) return std::nullopt;
    const auto remote = endpoint_from(word);
    if (!local || !remote) return std::nullopt;
    e.tuple = FourTuple{*local, *remote};
  }
  if (line.take(",\"inc\":") && !line.number(e.incarnation)) return std::nullopt;
  if (!line.take(",\"ev\":\"") || !line.text(word)) return std::nullopt;
  const auto what = happening_from(word);
  if (!what) return std::nullopt;
  e.what = *what;
  if (line.take(",\"id\":") && !line.number(e.segment_id)) return std::nullopt;
  if (line.take(",\"flags\":\"") && !take_plain_segment(line, e.segment.emplace())) {
    return std::nullopt;
  }
  if (e.what == Happening::StateChanged) {
    if (!line.take(",\"from\":\"") || !line.text(word)) return std::nullopt;
    e.from = parse_tcp_state(word);
    if (!line.take(",\"to\":\"") || !line.text(word)) return std::nullopt;
    e.to = parse_tcp_state(word);
    if (!e.from || !e.to) return std::nullopt;
  }
  if (line.take(",\"timer\":\"") && !line.text(e.timer)) return std::nullopt;
  if (line.take(",\"why\":\"") && !line.text(e.why)) return std::nullopt;
  if (line.take(",\"rule\":\"") && !line.text(e.rule)) return std::nullopt;
  e.inferred = line.take(",\"seen\":\"inferred\"}");
  if (!e.inferred && !line.take(",\"seen\":\"observed\"}")) return std::nullopt;
  if (!line.ends()) return std::nullopt;
  return e;
}

}  // namespace

void append_line(std::string& out, const LifecycleHeader& header) {
  out += '{';
  append_text(out, "format", kFormat);
  append_number(out, "version", kLifecycleVersion);
  append_text(out, "lastack", header.tool_version);
  append_text(out, "world", to_string(header.world));
  append_text(out, "vantage", header.vantage);
  append_text(out, "clock", "monotonic, ns");
  if (header.zero_at) append_number(out, "zero_at", static_cast<std::uint64_t>(*header.zero_at));
  if (header.seed) append_number(out, "seed", *header.seed);
  if (!header.profile.empty()) append_text(out, "profile", header.profile);
  append_field(out, "settings");
  out += '{';
  for (const auto& [name, value] : header.settings) append_text(out, name, value);
  out += '}';
  if (!header.nats.empty()) {
    append_field(out, "nats");
    out += '{';
    for (const auto& [name, nat] : header.nats) {
      append_field(out, name);
      out += '{';
      append_text(out, "address", nat.address);
      append_field(out, "inside");
      for (std::size_t i = 0; i < nat.inside.size(); ++i) {
        out += i == 0 ? "[" : ",";
        append_json_string(out, printable_ascii(nat.inside[i]));
      }
      out += nat.inside.empty() ? "[]}" : "]}";
    }
    out += '}';
  }
  append_field(out, "coverage");
  out += '{';
  for (const auto& [category, how] : header.coverage) append_text(out, category, to_string(how));
  out += "}}\n";
}

void append_line(std::string& out, const LifecycleEvent& e) {
  out += '{';
  append_number(out, "t", static_cast<std::uint64_t>(e.at.time_since_epoch().count()));
  append_text(out, "host", e.host);
  if (e.tuple) {
    append_text(out, "local", e.tuple->local.to_string());
    append_text(out, "remote", e.tuple->remote.to_string());
  }
  if (e.incarnation != 0) append_number(out, "inc", e.incarnation);
  append_text(out, "ev", to_string(e.what));
  if (e.segment_id != 0) append_number(out, "id", e.segment_id);
  if (e.segment) append_segment(out, *e.segment);
  if (e.from && e.to) {
    append_text(out, "from", to_string(*e.from));
    append_text(out, "to", to_string(*e.to));
  }
  if (!e.timer.empty()) append_text(out, "timer", e.timer);
  if (!e.why.empty()) append_text(out, "why", e.why);
  if (!e.rule.empty()) append_text(out, "rule", e.rule);
  append_text(out, "seen", e.inferred ? "inferred" : "observed");
  out += "}\n";
}

Result<std::optional<LifecycleEvent>> LifecycleReader::read(std::string_view line) {
  ++lines_;
  const auto wrong = [&](const std::string& what) {
    return failure(fmt::format("line {}: {}", lines_, what));
  };
  if (line.empty() && header_) return std::nullopt;
  if (header_) {
    if (auto plain = plain_event(line)) return plain;
  }
  const json parsed = json::parse(line, nullptr, false);
  if (!parsed.is_object()) return wrong("not a JSON object");
  if (!header_) {
    auto header = header_from(parsed);
    if (!header) return wrong(header.error().message);
    header_ = std::move(*header);
    return std::nullopt;
  }
  auto event = event_from(parsed);
  if (!event) return wrong(event.error().message);
  return event;
}

}  // namespace lastack
