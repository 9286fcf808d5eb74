// Standard output as a page: is it coloured, and how wide is it?
#pragma once

#include <cstddef>
#include <string>

namespace lastack {

// `choice`: "always", "never", or "auto": on a terminal, unless NO_COLOR is set.
bool wants_color(const std::string& choice);
// `asked`, or if that is 0 the terminal's columns, at most `most`; or `usual`, where there is no terminal.
std::size_t page_width(std::size_t asked, std::size_t usual, std::size_t most);

}  // namespace lastack
