#include "timewait/slabs.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace lastack {
namespace {

constexpr std::align_val_t kLine{64};

// A slab begins at a multiple of its size, or no huge page fits. What the system gave too much goes back.
char* map_slab() {
  constexpr std::size_t kSize = Slabs::kSlabBytes;
  void* const whole =
      ::mmap(nullptr, 2 * kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (whole == MAP_FAILED) throw std::bad_alloc();
  char* const begin = static_cast<char*>(whole);
  const std::size_t before = (kSize - reinterpret_cast<std::uintptr_t>(begin) % kSize) % kSize;
  if (before != 0) ::munmap(begin, before);
  ::munmap(begin + before + kSize, kSize - before);
#ifdef MADV_HUGEPAGE
  ::madvise(begin + before, kSize, MADV_HUGEPAGE);  // only a wish
#endif
  return begin + before;
}

}  // namespace

Slabs::Slabs(std::size_t block_bytes, std::size_t singles)
    : block_bytes_(block_bytes), most_singles_(singles) {}

// The owner has given back every block by now, and so every slab has gone.
Slabs::~Slabs() = default;

std::size_t Slabs::slab_of(const void* block) const {
  const char* const at = static_cast<const char*>(block);
  const auto after = std::upper_bound(slabs_.begin(), slabs_.end(), at,
                                      [](const char* a, const Slab& s) { return a < s.base; });
  if (after == slabs_.begin() || at >= (after - 1)->base + kSlabBytes) return slabs_.size();
  return static_cast<std::size_t>(after - slabs_.begin()) - 1;
}

void Slabs::add_slab() {
  Slab slab{map_slab(), 0, {}};
  const std::size_t blocks = kSlabBytes / block_bytes_;
  slab.free.reserve(blocks);
  // In ascending order from the back, so that what is taken first lies first.
  for (std::size_t i = blocks; i > 0; --i) slab.free.push_back(static_cast<std::uint16_t>(i - 1));
  const auto at = std::upper_bound(slabs_.begin(), slabs_.end(), slab.base,
                                   [](const char* a, const Slab& s) { return a < s.base; });
  open_ = static_cast<std::size_t>(at - slabs_.begin());
  slabs_.insert(at, std::move(slab));
}

void* Slabs::take() {
  if (singles_ < most_singles_ && slabs_.empty()) {
    void* const block = ::operator new(block_bytes_, kLine);
    ++singles_;
    return block;
  }
  while (open_ < slabs_.size() && slabs_[open_].free.empty()) ++open_;
  if (open_ == slabs_.size()) add_slab();
  Slab& slab = slabs_[open_];
  const std::size_t block = slab.free.back();
  slab.free.pop_back();
  ++slab.used;
  return slab.base + block * block_bytes_;
}

void Slabs::give_back(void* block) {
  const std::size_t at = slab_of(block);
  if (at == slabs_.size()) {
    ::operator delete(block, kLine);
    --singles_;
    return;
  }
  Slab& slab = slabs_[at];
  if (--slab.used == 0) {
    ::munmap(slab.base, kSlabBytes);
    slabs_.erase(slabs_.begin() + static_cast<std::ptrdiff_t>(at));
    open_ = 0;
    return;
  }
  const auto offset = static_cast<std::size_t>(static_cast<char*>(block) - slab.base);
  slab.free.push_back(static_cast<std::uint16_t>(offset / block_bytes_));
  open_ = std::min(open_, at);
}

std::size_t Slabs::bytes() const {
  const std::size_t lists = slabs_.size() * kSlabBytes / block_bytes_ * sizeof(std::uint16_t);
  return singles_ * block_bytes_ + slabs_.size() * kSlabBytes + lists +
         slabs_.capacity() * sizeof(Slab);
}

}  // namespace lastack
