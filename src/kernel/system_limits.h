// Numbers of the whole host: files, TCP memory, page size, names.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lastack/host_snapshot.h"

namespace lastack {

struct FileCounts {
  std::uint64_t open = 0;
  std::uint64_t max = 0;
};
// /proc/sys/fs/file-nr: "1216\t0\t9223372036854775807".
std::optional<FileCounts> parse_file_nr(std::string_view text);
// /proc/sys/net/ipv4/tcp_mem: "28494\t37993\t56988", in pages.
std::optional<std::array<std::uint64_t, 3>> parse_tcp_mem(std::string_view text);

// Fills hostname, kernel, files_open, files_max, tcp_mem_pages and page_size. tcp_mem is visible in the
// initial network namespace only; elsewhere it stays zero, and nothing is said.
void read_system(HostSnapshot& host, const std::string& proc = "/proc");

}  // namespace lastack
