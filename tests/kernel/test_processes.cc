// Who has which socket, on the running kernel.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "kernel/processes.h"
#include "private_test.h"

namespace lastack {
namespace {

std::uint64_t inode_of(int fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return status.st_ino;
}

struct Scan {
  ProcessTable table;
  std::multimap<std::uint64_t, std::int32_t> holders;  // inode to pid
  std::vector<NotRead> not_read;
};

std::unique_ptr<Scan> scan() {
  auto s = std::make_unique<Scan>();
  s->table.scan(
      [&](std::uint64_t inode, std::uint32_t index) {
        // The process that it is told about is in the table by then, or comes next.
        EXPECT_LE(index, s->table.processes().size());
        s->holders.emplace(inode, static_cast<std::int32_t>(index));
        return true;
      },
      s->not_read);
  for (auto& [inode, holder] : s->holders) {
    holder = s->table.processes().at(static_cast<std::size_t>(holder)).pid;
  }
  return s;
}

std::set<std::int32_t> pids_of(const Scan& s, std::uint64_t inode) {
  std::set<std::int32_t> pids;
  const auto [begin, end] = s.holders.equal_range(inode);
  for (auto i = begin; i != end; ++i) pids.insert(i->second);
  return pids;
}

std::uint32_t index_of(const ProcessTable& table, std::int32_t pid) {
  const auto& all = table.processes();
  const auto found = std::ranges::find(all, pid, &Process::pid);
  EXPECT_NE(found, all.end());
  return static_cast<std::uint32_t>(found - all.begin());
}

TEST(ProcessTable, ASocketOfOursIsOurs) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto s = scan();
  EXPECT_EQ(pids_of(*s, inode_of(socket.get())), (std::set<std::int32_t>{::getpid()}));
  EXPECT_TRUE(std::ranges::is_sorted(s->table.processes(), {}, &Process::pid));
}

TEST(ProcessTable, AfterForkASocketHasTwoOwners) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  const Neighbour neighbour([] {});
  EXPECT_EQ(pids_of(*scan(), inode_of(socket.get())),
            (std::set<std::int32_t>{::getpid(), neighbour.pid()}));
}

TEST(ProcessTable, ThreadsAreNotProcesses) {
  const auto s = scan();
  std::set<std::int32_t> pids;
  for (const Process& p : s->table.processes()) EXPECT_TRUE(pids.insert(p.pid).second) << p.pid;
}

TEST(ProcessTable, CountsDescriptors) {
  std::array<int, 2> line{};
  ASSERT_EQ(::pipe2(line.data(), O_CLOEXEC), 0);
  std::uint64_t truth = 0;
  const Neighbour neighbour([&] {
    for (int i = 0; i < 700; ++i) ASSERT_GE(::dup(0), 0);
    std::uint64_t open = 0;
    for (int fd = 0; fd < 2000; ++fd) open += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    ASSERT_EQ(::write(line[1], &open, sizeof open), static_cast<ssize_t>(sizeof open));
  });
  ASSERT_EQ(::read(line[0], &truth, sizeof truth), static_cast<ssize_t>(sizeof truth));
  ASSERT_GT(truth, 700u);
  const auto s = scan();
  EXPECT_EQ(s->table.processes()[index_of(s->table, neighbour.pid())].descriptors, truth);

  // Also of the processes that come after the last link that was read, or of whom none was read at all.
  ProcessTable early;
  std::vector<NotRead> not_read;
  std::uint64_t calls = 0;
  early.scan(
      [&](std::uint64_t, std::uint32_t) {
        ++calls;
        return false;
      },
      not_read);
  EXPECT_LE(calls, 1u);
  EXPECT_EQ(early.processes()[index_of(early, neighbour.pid())].descriptors, truth);
  ::close(line[0]);
  ::close(line[1]);
}

TEST(ProcessTable, DetailsOfOneProcess) {
  const Neighbour neighbour([] {
    const rlimit limit{123, 456};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    ::prctl(PR_SET_NAME, "a (b) c");
  });
  const auto s = scan();
  const std::uint32_t index = index_of(s->table, neighbour.pid());
  ASSERT_TRUE(s->table.load_details(index));
  const Process& p = s->table.processes()[index];
  EXPECT_EQ(p.pid, neighbour.pid());
  EXPECT_EQ(p.parent, ::getpid());
  EXPECT_EQ(p.command, "a (b) c");
  EXPECT_EQ(p.uid, ::geteuid());
  EXPECT_EQ(p.descriptor_limit, 123u);
  EXPECT_NE(p.arguments.find("test_"), std::string::npos) << p.arguments;
  struct stat status {};
  ASSERT_EQ(::stat("/proc/self/ns/net", &status), 0);
  EXPECT_EQ(p.net_namespace, status.st_ino);

  const auto alone = read_process(neighbour.pid());
  ASSERT_TRUE(alone.has_value());
  EXPECT_EQ(alone->command, p.command);
  EXPECT_EQ(alone->net_namespace, p.net_namespace);
}

