// How often this program has called operator new.
#pragma once

#include <cstddef>

namespace lastack::test {

std::size_t allocations();

}  // namespace lastack::test
