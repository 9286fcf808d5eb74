// A bundle: one file with everything the doctor needs, to be read on another machine.
// Gzip-compressed JSON; `zcat` shows it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lastack/host_snapshot.h"
#include "lastack/result.h"

namespace lastack {

inline constexpr int kBundleVersion = 1;
// A reader refuses more than this once decompressed, whatever the file claims.
inline constexpr std::size_t kLargestBundle = std::size_t{64} << 20;

// Replaces addresses, host names, command lines and unit names by others, the same one for the same
// one, so that the findings keep their shape. Loopback, unspecified and IPv4-ness stay; ports stay.
Observation redact(const Observation& observation);

std::string to_bundle(const Observation& observation);
// `bytes` may be anything at all: a message says what is wrong and where.
Result<Observation> from_bundle(std::string_view bytes);

// Written beside the file and renamed into place, so that a reader never sees half of it.
Result<void> write_bundle(const Observation& observation, const std::string& path);
// Whether it can be, as far as that is known before: for those who write one at their end.
Result<void> check_bundle_path(const std::string& path);
Result<Observation> read_bundle(const std::string& path);  // "-" is standard input

}  // namespace lastack
