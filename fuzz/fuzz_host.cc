// A whole host in front of a network that lies and a user who asks for anything: addresses of both families,
// listeners, connections in both directions, records in TIME_WAIT and FIN_WAIT_2, SYN floods, ICMP, options and
// settings changed at any time, snapshots. Each step of the input is a packet whose numbers are chosen around what
// some connection or record expects, a call, or time; after each the host has to be in order (tests/audit).
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "audit/host_audit.h"
#include "byte_source.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/tcp_segment.h"

namespace {

using namespace lastack;
using namespace lastack::fuzz;
using test::HostAudit;

constexpr std::size_t kMostSteps = 250;
constexpr std::array<Port, 4> kPorts = {80, 81, 40000, 40001};

HostOptions options_of(ByteSource& in) {
  HostOptions o;
  const std::uint8_t how = in.byte();
  o.profile = static_cast<Profile>(how % 3);
  o.port_choice = (how & 4) != 0 ? PortChoice::LinuxWalk : PortChoice::Flat;
  if ((how & 8) != 0) o.time_wait_length = std::chrono::seconds(in.byte());
  if ((how & 16) != 0) o.gso_max_size = 65536;
  if ((how & 32) != 0) o.mtu = std::max<std::uint16_t>(in.word(), 68);
  o.checksum_offload = true;  // the parser has a target of its own
  o.most_sockets = (how & 64) != 0 ? 5 : 64;
  o.seed = how;
  return o;
}

class Story {
 public:
  explicit Story(ByteSource& source) : in_(source), host_(options_of(source)) {
    host_.add_address(ours(false));
    try {
      host_.add_address(ours(true));
    } catch (const std::invalid_argument&) {  // too small an MTU
    }
    must(host_.set("ip_local_port_range", "40000 40007").has_value(), "no range of ports");
    must(host_.set("tcp_max_tw_buckets", "16").has_value(), "no limit of records");
    if (in_.flag())
      must(host_.set("tcp_fastopen", "1026").has_value(), "no Fast Open of listeners");
    // A listener for both families, so that a story need not begin with it.
    const SocketId listener = *host_.open(Host::Family::V6);
    sockets_.push_back(listener);
    host_.bind(listener, {IpAddress(), 80});
    host_.listen(listener, 4);
  }

  void tell() {
    for (std::size_t step = 0; step < kMostSteps && !in_.empty(); ++step) {
      one_step();
      collect();
      host_.advance(now_);
      collect();
      must_be_well(HostAudit::check(host_, now_));
      must(host_.time_waits() <= 300, "records without end");
    }
    finish();
  }

 private:
  static IpAddress ours(bool v6) {
    return v6 ? *IpAddress::parse("fd00::1") : IpAddress::v4(0x0a000001);
  }
  static IpAddress theirs(bool v6, std::uint8_t which) {
    if (!v6) return IpAddress::v4(0x0a000002 + which % 4U);
    auto bytes = IpAddress::parse("fd00::2")->bytes();
    bytes[15] = static_cast<std::uint8_t>(2 + which % 4);
    return IpAddress::v6(bytes);
  }

  void one_step() {
    switch (in_.below(20)) {
      case 0:
      case 1:
        return syn();
      case 2:
      case 3:
      case 4:
        return to_connection();
      case 5:
      case 6:
        return good_ack();
      case 7:
      case 8:
        return to_record();
      case 9:
        return icmp();
      case 10:
        return raw();
      case 11:
        return open_socket();
      case 12:
        return do_connect();
      case 13:
        return do_accept();
      case 14:
        return do_io();
      case 15:
        return end_one();
      case 16:
        return in_.flag() ? set_option() : set_setting();
      case 17:
        return pass_time();
      case 18:
        return look();
      case 19:
        return flood();
    }
  }

  // --- Packets

  void send(const FourTuple& tuple, TcpSegment& s, std::size_t length) {
    // From the peer's side.
    s.source = tuple.remote.port;
    s.destination = tuple.local.port;
    const std::size_t ip_length = ip_header_length(tuple.local.address);
    const std::size_t tcp_length = header_length(s.options);
    packet_.assign(ip_length + tcp_length + length, std::byte{0x55});
    write_ip(packet_.data(),
             {.source = tuple.remote.address,
              .destination = tuple.local.address,
              .traffic_class = static_cast<std::uint8_t>(s.ecn & ecn::kMask)},
             tcp_length + length);
    write_tcp_header(packet_.data() + ip_length, s);
    host_.receive(packet_, now_);
  }

