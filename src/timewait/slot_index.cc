#include "timewait/slot_index.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace lastack::timewait {
namespace {

// In use at most 49/64 of the words, and at least a quarter before pages are given back.
constexpr std::size_t kGrowAt = 49;
constexpr std::size_t kShrinkAt = 16;
constexpr std::size_t kOf = 64;
constexpr std::size_t kSinglePages = 1024;
constexpr unsigned kMostMoves = 64;
constexpr std::size_t kAtOnce = 64;  // records on their way from memory

}  // namespace

SlotIndex::SlotIndex(const IndexedRecords& records, unsigned slot_bits)
    : records_(records),
      slabs_(sizeof(Page), kSinglePages),
      directory_(kMostPages, nullptr),
      slot_bits_(slot_bits) {
  static_assert(Slabs::kSlabBytes % sizeof(Page) == 0);
  directory_[0] = static_cast<Page*>(slabs_.take());
  std::memset(static_cast<void*>(directory_[0]), 0, sizeof(Page));
}

SlotIndex::~SlotIndex() {
  for (Page* page : directory_) {
    if (page != nullptr) slabs_.give_back(page);
  }
}

// Nothing, or the word (it may be another one of the page) that finds no place.
std::uint32_t SlotIndex::put(std::uint64_t hash, std::uint32_t word) {
  const Home home = home_of(hash);
  std::uint32_t at = home.first;
  std::uint32_t taken = used(home.page[at]);
  const std::uint32_t taken_there = used(home.page[home.second]);
  if (taken_there < taken) {
    at = home.second;
    taken = taken_there;
  }
  // Both are full, which is rare: somebody there moves to the other bucket that it has.
  for (unsigned moves = 0; taken == kWords; ++moves) {
    if (moves == kMostMoves) return word;
    std::swap(home.page[at].words[(word + moves) % kWords], word);
    at = other(at, word >> slot_bits_);
    taken = used(home.page[at]);
  }
  home.page[at].words[taken] = word;
  return 0;
}

void SlotIndex::put_or_stash(std::uint64_t hash, std::uint32_t word) {
  const std::uint32_t homeless = put(hash, word);
  if (homeless != 0) stash_.push_back(homeless);
}

void SlotIndex::insert(std::uint64_t hash, Place place, Place begin) {
  while (place - begin > slot_mask()) widen(begin);
  put_or_stash(hash, word_of(hash, place));
  if (++size_ * kOf > pages() * kBucketsPerPage * kWords * kGrowAt) grow(begin);
}

SlotIndex::Spot SlotIndex::find_word(std::uint64_t hash, std::uint32_t word) const {
  const Home home = home_of(hash);
  for (Bucket* bucket : {&home.page[home.first], &home.page[home.second]}) {
    const std::uint32_t found = equal(*bucket, ~0U, word);
    if (found != 0) return {bucket, first_of(found)};
  }
  return {nullptr, 0};
}

void SlotIndex::erase(std::uint64_t hash, Place place, Place begin) {
  const std::uint32_t word = word_of(hash, place);
  const Spot spot = find_word(hash, word);
  if (spot.bucket == nullptr) {
    std::erase(stash_, word);
  } else {
    std::uint32_t& last = spot.bucket->words[used(*spot.bucket) - 1];
    spot.bucket->words[spot.at] = last;
    last = 0;
  }
  --size_;
  if (pages() > 1 && size_ * kOf < pages() * kBucketsPerPage * kWords * kShrinkAt) shrink(begin);
}

void SlotIndex::move(std::uint64_t hash, Place from, Place to, Place begin) {
  while (to - begin > slot_mask()) widen(begin);
  const Spot spot = find_word(hash, word_of(hash, from));
  if (spot.bucket == nullptr) {
    std::replace(stash_.begin(), stash_.end(), word_of(hash, from), word_of(hash, to));
  } else {
    spot.bucket->words[spot.at] = word_of(hash, to);
  }
}

