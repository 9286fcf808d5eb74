#include "kernel/opener_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "kernel/file.h"
#include "kernel/text.h"
#include "lastack/kernel.h"

namespace lastack {

namespace {

constexpr std::size_t kFormatFile = 16384;
constexpr std::size_t kRingPages = 16;  // a power of two, and one page before it
constexpr auto kDrainEvery = std::chrono::milliseconds(20);
constexpr const char* kTracefs = "/sys/kernel/tracing";
constexpr const char* kFormat = "/events/sock/inet_sock_set_state/format";

// The offset of a field: the number after "offset:" on the line that declares it.
std::optional<std::size_t> offset_of(std::string_view text, std::string_view name,
                                     std::string_view* declaration = nullptr) {
  for (std::size_t at = text.find(name); at != std::string_view::npos;
       at = text.find(name, at + 1)) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    // A declaration ends its name with ';' or '['.
    if (line.size() <= name.size() || (line[name.size()] != ';' && line[name.size()] != '['))
      continue;
    if (at == 0 || text[at - 1] != ' ') continue;
    const std::size_t offset = line.find("offset:");
    if (offset == std::string_view::npos) continue;
    std::string_view number = line.substr(offset + 7);
    number = number.substr(0, std::min(number.find(';'), number.size()));
    const auto value = parse_number<std::size_t>(number);
    if (declaration != nullptr) *declaration = line;
    if (value && *value < 4096) return value;
  }
  return std::nullopt;
}

// tracefs is not mounted everywhere. A child with a mount namespace of its own mounts it, reads the one
// file and is gone, and so is the mount.
std::string read_format_privately() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "";
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return "";
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tracefs", kTracefs, "tracefs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                nullptr) != 0) {
      ::_exit(1);
    }
    const int file = ::open(fmt::format("{}{}", kTracefs, kFormat).c_str(), O_RDONLY | O_CLOEXEC);
    std::array<char, 4096> buffer;
    for (ssize_t n = 0; file >= 0 && (n = ::read(file, buffer.data(), buffer.size())) > 0;) {
      if (::write(out.get(), buffer.data(), static_cast<std::size_t>(n)) != n) break;
    }
    ::_exit(0);
  }
  out.reset();
  std::string text(kFormatFile, '\0');
  const long n = read_until_full(in.get(), text);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return text;
}

Result<SetStateLayout> find_tracepoint() {
  std::string text;
  for (const char* mount : {kTracefs, "/sys/kernel/debug/tracing"}) {
    auto format = read_file((std::string(mount) + kFormat).c_str(), kFormatFile);
    if (format) {
      text = std::move(*format);
      break;
    }
    if (format.error().number == EACCES || format.error().number == EPERM) {
      return tl::unexpected(format.error());
    }
  }
  if (text.empty()) text = read_format_privately();
  if (text.empty() && ::geteuid() != 0) {
    return tl::unexpected(system_error(EPERM, "cannot read a tracepoint's format"));
  }
  const auto layout = parse_set_state_format(text);
  if (!layout)
    return failure("this kernel has no tracepoint sock:inet_sock_set_state, or hides it");
  return *layout;
}

