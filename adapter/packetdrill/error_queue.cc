#include "error_queue.h"

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <utility>

namespace lastack::packetdrill {
namespace {

// linux/errqueue.h
struct ExtendedError {
  std::uint32_t error;
  std::uint8_t origin, type, code, pad;
  std::uint32_t info, data;
};
static_assert(sizeof(ExtendedError) == 16);
constexpr std::uint8_t kOriginTimestamping = 4, kOriginZeroCopy = 5, kCopied = 1;
constexpr std::uint32_t kSent = 0, kScheduled = 1, kAcknowledged = 2;
constexpr int kScmTimestamping = 37;
constexpr int kIpLevel = 0, kIpv6Level = 41, kIpRecvErr = 11, kIpv6RecvErr = 25;
// A piece of the write queue holds no more, so that what was written before is in another one.
constexpr std::uint64_t kMostOfPiece = 65535;

// What does not fit is left out, and said (Linux: put_cmsg).
class Control {
 public:
  explicit Control(msghdr& message) : message_(message), room_(message.msg_controllen) {
    message.msg_controllen = 0;
    if (message.msg_control == nullptr) room_ = 0;
  }
  void put(int level, int type, const void* data, std::size_t length) {
    if (used_ + CMSG_LEN(length) > room_) {
      message_.msg_flags |= MSG_CTRUNC;
      return;
    }
    auto* const header =
        reinterpret_cast<cmsghdr*>(static_cast<std::byte*>(message_.msg_control) + used_);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(length);
    std::memcpy(CMSG_DATA(header), data, length);
    used_ = std::min(used_ + CMSG_SPACE(length), room_);
    message_.msg_controllen = used_;
  }

