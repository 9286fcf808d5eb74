#include "model/lifecycle_event.h"

#include <algorithm>
#include <array>

namespace lastack {
namespace {

using namespace std::string_view_literals;

constexpr std::array kHappenings = {
    "segment:sent"sv,        "segment:received"sv,  "segment:dropped"sv,  "segment:delayed"sv,
    "segment:duplicated"sv,  "segment:corrupted"sv, "state:changed"sv,    "timer:fired"sv,
    "app:listen"sv,          "app:connect"sv,       "app:accept"sv,       "app:read"sv,
    "app:write"sv,           "app:shutdown"sv,      "app:close"sv,        "app:abort"sv,
    "icmp:received"sv,       "path:doubted"sv,      "timewait:entered"sv, "timewait:ended"sv,
    "timewait:overflowed"sv, "timewait:skipped"sv,  "timewait:evicted"sv, "timewait:assassinated"sv,
    "timewait:reused"sv,     "timewait:reopened"sv, "timewait:aborted"sv, "app:refused"sv,
    "host:crashed"sv,        "host:set"sv};
static_assert(kHappenings.size() == static_cast<std::size_t>(Happening::SettingChanged) + 1);

constexpr std::array kCoverages = {"absent"sv, "sampled"sv, "complete"sv};
constexpr std::array kWorlds = {"endpoint"sv, "kernel"sv, "capture"sv, "mixed"sv};

template <class Enum, std::size_t N>
std::optional<Enum> find(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return std::nullopt;
  return static_cast<Enum>(at - names.begin());
}

}  // namespace

std::string_view to_string(Happening happening) {
  return kHappenings[static_cast<std::size_t>(happening)];
}
std::optional<Happening> happening_from(std::string_view name) {
  return find<Happening>(kHappenings, name);
}
std::string_view to_string(Coverage coverage) {
  return kCoverages[static_cast<std::size_t>(coverage)];
}
std::optional<Coverage> coverage_from(std::string_view name) {
  return find<Coverage>(kCoverages, name);
}
std::string_view to_string(World world) {
  return kWorlds[static_cast<std::size_t>(world)];
}
std::optional<World> world_from(std::string_view name) {
  return find<World>(kWorlds, name);
}

}  // namespace lastack