  FourTuple any_tuple() {
    const std::uint8_t which = in_.byte();
    const bool v6 = (which & 1) != 0;
    return {{ours(v6), kPorts[which >> 1 & 3]},
            {theirs(v6, static_cast<std::uint8_t>(which >> 3 & 3)),
             static_cast<Port>(2000 + (which >> 5))}};
  }

  void syn_options(TcpSegment& s) {
    const std::uint8_t which = in_.byte();
    if ((which & 1) == 0) s.options.mss = (which & 2) == 0 ? std::uint16_t{1460} : in_.word();
    if ((which & 4) == 0) s.options.window_scale = static_cast<std::uint8_t>(which >> 4);
    if ((which & 8) == 0) s.options.sack_permitted = true;
    if ((which & 32) == 0) s.options.timestamps = Timestamps{clock(), 0};
    s.window = 65535;
  }
  std::uint32_t clock() const { return timestamp_clock(now_) + 77; }

  void syn() {
    TcpSegment s;
    s.seq = SeqNum(in_.byte() * 0x01010101U);
    s.flags = tcp_flag::kSyn;
    syn_options(s);
    const FourTuple tuple = any_tuple();
    std::uint32_t length = 0;
    if (in_.flag()) {
      length = in_.byte();
      if (in_.flag()) s.flags |= tcp_flag::kFin;
      // Fast Open: the right cookie, or the request for one.
      s.options.fast_open.emplace();
      if (in_.flag()) {
        const SipKey& key = HostAudit::impl(host_).fast_open.keys.first;
        s.options.fast_open = make_fast_open_cookie(key, tuple);
      }
    }
    send(tuple, s, length);
  }

  void flood() {
    const bool v6 = in_.flag();
    const std::uint32_t n = in_.below(40);
    for (std::uint32_t i = 0; i < n; ++i) {
      TcpSegment s;
      s.seq = SeqNum(i * 1000);
      s.flags = tcp_flag::kSyn;
      s.window = 1000;
      send({{ours(v6), 80}, {theirs(v6, 3), static_cast<Port>(10000 + flooded_++ % 2000)}}, s, 0);
      collect();
    }
  }

  const Connection* any_connection() {
    const auto& h = HostAudit::impl(host_);
    const std::uint32_t capacity = h.connections.capacity();
    if (h.connections.hashed() == 0) return nullptr;
    std::uint32_t k = in_.below(std::min(h.connections.hashed(), 256U));
    for (ConnectionIndex i = 0; i < capacity; ++i) {
      if (!h.connections.is_live(i) || !h.connections[i].hashed) continue;
      if (k-- == 0) return &h.connections[i];
    }
    return nullptr;
  }

  SeqNum near(std::uint8_t kind, SeqNum a, SeqNum b) {
    switch (kind % 8) {
      case 0:
      case 1:
        return a;
      case 2:
        return b;
      case 3:
        return a - 1;
      case 4:
        return a + in_.byte();
      case 5:
        return b - in_.byte();
      case 6:
        return a + in_.word();
      default:
        return SeqNum(in_.number());
    }
  }

  std::uint16_t some_flags() {
    static constexpr std::array<std::uint16_t, 8> kUsual = {
        tcp_flag::kAck,
        tcp_flag::kAck | tcp_flag::kFin,
        tcp_flag::kSyn,
        tcp_flag::kSyn | tcp_flag::kAck,
        tcp_flag::kRst,
        tcp_flag::kRst | tcp_flag::kAck,
        tcp_flag::kAck | tcp_flag::kPsh | tcp_flag::kUrg,
        0};
    const std::uint8_t which = in_.byte();
    return which >= 0xf0 ? static_cast<std::uint16_t>(in_.word() & 0x1ff) : kUsual[which % 8];
  }

  std::size_t some_length() {
    const std::uint8_t which = in_.byte();
    return which < 128 ? 0 : which < 192 ? which - 127U : which * 8U;
  }

