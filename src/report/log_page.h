// The style and the program of the page: log_page.css and log_page.js, put into the library by CMake.
#pragma once

#include <string_view>

namespace lastack {

extern const std::string_view kLogPageStyle;
extern const std::string_view kLogPageProgram;

}  // namespace lastack
