#include "stack/syn_cookie.h"

#include <array>

namespace lastack {
namespace {

constexpr std::array<std::uint16_t, 4> kMssV4 = {536, 1300, 1440, 1460};
constexpr std::array<std::uint16_t, 4> kMssV6 = {1220, 1352, 1422, 1440};
constexpr std::uint32_t kMostMinutes = 2;
constexpr std::uint32_t kOptionBits = 6;  // window scale, 15 for none; SACK; one spare

const std::array<std::uint16_t, 4>& table(const FourTuple& tuple) {
  return tuple.local.address.is_v4() ? kMssV4 : kMssV6;
}

std::uint32_t minutes(Instant now) {
  return static_cast<std::uint32_t>(now.time_since_epoch() / std::chrono::seconds(60));
}

// Eight bits of the minute and 24 of a hash with the MSS added.
std::uint32_t hash_at(const SecretKey& key, const FourTuple& tuple, std::uint32_t minute,
                      std::uint32_t irs) {
  SecretHash hash(key);
  hash.add(tuple.local.address);
  hash.add(tuple.remote.address);
  hash.add(std::uint64_t{tuple.local.port} << 16 | tuple.remote.port);
  hash.add(std::uint64_t{minute} << 32 | irs);
  return static_cast<std::uint32_t>(hash.finish()) & 0xffffff;
}

}  // namespace

SeqNum make_syn_cookie(const SecretKey& key, const FourTuple& tuple, const TcpSegment& syn,
                       Instant now) {
  const auto& sizes = table(tuple);
  const std::uint16_t offered = syn.options.mss.value_or(sizes[0]);
  std::uint32_t size = 0;
  while (size + 1 < sizes.size() && sizes[size + 1] <= offered) ++size;
  const std::uint32_t minute = minutes(now);
  const std::uint32_t low = (hash_at(key, tuple, minute, syn.seq.value()) + size) & 0xffffff;
  return SeqNum((minute & 0xff) << 24 | low);
}

std::uint32_t encode_in_timestamp(const TcpSegment& syn, const TcpSettings& settings,
                                  std::uint32_t clock, std::uint32_t offset) {
  if (!syn.options.timestamps || !settings.timestamps) return offset;
  std::uint32_t bits = 15;
  if (syn.options.window_scale && settings.window_scaling) bits = *syn.options.window_scale & 15U;
  if (syn.options.sack_permitted && settings.sack) bits |= 16;
  const std::uint32_t value = clock + offset;
  std::uint32_t coded = (value & ~((1U << kOptionBits) - 1)) | bits;
  // Never ahead of the clock: a timestamp from the future would stand in the way of those that follow.
  if (static_cast<std::int32_t>(coded - value) > 0) coded -= 1U << kOptionBits;
  return coded - clock;
}

std::optional<TcpSegment> check_syn_cookie(const SecretKey& key, const FourTuple& tuple,
                                           const TcpSegment& ack, Instant now,
                                           const TcpSettings& settings) {
  const std::uint32_t cookie = (ack.ack - 1).value();
  const std::uint32_t irs = (ack.seq - 1).value();
  const std::uint32_t current = minutes(now);
  for (std::uint32_t age = 0; age <= kMostMinutes && age <= current; ++age) {
    const std::uint32_t minute = current - age;
    if ((minute & 0xff) != cookie >> 24) continue;
    const std::uint32_t size = ((cookie & 0xffffff) - hash_at(key, tuple, minute, irs)) & 0xffffff;
    if (size >= table(tuple).size()) return std::nullopt;
    TcpSegment syn;
    syn.source = ack.source;
    syn.destination = ack.destination;
    syn.seq = SeqNum(irs);
    syn.flags = tcp_flag::kSyn;
    syn.window = ack.window;
    syn.options.mss = table(tuple)[size];
    if (ack.options.timestamps && settings.timestamps) {
      syn.options.timestamps = ack.options.timestamps;
      const std::uint32_t bits = ack.options.timestamps->echo & ((1U << kOptionBits) - 1);
      if ((bits & 15) != 15) syn.options.window_scale = static_cast<std::uint8_t>(bits & 15);
      syn.options.sack_permitted = (bits & 16) != 0;
    }
    return syn;
  }
  return std::nullopt;
}

}  // namespace lastack
