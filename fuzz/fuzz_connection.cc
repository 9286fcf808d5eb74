// One connection against a peer that lies. Each step of the input is a segment whose numbers are chosen around
// those that the connection expects, a call of the user, ICMP, or time; after each the connection has to be
// in order (tests/audit), what it has sent has to be well formed, and the bytes that the user reads have to be
// those that belong at that place of the stream, however they were cut, doubled and shuffled.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "audit/connection_audit.h"
#include "byte_source.h"
#include "tcp/calls.h"
#include "tcp/input.h"
#include "tcp/output.h"
#include "tcp/state.h"
#include "tcp/timers.h"
#include "wire/icmp.h"

namespace {

using namespace lastack;
using namespace lastack::fuzz;

// What stands at a place of the stream, for either direction.
std::byte at_place(std::uint32_t place) {
  return static_cast<std::byte>((place * 2654435761U) >> 13);
}

constexpr std::size_t kMostSteps = 400;

// LASTACK_TRACE=1 tells the story of an input.
const bool kTrace = std::getenv("LASTACK_TRACE") != nullptr;

class Story {
 public:
  explicit Story(ByteSource& source) : in_(source) {}

  void tell() {
    begin_connection();
    for (std::size_t step = 0; step < kMostSteps && !in_.empty(); ++step) {
      const TcpState before = c_.state;
      one_step();
      c_.news = 0;
      collect();
      must_be_well(test::audit(c_, settings_));
      if (!test::allowed(before, c_.state)) {
        fail(std::string("from ") + std::string(to_string(before)) + " to " +
             std::string(to_string(c_.state)));
      }
      if (c_.state == TcpState::Closed || c_.state == TcpState::TimeWait) break;
      if ((pending_ & (news::kTimeWait | news::kFinWait2)) != 0) break;  // a record from here on
    }
  }

 private:
  TcpContext context() { return {now_, settings_, counters_, out_, challenges_, false}; }

  void begin_connection() {
    const std::uint8_t how = in_.byte();
    const std::uint8_t what = in_.byte();
    v4_ = (how & 1) == 0;
    settings_.timestamps = (what & 1) == 0;
    settings_.sack = (what & 2) == 0;
    settings_.window_scaling = (what & 4) == 0;
    settings_.ecn = (what & 8) == 0 ? 2 : 1;
    if ((what & 16) != 0) settings_.congestion_control = CongestionControl::NewReno;
    if ((what & 32) != 0) settings_.gso_max_size = 65536;
    if ((what & 64) != 0) strict_rules(settings_.rules);
    if ((what & 128) != 0) {
      settings_.rmem_default = settings_.rmem_max = 2304;
      settings_.wmem_default = settings_.wmem_max = 4608;
    }
    FourTuple tuple{{v4_ ? IpAddress::v4(0x0a000001) : *IpAddress::parse("fd00::1"), 1000},
                    {v4_ ? IpAddress::v4(0x0a000002) : *IpAddress::parse("fd00::2"), 2000}};
    const SeqNum iss(in_.byte() * 0x01000000U - 1000);
    irs_ = SeqNum(in_.byte() * 0x01000000U - 500);
    const Opening opening{.tuple = tuple, .iss = iss, .ts_offset = 12345, .mtu = 1500};
    TcpContext x = context();
    c_.options.urgent_inline =
        true;  // out of line, urgent bytes would be missing from the stream that is read
    if ((how & 2) == 0) {
      open_active(c_, x, opening);
    } else {
      begin(c_, x, opening);
      TcpSegment syn;
      syn.seq = irs_;
      syn.flags = tcp_flag::kSyn;
      if ((how & 4) != 0) syn.flags |= tcp_flag::kEce | tcp_flag::kCwr;
      syn_options(syn);
      accept_syn(c_, x, syn);
      c_.snd_nxt = c_.iss + 1;
      c_.sent.push_back({c_.iss, 1, now_, 1, SentSegment::kSyn});
      c_.packets_out = 1;
      send_syn(c_, x, false);
      arm_send_timer(c_, x, SendTimer::Retransmit, c_.rtt.rto);
    }
    if ((how & 8) != 0) {
      // Established at once, so that a story need not begin with it.
      TcpSegment s;
      s.source = 2000;
      s.destination = 1000;
      s.seq = irs_;
      s.ack = c_.snd_nxt;
      s.flags = tcp_flag::kAck;
      s.window = 0xffff;
      if (c_.state == TcpState::SynSent) {
        s.flags |= tcp_flag::kSyn;
        syn_options(s);
      } else {
        s.seq = irs_ + 1;
        if (c_.timestamps) s.options.timestamps = Timestamps{5000, 0};
      }
      on_segment(c_, x, s);
    }
    collect();
    must_be_well(test::audit(c_, settings_));
  }

