// One piece of memory with a head and, behind it, as many bytes as were asked for: what a buffer consists of
// once there is something in it.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

namespace lastack {

struct FreeHeapBlock {
  void operator()(void* block) const { ::operator delete(block); }
};
template <class Head>
using HeapBlock = std::unique_ptr<Head, FreeHeapBlock>;

// Head and bytes are not initialised.
template <class Head>
HeapBlock<Head> make_heap_block(std::size_t bytes) {
  static_assert(std::is_trivial_v<Head>);
  return HeapBlock<Head>(static_cast<Head*>(::operator new(sizeof(Head) + bytes)));
}

}  // namespace lastack
