// TIME_WAIT records: memory for each, all included, and what the operations cost with 10,000, a million and
// ten million of them. Medians of rounds in which all sizes take turns; ratios are those within a round.
#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "measure.h"
#include "timewait/time_wait_table.h"

namespace lastack::bench {
namespace {

using namespace timewait;

constexpr Millis kStay = 60'000;
constexpr std::array<std::size_t, 3> kSizes{10'000, 1'000'000, 10'000'000};

template <class Address>
struct Counter final : TableListener<Address> {
  void rested(const Packed<Address>&) override {}
  void stirred(const Packed<Address>&) override {}
  void ended(const Packed<Address>&, Millis) override { ++n; }
  std::size_t n = 0;
};

template <class Address>
Key<Address> key_of(std::uint64_t name) {
  const std::uint64_t x = scatter(name);
  const auto word = static_cast<std::uint32_t>(x);
  const auto port = static_cast<Port>((x >> 32) | 1);
  if constexpr (std::is_same_v<Address, V4>) {
    return {word, port, 443};
  } else {
    return {{0x20010db8, 0, static_cast<std::uint32_t>(x >> 40), word}, port, 443};
  }
}

template <class Address>
Packed<Address> record_of(std::uint64_t name) {
  Packed<Address> r;
  r.key = key_of<Address>(name);
  r.rcv_nxt = static_cast<std::uint32_t>(name);
  r.snd_nxt = static_cast<std::uint32_t>(~name);
  r.ts_recent = static_cast<std::uint32_t>(name);
  r.set(kTimestamps);
  return r;
}

double resident() {
  unsigned long all = 0;
  unsigned long here = 0;
  std::FILE* const f = std::fopen("/proc/self/statm", "r");
  if (f == nullptr || std::fscanf(f, "%lu %lu", &all, &here) != 2) std::abort();
  std::fclose(f);
  return static_cast<double>(here) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

struct Costs {
  std::vector<double> insert, find, find_burst, miss, miss_burst, expire;
  double growing = 0;  // the first insert of each, from an empty table
};

// A table that has been at its size for a minute: as many come as end.
template <class Address>
class Steady {
 public:
  using Table = TimeWaitTable<Address>;
  using RecordKey = Key<Address>;

  explicit Steady(std::size_t size)
      : size_(size), batch_(std::min<std::size_t>(size / 10, 20'000)) {
    costs.growing = ns_each(size, [&] {
      while (next_ < size_) insert_batch();
    });
  }

  void round() {
    const std::size_t times = 20'000 / batch_;  // so that each measurement is of as many
    const std::size_t n = times * batch_;
    double insert = 0;
    double expire = 0;
    for (std::size_t i = 0; i < times; ++i) {
      const std::size_t before = counter_.n;
      now_ += kStay / (size_ / batch_);
      expire += ns_each(n, [&] { table_.end_due(now_, kStay); });
      if (counter_.n - before != batch_) std::abort();
      now_ -= kStay / (size_ / batch_);
      insert += ns_each(n, [&] { insert_batch(); });
    }
    costs.insert.push_back(insert);
    costs.expire.push_back(expire);
    for (const bool there : {true, false}) {
      (there ? costs.find : costs.miss).push_back(ns_each(n, [&] { look_up(n, there); }));
      (there ? costs.find_burst : costs.miss_burst).push_back(ns_each(n, [&] {
        look_up_in_bursts(n, there);
      }));
    }
  }

  Costs costs;

 private:
  void insert_batch() {
    now_ += kStay / (size_ / batch_);
    std::array<RecordKey, Table::kBurst> keys;
    for (std::size_t i = 0; i < batch_; ++i) {
      if (i % keys.size() == 0) {
        for (std::size_t j = 0; j < keys.size(); ++j) keys[j] = key_of<Address>(next_ + j);
        table_.expect(keys);
      }
      table_.insert(record_of<Address>(next_++), now_, now_);
    }
  }
  RecordKey any_key(bool there) {
    const std::uint64_t x = scatter(++looked_up_ + 0x5bd1e995);
    return key_of<Address>(there ? next_ - 1 - x % size_ : x | std::uint64_t{1} << 63);
  }
  void look_up(std::size_t n, bool there) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < n; ++i) found += table_.find(any_key(there)).has_value() ? 1 : 0;
    if (found != (there ? n : 0)) std::abort();
  }
  void look_up_in_bursts(std::size_t n, bool there) {
    std::size_t found = 0;
    std::array<RecordKey, Table::kBurst> keys;
    std::array<std::optional<typename Table::Found>, Table::kBurst> results;
    for (std::size_t i = 0; i < n; i += keys.size()) {
      for (RecordKey& key : keys) key = any_key(there);
      table_.find_burst(keys, results);
      for (const auto& r : results) found += r.has_value() ? 1 : 0;
    }
    if ((found > 0) != there) std::abort();
  }

  Counter<Address> counter_;
  Table table_{SipKey{0x6c617374, 0x61636b}, counter_};
  std::size_t size_;
  std::size_t batch_;
  std::uint64_t next_ = 0;
  std::uint64_t looked_up_ = 0;
  Millis now_ = kTimeRange;
};

template <class Address>
void memory(const char* family) {
  fmt::print("  {:<28}", family);
  for (const std::size_t size : kSizes) {
    ::malloc_trim(0);
    const double before = resident();
    Counter<Address> counter;
    TimeWaitTable<Address> table({1, 2}, counter);
    for (std::uint64_t i = 0; i < size; ++i) {
      const Millis now = kTimeRange + i * kStay / size;
      table.insert(record_of<Address>(i), now, now);
    }
    const double n = static_cast<double>(size);
    fmt::print("{:>9.2f} ({:5.2f})", static_cast<double>(table.bytes()) / n,
               (resident() - before) / n);
  }
  fmt::print("\n");
}

template <class Address>
void speed(const char* family, int rounds) {
  std::array<std::unique_ptr<Steady<Address>>, kSizes.size()> tables;
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    tables[i] = std::make_unique<Steady<Address>>(kSizes[i]);
  }
  for (int round = 0; round < rounds; ++round) {
    for (auto& table : tables) table->round();
  }
  fmt::print("\n{}, ns each{:>27}{:>14}{:>14}{:>10}\n", family, "10,000", "1,000,000", "10,000,000",
             "ratio");
  const auto row = [&](const char* name, std::vector<double> Costs::*cost) {
    fmt::print("  {:<28}", name);
    for (const auto& table : tables) fmt::print("{:>12.1f}  ", median(table->costs.*cost));
    fmt::print("{:>8.2f}\n", median_ratio(tables.back()->costs.*cost, tables.front()->costs.*cost));
  };
  row("insert, expected in bursts", &Costs::insert);
  row("find, in bursts of 32", &Costs::find_burst);
  row("miss, in bursts of 32", &Costs::miss_burst);
  row("expire", &Costs::expire);
  row("find, one by one", &Costs::find);
  row("miss, one by one", &Costs::miss);
  fmt::print("  {:<28}", "insert while it grows, once");
  for (const auto& table : tables) fmt::print("{:>12.1f}  ", table->costs.growing);
  fmt::print("{:>8.2f}\n", tables.back()->costs.growing / tables.front()->costs.growing);
}

}  // namespace
}  // namespace lastack::bench

int main() {
  using namespace lastack::bench;
  fmt::print("TIME_WAIT records of one local address\n\n");
  fmt::print("bytes each, all included (and resident){:>9}{:>17}{:>17}\n", "10,000", "1,000,000",
             "10,000,000");
  memory<lastack::timewait::V4>("IPv4, with timestamps");
  memory<lastack::timewait::V6>("IPv6, with timestamps");
  speed<lastack::timewait::V4>("IPv4", 21);
  speed<lastack::timewait::V6>("IPv6", 11);
}