void SlotIndex::grow(Place begin) {
  const std::size_t group = grown_++;
  rehash(group, pages_, pages_ + 1, begin);
  if (grown_ < groups()) return;
  grown_ = 0;
  if (++pages_ < kMostPages) return;
  std::vector<Page*> twice(2 * directory_.size(), nullptr);
  for (std::size_t i = 0; i < 2 * groups(); ++i) {
    for (std::size_t j = 0; j < kLeastPages; ++j) {
      twice[i * kMostPages + j] = directory_[i * kLeastPages + j];
    }
  }
  directory_.swap(twice);
  pages_ = kLeastPages;
  ++depth_;
}

void SlotIndex::shrink(Place begin) {
  if (grown_ == 0) {
    if (pages_ == kLeastPages && depth_ > 0) {
      std::vector<Page*> half(directory_.size() / 2);
      for (std::size_t i = 0; i < groups(); ++i) {
        for (std::size_t j = 0; j < kLeastPages; ++j) {
          half[i * kLeastPages + j] = directory_[i * kMostPages + j];
        }
      }
      directory_.swap(half);
      pages_ = kMostPages;
      --depth_;
    }
    --pages_;
    grown_ = groups();
  }
  const std::size_t group = grown_ - 1;
  rehash(group, pages_ + 1, pages_, begin);
}

// A group's words go from `from` pages to `to`; grown_ has been counted up already when that is more, and is
// counted down here when it is less.
void SlotIndex::rehash(std::size_t group, std::uint32_t from, std::uint32_t to, Place begin) {
  Page** const pages = &directory_[group * kMostPages];
  struct Moved {
    std::uint64_t hash;
    Place place;
    std::uint32_t word;
  };
  std::vector<Moved> moved;
  moved.reserve(std::size_t{from} * kBucketsPerPage * kWords);
  for (std::uint32_t i = 0; i < from; ++i) {
    for (const Bucket& b : *pages[i]) {
      for (const std::uint32_t word : b.words) {
        if (word != 0) moved.push_back({0, place_of(word, begin), word});
      }
    }
  }
  for (std::size_t i = 0; i < moved.size();) {
    const std::size_t end = std::min(i + kAtOnce, moved.size());
    for (std::size_t j = i; j < end; ++j) records_.touch(moved[j].place);
    for (; i < end; ++i) moved[i].hash = records_.hash_of(moved[i].place);
  }
  if (to > from) {
    pages[from] = static_cast<Page*>(slabs_.take());
  } else {
    slabs_.give_back(pages[to]);
    pages[to] = nullptr;
    --grown_;
  }
  for (std::uint32_t i = 0; i < to; ++i) {
    std::memset(static_cast<void*>(pages[i]), 0, sizeof(Page));
  }
  for (const Moved& m : moved) put_or_stash(m.hash, m.word);
  // Those that found no room may find some now.
  std::vector<std::uint32_t> stash;
  stash.swap(stash_);
  for (const std::uint32_t word : stash) {
    put_or_stash(records_.hash_of(place_of(word, begin)), word);
  }
}

// One bit more for the place, one less for the tag.
void SlotIndex::widen(Place begin) {
  const auto wider = [&](std::uint32_t& word) {
    if (word == 0) return;
    const Place place = place_of(word, begin);
    std::uint32_t tag = (word >> slot_bits_) & (0xffffffffU >> (slot_bits_ + 1));
    if (tag == 0) tag = 1U << (30 - slot_bits_);
    word = tag << (slot_bits_ + 1) | (static_cast<std::uint32_t>(place) & (2 * slot_mask() + 1));
  };
  for (Page* page : directory_) {
    if (page == nullptr) continue;
    for (Bucket& b : *page) std::for_each(b.words.begin(), b.words.end(), wider);
  }
  std::for_each(stash_.begin(), stash_.end(), wider);
  ++slot_bits_;
}

std::size_t SlotIndex::bytes() const {
  return slabs_.bytes() + directory_.capacity() * sizeof(Page*) +
         stash_.capacity() * sizeof(std::uint32_t);
}

}  // namespace lastack::timewait
