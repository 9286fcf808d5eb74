// What peers say to the HTTP server and its client: heads, ranges, paths, dates and URLs. Nothing is read beyond its
// bytes, and no path leads above its root.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "services/file_root.h"
#include "services/http_message.h"

namespace lastack {
namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

void look_at_path(std::string_view target) {
  const auto path = plain_path(target);
  if (!path) return;
  must(path->empty() || path->front() != '/');
  for (std::string_view left = *path; !left.empty();) {
    const std::size_t end = left.find('/');
    const std::string_view part = left.substr(0, end);
    must(!part.empty() && part != "." && part != ".." && part.find('\0') == std::string_view::npos);
    left = end == std::string_view::npos ? std::string_view{} : left.substr(end + 1);
  }
}

void look_at_head(std::string_view bytes) {
  HttpHead head;
  if (parse_http_head(bytes, head) != HeadState::Complete) return;
  must(head.length <= bytes.size());
  // The same from its own bytes alone, and not from fewer.
  HttpHead again;
  must(parse_http_head(bytes.substr(0, head.length), again) == HeadState::Complete);
  must(again.fields.size() == head.fields.size());
  must(parse_http_head(bytes.substr(0, head.length - 1), again) == HeadState::Incomplete);
  // The same however it comes.
  HttpHeadReader reader;
  HeadState state = HeadState::Incomplete;
  for (std::size_t n = 1; state == HeadState::Incomplete; n += n % 7 + 1) {
    must(n < bytes.size() + 8);
    state = reader.look(bytes.substr(0, n), again);
  }
  must(state == HeadState::Complete && again.length == head.length);
  look_at_path(head.start[1]);
  for (const HttpField& field : head.fields) {
    must(head.field(field.name).has_value() && head.count(field.name) > 0);
    ByteRange range;
    for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{10}, UINT64_MAX}) {
      if (parse_range(field.value, size, range) != RangeKind::Part) continue;
      must(range.length > 0 && range.first < size && range.length <= size - range.first);
    }
    (void)parse_http_date(field.value);
    (void)head.lists(field.name, "close");
  }
}

}  // namespace
}  // namespace lastack

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  lastack::look_at_head(bytes);
  lastack::look_at_path(bytes);
  if (const auto url = lastack::parse_http_url(bytes)) {
    if (url->host.empty() || url->path.empty() || url->path.front() != '/' || url->port == 0)
      std::abort();
  }
  return 0;
}
