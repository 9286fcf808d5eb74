# One place for the warnings, sanitizers and fuzzer instrumentation that every target of the project is built with.
add_library(lastack_options INTERFACE)
target_compile_options(lastack_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror=switch
  $<$<BOOL:${LASTACK_WERROR}>:-Werror>)
# GCC 12 sees overlaps and overflows in the copies of std::string and std::vector that are not there (GCC
# bugs 105651 and 105762).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(lastack_options INTERFACE -Wno-restrict -Wno-stringop-overflow)
endif()
if(LASTACK_SANITIZE)
  target_compile_options(lastack_options INTERFACE
    -fsanitize=${LASTACK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # GCC's manual, of -fsanitize: warnings may be false then. GCC 12 finds one in <regex>.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(lastack_options INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(lastack_options INTERFACE -fsanitize=${LASTACK_SANITIZE})
endif()
if(LASTACK_FUZZ)
  target_compile_options(lastack_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
