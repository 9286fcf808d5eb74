// JSON text back into an observation. The text may be anything at all.
#pragma once

#include <string_view>

#include "lastack/host_snapshot.h"
#include "lastack/result.h"

namespace lastack {

Result<Observation> decode_bundle(std::string_view text);

}  // namespace lastack
