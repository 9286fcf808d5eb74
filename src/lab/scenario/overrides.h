// Other values for what a scenario file says, by their keys: "host.client.settings.tcp_tw_reuse". Lists by the name of what
// is in them (name_in_list()).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lab/scenario/scenario_file.h"
#include "lab/scenario/toml_table.h"

namespace lastack::lab {

// "client", "settings", "tcp_tw_reuse"
std::vector<std::string> key_parts(std::string_view key);
// What stands there; null: nothing.
const toml::node* find_key(const toml::table& root, std::string_view key);

// Both throw Misread where a key leads nowhere, and leave word in `source` of what they have put where.
// The value is TOML where it can be, else a text.
void put_text(toml::table& root, const Override& o, TomlSource& source);
// Of a variant or a world, which errors call `of`. Keys may be quoted, or tables within tables as TOML has dotted keys.
void put_all(toml::table& root, const toml::table& overrides, TomlSource& source,
             std::string_view of);

}  // namespace lastack::lab
