#include "bundle/decode.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <limits>
#include <string>
#include <vector>

#include "bundle/enter_command.h"
#include "bundle/fields.h"
#include "bundle/json_tape.h"
#include "bundle/json_text.h"
#include "lastack/bundle.h"

namespace lastack {

namespace {

using Kind = JsonTape::Kind;

// 95 years: differences and sums of a few such times still fit 64 bits.
constexpr Duration kLongestTime{std::int64_t{3'000'000'000'000'000'000}};
// Longer than the bins of any TIME_WAIT that settings.h believes in.
constexpr Duration kWidestBin = 1h;
// What a list of ports can need: "1,3,5,...,65535".
constexpr std::size_t kLongestPortList = 65536 / 2 * 6;

// What the observation itself may occupy. Some objects are far larger in memory than the shortest
// text that makes one (a namespace holds 24 KiB of port sets), so the text's size is no bound.
constexpr std::size_t memory_for(std::size_t text_size) {
  return std::min((std::size_t{64} << 20) + 8 * text_size, std::size_t{256} << 20);
}

// No name, path or command line of a live look is longer.
constexpr std::size_t kLongestString = 4096;

// How many there may be of each. A live look keeps fewer; what is here bounds what a diagnosis takes.
template <class T>
constexpr std::size_t most_of() {
  if (std::same_as<T, Destination> || std::same_as<T, Service>) return 4096;
  if (std::same_as<T, NamespaceSnapshot> || std::same_as<T, SysctlLine>) return 1024;
  if (std::same_as<T, Process>) return 4096;
  if (std::same_as<T, ContestedPort>) return 64;
  if (std::same_as<T, FourTuple>) return 16;
  return 65536;
}

// Where we are, for messages: a list on the stack from the innermost outwards.
struct Place {
  const Place* outer = nullptr;
  std::string_view name{};
  std::size_t index = 0;

  std::string path() const {
    if (outer == nullptr) return {};
    std::string text = outer->path();
    if (name.empty()) return text + '[' + std::to_string(index) + ']';
    if (!text.empty()) text += '.';
    constexpr std::size_t kLongestName = 60;
    return text += printable_ascii(name.substr(0, kLongestName));
  }
};

class Decoder {
 public:
  Decoder(const JsonTape& tape, std::size_t memory) : tape_(tape), memory_(memory) {}

  const std::string& error() const { return error_; }

  bool fail(const Place& place, std::string_view what) {
    error_ = place.path();
    if (!error_.empty()) error_ += ": ";
    error_ += what;
    return false;
  }

  bool read(std::size_t at, bool& out, const Place& place) {
    out = tape_.kind(at) == Kind::True;
    return out || tape_.kind(at) == Kind::False || fail(place, "neither true nor false");
  }

  template <std::unsigned_integral Number>
    requires(!std::same_as<Number, bool>)
  bool read(std::size_t at, Number& out, const Place& place, std::uint64_t most = UINT64_MAX) {
    most = std::min<std::uint64_t>({most, std::numeric_limits<Number>::max(), kMostCount});
    if (tape_.kind(at) != Kind::Unsigned || tape_.unsigned_number(at) > most) {
      return fail(place, "not a whole number between 0 and " + std::to_string(most));
    }
    out = static_cast<Number>(tape_.unsigned_number(at));
    return true;
  }

  // With a limit it is a number that is never negative.
  template <std::signed_integral Number>
  bool read(std::size_t at, Number& out, const Place& place, std::uint64_t most = UINT64_MAX) {
    using Limits = std::numeric_limits<Number>;
    const bool limited = most <= static_cast<std::uint64_t>(Limits::max());
    return read_signed(at, out, limited ? Number{0} : Limits::min(),
                       limited ? static_cast<Number>(most) : Limits::max(), place);
  }

  bool read(std::size_t at, Duration& out, const Place& place) {
    Duration::rep count = 0;
    if (!read_signed(at, count, Duration::rep{0}, kLongestTime.count(), place)) return false;
    out = Duration(count);
    return true;
  }
  bool read(std::size_t at, Instant& out, const Place& place) {
    Duration since{};
    if (!read(at, since, place)) return false;
    out = Instant(since);
    return true;
  }

