// What the files of one process, /proc/[pid]/..., say. Parsers only: total, and nothing, or false,
// for what they do not understand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lastack/host_snapshot.h"

namespace lastack {

// The soft limit of "Max open files" in limits; 2^64-1 for "unlimited".
std::optional<std::uint64_t> parse_limits(std::string_view text);
// Fills `unit` and `container` from cgroup, of version 1 or 2. False when it names neither.
bool parse_cgroup(std::string_view text, Process& process);
// Fills `pid`, `command` and `parent` from stat; a command may hold blanks and parentheses.
bool parse_stat(std::string_view text, Process& process);
// The effective user in status.
std::optional<std::uint32_t> parse_status_uid(std::string_view text);
// cmdline: arguments with blanks between; cut at 256 bytes.
std::string parse_cmdline(std::string_view text);
// The number in "socket:[123]", or in "net:[123]" with `kind` "net".
std::optional<std::uint64_t> parse_inode_link(std::string_view link, std::string_view kind);
// The option of the /proc mount in mountinfo that hides processes, such as "hidepid=invisible";
// empty when there is none.
std::string parse_hidepid(std::string_view mountinfo);

}  // namespace lastack
