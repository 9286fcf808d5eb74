#include "report/pcapng.h"

#include <algorithm>

namespace lastack {
namespace {

// Block types, section 4, and the codes of their options.
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kNameResolution = 4;
constexpr std::uint32_t kInterfaceStatistics = 5;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint16_t kLinkTypeRaw = 101;  // begins with an IPv4 or IPv6 header

constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kSectionProgram = 4;
constexpr std::uint16_t kInterfaceName = 2;
constexpr std::uint16_t kInterfaceAbout = 3;
constexpr std::uint16_t kInterfaceV4 = 4;
constexpr std::uint16_t kInterfaceV6 = 5;
constexpr std::uint16_t kInterfaceResolution = 9;
constexpr std::uint16_t kPacketFlags = 2;
constexpr std::uint16_t kPacketId = 5;
constexpr std::uint16_t kStatisticsEnd = 3;
constexpr std::uint16_t kStatisticsReceived = 4;
constexpr char kNanoseconds = 9;  // 10^-9 s

template <class T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff);
}
void pad(std::string& out, std::size_t begun) {
  while ((out.size() - begun) % 4 != 0) out += '\0';
}

// A block is as long as it says at its beginning and again at its end.
class Block {
 public:
  Block(std::string& out, std::uint32_t type) : out_(out), begun_(out.size()) {
    put(out_, type);
    put(out_, std::uint32_t{0});
  }
  ~Block() {
    if (options_) option(0, {});
    const auto length = static_cast<std::uint32_t>(out_.size() - begun_ + 4);
    for (std::size_t i = 0; i < 4; ++i)
      out_[begun_ + 4 + i] = static_cast<char>(length >> (8 * i) & 0xff);
    put(out_, length);
  }
  Block(const Block&) = delete;

  void option(std::uint16_t code, std::string_view value) {
    options_ = true;
    put(out_, code);
    put(out_, static_cast<std::uint16_t>(value.size()));
    out_ += value;
    pad(out_, begun_);
  }
  // UTF-8 text; nothing where it is empty.
  void text(std::uint16_t code, std::string_view text) {
    if (text.empty()) return;
    if (text.size() <= kLongestPcapngComment) return option(code, text);
    std::size_t end = kLongestPcapngComment - 4;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    option(code, std::string(text.substr(0, end)) + " ...");
  }
  template <class T>
  void number(std::uint16_t code, T value) {
    std::string bytes;
    put(bytes, value);
    option(code, bytes);
  }

 private:
  std::string& out_;
  std::size_t begun_;
  bool options_ = false;
};

std::string address_bytes(const IpAddress& address) {
  const auto& all = address.bytes();
  const std::size_t first = address.is_v4() ? 12 : 0;
  std::string bytes;
  for (std::size_t i = first; i < all.size(); ++i) bytes += static_cast<char>(all[i]);
  return bytes;
}

// The upper half comes first, whatever the order of bytes.
std::string time_words(Instant at) {
  const auto units =
      static_cast<std::uint64_t>(std::max<Duration::rep>(0, at.time_since_epoch().count()));
  std::string words;
  put(words, static_cast<std::uint32_t>(units >> 32));
  put(words, static_cast<std::uint32_t>(units));
  return words;
}

}  // namespace

void append_pcapng_section(std::string& out, std::string_view program, std::string_view comment) {
  Block block(out, kSectionHeader);
  put(out, kByteOrderMagic);
  put(out, std::uint16_t{1});  // version 1.0
  put(out, std::uint16_t{0});
  put(out, UINT64_MAX);  // the section's length is not given
  block.text(kComment, comment);
  block.text(kSectionProgram, program);
}

void append_pcapng_interface(std::string& out, const PcapngInterface& interface) {
  Block block(out, kInterfaceDescription);
  put(out, kLinkTypeRaw);
  put(out, std::uint16_t{0});
  put(out, std::uint32_t{0});  // packets are whole
  block.text(kInterfaceName, interface.name);
  block.text(kInterfaceAbout, interface.description);
  for (const IpAddress& address : interface.addresses) {
    if (address.is_v4()) {
      block.option(kInterfaceV4, address_bytes(address) + "\xff\xff\xff\xff");
    } else {
      block.option(kInterfaceV6, address_bytes(address) + "\x80");  // 128 bits
    }
  }
  block.option(kInterfaceResolution, std::string_view(&kNanoseconds, 1));
}

void append_pcapng_names(std::string& out,
                         const std::vector<std::pair<IpAddress, std::string>>& names) {
  if (names.empty()) return;
  const Block block(out, kNameResolution);
  for (const auto& [address, name] : names) {
    const std::string value = address_bytes(address) + name.substr(0, 255) + '\0';
    put(out, static_cast<std::uint16_t>(address.is_v4() ? 1 : 2));
    put(out, static_cast<std::uint16_t>(value.size()));
    out += value;
    out.append((4 - value.size() % 4) % 4, '\0');
  }
  put(out, std::uint32_t{0});  // the end of the records
}

void append_pcapng_packet(std::string& out, const PcapngPacket& packet) {
  Block block(out, kEnhancedPacket);
  put(out, packet.interface);
  out += time_words(packet.at);
  put(out, static_cast<std::uint32_t>(packet.bytes.size()));
  put(out, static_cast<std::uint32_t>(packet.bytes.size()));
  out.append(reinterpret_cast<const char*>(packet.bytes.data()), packet.bytes.size());
  out.append((4 - packet.bytes.size() % 4) % 4, '\0');
  block.text(kComment, packet.comment);
  if (packet.direction != PcapngDirection::Unknown) {
    block.number(kPacketFlags, static_cast<std::uint32_t>(packet.direction));
  }
  if (packet.id != 0) block.number(kPacketId, packet.id);
}

void append_pcapng_statistics(std::string& out, std::uint32_t interface, Instant at,
                              std::uint64_t packets, std::string_view comment) {
  Block block(out, kInterfaceStatistics);
  put(out, interface);
  out += time_words(at);
  block.text(kComment, comment);
  block.option(kStatisticsEnd, time_words(at));
  block.number(kStatisticsReceived, packets);
}

}  // namespace lastack
