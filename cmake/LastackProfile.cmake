# Builds that know what is hot (GCC). LASTACK_PROFILE=make: a program that writes down how often each branch was taken;
# LASTACK_PROFILE=use: optimised by that. `./dev bench` does both; the profile is in LASTACK_PROFILE_DIR between them.
set(LASTACK_PROFILE "" CACHE STRING "make: write a profile when run; use: optimise by it (GCC)")
set(LASTACK_PROFILE_DIR ${CMAKE_BINARY_DIR}/profile CACHE PATH "Where the profile is")
set_property(CACHE LASTACK_PROFILE PROPERTY STRINGS "" make use)
if(LASTACK_PROFILE)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "LASTACK_PROFILE needs GCC, and this is ${CMAKE_CXX_COMPILER_ID}: leave it empty")
  endif()
  # Without the build's folder in front: two of them take part.
  set(named -fprofile-prefix-path=${CMAKE_BINARY_DIR})
  if(LASTACK_PROFILE STREQUAL "make")
    add_compile_options(-fprofile-generate=${LASTACK_PROFILE_DIR} ${named})
    add_link_options(-fprofile-generate=${LASTACK_PROFILE_DIR})
  elseif(LASTACK_PROFILE STREQUAL "use")
    # What the training does not run has no profile, and is built as ever.
    add_compile_options(-fprofile-use=${LASTACK_PROFILE_DIR} ${named} -fprofile-partial-training
                        -Wno-missing-profile)
    add_link_options(-fprofile-use=${LASTACK_PROFILE_DIR})
  else()
    message(FATAL_ERROR "LASTACK_PROFILE is \"${LASTACK_PROFILE}\"; it may be empty, make or use")
  endif()
endif()

# GCC fills and copies what is larger than a few words with "rep stos" and "rep movs", unless it is told for which processor
# it builds. They take some thirty cycles to begin, and a segment is such an object: in place of them loops, and calls of
# the library for what is long. Said to the linker as well, which makes the code of release builds.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
  set(strategy unrolled_loop:256:noalign,libcall:-1:noalign)
  set(strategies -mmemset-strategy=${strategy} -mmemcpy-strategy=${strategy})
  add_compile_options("$<$<CONFIG:Release>:${strategies}>")
  add_link_options("$<$<CONFIG:Release>:${strategies}>")
endif()
