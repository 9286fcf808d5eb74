#include "wire/tcp_segment.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/plain_segment.h"

namespace lastack {
namespace {

using tl::unexpected;

enum OptionKind : std::uint8_t {
  kEnd = 0,
  kNop = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kSack = 5,
  kTimestamps = 8,
  kFastOpen = 34,
  kExperiment = 254,
};
constexpr std::size_t kTimestampsLength = 10;
constexpr std::uint32_t kTimestampsWithSack = 0x0402080a;  // SACK-permitted in place of the NOPs
constexpr std::uint32_t kNopWindowScale = 0x01030300;      // and the shift
constexpr std::uint16_t kFastOpenExperiment = 0xf989;
constexpr std::size_t kAlignedTimestamps = kPlainTcpHeader - kTcpHeaderLength;

// Linux: tcp_parse_fastopen_option. What cannot be a cookie counts as none.
void take_cookie(const std::byte* value, std::size_t length, bool experimental, TcpOptions& out) {
  if (length % 2 != 0 || length > FastOpenCookie::kMost) return;
  if (length != 0 && length < FastOpenCookie::kLeast) return;
  FastOpenCookie& cookie = out.fast_open.emplace();
  cookie.length = static_cast<std::uint8_t>(length);
  cookie.experimental = experimental;
  std::copy_n(value, length, cookie.bytes.begin());
}

// An option whose length cannot be ends the list, and the segment counts without what follows (MUST-7).
void parse_options(std::span<const std::byte> bytes, TcpOptions& out) {
  // Nearly every segment of a connection with timestamps has these and nothing else.
  if (bytes.size() == kAlignedTimestamps && load32(bytes.data()) == kTimestampsWithNops) {
    Timestamps& timestamps = out.timestamps.emplace();
    timestamps.value = load32(&bytes[4]);
    timestamps.echo = load32(&bytes[8]);
    return;
  }
  // And nearly every SYN these, in the order that Linux writes them in, as we do.
  if (bytes.size() == 20 && load16(&bytes[0]) == 0x0204 &&
      load32(&bytes[4]) == kTimestampsWithSack && load32(&bytes[16]) >> 8 == kNopWindowScale >> 8) {
    out.mss = load16(&bytes[2]);
    out.sack_permitted = true;
    out.timestamps.emplace(load32(&bytes[8]), load32(&bytes[12]));
    out.window_scale = load8(&bytes[19]);
    return;
  }
  while (!bytes.empty()) {
    const std::uint8_t kind = load8(&bytes[0]);
    if (kind == kEnd) return;
    if (kind == kNop) {
      bytes = bytes.subspan(1);
      continue;
    }
    if (bytes.size() < 2) return;
    const std::size_t length = load8(&bytes[1]);
    if (length < 2 || length > bytes.size()) return;
    const std::byte* value = bytes.data() + 2;
    switch (kind) {
      case kMss:
        if (length == 4) out.mss = load16(value);
        break;
      case kWindowScale:
        if (length == 3) out.window_scale = load8(value);
        break;
      case kSackPermitted:
        if (length == 2) out.sack_permitted = true;
        break;
      case kSack:
        if (length < 10 || (length - 2) % 8 != 0) break;
        out.sack_count = 0;
        for (std::size_t at = 0; at < length - 2 && out.sack_count < TcpOptions::kMostSackBlocks;
             at += 8) {
          out.sack[out.sack_count++] = {SeqNum(load32(value + at)), SeqNum(load32(value + at + 4))};
        }
        break;
      case kTimestamps:
        if (length == kTimestampsLength)
          out.timestamps = Timestamps{load32(value), load32(value + 4)};
        break;
      case kFastOpen:
        take_cookie(value, length - 2, false, out);
        break;
      case kExperiment:
        if (length >= 4 && load16(value) == kFastOpenExperiment) {
          take_cookie(value + 2, length - 4, true, out);
        }
        break;
      default:
        break;  // MUST-6
    }
    bytes = bytes.subspan(length);
  }
}

// How many of the SACK blocks there is room for beside the other options.
std::size_t sack_blocks_that_fit(const TcpOptions& options, std::size_t others) {
  if (options.sack_count == 0 || others + 12 > kMostTcpOptions) return 0;
  return std::min<std::size_t>(options.sack_count, (kMostTcpOptions - others - 4) / 8);
}

std::size_t padded_length(const FastOpenCookie& cookie) {
  return ((cookie.experimental ? 4U : 2U) + cookie.length + 3U) & ~3U;
}

std::size_t length_without_sack(const TcpOptions& options) {
  std::size_t length = 0;
  if (options.mss) length += 4;
  if (options.timestamps) {
    length += kAlignedTimestamps;  // with SACK-permitted in place of the NOPs
  } else if (options.sack_permitted) {
    length += 4;
  }
  if (options.window_scale) length += 4;
  if (options.fast_open) length += padded_length(*options.fast_open);
  return length;
}

}  // namespace

namespace {

std::optional<WireError> parse(std::span<const std::byte> bytes, const IpHeader& ip,
                               Checksum checksum, TcpSegment& segment) {
  if (bytes.size() < kTcpHeaderLength) return WireError::Truncated;
  const std::uint16_t offset_and_flags = load16(&bytes[12]);
  const std::size_t header = std::size_t{offset_and_flags} / 0x1000 * 4;
  if (header < kTcpHeaderLength) return WireError::BadHeaderLength;
  if (header > bytes.size()) return WireError::Truncated;
  if (checksum == Checksum::Verify) {
    ChecksumSum sum;
    sum.add_pseudo_header(ip.source, ip.destination, kProtocolTcp, bytes.size());
    sum.add(bytes);
    if (!sum.is_right()) return WireError::BadChecksum;
  }
  segment.source = load16(&bytes[0]);
  segment.destination = load16(&bytes[2]);
  segment.seq = SeqNum(load32(&bytes[4]));
  segment.ack = SeqNum(load32(&bytes[8]));
  segment.flags = offset_and_flags & 0x1ff;
  segment.window = load16(&bytes[14]);
  segment.urgent = load16(&bytes[18]);
  segment.header_bytes = static_cast<std::uint8_t>(header);
  segment.ecn = ip.traffic_class & ecn::kMask;
  parse_options(bytes.subspan(kTcpHeaderLength, header - kTcpHeaderLength), segment.options);
  segment.payload = bytes.subspan(header);
  return std::nullopt;
}

}  // namespace

tl::expected<TcpSegment, WireError> parse_tcp(std::span<const std::byte> bytes, const IpHeader& ip,
                                              Checksum checksum) {
  tl::expected<TcpSegment, WireError> parsed;  // filled where the caller will have it
  if (const auto error = parse(bytes, ip, checksum, *parsed)) parsed = unexpected(*error);
  return parsed;
}

std::size_t options_length(const TcpOptions& options) {
  const std::size_t others = length_without_sack(options);
  const std::size_t blocks = sack_blocks_that_fit(options, others);
  return blocks == 0 ? others : others + 4 + 8 * blocks;
}

void write_tcp_header(std::byte* out, const TcpSegment& segment) {
  const TcpOptions& options = segment.options;
  const std::size_t length = header_length(options);
  store16(out, segment.source);
  store16(out + 2, segment.destination);
  store32(out + 4, segment.seq.value());
  store32(out + 8, segment.ack.value());
  store16(out + 12, static_cast<std::uint16_t>(length / 4 << 12 | (segment.flags & 0x1ff)));
  store16(out + 14, segment.window);
  store16(out + 16, 0);
  store16(out + 18, segment.urgent);

  std::byte* at = out + kTcpHeaderLength;
  if (options.mss) {
    store32(at, std::uint32_t{kMss} << 24 | 4U << 16 | *options.mss);
    at += 4;
  }
  if (options.timestamps) {
    store32(at, options.sack_permitted ? kTimestampsWithSack : kTimestampsWithNops);
    store32(at + 4, options.timestamps->value);
    store32(at + 8, options.timestamps->echo);
    at += kAlignedTimestamps;
  } else if (options.sack_permitted) {
    store32(at, 0x01010402);
    at += 4;
  }
  if (options.window_scale) {
    store32(at, kNopWindowScale | *options.window_scale);
    at += 4;
  }
  const std::size_t blocks = sack_blocks_that_fit(options, length_without_sack(options));
  if (blocks > 0) {
    store32(at, 0x01010500U | static_cast<std::uint32_t>(2 + 8 * blocks));
    at += 4;
    for (std::size_t i = 0; i < blocks; ++i, at += 8) {
      store32(at, options.sack[i].left.value());
      store32(at + 4, options.sack[i].right.value());
    }
  }
  if (options.fast_open) {
    const FastOpenCookie& cookie = *options.fast_open;
    std::byte* const end = at + padded_length(cookie);
    const unsigned bytes = (cookie.experimental ? 4U : 2U) + cookie.length;
    const std::uint8_t kind = cookie.experimental ? kExperiment : kFastOpen;
    store16(at, static_cast<std::uint16_t>(unsigned{kind} << 8 | bytes));
    at += 2;
    if (cookie.experimental) {
      store16(at, kFastOpenExperiment);
      at += 2;
    }
    at = std::copy_n(cookie.bytes.begin(), cookie.length, at);
    std::fill(at, end, std::byte{kNop});
  }
}

void write_tcp_checksum(std::span<std::byte> header_and_payload, const IpAddress& source,
                        const IpAddress& destination) {
  ChecksumSum sum;
  sum.add_pseudo_header(source, destination, kProtocolTcp, header_and_payload.size());
  sum.add(header_and_payload);
  const std::uint16_t checksum = sum.checksum();
  std::memcpy(header_and_payload.data() + 16, &checksum, sizeof checksum);
}

void write_tcp(std::byte* out, const TcpSegment& segment, std::size_t payload_length,
               const IpAddress& source, const IpAddress& destination, bool with_checksum) {
  const TcpOptions& options = segment.options;
  const std::size_t length = header_length(options);
  NumberSum pseudo_header;
  pseudo_header.add_pseudo_header(source, destination, kProtocolTcp, 0);
  const std::uint64_t first = first_tcp_word(segment.source, segment.destination, segment.seq);
  const std::uint64_t second = second_tcp_word(segment.ack, length, segment.flags, segment.window);
  const std::uint64_t third = std::uint64_t{segment.urgent} << 32;
  const auto& stamps = options.timestamps;
  const int others = (options.mss ? 1 : 0) + (options.window_scale ? 1 : 0) +
                     (options.sack_permitted ? 1 : 0) + (options.sack_count > 0 ? 1 : 0) +
                     (options.fast_open ? 4 : 0);
  if (others == 0 && !stamps) {
    store_tcp_words<3>(out, {first, second, third}, length, pseudo_header.sum(), payload_length,
                       with_checksum);
  } else if (others == 0) {
    store_tcp_words<4>(out,
                       {first, second, third | kTimestampsWithNops,
                        std::uint64_t{stamps->value} << 32 | stamps->echo},
                       length, pseudo_header.sum(), payload_length, with_checksum);
  } else if (others == 3 && stamps && options.sack_count == 0) {
    // A SYN as nearly all are.
    store_tcp_words<5>(
        out,
        {first, second, third | std::uint32_t{kMss} << 24 | 4U << 16 | *options.mss,
         std::uint64_t{kTimestampsWithSack} << 32 | stamps->value,
         std::uint64_t{stamps->echo} << 32 | kNopWindowScale | *options.window_scale},
        length, pseudo_header.sum(), payload_length, with_checksum);
  } else {
    write_tcp_header(out, segment);
    if (with_checksum) write_tcp_checksum({out, length + payload_length}, source, destination);
  }
}

}  // namespace lastack