 private:
  msghdr& message_;
  std::size_t room_;
  std::size_t used_ = 0;
};

}  // namespace

int ErrorQueue::set_stamps(std::uint32_t flags, TcpState state, const Progress& progress) {
  if ((flags & ~stamp::kMask) != 0) return -EINVAL;
  if ((flags & stamp::kOptIdTcp) != 0 && (flags & stamp::kOptId) == 0) return -EINVAL;
  if ((flags & stamp::kOptStats) != 0 && (flags & stamp::kOptTsOnly) == 0) return -EINVAL;
  if ((flags & stamp::kOptId) != 0 && (stamps & stamp::kOptId) == 0) {
    if (state == TcpState::Closed || state == TcpState::Listen) return -EINVAL;
    key_base_ = (flags & stamp::kOptIdTcp) != 0 ? progress.written : progress.acknowledged;
    // What is acknowledged ends before the SYN.
    if (state == TcpState::SynSent && (flags & stamp::kOptIdTcp) == 0) --key_base_;
  }
  stamps = flags;
  return 0;
}

void ErrorQueue::wrote(std::size_t bytes, bool uncopied, const Progress& before) {
  const std::uint64_t from = std::exchange(written_, written_ + bytes);
  if (!uncopied || bytes == 0) return;
  if (!std::exchange(copy_begun_, false)) {
    copies_.back().end = written_;
    return;
  }
  const std::uint32_t number = next_copy_++;
  // Into a piece that has not left, one notice is enough for both (Linux: msg_zerocopy_realloc).
  if (!copies_.empty() && copies_.back().end == from && from > before.sent) {
    copies_.back().last = number;
    copies_.back().end = written_;
    return;
  }
  copies_.push_back({number, number, written_, false});
}

void ErrorQueue::stamp(const Progress& before) {
  constexpr std::uint32_t kAny = stamp::kTxSoftware | stamp::kTxSched | stamp::kTxAck;
  if ((stamps & kAny) == 0) return;
  const Key key{written_ - 1, stamps, false, {}};
  // A piece of the write queue has one key, that of its last byte (Linux: tcp_tx_timestamp).
  if (!keys_.empty() && !keys_.back().has_left && keys_.back().position >= before.sent &&
      key.position - keys_.back().position < kMostOfPiece) {
    keys_.back() = key;
    return;
  }
  keys_.push_back(key);
}

void ErrorQueue::left(std::uint64_t begin, std::size_t length, std::span<const std::byte> packet,
                      Instant now) {
  for (Key& key : keys_) {
    if (key.position < begin || key.position >= begin + length) continue;
    key.has_left = true;
    const auto bytes = [&] { return std::vector<std::byte>(packet.begin(), packet.end()); };
    if ((key.flags & stamp::kTxSched) != 0) tell_stamp(key, kScheduled, bytes(), now);
    if ((key.flags & stamp::kTxSoftware) != 0) tell_stamp(key, kSent, bytes(), now);
    key.payload.assign(packet.end() - static_cast<std::ptrdiff_t>(length), packet.end());
  }
}

bool ErrorQueue::look(const Progress& progress, Instant now) {
  for (Copies& copies : copies_) copies.has_left |= progress.sent >= copies.end;
  while (!keys_.empty() && (progress.over || keys_.front().position < progress.acknowledged)) {
    Key key = std::move(keys_.front());
    keys_.pop_front();
    if (!progress.over && (key.flags & stamp::kTxAck) != 0) {
      tell_stamp(key, kAcknowledged, std::move(key.payload), now);
    }
  }
  while (!copies_.empty() && (progress.over || copies_.front().end <= progress.acknowledged)) {
    tell_copies(copies_.front());
    copies_.pop_front();
  }
  return std::exchange(told_, false);
}

void ErrorQueue::tell_copies(const Copies& copies) {
  told_ = true;
  // Every device of this host copies, as Linux does for one that hands packets to a program.
  const std::uint8_t code = copies.has_left ? kCopied : std::uint8_t{0};
  if (!queue_.empty()) {
    Entry& last = queue_.back();
    if (last.origin == kOriginZeroCopy && last.code == code && last.data + 1 == copies.first) {
      last.data = copies.last;
      return;
    }
  }
  Entry entry;
  entry.origin = kOriginZeroCopy;
  entry.code = code;
  entry.info = copies.first;
  entry.data = copies.last;
  queue_.push_back(std::move(entry));
}

void ErrorQueue::tell_stamp(const Key& key, std::uint32_t what, std::vector<std::byte> bytes,
                            Instant now) {
  told_ = true;
  Entry entry;
  entry.error = ENOMSG;
  entry.origin = kOriginTimestamping;
  entry.info = what;
  if ((key.flags & stamp::kOptId) != 0) {
    entry.data = static_cast<std::uint32_t>(key.position - key_base_);
  }
  entry.at = now;
  entry.stamped = true;
  if ((key.flags & stamp::kOptTsOnly) == 0) entry.bytes = std::move(bytes);
  queue_.push_back(std::move(entry));
}

// Linux: ip_recv_error, ipv6_recv_error.
ssize_t ErrorQueue::take(msghdr& message, Host::Family family) {
  if (queue_.empty()) return -EAGAIN;
  const Entry entry = std::move(queue_.front());
  queue_.pop_front();
  message.msg_flags = MSG_ERRQUEUE;
  message.msg_namelen = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < message.msg_iovlen && at < entry.bytes.size(); ++i) {
    const std::size_t n = std::min(message.msg_iov[i].iov_len, entry.bytes.size() - at);
    if (n > 0) std::memcpy(message.msg_iov[i].iov_base, entry.bytes.data() + at, n);
    at += n;
  }
  if (at < entry.bytes.size()) message.msg_flags |= MSG_TRUNC;
  Control control(message);
  if (entry.stamped && (stamps & stamp::kSoftware) != 0) {
    const Duration since = entry.at.time_since_epoch();
    timespec times[3] = {};
    times[0].tv_sec = since / std::chrono::seconds(1);
    times[0].tv_nsec = (since % std::chrono::seconds(1)).count();
    control.put(SOL_SOCKET, kScmTimestamping, times, sizeof times);
  }
  const ExtendedError error{static_cast<std::uint32_t>(entry.error),
                            entry.origin,
                            0,
                            entry.code,
                            0,
                            entry.info,
                            entry.data};
  const bool v4 = family == Host::Family::V4;
  // The address of who caused it follows: nobody.
  std::byte with_address[sizeof error + sizeof(sockaddr_in6)] = {};
  std::memcpy(with_address, &error, sizeof error);
  control.put(v4 ? kIpLevel : kIpv6Level, v4 ? kIpRecvErr : kIpv6RecvErr, with_address,
              sizeof error + (v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)));
  return static_cast<ssize_t>(at);
}

}  // namespace lastack::packetdrill
