// Finding network namespaces, entering them and coming back, on the running kernel.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <utility>

#include "kernel/namespaces.h"
#include "kernel/proc_net.h"
#include "kernel/settings_read.h"
#include "private_test.h"

namespace lastack {
namespace {

std::uint64_t own_inode() {
  struct stat status {};
  EXPECT_EQ(::stat("/proc/thread-self/ns/net", &status), 0);
  return status.st_ino;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

void unshare_network() {
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
}

void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  ASSERT_EQ(::syscall(SYS_capset, &header, none.data()), 0);
}

std::vector<NamespaceRef> find(const LookOptions& options, const NamespacePlaces& places = {}) {
  std::vector<NotRead> not_read;
  auto refs = find_namespaces(options, not_read, places);
  EXPECT_TRUE(refs.has_value()) << (refs ? "" : refs.error().message);
  return refs ? std::move(*refs) : std::vector<NamespaceRef>{};
}

LookOptions of_process(pid_t pid) {
  LookOptions options;
  options.pids.push_back(pid);
  return options;
}

TEST(FindNamespaces, OnesOwnNeedsNothing) {
  const auto refs = find({});
  ASSERT_EQ(refs.size(), 1u);
  EXPECT_EQ(refs[0].inode, own_inode());
  EXPECT_FALSE(refs[0].name.empty());
  const auto scope = NamespaceScope::enter(refs[0]);
  EXPECT_TRUE(scope.has_value());
}

TEST(FindNamespaces, APrivateOneIsNotTheHosts) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    const auto refs = find({});
    ASSERT_EQ(refs.size(), 1u);
    EXPECT_EQ(refs[0].inode, own_inode());
    EXPECT_FALSE(refs[0].is_host);
    EXPECT_NE(refs[0].name, "host");
  });
}

TEST(FindNamespaces, OfAProcessAndNamedAfterIt) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Neighbour neighbour([] {
      unshare_network();
      ::prctl(PR_SET_NAME, "quiet (one) x");
    });
    const auto refs = find(of_process(neighbour.pid()));
    ASSERT_EQ(refs.size(), 1u);
    EXPECT_NE(refs[0].inode, own_inode());
    EXPECT_EQ(refs[0].pid, neighbour.pid());
    EXPECT_FALSE(refs[0].is_host);
    EXPECT_FALSE(refs[0].name.empty());
  });
}

TEST(FindNamespaces, EachOnceHoweverOftenItIsNamed) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Neighbour neighbour(unshare_network);
    LookOptions options = of_process(neighbour.pid());
    options.pids.push_back(neighbour.pid());
    options.namespaces.push_back("/proc/" + std::to_string(neighbour.pid()) + "/ns/net");
    EXPECT_EQ(find(options).size(), 1u);
    options.pids.push_back(::getpid());
    EXPECT_EQ(find(options).size(), 2u);
  });
}

TEST(FindNamespaces, AllOfThem) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Neighbour one(unshare_network);
    Neighbour two(unshare_network);
    LookOptions options;
    options.all_namespaces = true;
    const auto refs = find(options);
    const auto has = [&](std::uint64_t inode) {
      return std::ranges::count(refs, inode, &NamespaceRef::inode) == 1;
    };
    EXPECT_TRUE(has(own_inode()));
    EXPECT_TRUE(has(find(of_process(one.pid()))[0].inode));
    EXPECT_TRUE(has(find(of_process(two.pid()))[0].inode));
    for (const NamespaceRef& ref : refs) {
      EXPECT_EQ(std::ranges::count(refs, ref.inode, &NamespaceRef::inode), 1);
      EXPECT_EQ(std::ranges::count(refs, ref.name, &NamespaceRef::name), 1) << ref.name;
    }
    EXPECT_TRUE(std::ranges::is_partitioned(refs, &NamespaceRef::is_host));  // the host's first
  });
}

TEST(FindNamespaces, NoSuchProcess) {
  std::vector<NotRead> not_read;
  const auto refs = find_namespaces(of_process(0x7ffffff0), not_read);
  ASSERT_FALSE(refs.has_value());
  EXPECT_EQ(refs.error().message, "there is no process 2147483632");
}

TEST(FindNamespaces, AFileThatIsNoNetworkNamespace) {
  for (const char* path : {"/proc/self/ns/mnt", "/dev/null", "/proc/version", "/proc"}) {
    LookOptions options;
    options.namespaces.emplace_back(path);
    std::vector<NotRead> not_read;
    const auto refs = find_namespaces(options, not_read);
    ASSERT_FALSE(refs.has_value()) << path;
    EXPECT_EQ(refs.error().message, std::string(path) + " is not a network namespace");
  }
}

