// Text from somewhere else, on its way to a terminal or into a file.
#pragma once

#include <string>
#include <string_view>

namespace lastack {

// Names that other people chose (of commands, units, files) are printed to terminals and written as
// JSON: control characters and whatever is not UTF-8 become '?'.
std::string printable(std::string_view text);

}  // namespace lastack
