#include "kernel/system_limits.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include "kernel/file.h"
#include "kernel/text.h"

namespace lastack {
namespace {

constexpr std::size_t kLine = 256;

std::optional<std::array<std::uint64_t, 3>> parse_three(std::string_view text) {
  if (!text.ends_with('\n')) return std::nullopt;  // cut, perhaps in the middle of a number
  std::string_view rest = trim(text);
  std::array<std::uint64_t, 3> numbers{};
  for (std::uint64_t& number : numbers) {
    const auto value = parse_number<std::uint64_t>(take_word(rest));
    if (!value) return std::nullopt;
    number = std::min(*value, kMostCount);
  }
  if (!trim(rest).empty()) return std::nullopt;
  return numbers;
}

}  // namespace

std::optional<FileCounts> parse_file_nr(std::string_view text) {
  const auto numbers = parse_three(text);
  if (!numbers) return std::nullopt;
  const auto [allocated, unused, max] = *numbers;
  if (unused > allocated) return std::nullopt;
  return FileCounts{allocated - unused, max};
}

std::optional<std::array<std::uint64_t, 3>> parse_tcp_mem(std::string_view text) {
  return parse_three(text);
}

void read_system(HostSnapshot& host, const std::string& proc) {
  utsname names{};
  if (::uname(&names) == 0) {
    host.hostname = printable(names.nodename);
    host.kernel = printable(names.release);
  }
  if (const long size = ::sysconf(_SC_PAGESIZE); size > 0) {
    host.page_size = static_cast<std::uint64_t>(size);
  }
  const auto file_nr = read_file((proc + "/sys/fs/file-nr").c_str(), kLine);
  const auto files = file_nr ? parse_file_nr(*file_nr) : std::nullopt;
  if (files) {
    host.files_open = files->open;
    host.files_max = files->max;
  } else {
    host.not_read.push_back({"open files of the system",
                             file_nr ? "fs.file-nr is not understood" : file_nr.error().message,
                             ""});
  }
  const auto tcp_mem = read_file((proc + "/sys/net/ipv4/tcp_mem").c_str(), kLine);
  if (const auto pages = tcp_mem ? parse_tcp_mem(*tcp_mem) : std::nullopt) {
    host.tcp_mem_pages = *pages;
  } else if (tcp_mem || tcp_mem.error().number != ENOENT) {
    host.not_read.push_back(
        {"limits of TCP's memory",
         tcp_mem ? "net.ipv4.tcp_mem is not understood" : tcp_mem.error().message, ""});
  }
}

}  // namespace lastack
