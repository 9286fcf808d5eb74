// Why there is no port: values, each as the errno that a program would see (linux-facts 20).
#pragma once

#include <cerrno>

namespace lastack {

enum class PortError {
  AddressInUse,         // bind(): somebody holds it, or, for port 0, all of them
  AddressNotAvailable,  // connect(): every port to this destination is taken
  PermissionDenied,     // bind(): below ip_unprivileged_port_start
  InvalidRange,         // the range is empty or upside down
};

constexpr int errno_of(PortError error) {
  switch (error) {
    case PortError::AddressInUse:
      return EADDRINUSE;
    case PortError::AddressNotAvailable:
      return EADDRNOTAVAIL;
    case PortError::PermissionDenied:
      return EACCES;
    case PortError::InvalidRange:
      return EINVAL;
  }
  return EINVAL;
}

}  // namespace lastack
