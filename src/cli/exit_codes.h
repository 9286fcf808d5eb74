// Exit codes for scripts: 0 to 3 as monitoring plugins use them, the rest as sysexits.h names them.
// What plays something (lab, doctor --prove) has 0, it is as told; 2, it is not; 3, it could not be played.
#pragma once

namespace lastack::exit_code {

inline constexpr int kHealthy = 0;  // notices at most
inline constexpr int kWarning = 1;
inline constexpr int kProblem = 2;
inline constexpr int kNoLook = 3;  // no socket could be looked at
inline constexpr int kUsage = 64;
inline constexpr int kBadData = 65;
inline constexpr int kNoInput = 66;
inline constexpr int kInternal = 70;
inline constexpr int kCannotWrite = 73;
inline constexpr int kNotPermitted = 77;

}  // namespace lastack::exit_code
