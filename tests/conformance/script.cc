#include "conformance/script.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <sstream>

#include "conformance/verdicts.h"
#include "lab/option_names.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"
#include "wire/segmentation.h"

namespace lastack::test {
namespace {

const IpAddress kHost4 = *IpAddress::parse("10.0.0.1"), kPeer4 = *IpAddress::parse("10.0.0.2");
const IpAddress kHost6 = *IpAddress::parse("2001:db8::1"),
                kPeer6 = *IpAddress::parse("2001:db8::2");
constexpr Port kServed = 80;  // of the listener, and what the host connects to

// What is written at a place of a stream, so that a byte in a wrong place is seen.
std::byte byte_at(std::uint32_t number) {
  return static_cast<std::byte>((number * 2654435761U) >> 13);
}

struct Name {
  const char* text;
  int value;
};
constexpr Name kErrors[] = {{"EADDRINUSE", EADDRINUSE},
                            {"EADDRNOTAVAIL", EADDRNOTAVAIL},
                            {"EALREADY", EALREADY},
                            {"EBADF", EBADF},
                            {"EPIPE", EPIPE},
                            {"ECONNABORTED", ECONNABORTED},
                            {"ECONNREFUSED", ECONNREFUSED},
                            {"ECONNRESET", ECONNRESET},
                            {"EHOSTUNREACH", EHOSTUNREACH},
                            {"EINPROGRESS", EINPROGRESS},
                            {"EINVAL", EINVAL},
                            {"EISCONN", EISCONN},
                            {"EMSGSIZE", EMSGSIZE},
                            {"ENETUNREACH", ENETUNREACH},
                            {"ENOBUFS", ENOBUFS},
                            {"ENOTCONN", ENOTCONN},
                            {"EOPNOTSUPP", EOPNOTSUPP},
                            {"ENOPROTOOPT", ENOPROTOOPT},
                            {"ETIMEDOUT", ETIMEDOUT},
                            {"EMFILE", EMFILE},
                            {"EAGAIN", EAGAIN},
                            {"EACCES", EACCES},
                            {"EPROTO", EPROTO},
                            {"none", 0}};

std::string errno_name(Err error) {
  for (const Name& e : kErrors) {
    if (e.value == static_cast<int>(error)) return e.text;
  }
  return "error " + std::to_string(static_cast<int>(error));
}

constexpr struct {
  const char* text;
  std::uint16_t flag;
} kFlags[] = {{"SYN", tcp_flag::kSyn}, {"FIN", tcp_flag::kFin}, {"RST", tcp_flag::kRst},
              {"PSH", tcp_flag::kPsh}, {"ACK", tcp_flag::kAck}, {"URG", tcp_flag::kUrg},
              {"ECE", tcp_flag::kEce}, {"CWR", tcp_flag::kCwr}};

std::optional<Duration> time_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double ns = 0;
  if (unit == "us") ns = 1e3;
  if (unit == "ms") ns = 1e6;
  if (unit == "s") ns = 1e9;
  if (unit == "min") ns = 60e9;
  if (unit == "h") ns = 3600e9;
  if (unit == "d") ns = 86400e9;
  if (ns == 0) return std::nullopt;
  return Duration(static_cast<Duration::rep>(value * ns));
}

std::uint64_t counter(const Counters& counters, std::string_view name) {
#define LASTACK_COUNTER_NAMED(n) \
  if (name == #n) return counters.n;
  LASTACK_TCP_COUNTERS(LASTACK_COUNTER_NAMED)
#undef LASTACK_COUNTER_NAMED
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

}  // namespace

// A line cut at its blanks.
struct Script::Words {
  std::vector<std::string> words;
  std::size_t next = 0;
  bool bad = false;

  explicit Words(std::string_view text) {
    std::istringstream in{std::string(text)};
    for (std::string word; in >> word && word[0] != '#';) words.push_back(word);
  }
  bool empty() const { return next >= words.size(); }
  std::string peek() const { return empty() ? "" : words[next]; }
  std::string take() {
    if (empty()) {
      bad = true;
      return "";
    }
    return words[next++];
  }
  bool skip(std::string_view word) {
    if (peek() != word) return false;
    ++next;
    return true;
  }
  static std::optional<std::int64_t> parse(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }
  std::int64_t number() {
    const auto value = parse(take());
    if (!value) bad = true;
    return value.value_or(0);
  }
  std::string rest() {
    std::string text;
    while (!empty()) text += (text.empty() ? "" : " ") + take();
    return text;
  }
};

namespace {

// By the two bits of the IP header.
constexpr std::string_view kEcn[] = {"none", "ect1", "ect0", "ce"};

// A segment as a line describes it, numbers still relative.
struct Described {
  std::uint16_t flags = 0;
  std::uint32_t seq = 0;
  std::uint32_t length = 0;
  std::optional<std::uint32_t> ack{};
  std::optional<std::uint16_t> win{}, mss{}, urg{};
  std::optional<std::uint8_t> wscale{};
  bool sackok = false;
  std::optional<std::uint32_t> ts{}, echo{};
  std::vector<std::pair<std::uint32_t, std::uint32_t>> sack{};
  std::optional<IpAddress> from{}, to{};
  std::optional<std::uint8_t> ecn{};
};

template <class Words>
Described describe(Words& w) {
  Described d;
  std::istringstream flags(w.take());
  for (std::string flag; std::getline(flags, flag, ',');) {
    const auto found = std::find_if(std::begin(kFlags), std::end(kFlags),
                                    [&](const auto& f) { return flag == f.text; });
    if (found != std::end(kFlags)) {
      d.flags |= found->flag;
    } else if (flag != "none") {
      w.bad = true;
    }
  }
  const std::string at = w.take();
  const auto plus = at.find('+');
  d.seq = static_cast<std::uint32_t>(Words::parse(at.substr(0, plus)).value_or(0));
  if (plus != at.npos) {
    d.length = static_cast<std::uint32_t>(Words::parse(at.substr(plus + 1)).value_or(0));
  }
  const auto u16 = [&] { return static_cast<std::uint16_t>(w.number()); };
  while (!w.empty()) {
    if (w.skip("ack")) {
      d.ack = static_cast<std::uint32_t>(w.number());
    } else if (w.skip("win")) {
      d.win = u16();
    } else if (w.skip("mss")) {
      d.mss = u16();
    } else if (w.skip("urg")) {
      d.urg = u16();
    } else if (w.skip("wscale")) {
      d.wscale = static_cast<std::uint8_t>(w.number());
    } else if (w.skip("sackok")) {
      d.sackok = true;
    } else if (w.skip("ts")) {
      const std::string text = w.take();
      const auto slash = text.find('/');
      if (text[0] != '*') {
        d.ts = static_cast<std::uint32_t>(Words::parse(text.substr(0, slash)).value_or(0));
      }
      if (slash != text.npos) {
        d.echo = static_cast<std::uint32_t>(Words::parse(text.substr(slash + 1)).value_or(0));
      }
    } else if (w.skip("sack")) {
      std::istringstream blocks(w.take());
      for (std::string block; std::getline(blocks, block, ',');) {
        const auto dash = block.find('-', 1);
        d.sack.emplace_back(Words::parse(block.substr(0, dash)).value_or(0),
                            Words::parse(block.substr(dash + 1)).value_or(0));
      }
    } else if (w.skip("from")) {
      d.from = IpAddress::parse(w.take());
    } else if (w.skip("to")) {
      d.to = IpAddress::parse(w.take());
    } else if (w.skip("ecn")) {
      const std::string text = w.take();
      const auto found = std::find(std::begin(kEcn), std::end(kEcn), text);
      w.bad = w.bad || found == std::end(kEcn);
      d.ecn = static_cast<std::uint8_t>(found - std::begin(kEcn));
    } else {
      w.bad = true;
      break;
    }
  }
  return d;
}

HostOptions with(HostOptions options, Profile profile, HostObserver& observer) {
  options.profile = profile;
  options.observer = &observer;
  if (options.seed == 0) options.seed = 7;
  return options;
}

}  // namespace

Script::Script(Setup setup)
    : host(with(std::move(setup.options), setup.profile, *sees_)), v6_(setup.v6) {
  host.add_address(address(true));
}

Script::~Script() {
  if (!failed_ && !::testing::Test::HasFatalFailure()) {
    at_ = "the end of the test";
    expect_nothing();
  }
  sees_->finish_event();
}

IpAddress Script::address(bool of_host) const {
  if (of_host) return v6_ ? kHost6 : kHost4;
  return v6_ ? kPeer6 : kPeer4;
}

FourTuple Script::tuple() const {
  const auto found = peers_.find(port_);
  const Port host_port = found == peers_.end() ? kServed : found->second.host_port;
  return {{address(true), host_port}, {address(false), port_}};
}

std::uint32_t Script::host_isn() const {
  return peers_.at(port_).host_isn.value_or(0);
}
std::uint32_t Script::old_host_isn() const {
  return peers_.at(port_).old_host_isn;
}

void Script::fail(const std::string& why) {
  failed_ = true;
  ADD_FAILURE() << "at: " << at_ << "\n  " << why;
}

Script& Script::run(std::string_view lines) {
  std::istringstream in{std::string(lines)};
  for (std::string text; std::getline(in, text) && !failed_;) line(text);
  return *this;
}

void Script::collect() {
  for (auto p = host.next_packet(); !p.empty(); p = host.next_packet()) {
    const std::uint16_t segment_size = host.segment_size();
    if (segment_size == 0) {
      sent_.push_back({{p.begin(), p.end()}, now});
      continue;
    }
    for (Segmentation pieces(p, segment_size); !pieces.done();) {
      std::vector<std::byte> piece(pieces.length());
      pieces.write(piece.data());
      sent_.push_back({std::move(piece), now});
    }
  }
}

void Script::pass(Duration duration) {
  const Instant stop = now + duration;
  for (;;) {
    collect();
    const Instant next = host.next_deadline();
    if (next > stop) break;
    now = std::max(now, next);
    host.advance(now);
  }
  now = stop;
  host.advance(now);
  collect();
}

void Script::pass_until_sent(Duration most) {
  const Instant stop = now + most;
  collect();
  while (sent_.empty()) {
    const Instant next = host.next_deadline();
    if (next > stop) return;
    now = std::max(now, next);
    host.advance(now);
    collect();
  }
}

void Script::expect_nothing() {
  collect();
  if (sent_.empty()) return;
  const auto ip = parse_ip(sent_.front().packet);
  const auto segment = parse_tcp(ip->payload, ip->header);
  fail("the host has sent, unasked: " + (segment ? name_of(*segment) : "no TCP"));
}

std::string Script::name_of(const TcpSegment& s) const {
  std::string text;
  for (const auto& [name, flag] : kFlags) {
    if (s.has(flag)) text += (text.empty() ? "" : ",") + std::string(name);
  }
  if (text.empty()) text = "none";
  const auto found = peers_.find(s.destination);
  const Peer known = found == peers_.end() ? Peer{} : found->second;
  text +=
      " " + std::to_string(static_cast<std::int32_t>(s.seq.value() - known.host_isn.value_or(0)));
  if (!s.payload.empty()) text += "+" + std::to_string(s.payload.size());
  if (s.ack_flag()) {
    text += " ack " + std::to_string(static_cast<std::int32_t>(s.ack.value() - known.isn));
  }
  text += " win " + std::to_string(s.window);
  const TcpOptions& o = s.options;
  if (o.mss) text += " mss " + std::to_string(*o.mss);
  if (o.window_scale) text += " wscale " + std::to_string(*o.window_scale);
  if (o.sack_permitted) text += " sackok";
  if (o.timestamps) {
    text += " ts " + std::to_string(o.timestamps->value) + "/" + std::to_string(o.timestamps->echo);
  }
  for (const SackBlock& b : o.sack_blocks()) {
    text += " sack " + std::to_string(b.left.value() - known.isn) + "-" +
            std::to_string(b.right.value() - known.isn);
  }
  if (s.has(tcp_flag::kUrg)) text += " urg " + std::to_string(s.urgent);
  if (s.destination != port_) text += " (to port " + std::to_string(s.destination) + ")";
  return text;
}

// --- Lines that are segments

void Script::segment_in(Words& words) {
  const Described d = describe(words);
  if (words.bad) return fail("no such segment");
  expect_nothing();
  if (failed_) return;
  Peer& p = peer();
  TcpSegment s;
  s.source = port_;
  s.destination = p.host_port;
  s.flags = d.flags;
  s.seq = SeqNum(p.isn + d.seq);
  s.ack = SeqNum(d.ack ? p.host_isn.value_or(0) + *d.ack : 0);
  if (d.win) p.window = *d.win;
  s.window = p.window;
  s.urgent = d.urg.value_or(0);
  s.options.mss = d.mss;
  s.options.window_scale = d.wscale;
  s.options.sack_permitted = d.sackok;
  if (d.ts) s.options.timestamps = Timestamps{*d.ts, d.echo.value_or(p.last_stamp)};
  for (const auto& [left, right] : d.sack) {
    s.options.sack[s.options.sack_count++] = {SeqNum(p.host_isn.value_or(0) + left),
                                              SeqNum(p.host_isn.value_or(0) + right)};
  }
  std::vector<std::byte> data(d.length);
  const std::uint32_t first = d.seq + (s.syn() ? 1 : 0);
  for (std::uint32_t i = 0; i < d.length; ++i) data[i] = byte_at(first + i);

  const IpAddress from = d.from.value_or(address(false)), to = d.to.value_or(address(true));
  const std::size_t ip = ip_header_length(from), tcp = header_length(s.options);
  std::vector<std::byte> packet(ip + tcp + data.size());
  write_ip(packet.data(),
           {.source = from, .destination = to, .traffic_class = d.ecn.value_or(ecn::kNotCapable)},
           tcp + data.size());
  write_tcp_header(packet.data() + ip, s);
  std::copy(data.begin(), data.end(), packet.begin() + static_cast<std::ptrdiff_t>(ip + tcp));
  write_tcp_checksum(std::span(packet).subspan(ip), from, to);
  host.receive(packet, now);
  collect();
}

void Script::segment_out(Words& words) {
  const Described d = describe(words);
  if (words.bad) return fail("no such segment");
  collect();
  if (sent_.empty()) return fail("the host has sent nothing");
  last_packet_ = std::move(sent_.front().packet);
  sent_.pop_front();
  const auto ip = parse_ip(last_packet_);
  const auto segment =
      ip ? parse_tcp(ip->payload, ip->header)
         : tl::expected<TcpSegment, WireError>(tl::unexpected(WireError::Truncated));
  if (!segment) return fail("what the host has sent is no TCP segment with a good checksum");
  last_ = *segment;
  const TcpSegment& s = last_;
  if (s.destination != port_) return fail("got " + name_of(s));
  Peer& p = peer();
  bool begins = false;
  if (s.syn() && (!p.host_isn || *p.host_isn != s.seq.value())) {
    if (p.host_isn) p.old_host_isn = *p.host_isn;
    p.host_isn = s.seq.value();
    p.written = p.read = 1;
    // A new one may be asked for as itself, or by how far it is beyond the old one.
    begins = true;
  }
  if (s.options.timestamps) p.last_stamp = s.options.timestamps->value;
  std::string wrong;
  const auto check = [&](bool good, const char* what) {
    if (!good) wrong += std::string(wrong.empty() ? "" : ", ") + what;
  };
  constexpr auto kNoPush = static_cast<std::uint16_t>(~tcp_flag::kPsh);
  check((d.flags & tcp_flag::kPsh) != 0 ? s.flags == d.flags
                                        : (s.flags & kNoPush) == (d.flags & kNoPush),
        "flags");
  const std::uint32_t base = p.host_isn.value_or(0);
  // To a segment without an ACK a RST has no number of its own.
  const bool plain_reset = s.rst() && s.ack_flag() && s.seq.value() == 0 && d.seq == 0;
  check(plain_reset || s.seq.value() - base == d.seq ||
            (begins && s.seq.value() - p.old_host_isn == d.seq),
        "seq");
  check(s.payload.size() == d.length, "length");
  if (d.ack) check(s.ack.value() - p.isn == *d.ack, "ack");
  if (d.win) check(s.window == *d.win, "win");
  if (d.mss) check(s.options.mss == d.mss, "mss");
  if (d.wscale) check(s.options.window_scale == d.wscale, "wscale");
  if (d.sackok) check(s.options.sack_permitted, "sackok");
  if (d.urg) check(s.urgent == *d.urg, "urg");
  if (d.ts) check(s.options.timestamps && s.options.timestamps->value == *d.ts, "ts");
  if (d.echo) check(s.options.timestamps && s.options.timestamps->echo == *d.echo, "ts");
  if (!d.sack.empty()) {
    check(s.options.sack_count == d.sack.size(), "sack");
    for (std::size_t i = 0; i < d.sack.size() && i < s.options.sack_count; ++i) {
      check(s.options.sack[i].left.value() - p.isn == d.sack[i].first &&
                s.options.sack[i].right.value() - p.isn == d.sack[i].second,
            "sack");
    }
  }
  if (d.from) check(ip->header.source == *d.from, "from");
  if (d.to) check(ip->header.destination == *d.to, "to");
  if (d.ecn) check((ip->header.traffic_class & ecn::kMask) == *d.ecn, "ecn");
  const std::uint32_t first = d.seq + (s.syn() ? 1 : 0);
  for (std::uint32_t i = 0; i < s.payload.size() && wrong.empty(); ++i) {
    check(s.payload[i] == byte_at(first + i), "data");
  }
  if (!wrong.empty()) fail("got " + name_of(s) + "\n  wrong: " + wrong);
}

// icmp KIND SEQ [mtu N]: the error quotes the IP header and the first 8 bytes of TCP.
void Script::icmp_in(Words& words) {
  struct Kind {
    const char* text;
    std::uint8_t type4, code4, type6, code6;
  };
  constexpr Kind kKinds[] = {{"network_unreachable", 3, 0, 1, 0},
                             {"host_unreachable", 3, 1, 1, 3},
                             {"protocol_unreachable", 3, 2, 4, 1},
                             {"port_unreachable", 3, 3, 1, 4},
                             {"too_big", 3, 4, 2, 0},
                             {"prohibited", 3, 13, 1, 1},
                             {"source_quench", 4, 0, 255, 0},
                             {"time_exceeded", 11, 0, 3, 0},
                             {"parameter_problem", 12, 0, 4, 0}};
  expect_nothing();
  const std::string name = words.take();
  const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const Kind& k) { return name == k.text; });
  const auto seq = static_cast<std::uint32_t>(words.number());
  const auto mtu = static_cast<std::uint32_t>(words.skip("mtu") ? words.number() : 0);
  if (kind == std::end(kKinds) || words.bad) return fail("no such ICMP error");
  Peer& p = peer();
  TcpSegment quoted;
  quoted.source = p.host_port;
  quoted.destination = port_;
  quoted.seq = SeqNum(p.host_isn.value_or(0) + seq);
  quoted.flags = tcp_flag::kAck;
  const std::size_t ip = ip_header_length(address(true));
  std::vector<std::byte> body(8 + ip + kTcpHeaderLength);
  body[0] = static_cast<std::byte>(v6_ ? kind->type6 : kind->type4);
  body[1] = static_cast<std::byte>(v6_ ? kind->code6 : kind->code4);
  if (v6_) {
    store32(body.data() + 4, mtu);
  } else {
    store16(body.data() + 6, static_cast<std::uint16_t>(mtu));
  }
  write_ip(body.data() + 8, {.source = address(true), .destination = address(false)},
           kTcpHeaderLength);
  write_tcp_header(body.data() + 8 + ip, quoted);
  const std::uint8_t protocol = v6_ ? kProtocolIcmpV6 : kProtocolIcmp;
  std::vector<std::byte> packet(ip + body.size());
  write_ip(packet.data(),
           {.source = address(false), .destination = address(true), .protocol = protocol},
           body.size());
  ChecksumSum sum;
  if (v6_) sum.add_pseudo_header(address(false), address(true), protocol, body.size());
  sum.add(body);
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(body.data() + 2, &checksum, sizeof checksum);
  std::copy(body.begin(), body.end(), packet.begin() + static_cast<std::ptrdiff_t>(ip));
  host.receive(packet, now);
  collect();
}

