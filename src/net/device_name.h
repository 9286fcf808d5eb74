// What a network device can be named (linux: dev_valid_name).
#pragma once

#include <net/if.h>

#include <algorithm>
#include <string_view>

namespace lastack {

inline constexpr const char* kDeviceNameRule =
    "a network device has a name of 1 to 15 bytes without blanks, / and :";

inline bool is_device_name(std::string_view name) {
  return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return c == '/' || c == ':' || c == 127 || static_cast<unsigned char>(c) <= ' ';
         });
}

}  // namespace lastack
