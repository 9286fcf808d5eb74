// TCP sockets by NETLINK_SOCK_DIAG: streamed, filtered in the kernel, in constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "kernel/file.h"
#include "lastack/census.h"
#include "lastack/result.h"
#include "lastack/socket_record.h"

namespace lastack {

// The kernel's own numbers for states, as bits of `idiag_states`.
namespace diag_states {
inline constexpr std::uint32_t kListen = 1U << 10;
inline constexpr std::uint32_t kTimeWait = 1U << 6;
inline constexpr std::uint32_t kEstablished = 1U << 1;
inline constexpr std::uint32_t kCloseWait = 1U << 8;
// Bound and neither listening nor connected; since Linux 6.8, ignored before.
inline constexpr std::uint32_t kBoundInactive = 1U << 13;
inline constexpr std::uint32_t kConnected = 0x1fff & ~kListen;
}  // namespace diag_states

struct DiagRow {
  SocketRecord socket;
  bool bound_inactive = false;
  bool has_details = false;
  ConnectionDetails details;
};

// Called for each row; returns false to stop the dump.
using DiagVisitor = std::function<bool(const DiagRow&)>;

struct DiagRequest {
  std::uint32_t states = diag_states::kConnected;
  bool details = false;  // ask for tcp_info
  // Only sockets whose port was chosen by an explicit bind().
  bool bound_only = false;
  std::optional<Port> local_port{};
};

// What one received datagram of a dump was.
enum class DiagStatus : std::uint8_t { More, Done, Stopped, Failed };
struct DiagParse {
  DiagStatus status = DiagStatus::More;
  int error = 0;             // errno, when Failed
  bool interrupted = false;  // NLM_F_DUMP_INTR: the tables changed under the dump
};
// Total on any bytes: a message that lies about its length ends the parse as Failed with EBADMSG.
// Rows of a dump with another sequence number are skipped.
DiagParse parse_diag(std::span<const std::byte> datagram, std::uint32_t sequence,
                     const DiagVisitor& visit);

// A socket for dumps of the namespace that the calling thread was in when it was opened.
class SockDiag {
 public:
  static Result<SockDiag> open();

  // One walk of the kernel's tables for both address families. Returns whether the dump was interrupted.
  Result<bool> dump(const DiagRequest& request, const DiagVisitor& visit);

 private:
  explicit SockDiag(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<bool> dump_once(std::span<const std::byte> request, std::uint32_t sequence,
                         const DiagVisitor& visit);

  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
  bool both_families_at_once_ = true;
};

}  // namespace lastack
