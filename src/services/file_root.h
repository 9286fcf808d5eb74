// Files below one directory and no others, whatever path is asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/unique_fd.h"
#include "lastack/result.h"

namespace lastack {

// "/a/%62/./c/../d?x" -> "a/b/d". Nothing: it is no path, or leads above its root. "" is the root itself.
std::optional<std::string> plain_path(std::string_view target);

class FileRoot {
 public:
  static Result<FileRoot> open(const std::string& directory);

  struct File {
    UniqueFd fd;
    std::uint64_t size = 0;
    std::int64_t modified = 0;     // s since 1970
    std::int64_t modified_ns = 0;  // within that second
    std::uint64_t inode = 0;
    bool directory = false;
  };
  // `path` as plain_path() gives it. The kernel itself sees to it that no link on the way leads out
  // (openat2(2), RESOLVE_BENEATH; before Linux 5.6 no link is followed at all). Errors by number: ENOENT, EACCES (also
  // for what is neither a file nor a directory, and for links that lead out), EMFILE, ...
  Result<File> find(const std::string& path) const;

 private:
  explicit FileRoot(UniqueFd root) : root_(std::move(root)) {}
  int open_beneath(const std::string& path) const;
  UniqueFd root_;
};

}  // namespace lastack
