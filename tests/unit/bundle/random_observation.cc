#include "random_observation.h"

#include <gtest/gtest.h>

#include <concepts>
#include <cstdlib>
#include <limits>

#include "bundle/fields.h"

namespace lastack::test {

namespace {

class Filler {
 public:
  Filler(Random& random, const Shape& shape) : random_(random), shape_(shape) {}

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool coin() { return below(2) == 0; }

  // Small numbers, large ones and the largest.
  std::uint64_t number(std::uint64_t most) {
    most = std::min(most, kMostCount);
    switch (below(8)) {
      case 0:
        return most;
      case 1:
        return 0;
      case 2:
      case 3:
        return below(most + 1);
      default:
        return below(std::min<std::uint64_t>(most, 10000) + 1);
    }
  }

  void fill(bool& out) { out = coin(); }
  template <std::unsigned_integral Number>
    requires(!std::same_as<Number, bool>)
  void fill(Number& out, std::uint64_t most = UINT64_MAX) {
    out = static_cast<Number>(
        number(std::min<std::uint64_t>(most, std::numeric_limits<Number>::max())));
  }
  template <std::signed_integral Number>
  void fill(Number& out, std::uint64_t most = UINT64_MAX) {
    out = static_cast<Number>(most == UINT64_MAX ? random_() : number(most));
  }
  void fill(Duration& out) {
    out = Duration(static_cast<Duration::rep>(number(3'000'000'000'000'000'000)));
  }
  void fill(Instant& out) {
    Duration since{};
    fill(since);
    out = Instant(since);
  }
  void fill(IpAddress& out) {
    switch (below(6)) {
      case 0:
        out = IpAddress::v4(0x7f000001);
        break;
      case 1:
        out = IpAddress::v4(0);
        break;
      case 2:
        out = IpAddress();
        break;
      case 3: {
        IpAddress::Bytes bytes{};
        for (std::uint8_t& b : bytes) b = coin() ? static_cast<std::uint8_t>(random_()) : 0;
        out = IpAddress::v6(bytes);
        break;
      }
      default:
        out = IpAddress::v4(static_cast<std::uint32_t>(random_()));
    }
  }
  void fill(std::string& out) {
    out.clear();
    const std::size_t length = below(24);
    for (std::size_t i = 0; i < length; ++i) {
      out += shape_.plain ? static_cast<char>('a' + below(26)) : static_cast<char>(random_());
    }
    if (!shape_.plain && below(4) == 0)
      out += "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";  // valid UTF-8
  }
  void fill(TcpState& out) { out = kAllTcpStates[below(kTcpStates)]; }
  void fill(StateCounts& out) {
    for (TcpState s : kAllTcpStates) out[s] = coin() ? number(kMostSockets) : 0;
  }
  void fill(PortSet& out) {
    out = PortSet();
    const std::uint64_t runs = below(6);
    for (std::uint64_t i = 0; i < runs; ++i) {
      const std::uint64_t start = below(65536);
      const std::uint64_t end = std::min<std::uint64_t>(65535, start + below(200));
      for (std::uint64_t p = start; p <= end; ++p) out.insert(static_cast<Port>(p));
    }
    if (below(8) == 0) out.insert(Port{65535});
  }
  void fill(PortRange& out) {
    fill(out.low);
    fill(out.high);
    if (out.high < out.low) std::swap(out.low, out.high);
  }
  void fill(CloseHistogram& out) {
    out = CloseHistogram(std::chrono::seconds(1 + below(86400)));
    const std::uint64_t closes = below(20);
    for (std::uint64_t i = 0; i < closes; ++i) {
      out.add(out.width() * static_cast<Duration::rep>(below(CloseHistogram::kBins)),
              static_cast<std::uint32_t>(below(1 << 20)));
    }
  }
  void fill(Settings& out) {
    for (const SettingInfo& info : setting_table()) {
      Settings::Value& value = out.*info.member;
      if (coin()) continue;
      constexpr auto kSpan = static_cast<std::uint64_t>(Settings::kMost - Settings::kLeast);
      value = Settings::kLeast + static_cast<std::int64_t>(number(kSpan));
      if (coin()) value = static_cast<std::int64_t>(number(10000));
    }
    fill(out.ip_local_port_range);
    fill(out.ip_local_reserved_ports);
  }
  void fill(Counters& out) {
    for (std::size_t i = 0; i < counter_table().size(); ++i) {
      if (coin()) continue;
      out.known |= std::uint64_t{1} << i;
      fill(out.*counter_table()[i].member);
    }
  }
  template <class T>
  void fill(std::optional<T>& out) {
    out.reset();
    if (coin()) fill(out.emplace());
  }
  template <class T, std::size_t n>
  void fill(std::array<T, n>& out) {
    for (T& value : out) fill(value);
  }
  template <class T>
  void fill(std::vector<T>& out) {
    out.clear();
    out.resize(below(shape_.most_elements + 1));
    for (T& value : out) fill(value);
  }
  template <Described T>
  void fill(T& out) {
    for_each_field<T>([&](const auto& field) {
      using Member = typename std::remove_cvref_t<decltype(field)>::Type;
      if constexpr (std::integral<Member> && !std::same_as<Member, bool>) {
        fill(out.*field.member, field.most);
      } else {
        fill(out.*field.member);
      }
    });
    keep_promises(out);
  }

 private:
  std::uint32_t index(std::size_t size) {
    return size == 0 || coin() ? kNone : static_cast<std::uint32_t>(below(size));
  }

  template <class T>
  void keep_promises(T& out) {
    if constexpr (std::derived_from<T, SocketGroup> || std::same_as<T, SocketCensus>) {
      out.compact_fin_wait_2 = std::min(out.compact_fin_wait_2, out.states[TcpState::FinWait2]);
    }
    if constexpr (std::same_as<T, NamespaceSnapshot>) {
      constexpr const char* kCommands[] = {"", "ip netns exec web", "ip netns exec 'a b'\\''c'",
                                           "nsenter -t 4711 -n", "nsenter --net=/run/netns/x"};
      out.enter = kCommands[below(std::size(kCommands))];
    }
    if constexpr (std::same_as<T, HostSnapshot>) {
      for (NamespaceSnapshot& space : out.namespaces) {
        SocketCensus& census = space.sockets;
        if (out.processes.empty()) census.owned.clear();
        if (out.processes.empty() || census.destinations.empty()) census.openers.clear();
        for (Opener& o : census.openers) {
          o.process = static_cast<std::uint32_t>(below(out.processes.size()));
          o.destination = static_cast<std::uint32_t>(below(census.destinations.size()));
        }
        for (OwnedSockets& o : census.owned) {
          o.process = static_cast<std::uint32_t>(below(out.processes.size()));
          o.destination = index(census.destinations.size());
          o.service = index(census.services.size());
        }
        for (ContestedPort& c : census.contested) {
          c.wanted_by = index(out.processes.size());
          c.owner = index(out.processes.size());
        }
      }
    }
  }

  Random& random_;
  Shape shape_;
};

}  // namespace

Observation random_observation(Random& random, const Shape& shape) {
  Observation observation;
  Filler(random, shape).fill(observation);
  return observation;
}

std::uint64_t seed_from_environment(std::uint64_t usual) {
  const char* seed = std::getenv("LASTACK_SEED");
  return seed == nullptr ? usual : std::strtoull(seed, nullptr, 10);
}

std::string replay(std::uint64_t seed) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  return "replay: LASTACK_SEED=" + std::to_string(seed) +
         " test_bundle --gtest_filter=" + test->test_suite_name() + "." + test->name();
}

}  // namespace lastack::test
