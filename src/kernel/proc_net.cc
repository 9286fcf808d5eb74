#include "kernel/proc_net.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>

#include "kernel/file.h"
#include "kernel/text.h"

namespace lastack {
namespace {

// The kernel writes some 130 names before as many numbers, and a look at counters should cost what
// reading the files costs. So a name is found with one probe, mostly, into a table built at compile
// time.
constexpr std::string_view kNames[] = {
#define LASTACK_COUNTER_NAME(name) #name,
    LASTACK_TCP_COUNTERS(LASTACK_COUNTER_NAME)
#undef LASTACK_COUNTER_NAME
};

constexpr std::size_t kSlots = 256;  // four times as many as names: short chains
constexpr std::uint8_t kEmpty = 0xff;
static_assert(std::size(kNames) * 4 <= kSlots && std::size(kNames) < kEmpty);

constexpr std::size_t slot_of(std::string_view name) {
  const auto at = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(name[i]));
  };
  const std::size_t n = name.size();
  return (n * 131 + at(0) * 7 + at(n / 2) * 29 + at(n - 1) * 61 + at(n * 3 / 4) * 17) % kSlots;
}

constexpr std::array<std::uint8_t, kSlots> kTable = [] {
  std::array<std::uint8_t, kSlots> table{};
  table.fill(kEmpty);
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    std::size_t slot = slot_of(kNames[i]);
    while (table[slot] != kEmpty) slot = (slot + 1) % kSlots;
    table[slot] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

// The index in counter_table(), or kEmpty.
std::uint8_t find_name(std::string_view name) {
  if (name.empty()) return kEmpty;
  for (std::size_t slot = slot_of(name);; slot = (slot + 1) % kSlots) {
    const std::uint8_t index = kTable[slot];
    if (index == kEmpty || kNames[index] == name) return index;
  }
}

// "Tcp: ActiveOpens PassiveOpens ..." and below it "Tcp: 13 2 ...". Lines that do not come in such
// a pair are passed over; where one line of the pair is shorter, what both have is taken.
// A number at the very end of the text may have been cut to another number: it is not taken.
bool parse_pairs(std::string_view text, std::string_view prefix, Counters& counters) {
  const char* const end = text.data() + text.size();
  const std::span<const CounterInfo> table = counter_table();
  bool found = false;
  std::string_view line = take_line(text);
  while (!text.empty()) {
    if (!line.starts_with(prefix)) {
      line = take_line(text);
      continue;
    }
    std::string_view names = line.substr(prefix.size());
    line = take_line(text);
    if (!line.starts_with(prefix)) continue;
    std::string_view numbers = line.substr(prefix.size());
    for (;;) {
      const std::string_view name = take_word(names);
      const std::string_view number = take_word(numbers);
      if (name.empty() || number.empty() || number.data() + number.size() == end) break;
      const std::uint8_t index = find_name(name);
      if (index == kEmpty) continue;
      const auto value = parse_number<std::uint64_t>(number);
      if (!value) continue;
      counters.*table[index].member = std::min(*value, kMostCount);
      counters.known |= std::uint64_t{1} << index;
      found = true;
    }
    line = take_line(text);
  }
  return found;
}

// The line "TCP: inuse 1 orphan 0": calls `field(name, value)` for each pair that is well-formed.
template <class Field>
bool parse_fields(std::string_view text, std::string_view prefix, Field&& field) {
  const char* const end = text.data() + text.size();
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (!line.starts_with(prefix)) continue;
    line.remove_prefix(prefix.size());
    bool found = false;
    for (;;) {
      const std::string_view name = take_word(line);
      const std::string_view number = take_word(line);
      if (number.empty() || number.data() + number.size() == end) return found;
      const auto value = parse_number<std::uint64_t>(number);
      if (value) found |= field(name, std::min(*value, kMostCount));
    }
  }
  return false;
}

}  // namespace

bool parse_snmp(std::string_view text, Counters& counters) {
  return parse_pairs(text, "Tcp:", counters);
}

bool parse_netstat(std::string_view text, Counters& counters) {
  return parse_pairs(text, "TcpExt:", counters);
}

bool parse_sockstat(std::string_view text, SocketTotals& totals) {
  const bool found = parse_fields(text, "TCP:", [&](std::string_view name, std::uint64_t value) {
    if (name == "inuse") {
      totals.tcp_in_use = value;
    } else if (name == "orphan") {
      totals.orphan = value;
    } else if (name == "tw") {
      totals.tw = value;
    } else if (name == "alloc") {
      totals.alloc = value;
    } else if (name == "mem") {
      totals.mem_pages = value;
    } else {
      return false;
    }
    return true;
  });
  // Sockets of every kind: beside TCP's own numbers only, so that a text without them changes nothing.
  if (!found) return false;
  parse_fields(text, "sockets:", [&](std::string_view name, std::uint64_t value) {
    if (name != "used") return false;
    totals.used = value;
    return true;
  });
  return true;
}

bool parse_sockstat6(std::string_view text, SocketTotals& totals) {
  return parse_fields(text, "TCP6:", [&](std::string_view name, std::uint64_t value) {
    if (name != "inuse") return false;
    totals.tcp6_in_use = value;
    return true;
  });
}

bool read_counters(const std::string& proc_net, Counters& counters, SocketTotals& totals,
                   std::vector<NotRead>& not_read) {
  // netstat is some 5 KiB today. A file that does not fit is said to be unreadable rather than cut.
  std::array<char, 32768> buffer;
  const auto directory = open_file(proc_net.c_str(), O_PATH | O_DIRECTORY);
  if (!directory) {
    not_read.push_back({"TCP counters", directory.error().message, ""});
    return false;
  }
  const auto read = [&](const char* name, auto&& parse) {
    std::string why;
    const auto fd = open_file_at(directory->get(), name, O_RDONLY);
    if (!fd) {
      // Without IPv6 in the kernel there is no sockstat6, and nothing is missing.
      if (fd.error().number == ENOENT && std::string_view(name) == "sockstat6") return false;
      why = fd.error().message;
    } else if (const long n = read_until_full(fd->get(), buffer); n < 0) {
      why = system_error(static_cast<int>(-n), std::string("cannot read ") + name).message;
    } else if (static_cast<std::size_t>(n) == buffer.size()) {
      why = std::string(name) + " is larger than expected";
    } else if (!parse(std::string_view(buffer.data(), static_cast<std::size_t>(n)))) {
      why = std::string(name) + " holds nothing about TCP";
    } else {
      return true;
    }
    not_read.push_back({"TCP counters in " + proc_net + "/" + name, why, ""});
    return false;
  };
  const bool snmp = read("snmp", [&](std::string_view text) { return parse_snmp(text, counters); });
  const bool netstat =
      read("netstat", [&](std::string_view text) { return parse_netstat(text, counters); });
  read("sockstat", [&](std::string_view text) { return parse_sockstat(text, totals); });
  read("sockstat6", [&](std::string_view text) { return parse_sockstat6(text, totals); });
  return snmp || netstat;
}

}  // namespace lastack
