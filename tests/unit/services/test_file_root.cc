#include "services/file_root.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lastack {
namespace {

TEST(PlainPath, NeverLeadsAboveItsRoot) {
  const auto plain = [](std::string_view target) { return plain_path(target).value_or("-"); };
  EXPECT_EQ(plain("/"), "");
  EXPECT_EQ(plain("/a//b/./c/"), "a/b/c");
  EXPECT_EQ(plain("/a/../b?/../.."), "b");
  EXPECT_EQ(plain("/%61%2Fb"), "a/b");
  EXPECT_EQ(plain("/a/..//"), "");
  EXPECT_EQ(plain("/..."), "...");
  for (const char* bad : {"", "a", "/..", "/a/../..", "/%2e%2e/x", "/.%2E", "/%2e%2e%2fx", "/%",
                          "/%4", "/%zz", "/a%00b", "*", "?"}) {
    EXPECT_FALSE(plain_path(bad)) << bad;
  }
}

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lastack-root-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    base_ = name;
    std::filesystem::create_directories(base_ + "/root/sub");
    std::ofstream(base_ + "/secret") << "secret";
    std::ofstream(base_ + "/root/file") << "file";
    std::ofstream(base_ + "/root/sub/inner") << "inner!";
    std::filesystem::create_symlink("../secret", base_ + "/root/out");
    std::filesystem::create_symlink("/etc", base_ + "/root/etc");
    std::filesystem::create_symlink("..", base_ + "/root/up");
    std::filesystem::create_symlink("sub/inner", base_ + "/root/within");
    ASSERT_EQ(::mkfifo((base_ + "/root/pipe").c_str(), 0600), 0);
  }
  void TearDown() override { std::filesystem::remove_all(base_); }
  std::string base_;
};

TEST_F(Folder, FilesWithinAreFoundAndOthersAreNot) {
  const auto root = FileRoot::open(base_ + "/root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->find("file")->size, 4U);
  EXPECT_EQ(root->find("sub/inner")->size, 6U);
  EXPECT_TRUE(root->find("sub")->directory);
  EXPECT_TRUE(root->find("")->directory);
  const auto error_of = [&](const char* path) {
    const auto file = root->find(path);
    return file ? 0 : file.error().number;
  };
  EXPECT_EQ(error_of("nothing"), ENOENT);
  EXPECT_EQ(error_of("file/x"), ENOENT);
  for (const char* way_out :
       {"out", "etc/passwd", "up/secret", "../secret", "/etc/passwd", "pipe"}) {
    EXPECT_EQ(error_of(way_out), EACCES) << way_out;
  }
  // A link that stays within is followed, where the kernel can see to that.
  EXPECT_TRUE(error_of("within") == 0 || error_of("within") == EACCES);
  EXPECT_FALSE(FileRoot::open(base_ + "/root/file"));
  EXPECT_FALSE(FileRoot::open(base_ + "/none"));
}

}  // namespace
}  // namespace lastack
