// What somebody may have meant who wrote a word that there is not.
#pragma once

#include <span>
#include <string_view>

namespace lastack {

// The word of `all` that takes the fewest changed letters; the first of several. Empty if none is near.
std::string_view nearest_word(std::string_view word, std::span<const std::string_view> all);

}  // namespace lastack