  void to_connection() {
    const Connection* c = any_connection();
    if (c == nullptr) return;
    const FourTuple tuple = c->tuple;
    TcpSegment s;
    const std::uint8_t kinds = in_.byte();
    s.seq = near(kinds, c->rcv_nxt, c->rcv_nxt + c->receive_window());
    s.ack = near(kinds >> 3, c->snd_nxt, c->snd_una);
    s.flags = some_flags();
    s.window = (kinds & 64) != 0 ? in_.byte() : 65535;
    if (s.syn()) {
      syn_options(s);
    } else if ((kinds & 128) == 0) {
      s.options.timestamps =
          Timestamps{c->ts_recent + in_.below(3) - 1, timestamp_clock(now_) + c->ts_offset};
    } else if (c->sack) {
      s.options.sack_count = 1;
      const SeqNum left = c->snd_una + in_.word();
      s.options.sack[0] = {left, left + in_.word()};
    }
    s.urgent = (s.flags & tcp_flag::kUrg) != 0 ? in_.word() : std::uint16_t{0};
    s.ecn = kinds & 3;
    send(tuple, s, some_length());
  }

  // What a peer in good order would say.
  void good_ack() {
    const Connection* c = any_connection();
    if (c == nullptr) return;
    const FourTuple tuple = c->tuple;
    TcpSegment s;
    s.flags = tcp_flag::kAck;
    s.ack = c->snd_nxt;
    s.window = 65535;
    if (c->state == TcpState::SynSent) {
      s.flags |= tcp_flag::kSyn;
      s.seq = SeqNum(in_.byte() * 0x01010101U);
      syn_options(s);
      if (s.options.timestamps) s.options.timestamps->echo = timestamp_clock(now_) + c->ts_offset;
    } else {
      s.seq = c->rcv_nxt;
      if (c->timestamps) {
        s.options.timestamps =
            Timestamps{std::max(c->ts_recent, clock()), timestamp_clock(now_) + c->ts_offset};
      }
      if (in_.below(4) == 3) s.flags |= tcp_flag::kFin;
    }
    send(tuple, s, s.syn() ? 0 : some_length());
  }

  void to_record() {
    const auto& h = HostAudit::impl(host_);
    struct Met {
      FourTuple tuple;
      SeqNum rcv_nxt, snd_nxt;
      std::optional<std::uint32_t> ts_recent;
    };
    std::vector<Met> records;
    h.waits.for_each([&](const TimeWaitRecord& r) {
      records.push_back({r.tuple, r.rcv_nxt, r.snd_nxt, r.ts_recent});
    });
    h.waits.for_each_fin_wait_2([&](const FinWait2Record& r) {
      records.push_back({r.tuple, r.rcv_nxt, r.snd_nxt, r.ts_recent});
    });
    if (records.empty()) return;
    const Met& met =
        records[in_.below(static_cast<std::uint32_t>(std::min<std::size_t>(records.size(), 256)))];
    TcpSegment s;
    const std::uint8_t kinds = in_.byte();
    s.seq = near(kinds, met.rcv_nxt, met.rcv_nxt - 1);
    s.ack = near(kinds >> 3, met.snd_nxt, met.snd_nxt - 1);
    s.flags = some_flags();
    s.window = 65535;
    if (s.syn()) syn_options(s);
    if (met.ts_recent && (kinds & 64) == 0) {
      s.options.timestamps = Timestamps{*met.ts_recent + in_.below(5) - 2, 0};
    }
    send(met.tuple, s, some_length());
  }

  void icmp() {
    const Connection* c = any_connection();
    if (c == nullptr) return;
    const bool v4 = c->tuple.local.address.is_v4();
    // The quote: the segment as it was sent.
    TcpSegment quoted;
    quoted.source = c->tuple.local.port;
    quoted.destination = c->tuple.remote.port;
    quoted.seq = near(in_.byte(), c->snd_una, c->snd_nxt);
    const std::size_t ip_length = ip_header_length(c->tuple.local.address);
    std::vector<std::byte> error(ip_length * 2 + 8 + kTcpHeaderLength);
    write_ip(error.data(),
             {.source = c->tuple.remote.address,
              .destination = c->tuple.local.address,
              .protocol = v4 ? kProtocolIcmp : kProtocolIcmpV6},
             ip_length + 8 + kTcpHeaderLength);
    std::byte* at = error.data() + ip_length;
    store8(at, v4 ? std::array<std::uint8_t, 4>{3, 4, 11, 12}[in_.below(4)]
                  : static_cast<std::uint8_t>(1 + in_.below(4)));
    store8(at + 1, static_cast<std::uint8_t>(in_.below(16)));
    store32(at + 4, in_.word());
    write_ip(at + 8, {.source = c->tuple.local.address, .destination = c->tuple.remote.address},
             kTcpHeaderLength);
    write_tcp_header(at + 8 + ip_length, quoted);
    const std::span<std::byte> body = std::span(error).subspan(ip_length);
    ChecksumSum sum;
    if (!v4) {
      sum.add_pseudo_header(c->tuple.remote.address, c->tuple.local.address, kProtocolIcmpV6,
                            body.size());
    }
    sum.add(body);
    const std::uint16_t checksum = sum.checksum();
    std::memcpy(at + 2, &checksum, sizeof checksum);
    host_.receive(error, now_);
  }

