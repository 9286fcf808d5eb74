// Names as words of a command that people copy into a shell, often root's.
#pragma once

#include <string>
#include <string_view>

namespace lastack {

// The same text as one word: as it is where no shell gives it another meaning, else in single quotes
// (POSIX XCU 2.2.2). Control characters become '?', since a terminal would act on them.
std::string shell_word(std::string_view text);

// "sysctl -w net.ipv4.tcp_tw_reuse=1", as it is typed.
std::string sysctl_command(std::string_view name, std::string_view value);

// Whether this is a character that needs no quotes.
bool is_plain_in_shell(char c);

}  // namespace lastack
