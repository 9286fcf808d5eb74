// Packets in a file that Wireshark and tcpdump read: pcapng (draft-ietf-opsawg-pcapng), what of it is needed to write bare
// IP packets seen at several places, each with its time in nanoseconds and a comment. Blocks are little-endian whatever
// the machine is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lastack/ip_address.h"
#include "lastack/time.h"

namespace lastack {

// Comments are cut at this many bytes; an option of pcapng holds 65,535.
inline constexpr std::size_t kLongestPcapngComment = 8000;

// Where packets are seen. They are numbered from 0 in the order of appending.
struct PcapngInterface {
  std::string name, description;
  std::vector<IpAddress> addresses;
};

enum class PcapngDirection : std::uint8_t { Unknown = 0, Inbound = 1, Outbound = 2 };

struct PcapngPacket {
  std::uint32_t interface = 0;
  Instant at{};  // nanoseconds since the file's zero, at least 0
  std::span<const std::byte> bytes;
  PcapngDirection direction = PcapngDirection::Unknown;
  std::uint64_t id = 0;  // the same packet at another place has the same; 0: none is given
  std::string_view comment;
};

// Section header: the file begins with it. `program` made it; `comment` is about the whole of it.
void append_pcapng_section(std::string& out, std::string_view program, std::string_view comment);
void append_pcapng_interface(std::string& out, const PcapngInterface& interface);
// Names of addresses. None: nothing is appended.
void append_pcapng_names(std::string& out,
                         const std::vector<std::pair<IpAddress, std::string>>& names);
void append_pcapng_packet(std::string& out, const PcapngPacket& packet);
// At the end: how many packets an interface has seen, and what is to be said of it that belongs to no packet.
void append_pcapng_statistics(std::string& out, std::uint32_t interface, Instant at,
                              std::uint64_t packets, std::string_view comment);

}  // namespace lastack
