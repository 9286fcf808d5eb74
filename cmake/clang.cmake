# Toolchain: the newest Clang that is installed. Used by the presets `clang` and `fuzz`.
find_program(LASTACK_CLANGXX
  NAMES clang++-21 clang++-20 clang++-19 clang++-18 clang++-17 clang++-16 clang++ REQUIRED)
set(CMAKE_CXX_COMPILER ${LASTACK_CLANGXX})
