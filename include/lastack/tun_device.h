// A TUN device of Linux: a network device whose other end is this process. What the kernel routes to it is read here
// as bare IPv4 and IPv6 packets, and what is written here arrives in the kernel as if from a wire. A Host behind it
// speaks with the kernel's own TCP, and with whatever the kernel forwards to.
//
//   auto tun = TunDevice::open("la0", {.create = true});          // needs CAP_NET_ADMIN
//   if (!tun) return report(tun.error());
//   tun->configure({{*IpAddress::parse("10.77.0.1"), 24}});       // the kernel's side
//   Host host(tun->fitting({.seed = 1}));                         // MTU and offloads of the device
//   host.add_address(*IpAddress::parse("10.77.0.2"));             // ours
//
// With offloads (IFF_VNET_HDR, TUNSETOFFLOAD) packets of TCP up to 64 KiB go through in one piece in both directions,
// and nobody computes a checksum that never meets a wire.
//
// Source of facts: Documentation/networking/tuntap.rst, drivers/net/tun.c, include/linux/virtio_net.h (6.18).
// Not thread-safe. Nothing blocks. No exceptions but std::bad_alloc, when it is opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lastack/host.h"
#include "lastack/ip_address.h"
#include "lastack/result.h"

namespace lastack {

struct TunOptions {
  // Make the device if there is none of that name; it goes when this object goes, or the process, however it ends.
  // Without it a missing device is an error, and nothing on the machine is changed.
  bool create = false;
  // Long packets and unfinished checksums, both ways. Off: every packet is one of a wire, whole with its checksum.
  bool offloads = true;
};

// An address on the kernel's side of the device, and how long its network is in bits.
struct TunAddress {
  IpAddress address;
  unsigned prefix = 0;
};

// A packet that has come from the kernel.
struct TunPacket {
  std::span<const std::byte> bytes;  // from the IP header on; valid until the next read()
  std::uint16_t segment_size = 0;    // not 0: a super-segment, of pieces that long
  bool checksum_checked =
      false;  // its checksum is not there yet, or was found right: do not look at it
};

class TunDevice {
 public:
  // Attaches to the device of that name (1 to 15 bytes). "la%d" with `create` lets the kernel choose a number.
  // Errors name what is in the way and what mends it: no /dev/net/tun, no such device, EPERM, EBUSY (another process
  // has it), a device that is no TUN device.
  static Result<TunDevice> open(const std::string& name, const TunOptions& options = {});

  TunDevice(TunDevice&&) noexcept;
  TunDevice& operator=(TunDevice&&) noexcept;
  ~TunDevice();

  const std::string& name() const;
  bool offloads() const;
  // Bytes. Asked of the kernel when the device was opened and by configure().
  std::uint16_t mtu() const;
  // Readable (poll, epoll) when read() will give something.
  int descriptor() const;

  // Gives the kernel these addresses on the device and brings it up. Needs CAP_NET_ADMIN. They stay when the device
  // does; a device that was made here takes them along. Waits, a second at most, until they are in use.
  Result<void> configure(const std::vector<TunAddress>& addresses);

  // The options of a host behind this device: `mtu`, `gso_max_size` and `checksum_offload` as the device has them.
  HostOptions fitting(HostOptions options) const;

  // The next packet; nothing: none waits. EBADFD: somebody has removed the device.
  Result<std::optional<TunPacket>> read();
  // A packet to the kernel. `segment_size` is Host::segment_size(): not 0 for a super-segment, which needs offloads.
  // With offloads the checksum of TCP need not be there, whatever its bytes are. While the device is down the packet
  // is lost, as on a wire that is unplugged, and counted.
  Result<void> write(std::span<const std::byte> packet, std::uint16_t segment_size = 0);

  struct Counts {
    std::uint64_t packets_in = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t packets_out = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t lost = 0;  // could not be written
  };
  const Counts& counts() const;

 private:
  struct Impl;
  explicit TunDevice(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lastack
