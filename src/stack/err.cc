// The names of errors.
#include "lastack/host.h"

namespace lastack {

std::string_view to_string(Err error) {
  switch (error) {
    case Err::none:
      return "0";
    case Err::access_denied:
      return "EACCES";
    case Err::address_in_use:
      return "EADDRINUSE";
    case Err::address_not_available:
      return "EADDRNOTAVAIL";
    case Err::already:
      return "EALREADY";
    case Err::bad_descriptor:
      return "EBADF";
    case Err::broken_pipe:
      return "EPIPE";
    case Err::canceled:
      return "ECANCELED";
    case Err::connection_aborted:
      return "ECONNABORTED";
    case Err::connection_refused:
      return "ECONNREFUSED";
    case Err::connection_reset:
      return "ECONNRESET";
    case Err::destination_required:
      return "EDESTADDRREQ";
    case Err::family_not_supported:
      return "EAFNOSUPPORT";
    case Err::host_down:
      return "EHOSTDOWN";
    case Err::host_isolated:
      return "ENONET";
    case Err::host_unreachable:
      return "EHOSTUNREACH";
    case Err::in_progress:
      return "EINPROGRESS";
    case Err::invalid:
      return "EINVAL";
    case Err::is_connected:
      return "EISCONN";
    case Err::message_too_big:
      return "EMSGSIZE";
    case Err::network_unreachable:
      return "ENETUNREACH";
    case Err::no_buffers:
      return "ENOBUFS";
    case Err::not_connected:
      return "ENOTCONN";
    case Err::not_supported:
      return "EOPNOTSUPP";
    case Err::protocol_error:
      return "EPROTO";
    case Err::protocol_unreachable:
      return "ENOPROTOOPT";
    case Err::timed_out:
      return "ETIMEDOUT";
    case Err::too_many_files:
      return "EMFILE";
    case Err::would_block:
      return "EAGAIN";
  }
  return "?";
}

}  // namespace lastack
