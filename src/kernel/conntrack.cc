#include "kernel/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "kernel/file.h"
#include "kernel/text.h"

namespace lastack {
namespace {

constexpr std::uint8_t kConntrackTimeWait = 7;  // TCP_CONNTRACK_TIME_WAIT
constexpr std::uint16_t kNewEntry = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
constexpr std::uint16_t kGetEntries = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;

using Bytes = std::span<const std::byte>;

// Headers are copied out, so that bytes need no alignment. The caller has checked that there are enough.
template <class T>
T load(Bytes bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

constexpr std::size_t aligned(std::size_t length) {
  return (length + 3) & ~std::size_t{3};
}

// The payload of the first attribute of this type; empty when there is none before the bytes end or stop
// making sense.
Bytes attribute(Bytes bytes, std::uint16_t type) {
  while (bytes.size() >= sizeof(nlattr)) {
    const auto header = load<nlattr>(bytes);
    if (header.nla_len < sizeof header || header.nla_len > bytes.size()) return {};
    if ((header.nla_type & NLA_TYPE_MASK) == type) {
      return bytes.subspan(sizeof header, header.nla_len - sizeof header);
    }
    bytes = bytes.subspan(std::min(aligned(header.nla_len), bytes.size()));
  }
  return {};
}

void count_entry(Bytes payload, CtDump& dump) {
  ++dump.entries;
  if (payload.size() < sizeof(nfgenmsg)) return;
  const Bytes tcp =
      attribute(attribute(payload.subspan(sizeof(nfgenmsg)), CTA_PROTOINFO), CTA_PROTOINFO_TCP);
  const Bytes state = attribute(tcp, CTA_PROTOINFO_TCP_STATE);
  if (!state.empty() && std::to_integer<std::uint8_t>(state[0]) == kConntrackTimeWait) {
    ++dump.time_wait;
  }
}

struct Request {
  nlmsghdr header;
  nfgenmsg family;
};

Result<UniqueFd> open_netfilter() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!fd) return tl::unexpected(system_error(errno, "cannot open a netfilter socket"));
  // The kernel answers at once; a dump that stands still for so long never ends.
  const timeval patience{5, 0};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) {
    return tl::unexpected(system_error(errno, "cannot prepare a netfilter socket"));
  }
  return fd;
}

Result<CtDump> dump_table() {
  constexpr std::uint32_t kSequence = 1;
  auto fd = open_netfilter();
  if (!fd) return tl::unexpected(std::move(fd.error()));
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = kGetEntries;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = kSequence;
  request.family.nfgen_family = AF_UNSPEC;
  request.family.version = NFNETLINK_V0;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd->get(), &request, sizeof request, 0, reinterpret_cast<const sockaddr*>(&kernel),
               sizeof kernel) < 0) {
    return tl::unexpected(system_error(errno, "cannot ask for conntrack's entries"));
  }
  CtDump dump;
  std::array<std::byte, 65536> buffer;
  while (!dump.done && dump.error == 0) {
    sockaddr_nl from{};
    socklen_t from_length = sizeof from;
    const ssize_t n = ::recvfrom(fd->get(), buffer.data(), buffer.size(), MSG_TRUNC,
                                 reinterpret_cast<sockaddr*>(&from), &from_length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(system_error(errno, "reading conntrack's entries"));
    if (n == 0) return failure("conntrack's entries ended early");
    if (from.nl_pid != 0) continue;  // not the kernel
    if (static_cast<std::size_t>(n) > buffer.size()) {
      return failure("conntrack's entries came in larger pieces than expected");
    }
    if (!walk_ctnetlink(Bytes(buffer.data(), static_cast<std::size_t>(n)), kSequence, dump)) {
      return failure("conntrack's entries are malformed");
    }
  }
  if (dump.error != 0) {
    return tl::unexpected(system_error(dump.error, "conntrack refused to list its entries"));
  }
  return dump;
}

std::optional<std::uint64_t> read_number(const std::string& path) {
  const auto text = read_file(path.c_str(), 64);
  if (!text) return std::nullopt;
  const auto value = parse_number<std::uint64_t>(trim(*text));
  if (!value) return std::nullopt;
  return std::min(*value, kMostCount);
}

bool exists(const char* path) {
  return ::access(path, F_OK) == 0;
}

// Asking makes the kernel load nf_conntrack_netlink, and a look must not change the host. A tracker that is
// a module and loaded has "initstate"; built in, it has its companion built in as well, as a rule.
bool asking_would_load_a_module() {
  return exists("/sys/module/nf_conntrack/initstate") &&
         !exists("/sys/module/nf_conntrack_netlink");
}

}  // namespace

bool walk_ctnetlink(Bytes bytes, std::uint32_t sequence, CtDump& dump) {
  while (!bytes.empty() && !dump.done) {
    if (bytes.size() < sizeof(nlmsghdr)) return false;
    const auto header = load<nlmsghdr>(bytes);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > bytes.size()) return false;
    const Bytes payload = bytes.subspan(sizeof header, header.nlmsg_len - sizeof header);
    bytes = bytes.subspan(std::min(aligned(header.nlmsg_len), bytes.size()));
    if (header.nlmsg_seq != sequence) continue;
    dump.interrupted |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (header.nlmsg_type == kNewEntry) {
      count_entry(payload, dump);
    } else if (header.nlmsg_type == NLMSG_DONE) {
      dump.done = true;
      // It may carry an error: the dump stopped there.
      if (payload.size() >= sizeof(int) && load<int>(payload) < 0) {
        dump.error = -std::max(load<int>(payload), -4095);
      }
    } else if (header.nlmsg_type == NLMSG_ERROR) {
      if (payload.size() < sizeof(int)) return false;
      const int error = load<int>(payload);
      if (error < 0) dump.error = -std::max(error, -4095);
    }
  }
  return true;
}

std::optional<Conntrack> read_conntrack(std::uint64_t walk_at_most, std::vector<NotRead>& not_read,
                                        const std::string& proc) {
  const std::string knobs = proc + "/sys/net/netfilter/nf_conntrack_";
  const auto count = read_number(knobs + "count");
  if (!count || *count == 0) return std::nullopt;
  Conntrack conntrack{*count, read_number(knobs + "max"), std::nullopt};

  const auto not_walked = [&](std::string why, std::string mend) {
    not_read.push_back({"conntrack's entries in TIME_WAIT", std::move(why), std::move(mend)});
  };
  if (*count > walk_at_most) {
    not_walked("there are " + std::to_string(*count) + " entries, too many to walk", "");
  } else if (asking_would_load_a_module()) {
    not_walked("the module nf_conntrack_netlink is not loaded", "modprobe nf_conntrack_netlink");
  } else if (const auto dump = dump_table()) {
    conntrack.time_wait = dump->time_wait;
    if (dump->interrupted) {
      not_read.push_back(
          {"some of conntrack's entries", "the table changed while it was read", ""});
    }
  } else {
    not_walked(dump.error().message, dump.error().number == EPERM ? "run as root" : "");
  }
  return conntrack;
}

}  // namespace lastack
