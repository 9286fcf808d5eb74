// Finds a record by the hash of its four-tuple: words of 32 bits, the low bits of a record's place and, in
// what they leave, some bits of its hash (the tag), so that hardly any other record is looked at.
//
//   bucket   one cache line, 16 words
//   page     64 buckets, 4 KiB: what memory comes in. A record has two buckets in one page, and comes into the
//            emptier one: then hardly any is full while a fifth of all words is free. Each follows from the
//            other and the tag, so a word can be moved without a look at its record (cuckoo hashing with
//            partial keys, Fan et al. 2014). One page and no more, since in a table of this size the way to a
//            page costs as much as the line in it
//   group    6 to 12 pages. A hash's highest bits choose the group, those after them the page and the bucket
//
// The table grows by a page at a time (linear hashing with partial expansions, Larson 1980): one group after
// the other goes from k pages to k + 1; when all have 12, each is two groups of 6, and nothing has moved. So
// it is never there twice, and 49/64 of it are in use whatever its size: 4 / (49/64) = 5.2 bytes a record.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "timewait/record_ring.h"
#include "timewait/slabs.h"

namespace lastack::timewait {

// What the index asks about records when it has to move words.
class IndexedRecords {
 public:
  virtual std::uint64_t hash_of(Place place) const = 0;
  virtual void touch(Place place) const = 0;
  virtual ~IndexedRecords() = default;
};

class SlotIndex {
 public:
  // Places may be 2^slot_bits apart before the tags get narrower.
  SlotIndex(const IndexedRecords& records, unsigned slot_bits);
  SlotIndex(SlotIndex&&) = delete;
  ~SlotIndex();

  // The word of the one record for which is_it(place) holds. `begin`: no place before it is alive.
  template <class IsIt>
  std::optional<Place> find(std::uint64_t hash, Place begin, IsIt&& is_it) const;
  void insert(std::uint64_t hash, Place place, Place begin);
  void erase(std::uint64_t hash, Place place, Place begin);
  void move(std::uint64_t hash, Place from, Place to, Place begin);
  // The two lines where a hash may be found. To be asked for all of a burst before the first is touched.
  struct Lines {
    const std::uint32_t* first;
    const std::uint32_t* second;
  };
  Lines lines_of(std::uint64_t hash) const {
    const Home home = home_of(hash);
    return {home.page[home.first].words.data(), home.page[home.second].words.data()};
  }
  static void touch(const Lines& lines) {
    timewait::touch(lines.first);
    timewait::touch(lines.second);
  }
  // The same without any waiting, where there is time until they are needed.
  static void send_for(const Lines& lines) {
    __builtin_prefetch(lines.first, 1);
    __builtin_prefetch(lines.second, 1);
  }
  // The places that find() might look at, without a look at them; so many at most.
  static constexpr std::size_t kMostLikely = 4;
  std::size_t likely(const Lines& lines, std::uint64_t hash, Place begin, Place* places) const;

  std::size_t size() const { return size_; }
  std::size_t bytes() const;

 private:
  static constexpr std::uint32_t kWords = 16;
  static constexpr std::uint32_t kBucketsPerPage = 64;
  static constexpr std::uint32_t kLeastPages = 6;
  static constexpr std::uint32_t kMostPages = 2 * kLeastPages;

  struct alignas(64) Bucket {
    std::array<std::uint32_t, kWords> words;  // those in use come first; 0: free
  };
  static_assert(sizeof(Bucket) == 64);
  using Page = std::array<Bucket, kBucketsPerPage>;
  __extension__ using Wide = unsigned __int128;

  // The two buckets of a hash. Their numbers add up to an odd one that follows from the tag.
  struct Home {
    Page& page;
    std::uint32_t first;
    std::uint32_t second;
  };
  static std::uint32_t other(std::uint32_t at, std::uint32_t tag) {
    return (2 * tag + 1 - at) % kBucketsPerPage;
  }
  Home home_of(std::uint64_t hash) const {
    const std::size_t group = depth_ == 0 ? 0 : static_cast<std::size_t>(hash >> (64 - depth_));
    const std::uint32_t pages = group < grown_ ? pages_ + 1 : pages_;
    const auto bucket = static_cast<std::uint32_t>(
        static_cast<Wide>(hash << depth_) * (pages * kBucketsPerPage) >> 64);
    const std::uint32_t at = bucket % kBucketsPerPage;
    return {*directory_[group * kMostPages + bucket / kBucketsPerPage], at,
            other(at, tag_of(hash))};
  }

