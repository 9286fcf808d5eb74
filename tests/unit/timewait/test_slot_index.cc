// The index alone, against a map: growing, giving back, tags that get narrower, pages that are full.
#include <gtest/gtest.h>

#include <map>
#include <unordered_map>

#include "timewait/siphash.h"
#include "timewait/slot_index.h"
#include "unit/seeds.h"

namespace lastack::timewait {
namespace {

// Records are their places; the hash of one can be chosen.
struct Records final : IndexedRecords {
  std::unordered_map<Place, std::uint64_t> hashes;
  std::uint64_t hash_of(Place place) const override { return hashes.at(place); }
  void touch(Place) const override {}
};

std::uint64_t good_hash(Place place) {
  return SipHash({1, 2}).add(place).finish();
}

class Indexed {
 public:
  explicit Indexed(unsigned slot_bits) : index_(records_, slot_bits) {}

  void insert(Place place, std::uint64_t hash) {
    records_.hashes[place] = hash;
    live_[place] = hash;
    index_.insert(hash, place, begin());
  }
  void erase(Place place) {
    index_.erase(live_.at(place), place, begin());
    live_.erase(place);
    records_.hashes.erase(place);
  }
  void move(Place from, Place to) {
    const std::uint64_t hash = live_.at(from);
    records_.hashes[to] = hash;
    live_[to] = hash;
    index_.move(hash, from, to, begin());
    live_.erase(from);
    records_.hashes.erase(from);
  }
  bool finds(Place place, std::uint64_t hash) {
    return index_.find(hash, begin(), [&](Place p) { return p == place; }) == place;
  }
  // Each record is found and nothing else is; what is_it() is asked about is always alive.
  void check() {
    ASSERT_EQ(index_.size(), live_.size());
    for (const auto& [place, hash] : live_) ASSERT_TRUE(finds(place, hash)) << place;
  }
  std::uint64_t asked_per_miss(std::uint64_t tries) {
    std::uint64_t asked = 0;
    for (std::uint64_t i = 0; i < tries; ++i) {
      EXPECT_FALSE(index_.find(good_hash(~i), begin(), [&](Place place) {
        EXPECT_TRUE(live_.count(place)) << "asked about a record that is not there";
        ++asked;
        return false;
      }));
    }
    return asked;
  }
  Place begin() const { return live_.empty() ? 0 : live_.begin()->first; }
  std::map<Place, std::uint64_t>& live() { return live_; }
  SlotIndex& index() { return index_; }

 private:
  Records records_;
  SlotIndex index_;
  std::map<Place, std::uint64_t> live_;
};

TEST(SlotIndex, GrowsAndGivesBackAndAlwaysFinds) {
  Indexed all(24);
  const std::size_t empty = all.index().bytes();
  constexpr Place kMany = 120'000;  // through two doublings of the number of groups and all between
  for (Place p = 0; p < kMany; ++p) {
    all.insert(p, good_hash(p));
    if ((p & (p - 1)) == 0) all.check();
  }
  all.check();
  EXPECT_LT(static_cast<double>(all.index().bytes()) / kMany, 5.5);
  for (Place p = 0; p < kMany; ++p) {
    all.erase(p);
    if ((p & (p + 1)) == 0) all.check();
  }
  EXPECT_EQ(all.index().size(), 0u);
  EXPECT_LT(all.index().bytes(), empty + 4096);
}

TEST(SlotIndex, AsksAboutHardlyAnyOtherRecord) {
  Indexed all(24);
  for (Place p = 0; p < 50'000; ++p) all.insert(p, good_hash(p));
  // 25 words with tags of 8 bits: one in ten.
  EXPECT_NEAR(static_cast<double>(all.asked_per_miss(100'000)), 10'000, 2'000);
}

TEST(SlotIndex, TagsGetNarrowerAsPlacesGetFurtherApart) {
  Indexed all(9);
  for (Place p = 0; p < 3000; ++p) all.insert(p, good_hash(p));  // 9 bits to 12
  all.check();
  all.asked_per_miss(1000);
  // A record that stays behind while the others go on: 17 bits.
  for (Place p = 3000; p < 100'000; ++p) {
    all.insert(p, good_hash(p));
    if (p >= 4000) all.erase(p - 3000 + 1);
  }
  EXPECT_EQ(all.begin(), 0u);
  all.check();
  all.asked_per_miss(1000);
}

// Nobody who does not know the key can do this; and still every record has to be found.
TEST(SlotIndex, AFullPageLosesNothing) {
  Indexed all(24);
  for (Place p = 0; p < 5000; ++p) all.insert(p, good_hash(p));
  for (Place p = 5000; p < 6500; ++p) all.insert(p, 0x1234'5678'0000'0000 | (p & 0xff));
  all.check();
  for (Place p = 5000; p < 6500; p += 2) all.erase(p);
  all.check();
  for (Place p = 6500; p < 20'000; ++p) all.insert(p, good_hash(p));
  all.check();
}

TEST(SlotIndex, AgreesWithAMap) {
  for (const std::uint64_t seed : seeds(6)) {
    SCOPED_TRACE(replay(seed, "timewait/test_timewait", "SlotIndex.AgreesWithAMap"));
    Dice dice(seed);
    Indexed all(8 + static_cast<unsigned>(dice.below(17)));
    Place next = dice.below(2) == 0 ? 0 : (Place{1} << 24) - 100;
    Place wave = 20'000;
    for (int i = 0; i < 200'000 && !HasFatalFailure(); ++i) {
      if (i % 40'000 == 0) wave = dice.below(30'000);
      if (all.live().size() < wave ? !dice.one_in(5) : dice.one_in(5)) {
        all.insert(next, good_hash(next));
        ++next;
      } else if (!all.live().empty()) {
        // The oldest as a rule, or any.
        auto at = all.live().begin();
        if (dice.one_in(4))
          at = all.live().lower_bound(all.begin() + dice.below(next - all.begin()));
        const Place place = at->first;
        if (dice.one_in(20)) {
          all.move(place, next++);
        } else {
          all.erase(place);
        }
      }
      if (i % 20'000 == 0) all.check();
    }
    all.check();
  }
}

}  // namespace
}  // namespace lastack::timewait
