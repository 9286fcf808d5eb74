# lastack_test(NAME <name> SOURCES <file>... [LABELS <label>...] [LIBRARIES <target>...] [TIMEOUT <seconds>]
#              [SERIAL])
#
# One GoogleTest program, linked with the library, that may include the private headers of a room as "kernel/...", and
# what tests share as "unit/..." or "kernel/...", from tests/.
# Every TEST in it becomes a ctest test of its own with the given labels (`unit` unless told otherwise), and one that
# says GTEST_SKIP() is reported as skipped. SERIAL is for tests that cannot share the machine with other tests.
#
# In the program: LASTACK_SOURCE_DIR is the root of the checkout, LASTACK_TEST_DIR the folder of the test.
include(GoogleTest)

function(lastack_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "SERIAL" "NAME;TIMEOUT" "SOURCES;LABELS;LIBRARIES")
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

  add_executable(${arg_NAME} ${arg_SOURCES})
  target_include_directories(${arg_NAME} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  # Assertions expand to so much code that optimising them takes longer than running them, with sanitizers seven times
  # as long. What is tested is optimised.
  target_compile_options(${arg_NAME} PRIVATE $<$<CONFIG:Debug>:-O0>)
  target_compile_definitions(${arg_NAME} PRIVATE
    LASTACK_SOURCE_DIR="${PROJECT_SOURCE_DIR}" LASTACK_TEST_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(${arg_NAME} PRIVATE
    lastack lastack_options fmt::fmt nlohmann_json::nlohmann_json ZLIB::ZLIB PkgConfig::MNL
    GTest::gmock GTest::gtest_main ${arg_LIBRARIES})

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