  // RFC 793's.
  static void strict_rules(TcpRules& rules) {
    rules.rfc5961 = rules.ack_range_check = rules.reset_on_unread = false;
    rules.fin_wait_2_limit = rules.reset_on_data_after_close = false;
  }

  void syn_options(TcpSegment& syn) {
    const std::uint8_t which = in_.byte();
    static constexpr std::array<std::uint16_t, 8> kSizes = {1460, 536, 1, 88, 12, 65535, 0, 1220};
    if ((which & 1) == 0) syn.options.mss = kSizes[in_.below(8)];
    if ((which & 2) == 0) syn.options.window_scale = static_cast<std::uint8_t>(in_.below(16));
    if ((which & 4) == 0) syn.options.sack_permitted = true;
    if ((which & 8) == 0) syn.options.timestamps = Timestamps{5000, 0};
    syn.window = (which & 16) == 0 ? 65535 : in_.word();
  }

  void one_step() {
    switch (in_.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
        segment();
        break;
      case 7:
        good_ack();
        break;
      case 8:
      case 9:
        do_write();
        break;
      case 10:
        do_read();
        break;
      case 11:
      case 12:
        pass_time();
        break;
      case 13:
        call();
        break;
      case 14:
        icmp();
        break;
      case 15:
        in_order_data();
        break;
    }
  }

  // A number near those that matter.
  SeqNum near(std::uint8_t kind, SeqNum a, SeqNum b, SeqNum d) {
    switch (kind % 8) {
      case 0:
        return a;
      case 1:
        return b;
      case 2:
        return d;
      case 3:
        return a + in_.byte();
      case 4:
        return a - in_.byte();
      case 5:
        return b - in_.byte();
      case 6:
        return a + in_.word();
      default:
        return SeqNum(in_.number());
    }
  }

  void fill(TcpSegment& s, std::size_t length) {
    payload_.resize(length);
    const std::uint32_t from = static_cast<std::uint32_t>(s.seq - irs_) + (s.syn() ? 1 : 0);
    for (std::size_t i = 0; i < length; ++i) {
      payload_[i] = at_place(from + static_cast<std::uint32_t>(i));
    }
    s.payload = payload_;
  }

  void trace(const char* way, const TcpSegment& s, SeqNum ours, SeqNum theirs) const {
    if (!kTrace) return;
    std::fprintf(stderr, "%.3f %s flags %03x seq %d ack %d len %zu win %u",
                 seconds(now_.time_since_epoch()), way, s.flags, s.seq - ours, s.ack - theirs,
                 s.payload.size(), s.window);
    if (s.options.timestamps) {
      std::fprintf(stderr, " ts %u %u", s.options.timestamps->value, s.options.timestamps->echo);
    }
    for (const SackBlock& b : s.options.sack_blocks()) {
      std::fprintf(stderr, " sack %d:%d", b.left - theirs, b.right - theirs);
    }
    std::fprintf(stderr, " [%s]\n", std::string(to_string(c_.state)).c_str());
  }

