#include "kernel/system_limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "captured_text.h"

namespace lastack {
namespace {

TEST(FileNr, OpenIsAllocatedLessUnused) {
  const auto files = parse_file_nr("1216\t16\t9223372036854775807\n");
  ASSERT_TRUE(files.has_value());
  EXPECT_EQ(files->open, 1200u);
  EXPECT_EQ(files->max, kMostCount);
}

TEST(FileNr, RefusesWhatIsMalformed) {
  for (const char* text : {"", "\n", "1\t2\n", "1\t2\t3\n", "5\t-1\t3\n", "5\t1\t3\t4\n",
                           "a\t0\t3\n", "5 0 18446744073709551616\n"}) {
    EXPECT_FALSE(parse_file_nr(text).has_value()) << text;
  }
  with_every_truncation("1216\t0\t2466193\n",
                        [](std::string_view text) { EXPECT_FALSE(parse_file_nr(text)) << text; });
}

TEST(TcpMem, ThreeNumbersOfPages) {
  EXPECT_EQ(parse_tcp_mem("287901\t383869\t575802\n"),
            (std::array<std::uint64_t, 3>{287901, 383869, 575802}));
  with_every_truncation("287901\t383869\t575802\n",
                        [](std::string_view text) { EXPECT_FALSE(parse_tcp_mem(text)) << text; });
}

TEST(ReadSystem, OfThisMachine) {
  HostSnapshot host;
  read_system(host);
  EXPECT_GT(host.files_open, 0u);
  EXPECT_GT(host.files_max, host.files_open);
  EXPECT_EQ(host.page_size, static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  EXPECT_FALSE(host.kernel.empty());
  EXPECT_FALSE(host.hostname.empty());
  EXPECT_TRUE(host.not_read.empty());
}

TEST(ReadSystem, SaysWhatIsMissing) {
  HostSnapshot host;
  read_system(host, "/nonexistent");
  ASSERT_EQ(host.not_read.size(), 1u);  // tcp_mem is absent outside of the initial namespace
  EXPECT_EQ(host.not_read[0].what, "open files of the system");
}

}  // namespace
}  // namespace lastack
