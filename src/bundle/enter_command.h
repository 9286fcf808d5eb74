// NamespaceSnapshot::enter from a stranger. It is shown in front of commands that people run as root,
// so it must be one of the few forms it can have, and nothing may come in with it.
#pragma once

#include <string_view>

namespace lastack {

struct EnterCommand {
  std::string_view program;     // "ip netns exec ", "nsenter --net=" or "nsenter -t "
  std::string_view name_space;  // one word for a shell: a name, a path or a process
  std::string_view rest;        // " -n" after a process
};

// False when `text` is none of these. The empty text is one: the caller's own namespace.
bool parse_enter_command(std::string_view text, EnterCommand& out);

}  // namespace lastack