  std::uint32_t slot_mask() const { return (1U << slot_bits_) - 1; }
  // Never 0, and then no word is. Its lowest bits stay the same when it gets narrower.
  std::uint32_t tag_of(std::uint64_t hash) const {
    const auto tag = static_cast<std::uint32_t>(hash) & (0xffffffffU >> slot_bits_);
    return tag == 0 ? 1U << (31 - slot_bits_) : tag;
  }
  std::uint32_t word_of(std::uint64_t hash, Place place) const {
    return tag_of(hash) << slot_bits_ | (static_cast<std::uint32_t>(place) & slot_mask());
  }
  Place place_of(std::uint32_t word, Place begin) const {
    return begin + ((word - static_cast<std::uint32_t>(begin)) & slot_mask());
  }

  // One bit for each of the 16 words w with (w & mask) == value.
  static std::uint32_t equal(const Bucket& b, std::uint32_t mask, std::uint32_t value);
  static std::uint32_t first_of(std::uint32_t bits) {
    return static_cast<std::uint32_t>(std::countr_zero(bits));
  }

  std::size_t groups() const { return std::size_t{1} << depth_; }
  std::size_t pages() const { return groups() * pages_ + grown_; }
  // Where the word is; nothing if it is not in its page.
  struct Spot {
    Bucket* bucket;
    std::uint32_t at;
  };
  Spot find_word(std::uint64_t hash, std::uint32_t word) const;
  // 16 for a full one.
  static std::uint32_t used(const Bucket& b) { return first_of(equal(b, ~0U, 0) | 1U << kWords); }
  std::uint32_t put(std::uint64_t hash, std::uint32_t word);
  void put_or_stash(std::uint64_t hash, std::uint32_t word);
  void grow(Place begin);
  void shrink(Place begin);
  void rehash(std::size_t group, std::uint32_t from, std::uint32_t to, Place begin);
  void widen(Place begin);

  const IndexedRecords& records_;
  Slabs slabs_;
  std::vector<Page*> directory_;  // kMostPages a group
  unsigned slot_bits_;
  unsigned depth_ = 0;       // 2^depth_ groups
  std::uint32_t pages_ = 1;  // of each group,
  std::size_t grown_ = 0;    // and one more of each of the first `grown_`
  std::size_t size_ = 0;
  std::vector<std::uint32_t> stash_;  // words whose page is full; next to none
};

inline std::uint32_t SlotIndex::equal(const Bucket& b, std::uint32_t mask, std::uint32_t value) {
#ifdef __SSE2__
  const __m128i m = _mm_set1_epi32(static_cast<int>(mask));
  const __m128i v = _mm_set1_epi32(static_cast<int>(value));
  const auto* const lines = reinterpret_cast<const __m128i*>(&b);
  const auto quarter = [&](int i) {
    return _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(lines + i), m), v);
  };
  const __m128i low = _mm_packs_epi32(quarter(0), quarter(1));
  const __m128i high = _mm_packs_epi32(quarter(2), quarter(3));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
#else
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < kWords; ++i) {
    found |= static_cast<std::uint32_t>((b.words[i] & mask) == value) << i;
  }
  return found;
#endif
}

inline std::size_t SlotIndex::likely(const Lines& lines, std::uint64_t hash, Place begin,
                                     Place* places) const {
  const std::uint32_t tag = tag_of(hash) << slot_bits_;
  const auto* const first = reinterpret_cast<const Bucket*>(lines.first);
  const auto* const second = reinterpret_cast<const Bucket*>(lines.second);
  auto found = equal(*first, ~slot_mask(), tag) | equal(*second, ~slot_mask(), tag) << kWords;
  std::size_t n = 0;
  for (; found != 0 && n < kMostLikely; found &= found - 1) {
    const std::uint32_t bit = first_of(found);
    places[n++] = place_of((bit < kWords ? first : second)->words[bit % kWords], begin);
  }
  return n;
}

template <class IsIt>
std::optional<Place> SlotIndex::find(std::uint64_t hash, Place begin, IsIt&& is_it) const {
  const Home home = home_of(hash);
  const std::uint32_t tag = tag_of(hash) << slot_bits_;
  const Bucket* const buckets[] = {&home.page[home.first], &home.page[home.second]};
  // Both at once: which of them it is cannot be foretold, and the processor would wait for each in turn.
  auto found = equal(*buckets[0], ~slot_mask(), tag) | equal(*buckets[1], ~slot_mask(), tag)
                                                           << kWords;
  for (; found != 0; found &= found - 1) {
    const std::uint32_t bit = first_of(found);
    const Place place = place_of(buckets[bit / kWords]->words[bit % kWords], begin);
    if (is_it(place)) return place;
  }
  for (const std::uint32_t word : stash_) {
    if ((word & ~slot_mask()) != tag) continue;
    const Place place = place_of(word, begin);
    if (is_it(place)) return place;
  }
  return std::nullopt;
}

}  // namespace lastack::timewait