// One CPU's events, in a ring that the kernel writes and we read.
class Ring {
 public:
  static Result<Ring> open(const SetStateLayout& layout, int cpu) {
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.config = layout.id;
    attr.sample_period = 1;
    attr.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_RAW;
    attr.disabled = 1;
    attr.watermark = 1;
    attr.wakeup_watermark = 1U << 30;  // we come by ourselves
    Ring ring;
    ring.fd_.reset(
        static_cast<int>(::syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC)));
    if (!ring.fd_) return tl::unexpected(system_error(errno, "cannot watch a tracepoint"));
    if (::ioctl(ring.fd_.get(), PERF_EVENT_IOC_SET_FILTER, "newstate == 2") != 0) {
      return tl::unexpected(system_error(errno, "cannot filter a tracepoint"));
    }
    ring.page_ = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    ring.size_ = ring.page_ * (kRingPages + 1);
    ring.base_ = ::mmap(nullptr, ring.size_, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd_.get(), 0);
    if (ring.base_ == MAP_FAILED) {
      ring.base_ = nullptr;
      return tl::unexpected(system_error(errno, "cannot map the events of a tracepoint"));
    }
    if (::ioctl(ring.fd_.get(), PERF_EVENT_IOC_ENABLE, 0) != 0) {
      return tl::unexpected(system_error(errno, "cannot enable a tracepoint"));
    }
    return ring;
  }

  Ring(Ring&& other) noexcept
      : fd_(std::move(other.fd_)),
        base_(std::exchange(other.base_, nullptr)),
        size_(other.size_),
        page_(other.page_) {}
  Ring& operator=(Ring&&) = delete;
  ~Ring() {
    if (base_ != nullptr) ::munmap(base_, size_);
  }

  // Calls `each(pid, raw record)` for what is new.
  template <class Each>
  void drain(Each&& each) {
    auto* control = static_cast<perf_event_mmap_page*>(base_);
    const auto* data = static_cast<const std::byte*>(base_) + page_;
    const std::size_t capacity = page_ * kRingPages;
    const std::uint64_t head = std::atomic_ref(control->data_head).load(std::memory_order_acquire);
    std::uint64_t tail = control->data_tail;
    std::vector<std::byte> record;
    while (head - tail >= sizeof(perf_event_header) && head - tail <= capacity) {
      perf_event_header header;
      copy_out(&header, data, capacity, tail, sizeof header);
      if (header.size < sizeof header || header.size > head - tail) break;
      if (header.type == PERF_RECORD_SAMPLE) {
        record.resize(header.size - sizeof header);
        copy_out(record.data(), data, capacity, tail + sizeof header, record.size());
        std::uint32_t pid = 0, size = 0;
        if (record.size() >= 12) {
          std::memcpy(&pid, record.data(),
                      sizeof pid);  // then the thread, then the size of what follows
          std::memcpy(&size, record.data() + 8, sizeof size);
          if (size <= record.size() - 12) {
            each(static_cast<std::int32_t>(pid),
                 std::span<const std::byte>(record.data() + 12, size));
          }
        }
      }
      tail += header.size;
    }
    std::atomic_ref(control->data_tail).store(head, std::memory_order_release);
  }

 private:
  Ring() = default;
  static void copy_out(void* to, const std::byte* ring, std::size_t capacity, std::uint64_t from,
                       std::size_t size) {
    const std::size_t at = from % capacity;
    const std::size_t first = std::min(size, capacity - at);
    std::memcpy(to, ring + at, first);
    std::memcpy(static_cast<std::byte*>(to) + first, ring, size - first);
  }

  UniqueFd fd_;
  void* base_ = nullptr;
  std::size_t size_ = 0;
  std::size_t page_ = 4096;
};

IpAddress address(std::span<const std::byte> record, const SetStateLayout& layout, bool v4,
                  bool source) {
  if (v4) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      value = value << 8 | std::to_integer<std::uint32_t>(
                               record[(source ? layout.source_v4 : layout.destination_v4) + i]);
    }
    return IpAddress::v4(value);
  }
  IpAddress::Bytes bytes;
  std::memcpy(bytes.data(), record.data() + (source ? layout.source_v6 : layout.destination_v6),
              bytes.size());
  return IpAddress::v6(bytes);
}

std::uint64_t namespace_of(std::int32_t pid) {
  struct stat st {};
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/net";
  return ::stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}

}  // namespace

