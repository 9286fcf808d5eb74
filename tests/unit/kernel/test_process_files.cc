#include "kernel/process_files.h"

#include <gtest/gtest.h>

#include "captured_text.h"

namespace lastack {
namespace {

constexpr std::string_view kLimits =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max cpu time              unlimited            unlimited            seconds   \n"
    "Max processes             23916                23916                processes \n"
    "Max open files            20000                524288               files     \n"
    "Max locked memory         8388608              8388608              bytes     \n";

TEST(Limits, SoftLimitOfOpenFiles) {
  EXPECT_EQ(parse_limits(kLimits), 20000u);
  EXPECT_EQ(
      parse_limits("Max open files            unlimited            unlimited            files\n"),
      kMostCount);
}

TEST(Limits, NothingWhereThereIsNone) {
  EXPECT_FALSE(parse_limits("").has_value());
  EXPECT_FALSE(parse_limits("Max processes  5 6 processes\n").has_value());
  EXPECT_FALSE(parse_limits("Max open files -1 5 files\n").has_value());
  EXPECT_FALSE(parse_limits("Max open files 99999999999999999999 5 files\n").has_value());
}

TEST(Limits, CutTextGivesNoOtherNumber) {
  with_every_truncation(kLimits, [](std::string_view text) {
    const auto limit = parse_limits(text);
    EXPECT_TRUE(!limit || *limit == 20000u) << text;
  });
}

struct Cgroup {
  const char* text;
  const char* unit;
  const char* container;
};

class CgroupPaths : public ::testing::TestWithParam<Cgroup> {};

TEST_P(CgroupPaths, GiveUnitAndContainer) {
  Process process;
  const bool found = parse_cgroup(GetParam().text, process);
  EXPECT_EQ(process.unit, GetParam().unit);
  EXPECT_EQ(process.container, GetParam().container);
  EXPECT_EQ(found, !process.unit.empty() || !process.container.empty());
}

#define HEX64 "4f2d0c1b9a8e7f6d5c4b3a29180716253443526170ffeeddccbbaa9988776655"

INSTANTIATE_TEST_SUITE_P(
    All, CgroupPaths,
    ::testing::Values(
        // Version 2, systemd.
        Cgroup{"0::/system.slice/nginx.service\n", "nginx.service", ""},
        Cgroup{"0::/user.slice/user-1000.slice/session-4.scope\n", "session-4.scope", ""},
        Cgroup{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n",
               "web.service", ""},
        Cgroup{"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
               "postgresql@15-main.service", ""},
        Cgroup{"0::/init.scope\n", "init.scope", ""}, Cgroup{"0::/\n", "", ""},
        // Containers.
        Cgroup{"0::/system.slice/docker-" HEX64 ".scope\n", "", "4f2d0c1b9a8e"},
        Cgroup{"0::/../../docker/" HEX64 "\n", "", "4f2d0c1b9a8e"},
        Cgroup{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_34.slice/"
               "cri-containerd-" HEX64 ".scope\n",
               "", "4f2d0c1b9a8e"},
        Cgroup{"0::/kubepods/besteffort/pod6f1c/" HEX64 "\n", "", "4f2d0c1b9a8e"},
        Cgroup{"0::/kubepods.slice/crio-" HEX64 ".scope/container\n", "", "4f2d0c1b9a8e"},
        Cgroup{"0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:" HEX64 "\n",
               "", "4f2d0c1b9a8e"},
        Cgroup{"0::/machine.slice/libpod-" HEX64 ".scope/container\n", "", "4f2d0c1b9a8e"},
        Cgroup{"0::/machine.slice/libpod-payload-" HEX64 "\n", "", "4f2d0c1b9a8e"},
        Cgroup{"0::/lxc/web\n", "", "web"},
        Cgroup{"0::/lxc.payload.web/init.scope\n", "init.scope", "web"},
        // A service inside a container, and what watches over one from outside.
        Cgroup{"0::/docker/" HEX64 "/system.slice/cron.service\n", "cron.service", "4f2d0c1b9a8e"},
        Cgroup{"0::/machine.slice/libpod-conmon-" HEX64 ".scope\n", "libpod-conmon-" HEX64 ".scope",
               ""},
        // Version 1: many lines, of which systemd's own names the unit.
        Cgroup{"9:name=systemd:/system.slice/redis.service\n8:pids:/system.slice/redis.service\n"
               "4:memory:/other.slice/other.service\n0::/\n",
               "redis.service", ""},
        Cgroup{"4:memory:/other.slice/other.service\n1:name=systemd:/system.slice/redis.service\n",
               "redis.service", ""},
        Cgroup{"3:cpu,cpuacct:/docker/" HEX64 "\n1:name=systemd:/docker/" HEX64 "\n", "",
               "4f2d0c1b9a8e"},
        // Not containers: too short, not hexadecimal, or a scope of systemd-run.
        Cgroup{"0::/user.slice/run-r0123456789abcdef0123456789abcdef.scope\n",
               "run-r0123456789abcdef0123456789abcdef.scope", ""},
        Cgroup{"0::/docker/short\n", "", ""},
        Cgroup{"0::/docker-cafe.scope\n", "docker-cafe.scope", ""},
        Cgroup{"0::/x.service/docker-" HEX64 "0.scope\n", "docker-" HEX64 "0.scope", ""},
        // Nonsense.
        Cgroup{"", "", ""}, Cgroup{"\n:\n::\n", "", ""}, Cgroup{"0:/no.service", "", ""},
        Cgroup{"0::/.service\n", "", ""}, Cgroup{"0::/a\x1b[2Jb.service\n", "a?[2Jb.service", ""}));

TEST(Cgroups, OverlongNamesAreCut) {
  Process process;
  EXPECT_TRUE(parse_cgroup("0::/lxc/" + std::string(5000, 'a') + "\n", process));
  EXPECT_EQ(process.container.size(), 128u);
}

TEST(Stat, ReadsPidCommandAndParent) {
  Process process;
  ASSERT_TRUE(parse_stat("4711 (nginx) S 17 4711 4711 0 -1 4194560 1 2\n", process));
  EXPECT_EQ(process.pid, 4711);
  EXPECT_EQ(process.parent, 17);
  EXPECT_EQ(process.command, "nginx");
}

TEST(Stat, ACommandMayLookLikeTheRestOfTheLine) {
  Process process;
  ASSERT_TRUE(parse_stat("12 (a) S 1 (b c) R 34 12 12 0\n", process));
  EXPECT_EQ(process.command, "a) S 1 (b c");
  EXPECT_EQ(process.parent, 34);
  ASSERT_TRUE(parse_stat("12 () R 34 12\n", process));
  EXPECT_EQ(process.command, "");
  ASSERT_TRUE(parse_stat("12 (\x1b]0;x\n) R 34 12\n", process));
  EXPECT_EQ(process.command, "?]0;x?");
}

TEST(Stat, RefusesWhatIsMalformed) {
  for (const char* text :
       {"", "12", "12 (a", "12 )a( S 1 2", "x (a) S 1 2", "12 (a) S x 2", "-1 (a) S 1 2",
        "0 (a) S 1 2", "12 (a) S -1 2", "12 (a)", "99999999999 (a) S 1 2"}) {
    Process process;
    EXPECT_FALSE(parse_stat(text, process)) << text;
    EXPECT_EQ(process, Process{}) << text;
  }
}

TEST(Stat, CutTextGivesNoOtherParent) {
  with_every_truncation("4711 (nginx) S 1234 4711 4711 0 -1\n", [](std::string_view text) {
    Process process;
    if (!parse_stat(text, process)) return;
    EXPECT_EQ(process.parent, 1234) << text;
  });
}

TEST(Status, EffectiveUser) {
  EXPECT_EQ(parse_status_uid("Name:\tx\nUid:\t1000\t33\t1000\t1000\nGid:\t5\t5\t5\t5\n"), 33u);
  EXPECT_FALSE(parse_status_uid("Name:\tx\n").has_value());
  EXPECT_FALSE(parse_status_uid("Uid:\t1000\n").has_value());
  EXPECT_FALSE(parse_status_uid("Uid:\t1000\t3").has_value());
  EXPECT_FALSE(parse_status_uid("Uid:\t1000\t-3\t1\t1\n").has_value());
}

TEST(Cmdline, BlanksBetweenArguments) {
  EXPECT_EQ(parse_cmdline(std::string_view("redis-server\0--port\0006379\0", 26)),
            "redis-server --port 6379");
  EXPECT_EQ(parse_cmdline(""), "");
  EXPECT_EQ(parse_cmdline(std::string_view("\0\0\0", 3)), "");
  EXPECT_EQ(parse_cmdline("nginx: worker process\n"), "nginx: worker process?");
}

TEST(Cmdline, IsCutAt256BytesButNotWithinACharacter) {
  EXPECT_EQ(parse_cmdline(std::string(5000, 'a')).size(), 256u);
  const std::string text = std::string(255, 'a') + "\xc3\xa9" + std::string(100, 'b');
  EXPECT_EQ(parse_cmdline(text), std::string(255, 'a'));
}

TEST(InodeLink, KindAndNumber) {
  EXPECT_EQ(parse_inode_link("socket:[12345]", "socket"), 12345u);
  EXPECT_EQ(parse_inode_link("net:[4026531833]", "net"), 4026531833u);
  EXPECT_EQ(parse_inode_link("socket:[18446744073709551615]", "socket"), UINT64_MAX);
  for (const char* link :
       {"", "socket", "socket:", "socket:[", "socket:[]", "socket:[12", "socket:12]",
        "socket:[12]x", "socket:[-1]", "socket:[18446744073709551616]", "pipe:[12]",
        "/tmp/socket:[12]", "socket:[1 2]"}) {
    EXPECT_FALSE(parse_inode_link(link, "socket").has_value()) << link;
  }
}

TEST(Hidepid, FoundInTheOptionsOfTheMount) {
  const std::string root = "20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n";
  EXPECT_EQ(parse_hidepid(root + "22 20 0:21 / /proc rw,nosuid - proc proc rw\n"), "");
  EXPECT_EQ(parse_hidepid(root + "22 20 0:21 / /proc rw,nosuid - proc proc rw,hidepid=2\n"),
            "hidepid=2");
  EXPECT_EQ(parse_hidepid(
                "22 20 0:21 / /proc rw shared:9 master:3 - proc none rw,gid=4,hidepid=invisible"),
            "hidepid=invisible");
  EXPECT_EQ(parse_hidepid("22 20 0:21 / /proc rw - proc proc rw,hidepid=0\n"), "");
  EXPECT_EQ(parse_hidepid("22 20 0:21 / /proc rw - proc proc rw,hidepid=off\n"), "");
  EXPECT_EQ(parse_hidepid("22 20 0:21 / /proc/x rw - proc proc rw,hidepid=2\n"), "");
  EXPECT_EQ(parse_hidepid("22 20 0:21 / /mnt rw - proc proc rw,hidepid=2\n"), "");
  // The mount that is on top counts.
  EXPECT_EQ(parse_hidepid("22 20 0:21 / /proc rw - proc proc rw,hidepid=2\n"
                          "30 22 0:29 / /proc rw - proc proc rw\n"),
            "");
  EXPECT_EQ(parse_hidepid("22 20 0:21 / /proc rw - tmpfs proc rw,hidepid=2\n"), "");
}

TEST(ProcessFiles, CutAndSpoiltTextIsSurvived) {
  const std::string cgroup = "4:memory:/a/docker-" HEX64 ".scope/x.service\n0::/lxc/web\n";
  const std::string mountinfo =
      "22 20 0:21 / /proc rw shared:9 - proc none rw,gid=4,hidepid=invisible\n";
  const std::string stat = "4711 (ng(in)x) S 1234 4711 4711 0 -1\n";
  const auto use = [](std::string_view text) {
    Process process;
    parse_cgroup(text, process);
    parse_stat(text, process);
    parse_limits(text);
    parse_status_uid(text);
    parse_hidepid(text);
    parse_cmdline(text);
  };
  for (const std::string& text : {cgroup, mountinfo, stat, std::string(kLimits)}) {
    with_every_truncation(text, use);
    with_every_byte_spoilt(text, use);
  }
}

}  // namespace
}  // namespace lastack