  void raw() {
    packet_.resize(in_.below(80));
    for (std::byte& b : packet_) b = static_cast<std::byte>(in_.byte());
    host_.receive(packet_, now_);
  }

  // --- Calls

  SocketId any_socket() {
    if (sockets_.empty()) return SocketId{in_.number()};
    const std::uint32_t k =
        in_.below(static_cast<std::uint32_t>(std::min<std::size_t>(sockets_.size() + 1, 256)));
    return k < sockets_.size() ? sockets_[k] : SocketId{in_.number()};
  }

  void open_socket() {
    const std::uint8_t how = in_.byte();
    const bool v6 = (how & 1) != 0;
    const auto opened = host_.open(v6 ? Host::Family::V6 : Host::Family::V4);
    if (!opened) {
      must(opened.error() == Err::too_many_files, "open() fails otherwise");
      return;
    }
    sockets_.push_back(*opened);
    if ((how & 2) != 0) host_.set_option(*opened, Option::reuse_address, 1, now_);
    if ((how & 4) != 0) host_.set_option(*opened, Option::reuse_port, 1, now_);
    if ((how & 8) != 0) {
      const IpAddress at = (how & 16) != 0 ? ours(v6) : v6 ? IpAddress() : IpAddress::v4(0);
      host_.bind(*opened, {at, (how & 32) != 0 ? Port{0} : kPorts[in_.below(4)]});
    }
    if ((how & 64) != 0) host_.listen(*opened, static_cast<int>(in_.below(6)) - 1);
  }

  void do_connect() {
    SocketId socket = any_socket();
    const std::uint8_t how = in_.byte();
    const bool v6 = (how & 1) != 0;
    if ((how & 2) == 0) {
      const auto opened = host_.open(v6 ? Host::Family::V6 : Host::Family::V4);
      if (!opened) return;
      socket = *opened;
      sockets_.push_back(socket);
    }
    host_.connect(socket, {theirs(v6, static_cast<std::uint8_t>(how >> 2)), kPorts[how >> 4 & 3]},
                  now_);
  }

  void do_accept() {
    const auto accepted = host_.accept(any_socket());
    if (accepted) sockets_.push_back(*accepted);
  }

  void do_io() {
    const SocketId socket = any_socket();
    const std::uint8_t how = in_.byte();
    std::array<std::byte, 3000> buffer{};
    const std::size_t n = std::min<std::size_t>(in_.byte() * 40U, buffer.size());
    if ((how & 1) == 0) {
      const auto written =
          host_.write(socket, std::span(buffer).first(n), now_, (how & 2) != 0, (how & 4) != 0);
      must(!written || *written <= n, "more written than there was");
    } else {
      const auto read = host_.read(socket, std::span(buffer).first(n), now_, (how & 2) != 0);
      must(!read || *read <= n, "more read than asked for");
    }
  }

  void end_one() {
    const SocketId socket = any_socket();
    switch (in_.below(4)) {
      case 0:
        host_.shutdown(socket, static_cast<ShutdownHow>(in_.below(3)), now_);
        return;
      case 1:
        host_.abort(socket, now_);
        break;
      default:
        host_.close(socket, now_);
    }
    must(!host_.state(socket), "a socket that outlives its close()");
    std::erase(sockets_, socket);
  }

  void set_option() {
    const SocketId socket = any_socket();
    const auto option =
        static_cast<Option>(in_.below(static_cast<std::uint32_t>(Option::fast_open_no_cookie) + 1));
    const std::uint8_t how = in_.byte();
    const int value = (how & 1) == 0 ? static_cast<int>(how >> 1) : static_cast<int>(in_.number());
    host_.set_option(socket, option, value, now_);
    const auto now_is = host_.option(socket, option);
    must(now_is || now_is.error() == Err::bad_descriptor || now_is.error() == Err::invalid ||
             now_is.error() == Err::not_supported || now_is.error() == Err::protocol_unreachable,
         "an option that cannot be read");
  }

