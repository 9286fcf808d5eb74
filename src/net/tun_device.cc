// TUN devices (Linux: drivers/net/tun.c), and the header of virtio-net that goes before each packet when the two sides
// leave checksums and the cutting into segments to each other.
#include "lastack/tun_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "kernel/unique_fd.h"
#include "model/shell_word.h"
#include "net/device_name.h"
#include "net/rtnetlink.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"
#include "wire/tcp_segment.h"

namespace lastack {
namespace {

// linux/virtio_net.h, which C++ cannot read. Numbers are in the machine's own order (TUN_VNET_LE is not set).
struct PacketHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t hdr_len = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t csum_start = 0;
  std::uint16_t csum_offset = 0;
};
static_assert(sizeof(PacketHeader) == 10);
constexpr std::uint8_t kNeedsChecksum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
constexpr std::uint8_t kDataValid = 2;      // VIRTIO_NET_HDR_F_DATA_VALID
constexpr std::uint8_t kGsoNone = 0;        // VIRTIO_NET_HDR_GSO_...
constexpr std::uint8_t kGsoTcp4 = 1;
constexpr std::uint8_t kGsoTcp6 = 4;
constexpr std::uint8_t kGsoEcn = 0x80;

constexpr const char* kControl = "/dev/net/tun";
// An IP packet is at most 65,535 bytes long, a super-segment of IPv6 40 more.
constexpr std::size_t kMostPacket = 65535 + 40;
// IPv4's length field is the limit of what we send.
constexpr std::uint32_t kMostSuperSegment = 65535;
constexpr std::size_t kChecksumAt = 16;  // in TCP's header

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), std::min(name.size(), sizeof request.ifr_name - 1));
  return request;
}

Error no_control(int number) {
  switch (number) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return {
          number,
          "there is no /dev/net/tun here: load the module (modprobe tun), or give the device to the container "
          "(docker run --device /dev/net/tun --cap-add NET_ADMIN)"};
    case EACCES:
    case EPERM:
      return {
          number,
          "may not open /dev/net/tun: its mode (chmod 666 /dev/net/tun is what distributions have), or the device "
          "list of this container, does not permit it; root may, outside of a container"};
    default:
      return system_error(number, std::string("cannot open ") + kControl);
  }
}

Error no_attachment(int number, const std::string& name, bool exists) {
  switch (number) {
    case EPERM:
      if (!exists) {
        return {
            number,
            "may not make the device " + name +
                ": that needs CAP_NET_ADMIN. Root can make it for a user, once: ip tuntap add dev " +
                shell_word(name) + " mode tun user $USER"};
      }
      return {number,
              "may not use the device " + name +
                  ": it needs CAP_NET_ADMIN, or a device made for this user: ip tuntap add dev " +
                  shell_word(name) + " mode tun user $USER"};
    case EBUSY:
      return {number, "the device " + name + " is in use: another process is attached to it"};
    case EINVAL:
      return {
          number,
          name +
              " is not a TUN device that one process can use (a TAP device, one with several queues, "
              "or another kind of link): ip -details link show " +
              shell_word(name)};
    default:
      return system_error(number, "cannot attach to the device " + name);
  }
}

Error no_device(const std::string& name) {
  return {ENODEV, "there is no network device named " + name + ": make it with ip tuntap add dev " +
                      shell_word(name) + " mode tun, or ask for it to be created"};
}

std::uint16_t read_mtu(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = request_for(name);
  if (!socket || ioctl(socket.get(), SIOCGIFMTU, &request) != 0) return 1500;
  return static_cast<std::uint16_t>(std::clamp(request.ifr_mtu, 576, 65535));
}

// Where TCP's header begins in one of our own packets; 0: it is not TCP, or too short to be.
std::size_t tcp_at(std::span<const std::byte> packet) {
  if (packet.empty()) return 0;
  const unsigned version = load8(&packet[0]) >> 4U;
  std::size_t length = 0;
  if (version == 4 && packet.size() >= kIpv4HeaderLength) {
    length = std::size_t{load8(&packet[0])} % 16 * 4;
    if (load8(&packet[9]) != kProtocolTcp || length < kIpv4HeaderLength) return 0;
  } else if (version == 6 && packet.size() >= kIpv6HeaderLength) {
    length = kIpv6HeaderLength;
    if (load8(&packet[6]) != kProtocolTcp) return 0;
  }
  return length != 0 && packet.size() >= length + kTcpHeaderLength ? length : 0;
}

