#include "kernel/proc_net_tcp.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "kernel/file.h"
#include "kernel/text.h"

namespace lastack {
namespace {

constexpr std::uint32_t kLongestTimer = 0x7fffffff;  // ticks; more would not be a time

// linux/include/net/tcp_states.h
std::optional<TcpState> state_of(std::uint32_t number) {
  switch (number) {
    case 1:
      return TcpState::Established;
    case 2:
      return TcpState::SynSent;
    case 3:
    case 12:  // a handshake that has no socket yet
      return TcpState::SynReceived;
    case 4:
      return TcpState::FinWait1;
    case 5:
      return TcpState::FinWait2;
    case 6:
      return TcpState::TimeWait;
    case 7:
      return TcpState::Closed;
    case 8:
      return TcpState::CloseWait;
    case 9:
      return TcpState::LastAck;
    case 10:
      return TcpState::Listen;
    case 11:
      return TcpState::Closing;
    default:
      return std::nullopt;
  }
}

std::optional<TimerKind> timer_of(std::uint32_t number) {
  switch (number) {
    case 0:
      return TimerKind::None;
    case 1:
      return TimerKind::Retransmit;
    case 2:
      return TimerKind::KeepAlive;
    case 3:
      return TimerKind::TimeWait;
    case 4:
      return TimerKind::ZeroWindowProbe;
    default:
      return std::nullopt;
  }
}

// "0100007F:1F90", or four such words before the colon. Each word is the address's bytes as this machine
// reads a number, so storing the number gives the bytes back, on either kind of machine.
bool parse_endpoint(std::string_view word, bool v6, Endpoint& endpoint) {
  constexpr std::size_t kWord = 8;
  const std::size_t words = v6 ? 4 : 1;
  if (word.size() != words * kWord + 5 || word[words * kWord] != ':') return false;
  IpAddress::Bytes bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::uint8_t* to = v6 ? bytes.data() : bytes.data() + 12;
  for (std::size_t i = 0; i < words; ++i, to += 4) {
    const auto value = parse_number<std::uint32_t>(word.substr(i * kWord, kWord), 16);
    if (!value) return false;
    std::memcpy(to, &*value, 4);
  }
  const auto port = parse_number<Port>(word.substr(words * kWord + 1), 16);
  if (!port) return false;
  endpoint = {IpAddress::v6(bytes), *port};
  return true;
}

// "00000000:0000001C", two hexadecimal numbers.
template <class A, class B>
bool parse_pair(std::string_view word, A& first, B& second) {
  const std::size_t colon = word.find(':');
  if (colon == std::string_view::npos) return false;
  const auto a = parse_number<A>(word.substr(0, colon), 16);
  const auto b = parse_number<B>(word.substr(colon + 1), 16);
  if (!a || !b) return false;
  first = *a;
  second = *b;
  return true;
}

struct Rows {
  std::uint64_t read = 0;
  std::uint64_t malformed = 0;
};

class RowReader {
 public:
  RowReader(bool v6, const std::function<void(const SocketRecord&)>& each) : v6_(v6), each_(each) {
    const long ticks = ::sysconf(_SC_CLK_TCK);
    ticks_ = ticks > 0 ? static_cast<unsigned long>(ticks) : 100;
  }

  // 0, or an errno.
  int read_all(int fd) {
    std::array<char, 65536> buffer;
    std::size_t have = 0;
    bool skipping = false;  // a line that does not fit
    for (;;) {
      const long n = read_once(fd, std::span(buffer).subspan(have));
      if (n < 0) return static_cast<int>(-n);
      if (n == 0) break;
      have += static_cast<std::size_t>(n);
      std::string_view text(buffer.data(), have);
      for (std::size_t end = text.find('\n'); end != std::string_view::npos;
           end = text.find('\n')) {
        if (!skipping) row(text.substr(0, end));
        skipping = false;
        text.remove_prefix(end + 1);
      }
      have = text.size();
      std::memmove(buffer.data(), text.data(), have);
      if (have == buffer.size()) {
        if (!skipping) ++rows_.malformed;
        skipping = true;
        have = 0;
      }
    }
    if (have != 0) ++rows_.malformed;  // the kernel ends every line
    return 0;
  }

  const Rows& rows() const { return rows_; }

 private:
  void row(std::string_view line) {
    if (std::exchange(heading_, false)) return;
    SocketRecord record;
    if (parse_tcp_line(line, v6_, ticks_, record)) {
      ++rows_.read;
      each_(record);
    } else {
      ++rows_.malformed;
    }
  }

  bool v6_;
  const std::function<void(const SocketRecord&)>& each_;
  unsigned long ticks_ = 100;
  bool heading_ = true;
  Rows rows_;
};

}  // namespace

bool parse_tcp_line(std::string_view line, bool v6, unsigned long ticks_per_second,
                    SocketRecord& record) {
  if (ticks_per_second == 0) return false;
  record = {};
  // "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 ..."
  const std::string_view slot = take_word(line);
  if (slot.size() < 2 || slot.back() != ':' ||
      !std::ranges::all_of(slot.substr(0, slot.size() - 1), is_digit)) {
    return false;
  }
  if (!parse_endpoint(take_word(line), v6, record.tuple.local)) return false;
  if (!parse_endpoint(take_word(line), v6, record.tuple.remote)) return false;
  const auto state_number = parse_number<std::uint32_t>(take_word(line), 16);
  if (!state_number) return false;
  const auto state = state_of(*state_number);
  if (!parse_pair(take_word(line), record.send_queue, record.receive_queue)) return false;
  std::uint32_t timer_number = 0;
  std::uint64_t timer_ticks = 0;
  if (!parse_pair(take_word(line), timer_number, timer_ticks)) return false;
  const auto timer = timer_of(timer_number);
  take_word(line);  // retransmissions
  const auto uid = parse_number<std::uint32_t>(take_word(line));
  take_word(line);  // unanswered probes
  const auto inode = parse_number<std::uint64_t>(take_word(line));
  // More follows; where it does not, the line was cut, perhaps in the middle of the inode.
  if (!state || !timer || !uid || !inode || take_word(line).empty()) return false;

  record.state = *state;
  record.timer = *timer;
  record.uid = *uid;
  record.inode = *inode;
  if (*timer != TimerKind::None && timer_ticks <= kLongestTimer) {
    record.timer_remaining = std::chrono::nanoseconds(
        static_cast<std::int64_t>(timer_ticks * 1'000'000'000 / ticks_per_second));
  }
  // The small record's timer is its own kind: an orphan in FIN_WAIT_2 with it is one too (linux-facts 4).
  record.compact = *state == TcpState::TimeWait || *timer == TimerKind::TimeWait;
  return true;
}

Result<void> for_each_tcp_row(const std::string& proc_net,
                              const std::function<void(const SocketRecord&)>& each) {
  for (const bool v6 : {false, true}) {
    const std::string path = proc_net + (v6 ? "/tcp6" : "/tcp");
    const auto fd = open_file(path.c_str(), O_RDONLY);
    if (!fd) {
      if (v6 && fd.error().number == ENOENT) continue;  // a kernel without IPv6
      return tl::unexpected(fd.error());
    }
    RowReader reader(v6, each);
    if (const int error = reader.read_all(fd->get()); error != 0) {
      return tl::unexpected(system_error(error, "cannot read " + path));
    }
    if (const std::uint64_t n = reader.rows().malformed; n != 0) {
      return failure(path + ": " + std::to_string(n) + (n == 1 ? " line" : " lines") +
                     " not understood");
    }
  }
  return {};
}

}  // namespace lastack