// What `ip netns add` does, in a mount namespace of our own.
TEST(FindNamespaces, ByTheNameThatIpNetnsGaveIt) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "no private mounts";
    ASSERT_EQ(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) /
                                         ("lastack-netns-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    ASSERT_EQ(::mount("none", folder.c_str(), "tmpfs", 0, nullptr), 0);
    NamespacePlaces places;
    places.netns = folder;
    LookOptions web;
    web.namespaces.emplace_back("web");
    std::vector<NotRead> not_read;

    auto refs = find_namespaces(web, not_read, places);
    ASSERT_FALSE(refs.has_value());
    EXPECT_NE(refs.error().message.find("`ip netns` has made none"), std::string::npos);

    write_text(folder / "stale", "");  // as `ip netns` leaves it after a reboot of its mounts
    write_text(folder / "web", "");
    Neighbour neighbour(unshare_network);
    const std::string file = "/proc/" + std::to_string(neighbour.pid()) + "/ns/net";
    ASSERT_EQ(::mount(file.c_str(), (folder / "web").c_str(), nullptr, MS_BIND, nullptr), 0);
    const std::uint64_t inode = find(of_process(neighbour.pid()))[0].inode;

    const auto named = find(web, places);
    ASSERT_EQ(named.size(), 1u);
    EXPECT_EQ(named[0].name, "web");
    EXPECT_EQ(named[0].inode, inode);
    EXPECT_TRUE(NamespaceScope::enter(named[0]).has_value());
    // The name goes before that of a process.
    EXPECT_EQ(find(of_process(neighbour.pid()), places)[0].name, "web");
    LookOptions by_path;
    by_path.namespaces.push_back(folder / "web");
    EXPECT_EQ(find(by_path, places)[0].name, "web");

    LookOptions db;
    db.namespaces.emplace_back("db");
    refs = find_namespaces(db, not_read, places);
    ASSERT_FALSE(refs.has_value());
    EXPECT_EQ(refs.error().message, "there is no network namespace \"db\"; there are stale, web");
    LookOptions stale;
    stale.namespaces.emplace_back("stale");
    EXPECT_FALSE(find_namespaces(stale, not_read, places).has_value());

    LookOptions all;
    all.all_namespaces = true;
    not_read.clear();
    refs = find_namespaces(all, not_read, places);
    ASSERT_TRUE(refs.has_value());
    EXPECT_EQ(std::ranges::count(*refs, "web", &NamespaceRef::name), 1);
    EXPECT_EQ(std::ranges::count(not_read, "network namespace stale", &NotRead::what), 1);
    // It lives on without its process, and then only the name leads to it.
    neighbour.end();
    refs = find_namespaces(all, not_read, places);
    ASSERT_TRUE(refs.has_value());
    EXPECT_EQ(std::ranges::count(*refs, inode, &NamespaceRef::inode), 1);
    ASSERT_EQ(::umount2((folder / "web").c_str(), MNT_DETACH), 0);
    ASSERT_EQ(::umount2(folder.c_str(), MNT_DETACH), 0);
    std::filesystem::remove(folder);
  });
}

TEST(NamespaceScope, ReadsThereAndComesBack) {
  NamespaceOptions here;
  here.sysctls = {{"net.ipv4.ip_local_port_range", "30000 30100"}};
  RUN_IN_PRIVATE_NAMESPACE(here, [] {
    Neighbour neighbour([] {
      unshare_network();
      write_text("/proc/sys/net/ipv4/ip_local_port_range", "20000 20100");
      write_text("/proc/sys/net/ipv4/ip_local_reserved_ports", "20010-20019");
      write_text("/proc/sys/net/ipv4/tcp_fin_timeout", "17");
    });
    const std::uint64_t home = own_inode();
    const auto refs = find(of_process(neighbour.pid()));
    ASSERT_EQ(refs.size(), 1u);
    const auto range_here = [] {
      Settings settings;
      std::vector<NotRead> not_read;
      read_settings(settings, not_read);
      EXPECT_TRUE(not_read.empty());
      return settings;
    };
    {
      auto scope = NamespaceScope::enter(refs[0]);
      ASSERT_TRUE(scope.has_value()) << scope.error().message;
      EXPECT_EQ(own_inode(), refs[0].inode);
      const NamespaceScope moved = std::move(*scope);  // and only one of the two comes back
      const Settings there = range_here();
      EXPECT_EQ(there.ip_local_port_range, (PortRange{20000, 20100}));
      EXPECT_EQ(there.ip_local_reserved_ports.to_string(), "20010-20019");
      EXPECT_EQ(there.tcp_fin_timeout, 17);
    }
    EXPECT_EQ(own_inode(), home);
    EXPECT_EQ(range_here().ip_local_port_range, (PortRange{30000, 30100}));
    EXPECT_EQ(range_here().tcp_fin_timeout, 60);
  });
}

TEST(NamespaceScope, OneWithinTheOther) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Neighbour one(unshare_network);
    Neighbour two(unshare_network);
    const auto first = find(of_process(one.pid()))[0];
    const auto second = find(of_process(two.pid()))[0];
    const std::uint64_t home = own_inode();
    {
      const auto outer = NamespaceScope::enter(first);
      ASSERT_TRUE(outer.has_value());
      {
        const auto inner = NamespaceScope::enter(second);
        ASSERT_TRUE(inner.has_value());
        EXPECT_EQ(own_inode(), second.inode);
      }
      EXPECT_EQ(own_inode(), first.inode);
    }
    EXPECT_EQ(own_inode(), home);
  });
}

