# lastack_test(NAME <name> SOURCES <file>... [ALONE <file>...] [LABELS <label>...] [LIBRARIES <target>...]
#              [TIMEOUT <seconds>] [SERIAL])
#
# One GoogleTest program, linked with the library, that may include the private headers of a room as "kernel/...", and
# what tests share as "unit/..." or "kernel/...", from tests/.
# Every TEST in it becomes a ctest test of its own with the given labels (`unit` unless told otherwise), and one that
# says GTEST_SKIP() is reported as skipped. SERIAL is for tests that cannot share the machine with other tests.
#
# In the program: LASTACK_SOURCE_DIR is the root of the checkout, LASTACK_TEST_DIR the folder of the test.
# GoogleTest's headers are compiled once for all tests (LASTACK_PCH), and files of one test together (LASTACK_UNITY), but
# for those that are ALONE: they have a name that another one of them has for something else.
# lastack_optimised_tests(<file>...): these are compiled with -O1, and so without the common headers.
include(GoogleTest)

function(lastack_optimised_tests)
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -O1 SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# What all tests are compiled with.
function(lastack_test_settings target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  # Assertions expand to so much code that optimising them takes longer than running them, with sanitizers seven times
  # as long. What is tested is optimised.
  target_compile_options(${target} PRIVATE $<$<CONFIG:Debug>:-O0>)
  target_link_libraries(${target} PRIVATE
    lastack lastack_options fmt::fmt nlohmann_json::nlohmann_json ZLIB::ZLIB PkgConfig::MNL
    GTest::gmock GTest::gtest_main)
endfunction()

if(LASTACK_PCH AND NOT TARGET lastack_test_headers)
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/test_headers.cc CONTENT "")
  add_library(lastack_test_headers OBJECT ${CMAKE_CURRENT_BINARY_DIR}/test_headers.cc)
  lastack_test_settings(lastack_test_headers)
  target_precompile_headers(lastack_test_headers PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <algorithm> <chrono> <memory> <optional> <string> <vector>)
endif()

function(lastack_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "SERIAL" "NAME;TIMEOUT" "SOURCES;ALONE;LABELS;LIBRARIES")
  if(NOT arg_NAME OR NOT arg_SOURCES)
    message(FATAL_ERROR "lastack_test needs NAME and SOURCES")
  endif()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "lastack_test(${arg_NAME}): unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()

  add_executable(${arg_NAME} ${arg_SOURCES} ${arg_ALONE})
  lastack_test_settings(${arg_NAME})
  set_target_properties(${arg_NAME} PROPERTIES UNITY_BUILD ${LASTACK_UNITY})
  set_source_files_properties(${arg_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  if(LASTACK_PCH)
    target_precompile_headers(${arg_NAME} REUSE_FROM lastack_test_headers)
  endif()
  target_compile_definitions(${arg_NAME} PRIVATE
    LASTACK_SOURCE_DIR="${PROJECT_SOURCE_DIR}" LASTACK_TEST_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${arg_NAME} PRIVATE ${arg_LIBRARIES})

  set(serial FALSE)
  if(arg_SERIAL)
    set(serial TRUE)
  endif()
  gtest_discover_tests(${arg_NAME}
    DISCOVERY_TIMEOUT 60
    TEST_LIST ${arg_NAME}_discovered
    PROPERTIES TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${serial})
  # The labels are set afterwards, where ctest reads the tests: gtest_discover_tests() flattens a list among its
  # properties, and would keep the first label only.
  set(labels_file ${CMAKE_CURRENT_BINARY_DIR}/${arg_NAME}_labels.cmake)
  file(CONFIGURE OUTPUT ${labels_file} @ONLY CONTENT [[
foreach(test IN LISTS @arg_NAME@_discovered)
  set_tests_properties("${test}" PROPERTIES LABELS "@arg_LABELS@")
endforeach()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels_file})
endfunction()
