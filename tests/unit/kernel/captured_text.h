// Text that a Linux 6.18 kernel wrote, in captured/, and ways of spoiling it.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace lastack {

inline std::string captured(const std::string& name) {
  std::ifstream file(std::string(LASTACK_TEST_DIR) + "/captured/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Calls `use` with every proper beginning of `text`, each in memory of exactly that size, so that a
// sanitizer sees the first byte read past its end.
template <class Use>
void with_every_truncation(std::string_view text, Use&& use) {
  for (std::size_t length = 0; length < text.size(); ++length) {
    const std::vector<char> exact(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length));
    use(std::string_view(exact.data(), exact.size()));
  }
}

// And with each byte replaced by bytes that a parser may stumble over.
template <class Use>
void with_every_byte_spoilt(std::string_view text, Use&& use) {
  for (const char bad : {'\0', '\n', ' ', '-', ':', '9', '\xff'}) {
    std::vector<char> copy(text.begin(), text.end());
    for (char& c : copy) {
      const char good = c;
      c = bad;
      use(std::string_view(copy.data(), copy.size()));
      c = good;
    }
  }
}

}  // namespace lastack
