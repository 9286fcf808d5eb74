// The options of a socket by the names under which scenarios and scripts write them: "reuse_address".
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "lastack/host.h"

namespace lastack {

std::optional<Option> option_from(std::string_view name);
std::span<const std::string_view> option_names();
std::string_view option_name(Option option);

}  // namespace lastack
