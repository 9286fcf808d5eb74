// Bundles as files: whole or not at all.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "lastack/bundle.h"
#include "random_observation.h"

namespace lastack {
namespace {

namespace fs = std::filesystem;

class BundleFile : public testing::Test {
 protected:
  BundleFile() {
    std::string name = (fs::temp_directory_path() / "lastack-test-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    test::Random random(3);
    observation_ = test::random_observation(random);
  }
  ~BundleFile() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  static std::string contents(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path folder_;
  Observation observation_;
};

TEST_F(BundleFile, WrittenAndRead) {
  const auto written = write_bundle(observation_, path("a"));
  ASSERT_TRUE(written) << written.error().message;
  const auto read = read_bundle(path("a"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, observation_);
  // Nobody else's business, and nothing left over.
  struct stat status {};
  ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  EXPECT_EQ(files(), 1U);
}

TEST_F(BundleFile, ReplacesAnOlderOneAndKeepsALink) {
  std::ofstream(path("a")) << "old";
  fs::create_symlink("a", path("link"));
  ASSERT_TRUE(write_bundle(observation_, path("link")));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_TRUE(read_bundle(path("a")));
  EXPECT_EQ(files(), 2U);
}

// A limit on the size of files stands for a full disk: the write fails half way.
TEST_F(BundleFile, AFailedWriteLeavesTheOldFileWhole) {
  std::ofstream(path("a")) << "old";
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 100;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto written = write_bundle(observation_, path("a"));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);

  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().number, EFBIG);
  EXPECT_EQ(contents(path("a")), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(BundleFile, ADeviceIsWrittenToAndNotReplaced) {
  const auto full = write_bundle(observation_, "/dev/full");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().number, ENOSPC);
  EXPECT_EQ(full.error().message, "cannot write /dev/full: No space left on device");
  EXPECT_TRUE(write_bundle(observation_, "/dev/null"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(BundleFile, PlacesWhereNoFileCanBe) {
  const auto folder = write_bundle(observation_, folder_.string());
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().number, EISDIR);
  const auto nowhere = write_bundle(observation_, path("no/such/folder"));
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().number, ENOENT);
  EXPECT_EQ(files(), 0U);
}

TEST_F(BundleFile, WhatCannotBeRead) {
  const auto missing = read_bundle(path("missing"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().number, ENOENT);
  EXPECT_EQ(missing.error().message,
            "cannot open " + path("missing") + ": No such file or directory");

  const auto folder = read_bundle(folder_.string());
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().number, EISDIR);

  std::ofstream(path("text")) << "{\"format\":7}";
  const auto text = read_bundle(path("text"));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().number, 0);
  EXPECT_EQ(text.error().message, path("text") + ": not a bundle: no \"format\" in it");

  const auto endless = read_bundle("/dev/zero");
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().message, "/dev/zero: larger than 64 MiB");
}

TEST_F(BundleFile, AFifoWithNobodyAtTheOtherEnd) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  const auto read = read_bundle(path("fifo"));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, path("fifo") + ": empty");
  const auto written = write_bundle(observation_, path("fifo"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().number, ENXIO);
  EXPECT_TRUE(fs::is_fifo(path("fifo")));
}

// A pipe holds less than a bundle may need: the writer waits for the reader.
TEST_F(BundleFile, ThroughStandardOutputAndInput) {
  for (int i = 0; i < 20000; ++i) {
    observation_.now.not_read.push_back({std::to_string(i * 7919), std::to_string(i * 104729), ""});
  }
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    ::_exit(write_bundle(observation_, "-") ? 0 : 1);
  }
  ::close(ends[1]);
  const int old_input = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  ::close(ends[0]);
  const auto read = read_bundle("-");
  if (old_input >= 0) {
    ::dup2(old_input, STDIN_FILENO);
    ::close(old_input);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, observation_);
}

}  // namespace
}  // namespace lastack