  bool read(std::size_t at, std::string& out, const Place& place) {
    const auto short_enough = [&] {
      return out.size() <= kLongestString || fail(place, "longer than 4,096 bytes");
    };
    if (tape_.kind(at) == Kind::String) {
      out = tape_.string(at);
      return short_enough();
    }
    const std::size_t bytes = tape_.find(at, "bytes");
    if (bytes == 0) return fail(place, "not a string");
    const Place inside{&place, "bytes"};
    if (tape_.kind(bytes) != Kind::String) return fail(inside, "not a string");
    if (!utf8_to_latin1(tape_.string(bytes), out)) {
      return fail(inside, "a character above U+00FF, which is no byte");
    }
    return short_enough();
  }

  bool read(std::size_t at, IpAddress& out, const Place& place) {
    const auto address = parsed(at, IpAddress::parse);
    if (!address) return fail(place, "not an IPv4 or IPv6 address");
    out = *address;
    return true;
  }
  bool read(std::size_t at, TcpState& out, const Place& place) {
    const auto state = parsed(at, parse_tcp_state);
    if (!state) return fail(place, "not a state of TCP");
    out = *state;
    return true;
  }
  bool read(std::size_t at, PortSet& out, const Place& place) {
    const auto ports = parsed(at, [](std::string_view text) {
      return text.size() <= kLongestPortList ? PortSet::parse(text) : std::nullopt;
    });
    if (!ports) return fail(place, "not a list of ports such as \"8080,9100-9110\"");
    out = *ports;
    return true;
  }
  bool read(std::size_t at, PortRange& out, const Place& place) {
    std::array<Port, 2> ends{};
    if (!read(at, ends, place)) return false;
    if (ends[0] > ends[1]) return fail(place, "a range that ends before it starts");
    out = {ends[0], ends[1]};
    return true;
  }

  bool read(std::size_t at, StateCounts& out, const Place& place) {
    return read_named(at, place,
                      [&](std::string_view name, std::size_t value, const Place& inside) {
                        const auto state = parse_tcp_state(name);
                        if (!state) return fail(inside, "not a state of TCP");
                        if (out[*state] != 0) return fail(inside, "given twice");
                        return read(value, out[*state], inside, kMostSockets);
                      });
  }

  bool read(std::size_t at, CloseHistogram& out, const Place& place) {
    Duration width{};
    std::vector<std::uint32_t> bins;
    if (!member(at, "width_ns", width, place) || !member(at, "bins", bins, place)) return false;
    if (width <= Duration::zero() || width > kWidestBin) {
      return fail({&place, "width_ns"}, "not between 1 ns and an hour");
    }
    if (bins.size() > CloseHistogram::kBins) {
      return fail({&place, "bins"}, "more than " + std::to_string(CloseHistogram::kBins));
    }
    // The bins share 64/60 of the length that the constructor takes.
    out = CloseHistogram(width * static_cast<int>(CloseHistogram::kBins) * 60 / 64);
    for (std::size_t i = 0; i < bins.size(); ++i) {
      out.add(width * static_cast<Duration::rep>(i), bins[i]);
    }
    return true;
  }

  bool read(std::size_t at, Settings& out, const Place& place) {
    return read_named(
        at, place, [&](std::string_view name, std::size_t value, const Place& inside) {
          const SettingInfo* info = find_setting(name);
          if ((info != nullptr && out.*info->member) ||
              (name == "ip_local_port_range" && out.ip_local_port_range) ||
              (name == "ip_local_reserved_ports" && !out.ip_local_reserved_ports.empty())) {
            return fail(inside, "given twice");
          }
          if (info != nullptr) {
            if (tape_.kind(value) == Kind::Null) return true;
            return read_signed(value, (out.*info->member).emplace(), Settings::kLeast,
                               Settings::kMost, inside);
          }
          if (name == "ip_local_port_range") return read(value, out.ip_local_port_range, inside);
          if (name == "ip_local_reserved_ports")
            return read(value, out.ip_local_reserved_ports, inside);
          return true;
        });
  }

  bool read(std::size_t at, Counters& out, const Place& place) {
    return read_named(at, place,
                      [&](std::string_view name, std::size_t value, const Place& inside) {
                        const auto index = find_counter(name);
                        if (!index) return true;
                        const std::uint64_t bit = std::uint64_t{1} << *index;
                        if ((out.known & bit) != 0) return fail(inside, "given twice");
                        out.known |= bit;
                        return read(value, out.*counter_table()[*index].member, inside);
                      });
  }

  template <class T>
  bool read(std::size_t at, std::optional<T>& out, const Place& place) {
    if (tape_.kind(at) == Kind::Null) {
      out.reset();
      return true;
    }
    if (!take_memory(sizeof(T), place)) return false;
    return read(at, out.emplace(), place);
  }