// The sum over the pseudo header, which whoever finishes the checksum starts from.
std::uint16_t unfinished_checksum(std::span<const std::byte> packet, std::size_t ip_length) {
  ChecksumSum sum;
  const bool v4 = load8(&packet[0]) >> 4U == 4;
  sum.add(v4 ? packet.subspan(12, 8) : packet.subspan(8, 32));
  std::array<std::byte, 8> rest{};
  store32(rest.data(), static_cast<std::uint32_t>(packet.size() - ip_length));
  rest[7] = std::byte{kProtocolTcp};
  sum.add(rest);
  return static_cast<std::uint16_t>(~sum.checksum());
}

}  // namespace

struct TunDevice::Impl {
  std::string name;
  UniqueFd fd;
  bool offloads = false;
  std::uint16_t mtu = 1500;
  Counts counts;
  std::unique_ptr<std::byte[]> buffer = std::make_unique_for_overwrite<std::byte[]>(kMostPacket);
};

TunDevice::TunDevice(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TunDevice::TunDevice(TunDevice&&) noexcept = default;
TunDevice& TunDevice::operator=(TunDevice&&) noexcept = default;
TunDevice::~TunDevice() = default;

Result<TunDevice> TunDevice::open(const std::string& name, const TunOptions& options) {
  if (!is_device_name(name)) {
    return failure(std::string(kDeviceNameRule) + ", not '" + name + "'");
  }
  auto impl = std::make_unique<Impl>();
  impl->fd.reset(::open(kControl, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!impl->fd) return tl::unexpected(no_control(errno));
  const bool exists = if_nametoindex(name.c_str()) != 0;
  // TUNSETIFF would make it.
  if (!exists && !options.create) return tl::unexpected(no_device(name));

  ifreq request = request_for(name);
  request.ifr_flags =
      static_cast<short>(IFF_TUN | IFF_NO_PI | (options.offloads ? IFF_VNET_HDR : 0));
  if (ioctl(impl->fd.get(), TUNSETIFF, &request) != 0) {
    return tl::unexpected(no_attachment(errno, name, exists));
  }
  impl->name.assign(request.ifr_name, strnlen(request.ifr_name, sizeof request.ifr_name));
  if (options.offloads) {
    int header = sizeof(PacketHeader);
    if (ioctl(impl->fd.get(), TUNSETVNETHDRSZ, &header) != 0) {
      return tl::unexpected(system_error(errno, "cannot agree on a packet header with " + name));
    }
    impl->offloads = true;
  }
  // A device that somebody else used before may still have theirs.
  const unsigned long wanted =
      options.offloads ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN : 0;
  if (ioctl(impl->fd.get(), TUNSETOFFLOAD, wanted) != 0) {
    return tl::unexpected(system_error(errno, "cannot choose the offloads of " + name));
  }
  impl->mtu = read_mtu(impl->name);
  return TunDevice(std::move(impl));
}

const std::string& TunDevice::name() const {
  return impl_->name;
}
bool TunDevice::offloads() const {
  return impl_->offloads;
}
std::uint16_t TunDevice::mtu() const {
  return impl_->mtu;
}
int TunDevice::descriptor() const {
  return impl_->fd.get();
}
const TunDevice::Counts& TunDevice::counts() const {
  return impl_->counts;
}

Result<void> TunDevice::configure(const std::vector<TunAddress>& addresses) {
  auto links = Rtnetlink::open();
  if (!links) return tl::unexpected(std::move(links.error()));
  if (auto up = links->set_link_up(impl_->name); !up) return up;
  for (const TunAddress& address : addresses) {
    auto added = links->add_address(impl_->name, address.address, address.prefix);
    // Given before, by whoever made the device.
    if (!added && added.error().number != EEXIST) return added;
  }
  // Until the kernel takes them for its own the first packets would be lost, and come again a second later.
  for (const TunAddress& address : addresses) {
    constexpr int kMostWaits = 1000;
    for (int waits = 0; waits < kMostWaits; ++waits) {
      if (links->is_local(address.address).value_or(true)) break;
      const timespec moment{0, 1'000'000};
      ::nanosleep(&moment, nullptr);
    }
  }
  impl_->mtu = read_mtu(impl_->name);
  return {};
}

HostOptions TunDevice::fitting(HostOptions options) const {
  options.mtu = impl_->mtu;
  options.checksum_offload = impl_->offloads;
  options.gso_max_size = impl_->offloads ? kMostSuperSegment : 0;
  return options;
}

Result<std::optional<TunPacket>> TunDevice::read() {
  PacketHeader header;
  std::array<iovec, 2> parts{{{&header, sizeof header}, {impl_->buffer.get(), kMostPacket}}};
  const std::size_t skipped = impl_->offloads ? sizeof header : 0;
  const ssize_t length = impl_->offloads
                             ? readv(impl_->fd.get(), parts.data(), 2)
                             : ::read(impl_->fd.get(), impl_->buffer.get(), kMostPacket);
  if (length < 0) {
    // EIO: the device is down, and may come up again.
    if (errno == EAGAIN || errno == EINTR || errno == EIO) return std::nullopt;
    return tl::unexpected(errno == EBADFD
                              ? Error{errno, "the device " + impl_->name + " has been removed"}
                              : system_error(errno, "cannot read from the device " + impl_->name));
  }
  if (static_cast<std::size_t>(length) < skipped) return TunPacket{};
  TunPacket packet;
  packet.bytes = {impl_->buffer.get(), static_cast<std::size_t>(length) - skipped};
  packet.checksum_checked = (header.flags & (kNeedsChecksum | kDataValid)) != 0;
  if (header.gso_type != kGsoNone) packet.segment_size = header.gso_size;
  ++impl_->counts.packets_in;
  impl_->counts.bytes_in += packet.bytes.size();
  return packet;
}

Result<void> TunDevice::write(std::span<const std::byte> packet, std::uint16_t segment_size) {
  if (packet.empty()) return {};
  PacketHeader header;
  std::uint16_t checksum = 0;
  std::array<iovec, 4> parts{};
  std::size_t count = 0;
  const auto add = [&](const void* at, std::size_t length) {
    parts[count++] = {const_cast<void*>(at), length};
  };
  if (impl_->offloads) add(&header, sizeof header);
  const std::size_t ip_length = impl_->offloads ? tcp_at(packet) : 0;
  if (ip_length != 0) {
    const std::size_t tcp_length = std::size_t{load8(&packet[ip_length + 12])} / 16 * 4;
    header.flags = kNeedsChecksum;
    header.csum_start = static_cast<std::uint16_t>(ip_length);
    header.csum_offset = kChecksumAt;
    if (segment_size != 0) {
      const bool v4 = load8(&packet[0]) >> 4U == 4;
      header.gso_type = v4 ? kGsoTcp4 : kGsoTcp6;
      if ((load16(&packet[ip_length + 12]) & tcp_flag::kCwr) != 0) header.gso_type |= kGsoEcn;
      header.gso_size = segment_size;
      header.hdr_len = static_cast<std::uint16_t>(ip_length + tcp_length);
    }
    checksum = unfinished_checksum(packet, ip_length);
    // The packet stays as it is; its checksum comes from here.
    const std::size_t at = ip_length + kChecksumAt;
    add(packet.data(), at);
    add(&checksum, sizeof checksum);
    add(packet.data() + at + sizeof checksum, packet.size() - at - sizeof checksum);
  } else {
    add(packet.data(), packet.size());
  }
  ssize_t written = 0;
  do {
    written = writev(impl_->fd.get(), parts.data(), static_cast<int>(count));
  } while (written < 0 && errno == EINTR);
  if (written >= 0) {
    ++impl_->counts.packets_out;
    impl_->counts.bytes_out += packet.size();
    return {};
  }
  ++impl_->counts.lost;
  if (errno == EBADFD)
    return tl::unexpected(Error{errno, "the device " + impl_->name + " has been removed"});
  return {};
}

}  // namespace lastack
