// HTTP/1.0 and 1.1 messages (RFC 9112) as far as a server of files and its client need them: heads, and the fields that
// decide about length, ranges and the end of the connection. Total on hostile bytes.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lastack/four_tuple.h"
#include "lastack/result.h"

namespace lastack {

// A longer head is refused (431).
inline constexpr std::size_t kMostHttpHead = std::size_t{16} << 10;

struct HttpField {
  std::string_view name;
  std::string_view value;  // without the blanks around it
};

// Parts of the bytes that were parsed.
struct HttpHead {
  std::string_view start[3];  // GET /x HTTP/1.1; HTTP/1.1 200 OK (the third may hold blanks)
  std::vector<HttpField> fields;
  std::size_t length = 0;  // of the whole head, with the empty line

  // The first field of that name, in whatever letters; nothing: none.
  std::optional<std::string_view> field(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  // Whether a list of words, such as Connection's, has this one.
  bool lists(std::string_view name, std::string_view word) const;
};

enum class HeadState : std::uint8_t { Incomplete, Complete, Bad };
// Empty lines before it are passed over (RFC 9112, 2.2).
HeadState parse_http_head(std::string_view bytes, HttpHead& out);

// The same for bytes that come piece by piece: each is looked at a few times, however small the pieces are.
class HttpHeadReader {
 public:
  // `bytes` begin as they did the last time, and may have grown. Bad may be told later than by parse_http_head(), but
  // not after the head has ended.
  HeadState look(std::string_view bytes, HttpHead& out);
  // Whether more than empty lines has come.
  bool begun() const { return begun_; }

 private:
  std::size_t empty_ = 0;   // bytes of empty lines before the head
  std::size_t looked_ = 0;  // no end of a head in so many
  std::size_t parsed_ = 0;  // from its beginning, the last time
  bool begun_ = false;
};

// What a Host field and the authority of an http target may be: HOST or HOST:PORT (RFC 9110, 4.2.1 and 7.2; empty is
// permitted to Host).
bool is_http_authority(std::string_view text);

// "/a b/\r" -> "/a%20b/%0D": a path as a target or a Location has it.
std::string percent_encoded(std::string_view path);

// 1 for HTTP/1.1, 0 for HTTP/1.0; nothing: another version, or none.
std::optional<int> http_minor(std::string_view version);

std::optional<std::uint64_t> parse_decimal(std::string_view text);

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};
enum class RangeKind : std::uint8_t { Whole, Part, Unsatisfiable };
// Range: bytes=... on a file of `size` bytes. What is not understood, and several ranges, are answered with the whole
// file, as RFC 9110, 14.2 permits.
RangeKind parse_range(std::string_view value, std::uint64_t size, ByteRange& out);

// "Sun, 06 Nov 1994 08:49:37 GMT", and back (only this form).
std::string http_date(std::time_t when);
std::optional<std::time_t> parse_http_date(std::string_view text);

struct HttpUrl {
  std::string host;  // without the brackets of an IPv6 address
  Port port = 80;
  std::string path;  // with the query
};
// http:// only. Errors say what is wrong with it.
Result<HttpUrl> parse_http_url(std::string_view url);

}  // namespace lastack