  template <class T, std::size_t n>
  bool read(std::size_t at, std::array<T, n>& out, const Place& place) {
    if (tape_.kind(at) != Kind::Array || tape_.count(at) != n) {
      return fail(place, "not an array of " + std::to_string(n));
    }
    return read_elements(at, out, place);
  }
  template <class T>
  bool read(std::size_t at, std::vector<T>& out, const Place& place) {
    if (tape_.kind(at) != Kind::Array) return fail(place, "not an array");
    const std::size_t n = tape_.count(at);
    if (n > most_of<T>()) return fail(place, "more than " + std::to_string(most_of<T>()));
    if (n > memory_ / sizeof(T)) return fail(place, "too many for a bundle of this size");
    if (!take_memory(n * sizeof(T), place)) return false;
    out.resize(n);
    return read_elements(at, out, place);
  }

  template <Described T>
  bool read(std::size_t at, T& out, const Place& place) {
    if (tape_.kind(at) != Kind::Object) return fail(place, "not an object");
    std::array<bool, field_count<T>()> seen{};
    for (std::size_t key = at + 1; key < tape_.next(at); key = tape_.next(key + 1)) {
      const Place inside{&place, tape_.string(key)};
      std::size_t i = 0;
      bool good = true;
      for_each_field<T>([&](const auto& field) {
        if (field.name == inside.name) {
          good = (!seen[i] || fail(inside, "given twice")) &&
                 read_field(key + 1, out.*field.member, field.most, inside);
          seen[i] = true;
        }
        ++i;
      });
      if (!good) return false;
    }
    std::size_t i = 0;
    std::string_view missing;
    for_each_field<T>([&](const auto& field) {
      if (field.required && !seen[i] && missing.empty()) missing = field.name;
      ++i;
    });
    if (!missing.empty()) return fail({&place, missing}, "missing");
    return consistent(out, place);
  }

 private:
  bool take_memory(std::size_t bytes, const Place& place) {
    if (bytes > memory_) return fail(place, "too much for a bundle of this size");
    memory_ -= bytes;
    return true;
  }

  template <class T>
  bool read_field(std::size_t at, T& out, std::uint64_t most, const Place& place) {
    if constexpr (std::integral<T> && !std::same_as<T, bool>) {
      return read(at, out, place, most);
    } else {
      return read(at, out, place);
    }
  }

  template <class Number>
  bool read_signed(std::size_t at, Number& out, Number least, Number most, const Place& place) {
    const bool fits =
        (tape_.kind(at) == Kind::Unsigned &&
         tape_.unsigned_number(at) <= static_cast<std::make_unsigned_t<Number>>(most)) ||
        (tape_.kind(at) == Kind::Negative && tape_.negative_number(at) >= least);
    if (!fits) {
      return fail(place, "not a whole number between " + std::to_string(least) + " and " +
                             std::to_string(most));
    }
    out = static_cast<Number>(tape_.kind(at) == Kind::Negative
                                  ? tape_.negative_number(at)
                                  : static_cast<std::int64_t>(tape_.unsigned_number(at)));
    return true;
  }

  template <class Parse>
  auto parsed(std::size_t at, Parse parse) -> decltype(parse(std::string_view())) {
    if (tape_.kind(at) != Kind::String) return std::nullopt;
    return parse(tape_.string(at));
  }

  // An object whose names are those of a table.
  template <class Read>
  bool read_named(std::size_t at, const Place& place, Read read_one) {
    if (tape_.kind(at) != Kind::Object) return fail(place, "not an object");
    for (std::size_t key = at + 1; key < tape_.next(at); key = tape_.next(key + 1)) {
      const Place inside{&place, tape_.string(key)};
      if (!read_one(inside.name, key + 1, inside)) return false;
    }
    return true;
  }

  template <class T>
  bool member(std::size_t at, std::string_view name, T& out, const Place& place) {
    if (tape_.kind(at) != Kind::Object) return fail(place, "not an object");
    const Place inside{&place, name};
    const std::size_t value = tape_.find(at, name);
    return value != 0 ? read(value, out, inside) : fail(inside, "missing");
  }

  template <class Elements>
  bool read_elements(std::size_t at, Elements& out, const Place& place) {
    std::size_t element = at + 1;
    std::size_t index = 0;
    for (auto& value : out) {
      if (!read(element, value, Place{&place, {}, index++})) return false;
      element = tape_.next(element);
    }
    return true;
  }