// --- Lines that are several

void Script::open_passive(Words& words) {
  const std::string options = words.rest();
  const bool stamps = options.find("ts ") != options.npos;
  std::string of_ack;
  if (stamps) of_ack = options.substr(options.find("ts "));
  if (listener == SocketId{}) line("listen");
  line("< SYN 0 " + options);
  line("> SYN,ACK 0 ack 1");
  line("< ACK 1 ack 1 " + of_ack);
  line("accept");
}

void Script::open_active(Words& words) {
  std::string port;
  if (Words::parse(words.peek())) port = words.take();
  const std::string options = words.rest();
  line("connect " + port);
  line("> SYN 0");
  line("< SYN,ACK 0 ack 1 " + options);
  line("> ACK 1 ack 1");
  line("connected");
}

// --- All lines

template <class T>
void Script::outcome(const char* what, const Outcome<T>& result, const std::string& wanted) {
  std::string got;
  if (!result) {
    got = errno_name(result.error());
  } else if constexpr (std::is_same_v<T, std::size_t>) {
    got = std::to_string(*result);
  } else {
    got = "ok";
  }
  if (got != wanted) fail(std::string(what) + " gave " + got + ", not " + wanted);
}

void Script::line(std::string_view text) {
  Words w(text);
  if (w.empty() || failed_) return;
  const std::string before = std::exchange(at_, std::string(text));
  const std::string first = w.take();
  const auto wanted = [&](const std::string& usual) { return w.skip("->") ? w.take() : usual; };
  const auto yes = [&](const char* what, bool is) {
    if (is != (w.take() == "yes")) fail(std::string(what) + (is ? " is true" : " is not true"));
  };
  if (first[0] == '+' || first == "wait") {
    const auto duration = time_of(first == "wait" ? w.take() : first.substr(1));
    if (!duration) return fail("no such time");
    pass(*duration);
    const std::string rest = w.rest();
    if (!rest.empty()) line(rest);
  } else if (first == "within") {
    const auto most = time_of(w.take());
    if (!most) return fail("no such time");
    pass_until_sent(*most);
    line(w.rest());
  } else if (first == "<" && w.skip("icmp")) {
    icmp_in(w);
  } else if (first == "<") {
    segment_in(w);
  } else if (first == ">") {
    segment_out(w);
  } else if (first == "nothing") {
    expect_nothing();
  } else if (first == "drain") {
    collect();
    sent_.clear();
  } else if (first == "listen") {
    listener = *host.open(v6_ ? Host::Family::V6 : Host::Family::V4);
    (void)host.set_option(listener, Option::reuse_address, 1, now);
    outcome("bind", host.bind(listener, {address(true), kServed}), "ok");
    outcome("listen", host.listen(listener, w.empty() ? 128 : static_cast<int>(w.number())), "ok");
  } else if (first == "accept") {
    const auto accepted = host.accept(listener);
    const std::string want = wanted("ok");
    if (accepted) socket = *accepted;
    outcome("accept", accepted, want);
    peer().read = peer().written = 1;
  } else if (first == "passive") {
    open_passive(w);
  } else if (first == "active") {
    open_active(w);
  } else if (first == "open") {
    socket = *host.open(v6_ ? Host::Family::V6 : Host::Family::V4);
  } else if (first == "connect" || first == "reconnect") {
    // `reconnect` uses the socket that `open` made, which may have options by now.
    port_ = kServed;
    if (first == "connect") socket = *host.open(v6_ ? Host::Family::V6 : Host::Family::V4);
    if (const auto port = Words::parse(w.peek())) {
      w.take();
      (void)host.set_option(socket, Option::reuse_address, 1, now);
      outcome("bind", host.bind(socket, {address(true), static_cast<Port>(*port)}), "ok");
    }
    outcome("connect", host.connect(socket, {address(false), kServed}, now), wanted("EINPROGRESS"));
    if (const auto local = host.local(socket)) peer().host_port = local->port;
    collect();
  } else if (first == "connected") {
    outcome("connect", host.connect(socket, {address(false), kServed}, now), wanted("ok"));
  } else if (first == "write") {
    const auto n = static_cast<std::uint32_t>(w.number());
    const bool urgent = w.skip("urgent"), more = w.skip("more");
    std::vector<std::byte> data(n);
    for (std::uint32_t i = 0; i < n; ++i) data[i] = byte_at(peer().written + i);
    const auto done = host.write(socket, data, now, urgent, more);
    if (done) peer().written += static_cast<std::uint32_t>(*done);
    outcome("write", done, wanted(std::to_string(n)));
    collect();
  } else if (first == "read") {
    const auto n = static_cast<std::uint32_t>(w.number());
    const bool peek = w.skip("peek");
    std::vector<std::byte> data(n);
    const auto done = host.read(socket, data, now, peek);
    outcome("read", done, wanted(std::to_string(n)));
    for (std::uint32_t i = 0; done && i < *done; ++i) {
      if (data[i] == byte_at(peer().read + i)) continue;
      return fail("byte " + std::to_string(peer().read + i) + " is not the one that was sent");
    }
    if (done && !peek) peer().read += static_cast<std::uint32_t>(*done);
    collect();
  } else if (first == "read_urgent") {
    const auto byte = host.read_urgent(socket, now);
    outcome("read_urgent", byte, wanted("ok"));
    // The mark tells where the byte was.
  } else if (first == "mark") {
    yes("at the mark", *host.at_mark(socket));
  } else if (first == "skip") {  // of the numbers that are read: the urgent byte is left out
    ++peer().read;
  } else if (first == "unread") {
    const auto want = static_cast<std::size_t>(w.number());
    const auto is = host.unread(socket);
    if (is != want) fail("there are " + std::to_string(is.value_or(0)));
  } else if (first == "shutdown") {
    const std::string how = w.take();
    const ShutdownHow as = how == "read"    ? ShutdownHow::Read
                           : how == "write" ? ShutdownHow::Write
                                            : ShutdownHow::Both;
    outcome("shutdown", host.shutdown(socket, as, now), wanted("ok"));
    collect();
  } else if (first == "close") {
    outcome("close", host.close(w.skip("listener") ? listener : socket, now), wanted("ok"));
    collect();
  } else if (first == "abort") {
    outcome("abort", host.abort(socket, now), wanted("ok"));
    collect();
  } else if (first == "set") {
    const std::string name = w.take();
    const auto value = static_cast<int>(w.number());
    const auto option = option_from(name);
    if (!option) return fail("no such option");
    outcome("set_option", host.set_option(socket, *option, value, now), wanted("ok"));
    collect();
  } else if (first == "sysctl") {
    const std::string name = w.take();
    if (const auto set = host.set(name, w.rest()); !set) fail(set.error().message);
  } else if (first == "state") {
    const auto want = w.take();
    const auto is = to_string(sees_->state(tuple()));
    if (is != want) fail("the state is " + std::string(is));
  } else if (first == "counter") {
    const std::string name = w.take();
    const auto want = static_cast<std::uint64_t>(w.number());
    const std::uint64_t is = counter(host.counters(), name);
    if (is != want) fail(name + " is " + std::to_string(is));
  } else if (first == "time_waits") {
    const auto want = static_cast<std::size_t>(w.number());
    if (host.time_waits() != want) fail("there are " + std::to_string(host.time_waits()));
  } else if (first == "connections") {
    const auto want = static_cast<std::size_t>(w.number());
    if (host.connections() != want) fail("there are " + std::to_string(host.connections()));
  } else if (first == "doubts") {
    const auto want = w.number();
    if (sees_->doubts != want) fail("there were " + std::to_string(sees_->doubts));
  } else if (first == "error") {
    const auto error = host.take_error(socket);
    const std::string want = w.take(), is = error ? errno_name(*error) : "EBADF";
    if (is != want) fail("the error is " + is);
  } else if (first == "readable") {
    yes("readable", host.readiness(socket).readable);
  } else if (first == "writable") {
    yes("writable", host.readiness(socket).writable);
  } else if (first == "urgent") {
    yes("urgent", host.readiness(socket).urgent);
  } else if (first == "hup") {
    yes("hung_up", host.readiness(socket).hung_up);
  } else if (first == "rdhup") {
    yes("read_hung_up", host.readiness(socket).read_hung_up);
  } else if (first == "err") {
    yes("error", host.readiness(socket).error);
  } else if (first == "peer") {
    port_ = static_cast<Port>(w.number());
  } else if (first == "isn") {
    peer().isn = static_cast<std::uint32_t>(w.number());
    peer().read = 1;
  } else {
    fail("no such line");
  }
  if (w.bad) fail("not understood");
  if (!failed_) at_ = before;
}

}  // namespace lastack::test
