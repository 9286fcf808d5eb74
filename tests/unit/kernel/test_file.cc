#include "kernel/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>

namespace lastack {
namespace {

std::string write_file(const std::string& name, const std::string& text) {
  const std::string path =
      ::testing::TempDir() + "lastack-file-" + std::to_string(::getpid()) + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TEST(ReadFile, ReadsExactlyWhatIsThere) {
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 8192u, 100'000u}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7);
    const auto path = write_file("exact", text);
    const auto read = read_file(path.c_str(), 100'000);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(*read, text);
  }
}

TEST(ReadFile, OneByteOverTheLimitIsAnErrorNotACut) {
  const auto path = write_file("limit", std::string(5000, 'x'));
  EXPECT_EQ(read_file(path.c_str(), 5000)->size(), 5000u);
  const auto over = read_file(path.c_str(), 4999);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().number, EFBIG);
  EXPECT_NE(over.error().message.find(path), std::string::npos);
}

TEST(ReadFile, AnEndlessFileStopsAtTheLimit) {
  EXPECT_FALSE(read_file("/dev/zero", 10'000).has_value());
  EXPECT_EQ(read_start_of_file_at(AT_FDCWD, "/dev/zero", 10'000)->size(), 10'000u);
}

TEST(ReadFile, SaysWhichFileAndWhy) {
  const auto missing = read_file("/nonexistent/file", 10);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().number, ENOENT);
  EXPECT_EQ(missing.error().message, "cannot open /nonexistent/file: No such file or directory");
  const auto folder = read_file("/proc", 10);
  ASSERT_FALSE(folder.has_value());
  EXPECT_EQ(folder.error().number, EISDIR);
}

TEST(ReadFile, ReadsFilesOfProcThatHaveNoSize) {
  struct stat status {};
  ASSERT_EQ(::stat("/proc/self/status", &status), 0);
  ASSERT_EQ(status.st_size, 0);
  EXPECT_GT(read_file("/proc/self/status", 65536)->size(), 100u);
}

TEST(ReadFile, RelativeToAFolder) {
  const auto folder = open_file("/proc/self", O_PATH | O_DIRECTORY);
  ASSERT_TRUE(folder.has_value());
  EXPECT_EQ(read_file_at(folder->get(), "comm", 100).value(),
            read_file("/proc/self/comm", 100).value());
}

TEST(UniqueFd, ClosesOnceAndMovesAway) {
  const int raw = ::open("/dev/null", O_RDONLY);
  {
    UniqueFd a(raw);
    UniqueFd b(std::move(a));
    EXPECT_FALSE(a);  // NOLINT: that is the question
    EXPECT_TRUE(b);
    UniqueFd& same = b;
    b = std::move(same);
    EXPECT_EQ(b.get(), raw);
    EXPECT_EQ(::fcntl(raw, F_GETFD), 0);
  }
  EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST(OpenFile, IsClosedInChildPrograms) {
  const auto fd = open_file("/dev/null", O_RDONLY);
  ASSERT_TRUE(fd.has_value());
  EXPECT_EQ(::fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace lastack
