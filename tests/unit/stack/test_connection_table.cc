#include <gtest/gtest.h>

#include <map>
#include <random>

#include "stack/connection_table.h"

namespace lastack::test {
namespace {

FourTuple tuple_of(unsigned n) {
  return {{IpAddress::v4(0x0a000001), static_cast<Port>(1024 + n % 8)},
          {IpAddress::v4(0x0a000100 + n / 8), 80}};
}

// Against an ordinary map: few four-tuples, which come and go all the time, and are asked for in trains.
TEST(ConnectionTable, AgreesWithAMap) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    ConnectionTable table({seed, 2});
    std::map<unsigned, ConnectionTable::Index> model;
    for (int step = 0; step < 20'000; ++step) {
      const unsigned n = static_cast<unsigned>(random()) % 400;
      const auto known = model.find(n);
      if (random() % 4 != 0) {
        const auto expected = known == model.end() ? ConnectionTable::kNone : known->second;
        for (int again = 0; again < 3; ++again) ASSERT_EQ(table.find(tuple_of(n)), expected);
      } else if (known == model.end()) {
        const auto index = table.allocate();
        table[index].tuple = tuple_of(n);
        table.insert(index);
        model[n] = index;
      } else {
        ASSERT_EQ(table.find(tuple_of(n)), known->second);
        table.erase(known->second);
        // Some are still there when they cannot be found any more (a socket whose connection is over).
        ASSERT_EQ(table.find(tuple_of(n)), ConnectionTable::kNone);
        table.release(known->second);
        model.erase(known);
      }
      ASSERT_EQ(table.hashed(), model.size());
    }
  }
}

}  // namespace
}  // namespace lastack::test
