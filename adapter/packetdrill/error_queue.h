// What a socket's error queue holds for a sender: that buffers of MSG_ZEROCOPY are free again, and when bytes were
// handed down, sent and acknowledged (SO_TIMESTAMPING). Linux: net/core/skbuff.c, msg_zerocopy_*, __skb_tstamp_tx.
//
// Positions are bytes from the first one that was ever written to the socket.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "lastack/host.h"

namespace lastack::packetdrill {

// linux/net_tstamp.h
namespace stamp {
inline constexpr std::uint32_t kTxSoftware = 1 << 1, kSoftware = 1 << 4, kOptId = 1 << 7,
                               kTxSched = 1 << 8, kTxAck = 1 << 9, kOptTsOnly = 1 << 11,
                               kOptStats = 1 << 12, kOptIdTcp = 1 << 16, kMask = (1 << 19) - 1;
}

class ErrorQueue {
 public:
  // How far the socket is with what was written to it.
  struct Progress {
    std::uint64_t written = 0, sent = 0, acknowledged = 0;
    bool over = false;  // nothing that waits will be sent any more
  };

  // --- Settings of the user
  bool zero_copy = false;
  std::uint32_t stamps = 0;
  // 0 or a negated errno.
  int set_stamps(std::uint32_t flags, TcpState state, const Progress& progress);

  // --- What happens
  std::uint64_t written() const { return written_; }
  // A call has begun that shall not copy.
  void begin_zero_copy() { copy_begun_ = true; }
  // `before` is where the socket was when the call began.
  void wrote(std::size_t bytes, bool uncopied, const Progress& before);
  // The call that wrote up to here is over.
  void stamp(const Progress& before);
  // Bytes [begin, begin + length) have left in `packet`.
  void left(std::uint64_t begin, std::size_t length, std::span<const std::byte> packet,
            Instant now);
  // True if the queue has got something.
  bool look(const Progress& progress, Instant now);
  bool waits() const { return !copies_.empty() || !keys_.empty(); }
  bool wants_packets() const { return !keys_.empty(); }

  // --- Reading
  bool empty() const { return queue_.empty(); }
  // As recvmsg() with MSG_ERRQUEUE: the bytes copied, or a negated errno.
  ssize_t take(msghdr& message, Host::Family family);

 private:
  struct Entry {
    int error = 0;
    std::uint8_t origin = 0, code = 0;
    std::uint32_t info = 0, data = 0;
    Instant at{};
    bool stamped = false;
    std::vector<std::byte> bytes;
  };
  // Sends first to last, of which the buffers are in use until all before `end` is acknowledged.
  struct Copies {
    std::uint32_t first = 0, last = 0;
    std::uint64_t end = 0;
    bool has_left = false;
  };
  struct Key {
    std::uint64_t position = 0;
    std::uint32_t flags = 0;
    bool has_left = false;
    std::vector<std::byte> payload;
  };

  void tell_copies(const Copies& copies);
  void tell_stamp(const Key& key, std::uint32_t what, std::vector<std::byte> bytes, Instant now);

  std::uint64_t written_ = 0;
  std::uint32_t next_copy_ = 0;
  bool copy_begun_ = false;     // and nothing was taken yet
  std::uint64_t key_base_ = 0;  // may be 2^64 - 1: the SYN counts
  std::deque<Copies> copies_;
  std::deque<Key> keys_;
  std::deque<Entry> queue_;
  bool told_ = false;
};

}  // namespace lastack::packetdrill
