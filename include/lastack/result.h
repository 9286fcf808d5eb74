// Errors are values. A function that can fail for a reason worth telling returns Result<T>.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace lastack {

struct Error {
  int number = 0;       // errno's value where the system gave one, else 0
  std::string message;  // one sentence for people: what failed, where, and what would mend it
};

template <class T>
using Result = tl::expected<T, Error>;

// "cannot open /run/netns/web: No such file or directory"
Error system_error(int number, std::string what);
inline tl::unexpected<Error> failure(std::string message) {
  return tl::unexpected(Error{0, std::move(message)});
}

}  // namespace lastack
