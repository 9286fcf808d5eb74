# lastack_embed_scenarios(<target> <folder> <list>): compiles each <folder>/*.toml into the target, as <list>() of
# lab/scenario/library.h gives them out. A change of a file builds it anew; string literals are cut, since compilers need not take long ones.
function(lastack_embed_scenarios target folder list)
  file(GLOB files CONFIGURE_DEPENDS ${folder}/*.toml)
  # By name: with its ending "a-b.toml" comes before "a.toml".
  set(names "")
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    list(APPEND names ${name})
  endforeach()
  list(SORT names)
  set(texts "")
  set(table "")
  foreach(name IN LISTS names)
    set(file ${folder}/${name}.toml)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    string(MAKE_C_IDENTIFIER ${name} identifier)
    file(READ ${file} text HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${text}")
    string(APPEND texts "const char ${identifier}[] = {${bytes}};\n")
    string(APPEND table "    {\"${name}\", {${identifier}, sizeof ${identifier}}},\n")
  endforeach()
  set(made ${CMAKE_CURRENT_BINARY_DIR}/${list}_texts.cc)
  file(CONFIGURE OUTPUT ${made} @ONLY CONTENT [[// Made by cmake/LastackScenarios.cmake.
#include "lab/scenario/library.h"

namespace lastack::lab {
namespace {

@texts@
const LibraryScenario kAll[] = {
@table@};

}  // namespace

std::span<const LibraryScenario> @list@() { return kAll; }

}  // namespace lastack::lab
]])
  target_sources(${target} PRIVATE ${made})
endfunction()
