#include "kernel/linux_facts.h"

#include <netinet/in.h>

namespace lastack::facts {
namespace {

void put16(std::vector<std::uint8_t>& bytes, std::uint32_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}
void put32(std::vector<std::uint8_t>& bytes, std::uint32_t value) {
  put16(bytes, value >> 16);
  put16(bytes, value & 0xffff);
}

// RFC 1071, over an even number of bytes.
std::uint16_t checksum(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

void inject(const Segment& segment) {
  std::vector<std::uint8_t> header;
  const std::uint8_t words = segment.timestamp ? 8 : 5;
  put16(header, segment.from.local.port);
  put16(header, segment.from.remote.port);
  put32(header, segment.sequence);
  put32(header, segment.acknowledges);
  header.push_back(static_cast<std::uint8_t>(words << 4));
  header.push_back(segment.flags);
  put16(header, 0xffff);  // window
  put16(header, 0);       // checksum, below
  put16(header, 0);       // urgent
  if (segment.timestamp) {
    put32(header, 0x0101080a);  // two paddings, then timestamps of 10 bytes
    put32(header, *segment.timestamp);
    put32(header, 0);
  }
  std::vector<std::uint8_t> summed;
  put32(summed, segment.from.local.address.v4_value());
  put32(summed, segment.from.remote.address.v4_value());
  put16(summed, IPPROTO_TCP);
  put16(summed, static_cast<std::uint32_t>(header.size()));
  summed.insert(summed.end(), header.begin(), header.end());
  const std::uint16_t sum = checksum(summed);
  header[16] = static_cast<std::uint8_t>(sum >> 8);
  header[17] = static_cast<std::uint8_t>(sum);

  const UniqueFd fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
  ASSERT_TRUE(fd) << std::strerror(errno);
  const SocketAddress source = socket_address({segment.from.local.address, 0});
  ASSERT_EQ(bind(fd.get(), source.get(), source.length), 0);
  const SocketAddress target = socket_address({segment.from.remote.address, 0});
  ASSERT_EQ(sendto(fd.get(), header.data(), header.size(), 0, target.get(), target.length),
            static_cast<ssize_t>(header.size()))
      << std::strerror(errno);
}

}  // namespace lastack::facts