  void set_setting() {
    static constexpr std::array<const char*, 29> kNames = {"tcp_timestamps",
                                                           "tcp_tw_reuse",
                                                           "tcp_tw_reuse_delay",
                                                           "tcp_max_tw_buckets",
                                                           "tcp_rfc1337",
                                                           "tcp_sack",
                                                           "tcp_window_scaling",
                                                           "tcp_syncookies",
                                                           "tcp_ecn",
                                                           "tcp_fin_timeout",
                                                           "tcp_abort_on_overflow",
                                                           "tcp_max_orphans",
                                                           "tcp_tw_recycle",
                                                           "tcp_retries2",
                                                           "tcp_orphan_retries",
                                                           "tcp_syn_retries",
                                                           "tcp_synack_retries",
                                                           "tcp_keepalive_time",
                                                           "tcp_keepalive_intvl",
                                                           "tcp_keepalive_probes",
                                                           "tcp_reordering",
                                                           "tcp_recovery",
                                                           "tcp_early_retrans",
                                                           "tcp_frto",
                                                           "tcp_min_snd_mss",
                                                           "tcp_challenge_ack_limit",
                                                           "tcp_invalid_ratelimit",
                                                           "somaxconn",
                                                           "tcp_fastopen"};
    const char* name = kNames[in_.below(static_cast<std::uint32_t>(kNames.size()))];
    std::int64_t value = static_cast<std::int64_t>(in_.byte()) - 2;
    if (value > 200) value = in_.number();
    // The table is kept small: a story has no room for more.
    if (std::string_view(name) == "tcp_max_tw_buckets") value = std::min<std::int64_t>(value, 64);
    // Of listeners: with cookies and without.
    if (std::string_view(name) == "tcp_fastopen") value = (value & 1) == 0 ? 0x402 : 0x602;
    static_cast<void>(host_.set(name, std::to_string(value)));  // it may be refused
  }

  void pass_time() {
    const std::uint8_t how = in_.byte();
    if ((how & 1) == 0) {
      const Instant next = host_.next_deadline();
      // Not farther than a clock goes.
      if (next < now_ + std::chrono::hours(24 * 30)) now_ = std::max(now_, next);
    } else {
      now_ += Duration(std::int64_t{1} << (how >> 1) % 44);
    }
    host_.advance(now_);
    must(host_.next_deadline() > now_, "a time-out that stays due");
  }

  void look() {
    const SocketId socket = any_socket();
    switch (in_.below(4)) {
      case 0: {
        const HostSnapshot snapshot = host_.snapshot(now_);
        must(snapshot.namespaces.size() == 1, "a snapshot of something else");
        break;
      }
      case 1:
        host_.info(socket, now_);
        host_.local(socket);
        host_.remote(socket);
        host_.unread(socket);
        host_.unacknowledged(socket);
        break;
      case 2:
        host_.readiness(socket);
        host_.take_error(socket);
        break;
      case 3:
        while (host_.next_event()) {
        }
        break;
    }
  }

  void collect() {
    std::size_t n = 0;
    for (auto p = host_.next_packet(); !p.empty(); p = host_.next_packet()) {
      must(++n < 20'000, "packets without end");
      const auto ip = parse_ip(p);
      must(ip.has_value(), "a packet that is none");
      must(parse_tcp(ip->payload, ip->header, Checksum::Trust).has_value(),
           "a segment that is none");
      must(ip->header.source == ours(!ip->header.source.is_v4()),
           "from an address that is not ours");
    }
  }

  // All is closed, and everything has its time: nothing stays.
  void finish() {
    for (const SocketId socket : sockets_) host_.abort(socket, now_);
    collect();
    must_be_well(HostAudit::check(host_, now_));
    for (int turns = 0; turns < 2000 && host_.next_deadline() != Instant::max(); ++turns) {
      const Instant next = host_.next_deadline();
      if (next > now_ + std::chrono::hours(24 * 30)) break;
      now_ = std::max(now_, next);
      host_.advance(now_);
      collect();
    }
    if (HostAudit::waits_for_ever(host_)) return;
    must_be_well(HostAudit::check_empty(host_));
  }

  ByteSource& in_;
  Host host_;
  Instant now_{std::chrono::seconds(100)};
  std::vector<SocketId> sockets_;
  std::vector<std::byte> packet_;
  std::uint32_t flooded_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteSource source(data, size);
  Story(source).tell();
  return 0;
}
