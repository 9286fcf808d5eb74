// A file that is there whole or not at all.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lastack/result.h"

namespace lastack {

inline constexpr unsigned kOwnerOnly = 0600;

// The same in pieces, as they come. Without finish() nothing is left of it, and what was there before stays; but of "-", a
// device or a pipe, which are written into.
class WholeFile {
 public:
  static Result<WholeFile> open(const std::string& path, unsigned mode = kOwnerOnly);
  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&& other) noexcept;
  ~WholeFile();

  // After an error nothing more is written, and finish() is that error.
  Result<void> write(std::string_view bytes);
  Result<void> finish();

 private:
  struct Parts;
  explicit WholeFile(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Written beside the file and renamed into place; "-" is standard output, and a device or a pipe is written into. The
// umask is taken from any other mode than kOwnerOnly. Not for several threads.
Result<void> write_whole_file(const std::string& path, std::string_view bytes,
                              unsigned mode = kOwnerOnly);

}  // namespace lastack
