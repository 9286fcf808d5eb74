// Who opens connections: the tracepoint sock:inet_sock_set_state, which fires inside connect() when a
// socket goes to SYN_SENT and so knows the process, even when the connection is gone, or was refused a
// port, before anyone could look. The only trace that TIME_WAIT leaves of its owner is in advance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lastack/four_tuple.h"

namespace lastack {

// Where a record of the tracepoint keeps what, by its `format` file: kernels may move fields.
struct SetStateLayout {
  std::uint32_t id = 0;
  std::size_t destination_port = 0, family = 0, protocol = 0;
  bool protocol_is_byte = false;  // before Linux 5.6
  std::size_t source_v4 = 0, destination_v4 = 0, source_v6 = 0, destination_v6 = 0;
};
std::optional<SetStateLayout> parse_set_state_format(std::string_view text);

struct OpenedTo {
  IpAddress source;
  Endpoint remote;
};
// Nothing for a record that is too short or not of TCP. Total on any bytes.
std::optional<OpenedTo> parse_set_state(std::span<const std::byte> record,
                                        const SetStateLayout& layout);

}  // namespace lastack
