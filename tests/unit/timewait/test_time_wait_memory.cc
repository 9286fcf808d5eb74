// What a record costs, all included, by the table's own account and by the system's.
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "timewait/time_wait_table.h"
#include "watched.h"

namespace lastack::timewait {
namespace {

template <class Address>
struct Deaf final : TableListener<Address> {
  void rested(const Packed<Address>&) override {}
  void stirred(const Packed<Address>&) override {}
  void ended(const Packed<Address>&, Millis) override {}
};

std::size_t resident() {
  unsigned long all = 0;
  unsigned long here = 0;
  std::FILE* const f = std::fopen("/proc/self/statm", "r");
  if (f == nullptr || std::fscanf(f, "%lu %lu", &all, &here) != 2) ADD_FAILURE();
  if (f != nullptr) std::fclose(f);
  return here * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

template <class Address>
Packed<Address> record(std::uint32_t n) {
  Packed<Address> r;
  if constexpr (std::is_same_v<Address, V4>) {
    r.key.remote = n >> 8;
  } else {
    r.key.remote = {0x20010db8, 0, 0, n >> 8};
  }
  r.key.remote_port = static_cast<Port>(1024 + (n & 0xff));
  r.key.local_port = 443;
  r.set(kTimestamps);
  return r;
}

constexpr std::uint32_t kRecords = 2'000'000;

template <class Address>
void check(std::uint32_t n, double least, double most) {
  Deaf<Address> deaf;
  ::malloc_trim(0);  // what earlier tests left would be taken again, and not be seen
  [[maybe_unused]] const std::size_t before = resident();
  {
    TimeWaitTable<Address> table({1, 2}, deaf);
    for (std::uint32_t i = 0; i < n; ++i) {
      const Millis now = kTimeRange + i / 100;
      table.insert(record<Address>(i), now, now);
    }
    const double bytes = static_cast<double>(table.bytes());
    EXPECT_GT(bytes / n, least);
    EXPECT_LT(bytes / n, most);
#ifndef LASTACK_WATCHED
    const double grown = static_cast<double>(resident() - before);
    EXPECT_NEAR(grown / bytes, 1, 0.06)
        << "by the system " << grown / n << ", by itself " << bytes / n;
#endif
    // And back: what is left is what one chunk and one page cost.
    table.end_due(kTimeRange + n, 0);
    EXPECT_EQ(table.size(), 0u);
    EXPECT_LT(table.bytes(), std::size_t{400} << 10);
  }
}

TEST(TimeWaitMemory, OfAnIPv4Record) {
  check<V4>(kRecords, 29.0, 31.0);
}
TEST(TimeWaitMemory, OfAnIPv6Record) {
  check<V6>(kRecords, 41.0, 43.5);
}

// A port that is used again after a second leaves a gap in the ring. It is not paid for until a minute later.
TEST(TimeWaitMemory, OfRecordsThatAreErasedEarly) {
  Deaf<V4> deaf;
  TimeWaitTable<V4> table({1, 2}, deaf);
  constexpr std::uint32_t kPorts = 20'000;
  for (std::uint32_t i = 0; i < 100 * kPorts; ++i) {
    const Millis now = kTimeRange + i / 50;  // all within 40 s
    if (i >= kPorts) table.erase(*table.find(record<V4>(i - kPorts).key));
    table.insert(record<V4>(i), now, now);
  }
  EXPECT_EQ(table.size(), kPorts);
  EXPECT_LT(table.bytes(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace lastack::timewait
