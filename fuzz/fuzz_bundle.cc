// Any bytes as a bundle: either a message, or an observation that survives being written and read
// again, redacted or not.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "bundle/decode.h"
#include "bundle/encode.h"
#include "lastack/bundle.h"

namespace {

void must(bool holds, const char* what, const std::string& text) {
  if (holds) return;
  std::fprintf(stderr, "%s:\n%s\n", what, text.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto read = lastack::from_bundle(bytes);
  if (!read) {
    must(!read.error().message.empty(), "an error without a message", std::string(bytes));
    return 0;
  }
  const std::string text = lastack::encode_bundle(*read);
  const auto again = lastack::decode_bundle(text);
  must(again.has_value(), "not read again", text);
  must(*again == *read, "read differently", text);

  const lastack::Observation redacted = lastack::redact(*read);
  const std::string redacted_text = lastack::encode_bundle(redacted);
  const auto redacted_again = lastack::decode_bundle(redacted_text);
  must(redacted_again.has_value(), "redacted, not read again", redacted_text);
  must(*redacted_again == redacted, "redacted, read differently", redacted_text);
  return 0;
}