TEST(NamespaceScope, OneThatHasGoneIsAnOrdinaryError) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Neighbour neighbour(unshare_network);
    auto ref = find(of_process(neighbour.pid()))[0];
    const std::uint64_t home = own_inode();
    neighbour.end();
    const auto scope = NamespaceScope::enter(ref);
    ASSERT_FALSE(scope.has_value());
    EXPECT_EQ(scope.error().number, ENOENT);
    // Its process id is another process's by now, in another namespace.
    ref.path = "/proc/thread-self/ns/net";
    const auto again = NamespaceScope::enter(ref);
    ASSERT_FALSE(again.has_value());
    EXPECT_NE(again.error().message.find("has gone"), std::string::npos);
    EXPECT_EQ(own_inode(), home);
  });
}

TEST(NamespaceScope, WithoutTheRightItSaysWhichOneIsMissing) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Neighbour neighbour(unshare_network);
    const auto other = find(of_process(neighbour.pid()))[0];
    const auto own = find({})[0];
    // A file that stays open to everybody, as those of /run/netns are.
    const int kept = ::open(other.path.c_str(), O_RDONLY);
    ASSERT_GE(kept, 0);
    NamespaceRef open_to_all = other;
    open_to_all.path = "/proc/self/fd/" + std::to_string(kept);
    const std::uint64_t home = own_inode();
    drop_capabilities();

    const auto scope = NamespaceScope::enter(open_to_all);
    ASSERT_FALSE(scope.has_value());
    EXPECT_EQ(scope.error().number, EPERM);
    EXPECT_NE(scope.error().message.find("CAP_SYS_ADMIN"), std::string::npos)
        << scope.error().message;
    EXPECT_TRUE(NamespaceScope::enter(own).has_value());
    EXPECT_EQ(own_inode(), home);
  });
}

// Another user's process: its namespace has no number for us and cannot be entered, but its tables can
// be read.
TEST(FindNamespaces, OfAnotherUsersProcess) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a second user";
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    Neighbour neighbour([] {
      unshare_network();
      ::prctl(PR_SET_NAME, "theirs");
    });
    ASSERT_EQ(::setresuid(65534, 65534, 65534), 0);
    ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 1), 0);
    const auto refs = find(of_process(neighbour.pid()));
    ASSERT_EQ(refs.size(), 1u);
    EXPECT_EQ(refs[0].inode, 0u);
    EXPECT_EQ(refs[0].pid, neighbour.pid());
    EXPECT_FALSE(refs[0].name.empty());
    const auto scope = NamespaceScope::enter(refs[0]);
    ASSERT_FALSE(scope.has_value());
    EXPECT_EQ(scope.error().number, EACCES);
    Counters counters;
    SocketTotals totals;
    std::vector<NotRead> not_read;
    EXPECT_TRUE(
        read_counters("/proc/" + std::to_string(refs[0].pid) + "/net", counters, totals, not_read));
    // And all that can be seen, with a word about what cannot.
    LookOptions all;
    all.all_namespaces = true;
    not_read.clear();
    const auto seen = find_namespaces(all, not_read);
    ASSERT_TRUE(seen.has_value());
    EXPECT_EQ(std::ranges::count(*seen, own_inode(), &NamespaceRef::inode), 1);
    const auto said = std::ranges::find_if(
        not_read, [](const NotRead& n) { return n.what.starts_with("network namespaces of "); });
    ASSERT_NE(said, not_read.end());
    EXPECT_EQ(said->mend, "run as root");
  });
}

// In a user namespace one may be allowed to enter a namespace, and not to come back from it.
TEST(NamespaceScope, DoesNotGoWhereThereIsNoWayBack) {
  RUN_IN_PRIVATE_NAMESPACE({}, [] {
    if (::unshare(CLONE_NEWUSER) != 0) GTEST_SKIP() << "no user namespace within";
    Neighbour neighbour(unshare_network);
    const auto refs = find(of_process(neighbour.pid()));
    ASSERT_EQ(refs.size(), 1u);
    const std::uint64_t home = own_inode();
    ASSERT_NE(refs[0].inode, home);
    const auto scope = NamespaceScope::enter(refs[0]);
    ASSERT_FALSE(scope.has_value());
    EXPECT_EQ(scope.error().number, EPERM);
    EXPECT_NE(scope.error().message.find("come back"), std::string::npos) << scope.error().message;
    EXPECT_EQ(own_inode(), home);
    // Its tables can be read all the same, through its process.
    Counters counters;
    SocketTotals totals;
    std::vector<NotRead> not_read;
    EXPECT_TRUE(read_counters("/proc/" + std::to_string(neighbour.pid()) + "/net", counters, totals,
                              not_read));
  });
}

}  // namespace
}  // namespace lastack
