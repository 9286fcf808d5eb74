// lastack doctor --prove FINDING
#pragma once

#include <cstddef>
#include <string>

namespace lastack {

struct ProveArguments {
  std::string finding;  // or "list"
  bool full = false;
  bool json = false;
  bool color = false;
  std::size_t width = 100;
};

int run_prove(const ProveArguments& arguments);

}  // namespace lastack
