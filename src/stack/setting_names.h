// Which sysctls an endpoint obeys, what each may be, and what to say of a name or a value that it does not take.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lastack/result.h"
#include "lastack/settings.h"

namespace lastack {

// A setting that is one number, and which numbers Linux takes for it (6.18).
struct SettingLimits {
  std::string_view name;
  std::int64_t least;
  std::int64_t most;
};
// Every one that the endpoint obeys.
std::span<const SettingLimits> number_settings();
const SettingLimits* find_number_setting(std::string_view name);
// The others that it obeys: several numbers, ports, a word.
std::span<const std::string_view> worded_settings();
// Sysctls about TCP that Linux has, and the endpoint does not obey.
std::span<const std::string_view> unused_settings();

// Nothing to say if the endpoint obeys it. ENOENT: no such setting; EOPNOTSUPP: Linux's alone.
Result<void> check_setting_name(std::string_view name);
// EINVAL: the text is not one number, or one outside the limits.
Result<std::int64_t> parse_setting(const SettingLimits& limits, std::string_view text);
// Of those that the endpoint obeys; the rest says nothing here.
Result<void> check_settings(const Settings& settings);

}  // namespace lastack
