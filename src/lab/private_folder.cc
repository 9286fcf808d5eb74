#include "lab/private_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "lab/write_all.h"

namespace lastack::lab {
namespace {

namespace fs = std::filesystem;
constexpr const char* kBegin = "lastack-run-";

// The folder itself, and nobody else has it.
UniqueFd locked(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat mine {};
  struct stat there {};
  const bool good = fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 &&
                    ::fstat(fd.get(), &mine) == 0 && ::lstat(path.c_str(), &there) == 0 &&
                    mine.st_ino == there.st_ino && mine.st_dev == there.st_dev &&
                    mine.st_uid == ::geteuid();
  if (!good) fd.reset();
  return fd;
}

void take_away_leftovers(const fs::path& where) {
  std::error_code ignored;
  for (fs::directory_iterator at(where, ignored), end; at != end && !ignored;
       at.increment(ignored)) {
    if (!at->path().filename().string().starts_with(kBegin)) continue;
    if (const UniqueFd lock = locked(at->path().string()); lock) {
      std::error_code failed;
      fs::remove_all(at->path(), failed);
    }
  }
}

}  // namespace

Result<PrivateFolder> PrivateFolder::make() {
  std::error_code error;
  const fs::path where = fs::temp_directory_path(error);
  if (error)
    return tl::unexpected(system_error(error.value(), "cannot find a folder for temporary files"));
  take_away_leftovers(where);
  // Another run may have taken it for a leftover before it was locked.
  for (int i = 0; i < 10; ++i) {
    std::string path = (where / fmt::format("{}XXXXXX", kBegin)).string();
    if (::mkdtemp(path.data()) == nullptr)
      return tl::unexpected(system_error(errno, "cannot make a folder, " + path));
    if (UniqueFd lock = locked(path); lock) return PrivateFolder(path, std::move(lock));
  }
  return failure("cannot lock a folder in " + where.string());
}

PrivateFolder::PrivateFolder(PrivateFolder&& other) noexcept
    : path_(std::exchange(other.path_, "")), lock_(std::move(other.lock_)) {}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Result<void> PrivateFolder::write(const std::string& name, const std::string& text) const {
  const std::string path = path_ + "/" + name;
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file || !write_all(file.get(), text))
    return tl::unexpected(system_error(errno, "cannot write " + path));
  return {};
}

}  // namespace lastack::lab