TEST(ProcessTable, TheLimitAlone) {
  const Neighbour neighbour([] {
    const rlimit limit{77, 456};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  });
  const auto s = scan();
  const std::uint32_t index = index_of(s->table, neighbour.pid());
  EXPECT_TRUE(s->table.load_limit(index));
  EXPECT_EQ(s->table.processes()[index].descriptor_limit, 77u);
  EXPECT_TRUE(s->table.processes()[index].command.empty());
}

TEST(ProcessTable, AProcessThatEndedMeanwhileIsAnOrdinaryThing) {
  Neighbour neighbour([] {});
  const auto s = scan();
  const std::uint32_t index = index_of(s->table, neighbour.pid());
  const std::int32_t pid = neighbour.pid();
  neighbour.end();
  EXPECT_FALSE(s->table.load_details(index));
  EXPECT_FALSE(s->table.load_limit(index));
  EXPECT_FALSE(s->table.load_details(UINT32_MAX));
  EXPECT_FALSE(read_process(pid).has_value());
}

// Processes come and go while they are walked.
TEST(ProcessTable, SurvivesAHostInMotion) {
  const Neighbour neighbour([] {
    if (::fork() != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 3000; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) ::_exit(0);
      if (pid > 0) ::waitpid(pid, nullptr, 0);
    }
    ::_exit(0);
  });
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  for (int i = 0; i < 20; ++i) {
    const auto s = scan();
    EXPECT_EQ(pids_of(*s, inode_of(socket.get())).count(::getpid()), 1u);
  }
}

TEST(ProcessTable, WithoutProc) {
  ProcessTable table("/nonexistent");
  std::vector<NotRead> not_read;
  table.scan([](std::uint64_t, std::uint32_t) { return true; }, not_read);
  EXPECT_TRUE(table.processes().empty());
  ASSERT_EQ(not_read.size(), 1u);
  EXPECT_EQ(not_read[0].what, "processes");
}

// An ordinary user: other people's descriptors are closed, which is said; their number is known.
TEST(ProcessTable, AnotherUserSeesLessAndSaysSo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a second user";
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  const std::uint64_t inode = inode_of(socket.get());
  const pid_t root = ::getpid();
  const Neighbour neighbour([&] {
    socket.get();
    ASSERT_EQ(::close(socket.get()), 0);
    ASSERT_EQ(::setresgid(65534, 65534, 65534), 0);
    ASSERT_EQ(::setresuid(65534, 65534, 65534), 0);
    ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 1), 0);
    const UniqueFd mine(::socket(AF_INET, SOCK_STREAM, 0));
    const auto s = scan();
    EXPECT_EQ(pids_of(*s, inode_of(mine.get())), (std::set<std::int32_t>{::getpid()}));
    EXPECT_TRUE(pids_of(*s, inode).empty());
    EXPECT_GT(s->table.closed_to_us(), 0u);
    ASSERT_FALSE(s->not_read.empty());
    EXPECT_NE(s->not_read[0].what.find(std::to_string(s->table.closed_to_us()) + " process"),
              std::string::npos);
    EXPECT_EQ(s->not_read[0].why, "Permission denied");
    EXPECT_EQ(s->not_read[0].mend, "run as root");
    // What everybody may read is there.
    const std::uint32_t index = index_of(s->table, root);
    ASSERT_TRUE(s->table.load_details(index));
    EXPECT_FALSE(s->table.processes()[index].command.empty());
    EXPECT_EQ(s->table.processes()[index].net_namespace, 0u);
    struct stat status {};
    if (::stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
      EXPECT_GT(s->table.processes()[index].descriptors, 0u);
    }
  });
}

TEST(ProcessTable, SaysWhenProcHidesProcesses) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a second user";
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("proc", "/proc", "proc", 0, "hidepid=2") != 0) {
      GTEST_SKIP() << "no private mounts";
    }
    const Neighbour neighbour([] {
      ASSERT_EQ(::setresgid(65534, 65534, 65534), 0);
      ASSERT_EQ(::setresuid(65534, 65534, 65534), 0);
      ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 1), 0);
      const auto s = scan();
      EXPECT_EQ(s->table.processes().size(), 1u);
      ASSERT_EQ(s->not_read.size(), 1u);
      EXPECT_EQ(s->not_read[0].what, "processes of other users");
      EXPECT_NE(s->not_read[0].why.find("/proc is mounted with hidepid="), std::string::npos)
          << s->not_read[0].why;
    });
  });
}

}  // namespace
}  // namespace lastack