  void receive(const TcpSegment& s) {
    trace("<", s, irs_, c_.iss);
    TcpContext x = context();
    on_segment(c_, x, s);
    pending_ |= c_.news;
  }

  void segment() {
    TcpSegment s;
    s.source = 2000;
    s.destination = 1000;
    const std::uint8_t kinds = in_.byte();
    const bool opening = c_.state == TcpState::SynSent;
    s.seq = opening ? near(kinds, irs_, irs_, irs_)
                    : near(kinds, c_.rcv_nxt, c_.rcv_nxt + c_.receive_window(), c_.rcv_wup);
    s.ack = near(kinds >> 3, c_.snd_nxt, c_.snd_una, c_.write_seq);
    const std::uint8_t flags = in_.byte();
    static constexpr std::array<std::uint16_t, 8> kUsual = {tcp_flag::kAck,
                                                            tcp_flag::kAck | tcp_flag::kPsh,
                                                            tcp_flag::kAck | tcp_flag::kFin,
                                                            tcp_flag::kSyn,
                                                            tcp_flag::kSyn | tcp_flag::kAck,
                                                            tcp_flag::kRst,
                                                            tcp_flag::kRst | tcp_flag::kAck,
                                                            0};
    s.flags =
        (flags & 0x80) != 0 ? static_cast<std::uint16_t>(in_.word() & 0x1ff) : kUsual[flags % 8];
    // The irs of an active open is what the SYN says.
    if (opening && s.syn()) irs_ = s.seq;
    switch (flags >> 3 & 3) {
      case 0:
        s.window = 65535;
        break;
      case 1:
        s.window = in_.byte();
        break;
      default:
        s.window = in_.word();
    }
    if ((flags & 0x20) != 0) s.urgent = in_.word();
    const std::uint8_t shape = in_.byte();
    s.ecn = shape & 3;
    if ((shape & 4) == 0) {
      std::uint32_t value = c_.ts_recent;
      if ((shape & 8) != 0)
        value += static_cast<std::uint32_t>(static_cast<std::int8_t>(in_.byte()));
      std::uint32_t echo = timestamp_clock(now_) + c_.ts_offset;
      if ((shape & 16) != 0) echo -= in_.byte();
      s.options.timestamps = Timestamps{value, echo};
    }
    if (s.syn()) syn_options(s);
    if ((shape & 32) != 0) {
      s.options.sack_count = static_cast<std::uint8_t>(1 + in_.below(4));
      for (std::uint8_t i = 0; i < s.options.sack_count; ++i) {
        const std::uint8_t kind = in_.byte();
        const SeqNum left = near(kind, c_.snd_una, c_.snd_nxt, c_.snd_una - 1);
        const SeqNum right = (kind & 0x80) != 0 ? near(kind >> 3, c_.snd_nxt, c_.snd_una, left)
                                                : left + send_mss(c_) * (kind >> 5 & 3);
        s.options.sack[i] = {left, right};
      }
    }
    static constexpr std::array<std::uint16_t, 4> kLengths = {0, 1, 536, 1448};
    std::size_t length =
        (shape & 64) != 0 ? in_.word() % 3000 : kLengths[shape >> 7 == 0 ? 0 : in_.below(4)];
    fill(s, length);
    receive(s);
  }

  // What a peer in good order would say.
  void good_ack() {
    if (c_.state == TcpState::SynSent) return;
    TcpSegment s;
    s.seq = c_.rcv_nxt;
    const auto out = static_cast<std::uint32_t>(c_.snd_nxt - c_.snd_una);
    const std::uint8_t part = in_.byte();
    s.ack = part >= 128 ? c_.snd_nxt : c_.snd_una + out * part / 128;
    s.flags = tcp_flag::kAck;
    s.window = 65535;
    if (c_.timestamps) {
      s.options.timestamps = Timestamps{c_.ts_recent + 1, timestamp_clock(now_) + c_.ts_offset};
    }
    receive(s);
  }

