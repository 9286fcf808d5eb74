# lastack_fuzz(NAME <name> SOURCES <file>... [LIBRARIES <target>...])
#
# One libFuzzer program. Seeds lie in fuzz/corpus/<name without "fuzz_">/. What a run finds is kept in the build
# folder: new inputs in corpus/<name>/, inputs that crash in crashes/<name>-*. ctest runs each target over its seeds and
# then for LASTACK_FUZZ_SECONDS, beginning with the same number every time: to find new things is what `./dev fuzz` is for.
set(LASTACK_FUZZ_SECONDS 5 CACHE STRING "Seconds that ctest lets each fuzz target run")

add_custom_target(fuzz_targets)

function(lastack_fuzz)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LIBRARIES")
  if(NOT arg_NAME OR NOT arg_SOURCES)
    message(FATAL_ERROR "lastack_fuzz needs NAME and SOURCES")
  endif()

  add_executable(${arg_NAME} ${arg_SOURCES})
  target_include_directories(${arg_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${arg_NAME} PRIVATE
    lastack lastack_options fmt::fmt nlohmann_json::nlohmann_json ZLIB::ZLIB PkgConfig::MNL ${arg_LIBRARIES})
  target_link_options(${arg_NAME} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_targets ${arg_NAME})

  string(REGEX REPLACE "^fuzz_" "" subject ${arg_NAME})
  set(found ${CMAKE_CURRENT_BINARY_DIR}/corpus/${subject})
  set(crashes ${CMAKE_CURRENT_BINARY_DIR}/crashes)
  file(MAKE_DIRECTORY ${found} ${crashes})
  set(seeds ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${subject})
  if(NOT EXISTS ${seeds})
    set(seeds "")
  endif()

  math(EXPR timeout "${LASTACK_FUZZ_SECONDS} + 120")
  add_test(NAME fuzz.${subject}
    COMMAND ${arg_NAME} -max_total_time=${LASTACK_FUZZ_SECONDS} -seed=1 -timeout=60 -rss_limit_mb=1024 -print_final_stats=1
            -artifact_prefix=${crashes}/${subject}- ${found} ${seeds})
  set_tests_properties(fuzz.${subject} PROPERTIES LABELS fuzz TIMEOUT ${timeout})
endfunction()
