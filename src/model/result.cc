#include "lastack/result.h"

#include <cstring>

namespace lastack {

Error system_error(int number, std::string what) {
  what += ": ";
  what += std::strerror(number);
  return Error{number, std::move(what)};
}

}  // namespace lastack