  void in_order_data() {
    if (c_.state == TcpState::SynSent) return;
    TcpSegment s;
    const std::uint8_t ahead = in_.byte();
    s.seq = c_.rcv_nxt + (ahead < 128 ? 0U : (ahead - 127U) * 100U);
    s.ack = c_.snd_una;
    s.flags = tcp_flag::kAck;
    if (in_.flag()) s.flags |= tcp_flag::kFin;
    s.window = 65535;
    if (c_.timestamps) {
      s.options.timestamps = Timestamps{c_.ts_recent, timestamp_clock(now_) + c_.ts_offset};
    }
    fill(s, 1 + in_.below(200) * 5);
    receive(s);
  }

  void do_write() {
    const std::uint8_t how = in_.byte();
    const std::size_t most = std::size_t{1} << (how & 15);
    const std::size_t length = std::min<std::size_t>(most, 20'000);
    written_bytes_.resize(length);
    for (std::size_t i = 0; i < length; ++i) {
      written_bytes_[i] = at_place(written_ + static_cast<std::uint32_t>(i));
    }
    TcpContext x = context();
    const std::size_t n = write(
        c_, x, written_bytes_,
        {.urgent = (how & 16) != 0, .more = (how & 32) != 0, .end_of_record = (how & 64) != 0});
    must(n <= length, "more written than there was");
    written_ += static_cast<std::uint32_t>(n);
    pending_ |= c_.news;
  }

  void do_read() {
    std::array<std::byte, 4096> buffer;
    const std::uint8_t how = in_.byte();
    const std::size_t want = std::min<std::size_t>(std::size_t{1} << (how & 15), buffer.size());
    TcpContext x = context();
    const bool peek = (how & 16) != 0;
    const std::size_t n = read(c_, x, std::span(buffer).first(want), peek);
    must(n <= want, "more read than asked for");
    for (std::size_t i = 0; i < n; ++i) {
      if (buffer[i] != at_place(1 + read_ + static_cast<std::uint32_t>(i))) {
        fail("byte " + std::to_string(read_ + i) + " of the stream is not what was sent");
      }
    }
    if (!peek) read_ += static_cast<std::uint32_t>(n);
    pending_ |= c_.news;
  }

  void pass_time() {
    const std::uint8_t how = in_.byte();
    if ((how & 1) == 0) {
      const Instant next = next_timer(c_);
      if (next != Instant::max()) now_ = std::max(now_, next);
    } else {
      now_ += Duration((std::int64_t{1} << (how >> 1) % 48));
    }
    for (int turns = 0; next_timer(c_) <= now_; ++turns) {
      must(turns < 64, "a timer that is always due");
      TcpContext x = context();
      on_timer(c_, x);
      pending_ |= c_.news;
      if (c_.state == TcpState::Closed) break;
    }
  }

  void call() {
    TcpContext x = context();
    const std::uint8_t which = in_.byte();
    UserOptions& o = c_.options;
    switch (which % 16) {
      case 0:
        shutdown_write(c_, x);
        break;
      case 1:
        close(c_, x);
        break;
      case 2:
        if (in_.byte() < 32) abort(c_, x);
        break;
      case 3:
        o.no_delay = !o.no_delay;
        options_changed(c_, x, o.no_delay);
        break;
      case 4:
        o.cork = !o.cork;
        options_changed(c_, x);
        break;
      case 5:
        o.keepalive = !o.keepalive;
        o.keep_idle = in_.byte();
        o.keep_intvl = 1 + in_.byte();
        o.keep_count = in_.below(4);
        options_changed(c_, x);
        break;
      case 6:
        o.receive_buffer = 2304 + in_.word();
        break;
      case 7:
        o.send_buffer = 4608 + in_.word();
        break;
      case 8:
        o.user_timeout_ms = in_.word();
        break;
      case 9:
        o.linger2 = static_cast<int>(in_.byte()) - 10;
        break;
      case 10:
        o.linger = in_.flag();
        break;
      case 11:
        o.window_clamp = in_.word();
        break;
      case 12:
        c_.read_shutdown = true;
        break;
      case 13:
        settings_.reordering = 1 + static_cast<int>(in_.byte());
        settings_.recovery = static_cast<int>(in_.below(8));
        settings_.early_retrans = static_cast<int>(in_.below(5));
        settings_.frto = static_cast<int>(in_.below(3));
        break;
      case 14:
        settings_.retries2 = static_cast<int>(in_.byte());
        settings_.orphan_retries = static_cast<int>(in_.below(10));
        settings_.fin_timeout = static_cast<int>(in_.byte()) - 5;
        settings_.thin_linear_timeouts = in_.flag();
        break;
      case 15:
        o.not_sent_low = in_.word();
        break;
    }
    pending_ |= c_.news;
  }

  void icmp() {
    const std::uint8_t which = in_.byte();
    IcmpError error{.kind = static_cast<IcmpKind>(which % 10), .tuple = c_.tuple, .seq = {}};
    error.seq = near(which >> 4, c_.snd_una, c_.snd_nxt, c_.snd_nxt);
    error.mtu = in_.word();
    TcpContext x = context();
    on_icmp(c_, x, error);
    pending_ |= c_.news;
  }

  // Looks at everything that was sent.
  void collect() {
    for (std::size_t n = 0; !out_.empty(); ++n) {
      // The write buffer is bounded, and so is what one event can send.
      must(n < 20'000, "packets without end");
      const OutPacket packet = out_.front();
      check_sent(packet);
      out_.pop();
    }
  }

  void check_sent(const OutPacket& packet) {
    const auto ip = parse_ip(packet.bytes);
    must(ip.has_value(), "a packet that is none");
    const auto s = parse_tcp(ip->payload, ip->header,
                             packet.segment_size == 0 ? Checksum::Verify : Checksum::Trust);
    must(s.has_value(), "a segment that is none");
    trace(">", *s, c_.iss, c_.irs);
    const std::size_t header = packet.bytes.size() - s->payload.size();
    if (packet.segment_size == 0) {
      must(packet.bytes.size() <= largest_mtu_, "a packet longer than the path takes");
    } else {
      must(header + packet.segment_size <= largest_mtu_, "pieces longer than the path takes");
      must(s->payload.size() > packet.segment_size, "a super-segment of one");
    }
    largest_mtu_ = std::min<std::size_t>(largest_mtu_, c_.path_mtu);
    // After a RST everything that was waiting is forgotten; the data before it was checked then.
    for (std::size_t i = 0; i < s->payload.size(); ++i) {
      const auto place =
          static_cast<std::uint32_t>(s->seq - c_.iss) - 1 + static_cast<std::uint32_t>(i);
      must(place < written_ + 20'000, "data that nobody wrote");
      if (s->payload[i] != at_place(place)) fail("other bytes than were written");
    }
    if (s->ack_flag() && !s->syn() && !s->rst()) {
      must(s->ack <= c_.rcv_nxt, "an ACK of what has not come");
      for (const SackBlock& b : s->options.sack_blocks()) {
        must(b.left < b.right, "an empty SACK block was sent");
      }
    }
  }

  ByteSource& in_;
  Connection c_;
  TcpSettings settings_;
  Counters counters_;
  PacketQueue out_;
  ChallengeLimit challenges_;
  Instant now_{std::chrono::seconds(100)};
  bool v4_ = true;
  SeqNum irs_;
  std::uint32_t written_ = 0;
  std::uint32_t read_ = 0;
  std::uint16_t pending_ = 0;
  std::size_t largest_mtu_ = 1500;
  std::vector<std::byte> payload_;
  std::vector<std::byte> written_bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteSource source(data, size);
  Story(source).tell();
  return 0;
}
