// test_conformance [--tables=check|write]: runs the tests; then makes docs/conformance.md, docs/transitions.md
// and docs/profiles.md of what has run, and compares them with those of the checkout, or writes them there.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "conformance/verdicts.h"

namespace lastack::test {
namespace {

int tables(bool write) {
  struct Document {
    const char* file;
    std::string (*make)(std::string& wrong);
  };
  constexpr Document kDocuments[] = {{"conformance.md", conformance_table},
                                     {"transitions.md", transition_table},
                                     {"profiles.md", profile_table}};
  int bad = 0;
  for (const auto& [file, make] : kDocuments) {
    std::string wrong;
    const std::string text = make(wrong);
    if (!wrong.empty()) {
      std::fprintf(stderr, "%s:\n%s", file, wrong.c_str());
      bad = 1;
    }
    const std::string path = std::string(LASTACK_SOURCE_DIR "/docs/") + file;
    if (write) {
      std::ofstream(path) << text;
      continue;
    }
    std::stringstream committed;
    committed << std::ifstream(path).rdbuf();
    if (committed.str() == text) continue;
    std::fprintf(stderr, "docs/%s is out of date: run test_conformance --tables=write\n", file);
    bad = 1;
  }
  return bad;
}

}  // namespace
}  // namespace lastack::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const bool check = argc == 2 && std::strcmp(argv[1], "--tables=check") == 0;
  const bool write = argc == 2 && std::strcmp(argv[1], "--tables=write") == 0;
  const int failed = RUN_ALL_TESTS();
  if (!check && !write) return failed;
  return lastack::test::tables(write) != 0 || failed != 0 ? 1 : 0;
}
