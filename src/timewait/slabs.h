// Blocks of one size. The first some megabytes are allocated one by one; a table that grows on takes the rest
// from slabs of 2 MiB that ask for huge pages, since at ten million records much of a look-up's time would go
// to the page tables. A slab goes back to the system with its last block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lastack {

class Slabs {
 public:
  static constexpr std::size_t kSlabBytes = std::size_t{2} << 20;

  // `block_bytes` divides 2 MiB. `singles`: how many blocks to allocate one by one.
  Slabs(std::size_t block_bytes, std::size_t singles);
  Slabs(Slabs&&) = delete;
  ~Slabs();

  // Not initialised; aligned to a cache line at least.
  void* take();
  void give_back(void* block);

  bool any_slab() const { return !slabs_.empty(); }
  // What the system has given, blocks that wait to be taken included.
  std::size_t bytes() const;

 private:
  struct Slab {
    char* base;
    std::uint32_t used;
    std::vector<std::uint16_t> free;
  };
  std::size_t slab_of(const void* block) const;  // slabs_.size() for a single one
  void add_slab();

  std::size_t block_bytes_;
  std::size_t most_singles_;
  std::size_t singles_ = 0;
  std::vector<Slab> slabs_;  // by address
  std::size_t open_ = 0;     // no slab before this one is known to have a free block
};

}  // namespace lastack
