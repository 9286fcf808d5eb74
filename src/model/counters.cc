#include "lastack/counters.h"

namespace lastack {

namespace {
#define LASTACK_COUNTER_ROW(name) CounterInfo{#name, &Counters::name},
constexpr CounterInfo kCounters[] = {LASTACK_TCP_COUNTERS(LASTACK_COUNTER_ROW)};
#undef LASTACK_COUNTER_ROW
static_assert(std::size(kCounters) <= 64, "Counters::known has one bit a counter");
}  // namespace

std::span<const CounterInfo> counter_table() {
  return kCounters;
}

std::optional<std::size_t> find_counter(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kCounters); ++i) {
    if (kCounters[i].name == name) return i;
  }
  return std::nullopt;
}

}  // namespace lastack
