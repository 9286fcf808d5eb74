// A folder for one run, which goes with it. What a run that was killed has left is taken away by the next one that makes
// such a folder: whoever has one holds a lock on it (flock(2)), and a lock goes with its process.
#pragma once

#include <string>

#include "lab/unique_fd.h"
#include "lastack/result.h"

namespace lastack::lab {

class PrivateFolder {
 public:
  // In the folder for temporary files; nobody else may look into it.
  static Result<PrivateFolder> make();

  PrivateFolder(PrivateFolder&& other) noexcept;
  PrivateFolder& operator=(PrivateFolder&& other) = delete;
  ~PrivateFolder();

  const std::string& path() const { return path_; }
  // A file in it: `name` has no '/'.
  Result<void> write(const std::string& name, const std::string& text) const;

 private:
  PrivateFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
};

}  // namespace lastack::lab