  // What the parts of one object promise each other. A reader relies on it when it subtracts and when
  // it uses an index.
  template <class T>
  bool consistent(const T& value, const Place& place) {
    if constexpr (std::derived_from<T, SocketGroup> || std::same_as<T, SocketCensus>) {
      if (value.compact_fin_wait_2 > value.states[TcpState::FinWait2]) {
        return fail({&place, "compact_fin_wait_2"}, "more than are in FIN_WAIT_2");
      }
    }
    if constexpr (std::same_as<T, NamespaceSnapshot>) {
      EnterCommand command;
      if (!parse_enter_command(value.enter, command)) {
        return fail({&place, "enter"}, "not a command that enters a namespace");
      }
    }
    if constexpr (std::same_as<T, HostSnapshot>) return indices_exist(value, place);
    return true;
  }

  static bool exists(std::uint32_t index, std::size_t size) { return index < size; }
  static bool exists_or_none(std::uint32_t index, std::size_t size) {
    return index == kNone || index < size;
  }

  bool indices_exist(const HostSnapshot& host, const Place& place) {
    const Place all{&place, "namespaces"};
    for (std::size_t n = 0; n < host.namespaces.size(); ++n) {
      const SocketCensus& census = host.namespaces[n].sockets;
      const Place one{&all, {}, n};
      const Place sockets{&one, "sockets"};
      const Place owned{&sockets, "owned"};
      for (std::size_t i = 0; i < census.owned.size(); ++i) {
        const OwnedSockets& o = census.owned[i];
        const Place row{&owned, {}, i};
        if (!exists(o.process, host.processes.size())) {
          return fail({&row, "process"}, "no such process");
        }
        if (!exists_or_none(o.destination, census.destinations.size())) {
          return fail({&row, "destination"}, "no such destination");
        }
        if (!exists_or_none(o.service, census.services.size())) {
          return fail({&row, "service"}, "no such service");
        }
      }
      const Place openers{&sockets, "openers"};
      for (std::size_t i = 0; i < census.openers.size(); ++i) {
        const Place row{&openers, {}, i};
        if (!exists(census.openers[i].process, host.processes.size())) {
          return fail({&row, "process"}, "no such process");
        }
        if (!exists(census.openers[i].destination, census.destinations.size())) {
          return fail({&row, "destination"}, "no such destination");
        }
      }
      const Place contested{&sockets, "contested"};
      for (std::size_t i = 0; i < census.contested.size(); ++i) {
        const Place row{&contested, {}, i};
        if (!exists_or_none(census.contested[i].wanted_by, host.processes.size())) {
          return fail({&row, "wanted_by"}, "no such process");
        }
        if (!exists_or_none(census.contested[i].owner, host.processes.size())) {
          return fail({&row, "owner"}, "no such process");
        }
      }
    }
    return true;
  }

  const JsonTape& tape_;
  std::size_t memory_;
  std::string error_;
};

// Whether this is a bundle that we can read; the answer must come before anything inside is judged.
Result<void> check_header(const JsonTape& tape) {
  if (tape.kind(0) != Kind::Object) return failure("not a bundle: not a JSON object");
  const std::size_t format = tape.find(0, "format");
  if (format == 0 || tape.kind(format) != Kind::String) {
    return failure("not a bundle: no \"format\" in it");
  }
  if (tape.string(format) == "lastack-diagnosis") {
    return failure("this is a diagnosis (lastack doctor --json), not a bundle (lastack snapshot)");
  }
  if (tape.string(format) != "lastack-bundle") {
    return failure("not a bundle: its \"format\" is not lastack-bundle");
  }
  const std::size_t version = tape.find(0, "version");
  if (version == 0 || tape.kind(version) != Kind::Unsigned || tape.unsigned_number(version) == 0) {
    return failure("version: not a whole number from 1");
  }
  if (tape.unsigned_number(version) > kBundleVersion) {
    return failure("a bundle of version " + std::to_string(tape.unsigned_number(version)) +
                   "; this lastack reads up to version " + std::to_string(kBundleVersion) +
                   ": use the lastack that wrote it, or a newer one");
  }
  return {};
}

}  // namespace

Result<Observation> decode_bundle(std::string_view text) {
  const auto tape = JsonTape::parse(text);
  if (!tape) return tl::unexpected(tape.error());
  if (const auto header = check_header(*tape); !header) return tl::unexpected(header.error());
  Decoder decoder(*tape, memory_for(text.size()));
  Observation observation;
  if (!decoder.read(0, observation, Place{})) return failure(decoder.error());
  return observation;
}

}  // namespace lastack