std::optional<SetStateLayout> parse_set_state_format(std::string_view text) {
  SetStateLayout layout;
  const std::size_t id = text.find("ID: ");
  if (id == std::string_view::npos) return std::nullopt;
  const std::string_view number =
      text.substr(id + 4, std::min(text.find('\n', id), text.size()) - id - 4);
  const auto parsed = parse_number<std::uint32_t>(number);
  if (!parsed) return std::nullopt;
  layout.id = *parsed;
  const std::pair<std::string_view, std::size_t SetStateLayout::*> fields[] = {
      {"dport", &SetStateLayout::destination_port}, {"family", &SetStateLayout::family},
      {"protocol", &SetStateLayout::protocol},      {"saddr", &SetStateLayout::source_v4},
      {"daddr", &SetStateLayout::destination_v4},   {"saddr_v6", &SetStateLayout::source_v6},
      {"daddr_v6", &SetStateLayout::destination_v6}};
  for (const auto& [name, member] : fields) {
    const auto offset = offset_of(text, name);
    if (!offset) return std::nullopt;
    layout.*member = *offset;
  }
  std::string_view protocol;
  offset_of(text, "protocol", &protocol);
  layout.protocol_is_byte = protocol.find("size:1;") != std::string_view::npos;
  return layout;
}

std::optional<OpenedTo> parse_set_state(std::span<const std::byte> record,
                                        const SetStateLayout& layout) {
  const auto number = [&](std::size_t at) -> std::uint32_t {
    std::uint16_t value = 0;
    std::memcpy(&value, record.data() + at, sizeof value);
    return value;
  };
  const std::size_t needed = std::max(
      {layout.destination_port + 2, layout.family + 2, layout.protocol + 2, layout.source_v4 + 4,
       layout.destination_v4 + 4, layout.source_v6 + 16, layout.destination_v6 + 16});
  if (record.size() < needed) return std::nullopt;
  const std::uint32_t protocol = layout.protocol_is_byte
                                     ? std::to_integer<std::uint32_t>(record[layout.protocol])
                                     : number(layout.protocol);
  if (protocol != IPPROTO_TCP) return std::nullopt;
  const std::uint32_t family = number(layout.family);
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  OpenedTo opened;
  opened.source = address(record, layout, family == AF_INET, true);
  opened.remote = {address(record, layout, family == AF_INET, false),
                   static_cast<Port>(number(layout.destination_port))};
  return opened;
}

Result<void> watch_openers(Duration length, OpenerCounts& counts) {
  const auto layout = find_tracepoint();
  if (!layout) return tl::unexpected(layout.error());
  std::vector<Ring> rings;
  const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
  for (int cpu = 0; cpu < cpus; ++cpu) {
    auto ring = Ring::open(*layout, cpu);
    if (ring) {
      rings.push_back(std::move(*ring));
    } else if (ring.error().number != ENODEV) {  // a CPU that is off
      return tl::unexpected(ring.error());
    }
  }
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + length;
  std::map<std::tuple<std::int32_t, IpAddress, Endpoint>, std::uint64_t> seen;
  std::map<std::int32_t, std::uint64_t>
      namespaces;  // asked while the process is most likely still there
  for (;;) {
    const auto left = end - std::chrono::steady_clock::now();
    if (left > left.zero()) {
      const auto nap = std::min<std::chrono::steady_clock::duration>(left, kDrainEvery);
      ::poll(nullptr, 0,
             static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(nap).count()));
    }
    for (Ring& ring : rings) {
      ring.drain([&](std::int32_t pid, std::span<const std::byte> record) {
        const auto opened = parse_set_state(record, *layout);
        if (!opened) return;
        ++seen[{pid, opened->source, opened->remote}];
        if (!namespaces.contains(pid)) namespaces[pid] = namespace_of(pid);
      });
    }
    if (left <= left.zero()) break;
  }
  counts.watched += std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - start);
  for (const auto& [who, count] : seen) {
    const auto& [pid, source, remote] = who;
    const std::uint64_t inode = namespaces[pid];
    const auto same =
        std::find_if(counts.opened.begin(), counts.opened.end(), [&](const OpenedConnections& o) {
          return o.pid == pid && o.net_namespace == inode && o.source == source &&
                 o.remote == remote;
        });
    if (same != counts.opened.end()) {
      same->count += count;
    } else {
      counts.opened.push_back({pid, inode, source, remote, count});
    }
  }
  return {};
}

}  // namespace lastack
