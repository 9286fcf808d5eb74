#include "lastack/bundle.h"

#include "bundle/decode.h"
#include "bundle/encode.h"
#include "bundle/gzip.h"

namespace lastack {

std::string to_bundle(const Observation& observation) {
  return gzip(encode_bundle(observation));
}

Result<Observation> from_bundle(std::string_view bytes) {
  if (looks_like_gzip(bytes)) {
    const auto text = gunzip(bytes, kLargestBundle);
    if (!text) return tl::unexpected(text.error());
    return decode_bundle(*text);
  }
  if (bytes.size() > kLargestBundle) {
    return failure("larger than " + std::to_string(kLargestBundle >> 20) + " MiB");
  }
  // What zcat shows is read as well; anything else that is no text deserves a shorter message than a
  // parser's.
  const std::size_t start = bytes.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return failure("empty");
  if (bytes[start] != '{') return failure("not a bundle: neither gzip nor JSON");
  return decode_bundle(bytes);
}

}  // namespace lastack
