#include "bundle/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <vector>

namespace lastack {

namespace {

constexpr int kGzipWrapper = 16;  // added to the window's bits: zlib's way to say "gzip, not zlib"
constexpr std::size_t kChunk = std::size_t{64} << 10;

// zlib takes its input by a pointer that is not const; it does not write through it.
Bytef* input(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

// zlib counts input in 32 bits: more than that goes in by parts.
struct Input {
  std::string_view rest;
  void refill(z_stream& stream) {
    if (stream.avail_in != 0) return;
    const std::size_t part = std::min<std::size_t>(rest.size(), std::numeric_limits<uInt>::max());
    stream.next_in = input(rest);
    stream.avail_in = static_cast<uInt>(part);
    rest.remove_prefix(part);
  }
};

}  // namespace

bool looks_like_gzip(std::string_view bytes) {
  return bytes.size() >= 2 && bytes[0] == '\x1f' && bytes[1] == '\x8b';
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  // It fails only for want of memory.
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzipWrapper, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, deflateEnd);
  std::string out;
  std::vector<char> chunk(kChunk);
  Input in{text};
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    in.refill(stream);
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = deflate(&stream, in.rest.empty() ? Z_FINISH : Z_NO_FLUSH);
    out.append(chunk.data(), chunk.size() - stream.avail_out);
  }
  return out;
}

Result<std::string> gunzip(std::string_view bytes, std::size_t most) {
  z_stream stream{};
  if (inflateInit2(&stream, MAX_WBITS + kGzipWrapper) != Z_OK) {
    return failure("not enough memory to decompress");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  std::string out;
  std::vector<char> chunk(kChunk);
  Input in{bytes};
  while (true) {
    in.refill(stream);
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.append(chunk.data(), chunk.size() - stream.avail_out);
    if (out.size() > most) {
      return failure("more than " + std::to_string(most >> 20) + " MiB once decompressed");
    }
    if (status == Z_STREAM_END) break;
    if (status == Z_MEM_ERROR) return failure("not enough memory to decompress");
    if (status == Z_BUF_ERROR ||
        (status == Z_OK && stream.avail_in == 0 && in.rest.empty() && stream.avail_out != 0)) {
      return failure("the compressed data end early: the file is truncated");
    }
    if (status != Z_OK) {
      return failure(std::string("damaged compressed data: ") +
                     (stream.msg == nullptr ? "bad gzip" : stream.msg));
    }
  }
  if (stream.avail_in != 0 || !in.rest.empty()) {
    return failure(std::to_string(stream.avail_in + in.rest.size()) +
                   " bytes after the end of the compressed data");
  }
  return out;
}

}  // namespace lastack
