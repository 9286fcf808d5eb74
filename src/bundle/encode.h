// An observation as JSON text: schema/bundle-1.schema.json says what it looks like.
#pragma once

#include <string>

#include "lastack/host_snapshot.h"

namespace lastack {

std::string encode_bundle(const Observation& observation);

}  // namespace lastack
