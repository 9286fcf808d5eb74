// A bundle may be anything at all: the answer is a message that says where, in bounded memory.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle/decode.h"
#include "bundle/encode.h"
#include "bundle/gzip.h"
#include "lastack/bundle.h"
#include "random_observation.h"
#include "watched.h"

namespace lastack {
namespace {

std::string message_for(std::string_view bytes) {
  const auto read = from_bundle(bytes);
  return read ? "accepted" : read.error().message;
}

// A bundle around one part.
std::string bundle(const std::string& now) {
  return R"({"format":"lastack-bundle","version":1,"now":)" + now + "}";
}
std::string host(const std::string& more) {
  return bundle(R"({"hostname":"h","kernel":"6.18","wall_time_ns":0,)" + more + "}");
}
std::string space(const std::string& more) {
  return host(R"("processes":[{"pid":1,"command":"x"}],"namespaces":[{"name":"host","at_ns":0,
    "sockets_read":true,"counters_read":true,)" +
              more + "}]");
}
std::string settings(const std::string& inside) {
  return space(R"("counters":{},"totals":{},"sockets":{"states":{}},"settings":)" + inside);
}
std::string counters(const std::string& inside) {
  return space(R"("settings":{},"totals":{},"sockets":{"states":{}},"counters":)" + inside);
}
std::string census(const std::string& more) {
  return space(R"("settings":{},"counters":{},"totals":{},"sockets":{"states":{"FIN_WAIT_2":2},)" +
               more + "}");
}
std::string destination(const std::string& more) {
  return census(
      R"("destinations":[{"states":{},"source":"10.0.0.1","remote":{"address":"10.0.0.2","port":80},)" +
      more + "}]");
}

TEST(Hostile, TheFramesOfTheseTestsAreGood) {
  EXPECT_EQ(message_for(settings("{}")), "accepted");
  EXPECT_EQ(message_for(counters("{}")), "accepted");
  EXPECT_EQ(message_for(census(R"("interrupted":false)")), "accepted");
  EXPECT_EQ(message_for(destination(R"("ports_held":1)")), "accepted");
}

struct Case {
  std::string bytes;
  std::string message;
};

TEST(Hostile, NotABundle) {
  const Case cases[] = {
      {"", "empty"},
      {" \n", "empty"},
      {"\x1f\x8b", "the compressed data end early: the file is truncated"},
      {"\x1f\x8b not gzip at all", "damaged compressed data: unknown compression method"},
      {"BZh91AY&SY", "not a bundle: neither gzip nor JSON"},
      {"[]", "not a bundle: neither gzip nor JSON"},
      {gzip("[]"), "not a bundle: not a JSON object"},
      {gzip(""),
       "not JSON, at byte 1: syntax error while parsing value - unexpected end of input; "
       "expected '[', '{', or a literal"},
      {"{}", "not a bundle: no \"format\" in it"},
      {R"({"format":1})", "not a bundle: no \"format\" in it"},
      {R"({"format":"tar"})", "not a bundle: its \"format\" is not lastack-bundle"},
      {R"({"format":"lastack-diagnosis","version":1})",
       "this is a diagnosis (lastack doctor --json), not a bundle (lastack snapshot)"},
      {R"({"format":"lastack-bundle"})", "version: not a whole number from 1"},
      {R"({"format":"lastack-bundle","version":0})", "version: not a whole number from 1"},
      {R"({"format":"lastack-bundle","version":"1"})", "version: not a whole number from 1"},
      {R"({"format":"lastack-bundle","version":1.5})", "version: not a whole number from 1"},
      {R"({"format":"lastack-bundle","version":2,"now":"whatever that will mean"})",
       "a bundle of version 2; this lastack reads up to version 1: use the lastack that wrote it, or a newer one"},
      {R"({"format":"lastack-bundle","version":1})", "now: missing"},
  };
  for (const Case& c : cases) EXPECT_EQ(message_for(c.bytes), c.message) << c.bytes;
}

TEST(Hostile, NothingIsHiddenBehindANul) {
  EXPECT_EQ(message_for(std::string("{\0}", 3)), "a NUL character at byte 1");
  const std::string good = bundle("{}");
  EXPECT_EQ(message_for(good + std::string("\0{{{", 4)),
            "a NUL character at byte " + std::to_string(good.size()));
}

TEST(Hostile, MoreThanALiveLookEverKeeps) {
  std::string lines;
  for (int i = 0; i < 1025; ++i) lines += R"({"file":"","line":1,"name":"","value":""},)";
  lines.pop_back();
  EXPECT_EQ(message_for(host("\"namespaces\":[],\"sysctl_lines\":[" + lines + "]")),
            "now.sysctl_lines: more than 1024");
  EXPECT_EQ(message_for(host("\"namespaces\":[],\"not_read\":[{\"what\":\"" +
                             std::string(4097, 'x') + "\"}]")),
            "now.not_read[0].what: longer than 4,096 bytes");
}

TEST(Hostile, NotJson) {
  const std::string good = bundle("{}");
  for (const std::string& bad :
       {good + "x", good + good, good.substr(0, good.size() - 1), std::string("{"),
        std::string("{\"a\":1,}"), std::string("{\"a\":01}"), std::string("{\"a\":1e999}"),
        std::string("{\"a\":\"\xff\"}"), std::string("{\"a\":\"\\ud800\"}"),
        std::string("{\"a\":\"\x01\"}"), std::string("{\"a\":NaN}")}) {
    EXPECT_EQ(message_for(bad).substr(0, 18), "not JSON, at byte ")
        << bad << ": " << message_for(bad);
  }
  // Messages are shown on terminals.
  const std::string message = message_for("{\"\x1b]0;title\x07\xc2\x9b\":\x1b[31m}");
  for (char c : message) EXPECT_TRUE(c >= ' ' && c <= '~') << message;
}

TEST(Hostile, WrongTypesAndValuesNameThePlace) {
  const std::string where = "now.namespaces[0].";
  const Case cases[] = {
      {bundle("[]"), "now: not an object"},
      {bundle("{}"), "now.hostname: missing"},
      {host(R"("namespaces":{})"), "now.namespaces: not an array"},
      {host(R"("namespaces":[0])"), "now.namespaces[0]: not an object"},
      {host(R"("namespaces":[{}])"), "now.namespaces[0].name: missing"},
      {host(R"("namespaces":[],"hostname":"again")"), "now.hostname: given twice"},
      {host(R"("namespaces":[],"page_size":-1)"),
       "now.page_size: not a whole number between 0 and 9007199254740992"},
      {host(R"("namespaces":[],"page_size":18446744073709551616)"),
       "now.page_size: not a whole number between 0 and 9007199254740992"},
      {host(R"("namespaces":[],"page_size":1.0)"),
       "now.page_size: not a whole number between 0 and 9007199254740992"},
      {host(R"("namespaces":[],"page_size":"1")"),
       "now.page_size: not a whole number between 0 and 9007199254740992"},
      {host(R"("namespaces":[],"page_size":true)"),
       "now.page_size: not a whole number between 0 and 9007199254740992"},
      {host(R"("namespaces":[],"tcp_mem_pages":[1,2])"), "now.tcp_mem_pages: not an array of 3"},
      {host(R"("namespaces":[],"tcp_mem_pages":[1,2,null])"),
       "now.tcp_mem_pages[2]: not a whole number between 0 and 9007199254740992"},
      {host(R"("namespaces":[],"not_read":[{"what":7}])"), "now.not_read[0].what: not a string"},
      {host(R"("namespaces":[],"not_read":[{"what":{"bytes":"€"}}])"),
       "now.not_read[0].what.bytes: a character above U+00FF, which is no byte"},
      {host(R"("namespaces":[],"processes":[{"pid":2147483648,"command":"x"}])"),
       "now.processes[0].pid: not a whole number between 0 and 2147483647"},
      {host(R"("namespaces":[],"processes":[{"pid":-1,"command":"x"}])"),
       "now.processes[0].pid: not a whole number between 0 and 2147483647"},
      {host(R"("namespaces":[],"wall_time_ns":1e3)"), "now.wall_time_ns: given twice"},
      {space(R"("settings":{})"), where + "counters: missing"},
      {space(R"("at_ns":1)"), where + "at_ns: given twice"},
      {settings(R"({"tcp_tw_reuse":"2"})"),
       where + "settings.tcp_tw_reuse: not a whole number between -2147483648 and 4294967295"},
      {settings(R"({"tcp_tw_reuse":4294967296})"),
       where + "settings.tcp_tw_reuse: not a whole number between -2147483648 and 4294967295"},
      {settings(R"({"tcp_tw_reuse":1,"tcp_tw_reuse":2})"),
       where + "settings.tcp_tw_reuse: given twice"},
      {settings(R"({"ip_local_port_range":[2,1]})"),
       where + "settings.ip_local_port_range: a range that ends before it starts"},
      {settings(R"({"ip_local_port_range":[1,65536]})"),
       where + "settings.ip_local_port_range[1]: not a whole number between 0 and 65535"},
      {settings(R"({"ip_local_reserved_ports":"80,65536"})"),
       where + "settings.ip_local_reserved_ports: not a list of ports such as \"8080,9100-9110\""},
      {counters(R"({"TW":-1})"),
       where + "counters.TW: not a whole number between 0 and 9007199254740992"},
      {counters(R"({"TW":1,"TW":1})"), where + "counters.TW: given twice"},
      {census(R"("interrupted":1)"), where + "sockets.interrupted: neither true nor false"},
      {census(R"("compact_fin_wait_2":3)"),
       where + "sockets.compact_fin_wait_2: more than are in FIN_WAIT_2"},
      {destination(R"("ports_held":1048577)"),
       where + "sockets.destinations[0].ports_held: not a whole number between 0 and 1048576"},
      {destination(R"("compact_fin_wait_2":1)"),
       where + "sockets.destinations[0].compact_fin_wait_2: more than are in FIN_WAIT_2"},
      {destination(R"("mean_age_first_parity_ns":9223372036854775807)"),
       where +
           "sockets.destinations[0].mean_age_first_parity_ns: not a whole number between 0 and 3000000000000000000"},
      {destination(R"("closes":{"bins":[]})"),
       where + "sockets.destinations[0].closes.width_ns: missing"},
      {destination(R"("closes":{"width_ns":0,"bins":[]})"),
       where + "sockets.destinations[0].closes.width_ns: not between 1 ns and an hour"},
      {destination(R"("closes":{"width_ns":3600000000001,"bins":[]})"),
       where + "sockets.destinations[0].closes.width_ns: not between 1 ns and an hour"},
      {destination(R"("closes":{"width_ns":1,"bins":[4294967296]})"),
       where +
           "sockets.destinations[0].closes.bins[0]: not a whole number between 0 and 4294967295"},
      {census(R"("services":[{"states":{"OPEN":1},"local":{"address":"::","port":1}}])"),
       where + "sockets.services[0].states.OPEN: not a state of TCP"},
      {census(
           R"("services":[{"states":{"LISTEN":1,"LISTEN":1},"local":{"address":"::","port":1}}])"),
       where + "sockets.services[0].states.LISTEN: given twice"},
      {census(R"("services":[{"states":{"\u001b[2J":1},"local":{"address":"::","port":1}}])"),
       where + "sockets.services[0].states.?[2J: not a state of TCP"},
      {census(R"("services":[{"states":{},"local":{"address":"::1%lo","port":1}}])"),
       where + "sockets.services[0].local.address: not an IPv4 or IPv6 address"},
      {census(R"("owned":[{"process":1,"states":{}}])"),
       where + "sockets.owned[0].process: no such process"},
      {census(R"("owned":[{"process":4294967295,"states":{}}])"),
       where + "sockets.owned[0].process: no such process"},
      {census(R"("owned":[{"process":0,"destination":0,"states":{}}])"),
       where + "sockets.owned[0].destination: no such destination"},
      {census(R"("owned":[{"process":0,"service":7,"states":{}}])"),
       where + "sockets.owned[0].service: no such service"},
      {census(R"("openers":[{"process":1,"destination":0,"opened":1}])"),
       where + "sockets.openers[0].process: no such process"},
      {census(R"("openers":[{"process":0,"destination":1,"opened":1}])"),
       where + "sockets.openers[0].destination: no such destination"},
      {census(R"("contested":[{"port":1,"wanted_by":1,"state":"LISTEN","taken_by":
          {"local":{"address":"::","port":1},"remote":{"address":"::","port":1}}}])"),
       where + "sockets.contested[0].wanted_by: no such process"},
      {census(R"("contested":[{"port":1,"owner":9,"state":"LISTEN","taken_by":
          {"local":{"address":"::","port":1},"remote":{"address":"::","port":1}}}])"),
       where + "sockets.contested[0].owner: no such process"},
      {census(R"("contested":[{"port":1,"state":"listen","taken_by":
          {"local":{"address":"::","port":1},"remote":{"address":"::","port":1}}}])"),
       where + "sockets.contested[0].state: not a state of TCP"},
  };
  for (const Case& c : cases) EXPECT_EQ(message_for(c.bytes), c.message) << c.bytes;
}

// What is shown in front of commands for root must not bring any of its own.
TEST(Hostile, CommandsThatEnterANamespace) {
  const auto entering = [](const std::string& enter) {
    return message_for(census("\"interrupted\":false")
                           .replace(census("\"interrupted\":false").find("\"at_ns\":0"), 9,
                                    "\"at_ns\":0,\"enter\":\"" + enter + "\""));
  };
  for (const char* good :
       {"", "ip netns exec web-1", "ip netns exec 'my net'", "ip netns exec 'a'\\\\''b'",
        "nsenter --net=/proc/12/ns/net", "nsenter -t 12 -n"}) {
    EXPECT_EQ(entering(good), "accepted") << good;
  }
  for (const char* bad : {"rm -rf /;",
                          "ip netns exec ",
                          "ip netns exec a b",
                          "ip netns exec a;b",
                          "ip netns exec $(b)",
                          "ip netns exec `b`",
                          "ip netns exec a\\nb",
                          "ip netns exec 'a\\nb'",
                          "ip netns exec 'a",
                          "ip netns exec a'",
                          "ip netns exec -all",
                          "ip netns exec '-all'",
                          "ip netns exec a|b",
                          "ip netns exec a&",
                          "ip netns exec ~",
                          "ip netns exec a\\u0000",
                          "nsenter --net=",
                          "nsenter --net=/a /b",
                          "nsenter -t x -n",
                          "nsenter -t -n",
                          "nsenter -t 1 2 -n",
                          "nsenter -t 1",
                          " ",
                          "nsenter -t 1 -n x"}) {
    EXPECT_EQ(entering(bad), "now.namespaces[0].enter: not a command that enters a namespace")
        << bad;
  }
}

TEST(Hostile, TooManyBins) {
  std::string bins = "0";
  for (std::size_t i = 0; i < CloseHistogram::kBins; ++i) bins += ",0";
  EXPECT_EQ(message_for(destination(R"("closes":{"width_ns":1,"bins":[)" + bins + "]}")),
            "now.namespaces[0].sockets.destinations[0].closes.bins: more than 128");
}

TEST(Hostile, NestedDeep) {
  const std::string deep(100'000, '[');
  EXPECT_EQ(message_for(R"({"format":)" + deep), "nested deeper than 32");
  std::string objects = "1";
  for (int i = 0; i < 40; ++i) objects = "{\"a\":" + objects + "}";
  EXPECT_EQ(message_for(objects), "nested deeper than 32");
}

// How much reading `bytes` adds to the memory of a process, at its peak.
std::size_t memory_to_read(std::string_view bytes, const std::string& message) {
  const pid_t child = fork();
  if (child == 0) {
    rusage before{};
    getrusage(RUSAGE_SELF, &before);
    const bool as_expected = message_for(bytes) == message;
    rusage after{};
    getrusage(RUSAGE_SELF, &after);
    const long mib = (after.ru_maxrss - before.ru_maxrss) / 1024;
    _exit(!as_expected || mib > 4000 ? 255 : static_cast<int>(mib / 16));  // a status has 8 bits
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_NE(WEXITSTATUS(status), 255) << "not: " << message;
  return static_cast<std::size_t>(WEXITSTATUS(status) + 1) * 16 << 20;
}

TEST(Hostile, DecompressionBomb) {
  const std::string bomb = gzip("{\"a\":\"" + std::string(kLargestBundle, 'a') + "\"}");
  ASSERT_LT(bomb.size(), kLargestBundle / 500);
  EXPECT_EQ(message_for(bomb), "more than 64 MiB once decompressed");
}

TEST(Hostile, LargerThanTheLimitWithoutCompression) {
  EXPECT_EQ(message_for(std::string(kLargestBundle + 1, ' ')), "larger than 64 MiB");
}

// Whatever JSON costs most memory for its length.
TEST(Hostile, MemoryFollowsTheLengthOfTheText) {
  if (kWatched) GTEST_SKIP() << "the sanitizer keeps memory of its own";
  const std::size_t length = kLargestBundle / 2;
  const auto repeat = [&](std::string_view one, std::string_view open, std::string_view close) {
    std::string text(open);
    while (text.size() + one.size() + close.size() < length) text += one;
    text.pop_back();
    return text.append(close);
  };
  const auto expect_bounded = [&](const std::string& text, const std::string& message) {
    EXPECT_LT(memory_to_read(text, message), 9 * text.size());  // and the text itself
  };
  expect_bounded(repeat("0,", "{\"a\":[", "]}"), "more than 8388608 values");
  expect_bounded(repeat("{},", "{\"a\":[", "]}"), "more than 8388608 values");
  expect_bounded(repeat("\"\":0,", "{", "}"), "more than 8388608 values");
  expect_bounded(repeat("\"aaaaaaaaaaaaaaaa\":0,", "{", "}"), "not a bundle: no \"format\" in it");
}

// The smallest namespace is a hundred bytes of text and two dozen KiB of port sets.
TEST(Hostile, MemoryOfWhatTheTextDescribes) {
  std::string many;
  while (many.size() < (std::size_t{8} << 20)) {
    many +=
        R"({"name":"","at_ns":0,"sockets_read":true,"counters_read":true,"settings":{},"counters":{},)"
        R"("totals":{},"sockets":{"states":{}}},)";
  }
  many.pop_back();
  const std::string text = host("\"namespaces\":[" + many + "]");
  EXPECT_LT(memory_to_read(text, "now.namespaces: more than 1024"),
            9 * text.size() + (std::size_t{64} << 20));

  std::string thousand;
  for (int i = 0; i < 1000; ++i) thousand += R"({"what":""},)";
  thousand.pop_back();
  EXPECT_EQ(message_for(host("\"namespaces\":[],\"not_read\":[" + thousand + "]")), "accepted");
}

// A list of overlapping ranges is short to write and long to work through.
TEST(Hostile, PortListsHaveALength) {
  std::string list = "0-65535";
  while (list.size() < 300'000) list += ",0-65535";
  EXPECT_EQ(message_for(settings(R"({"ip_local_reserved_ports":")" + list + "\"}")),
            "now.namespaces[0].settings.ip_local_reserved_ports: not a list of ports such as "
            "\"8080,9100-9110\"");
  PortSet odd;
  for (std::uint32_t p = 1; p < 65536; p += 2) odd.insert(static_cast<Port>(p));
  EXPECT_EQ(message_for(settings(R"({"ip_local_reserved_ports":")" + odd.to_string() + "\"}")),
            "accepted");
}

Observation small_observation() {
  test::Random random(7);
  Observation o = test::random_observation(random, {.most_elements = 1});
  o.earlier.reset();
  o.now.namespaces.resize(1);
  o.now.namespaces[0].sockets.destinations.resize(1);
  return o;
}

TEST(Hostile, EveryTruncation) {
  const Observation o = small_observation();
  const std::string compressed = to_bundle(o);
  const std::string text = encode_bundle(o);
  ASSERT_TRUE(from_bundle(compressed));
  for (std::size_t n = 0; n < compressed.size(); ++n) {
    ASSERT_FALSE(from_bundle(std::string_view(compressed).substr(0, n))) << n;
  }
  // The text ends in a newline, which may be missing.
  for (std::size_t n = 0; n + 1 < text.size(); ++n) {
    ASSERT_FALSE(from_bundle(std::string_view(text).substr(0, n))) << n;
  }
}

// The checksum finds every damage but that of bits which say nothing about the content: the header's
// time and system, the padding at the end.
TEST(Hostile, EveryDamagedByteOfACompressedBundle) {
  const Observation o = small_observation();
  const std::string good = to_bundle(o);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int flip : {0x01, 0x20, 0x80, 0xff}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      const auto read = from_bundle(bad);
      if (read) {
        ASSERT_EQ(*read, o) << at;
      } else {
        ASSERT_FALSE(read.error().message.empty()) << at;
      }
    }
  }
}

// Plain text has no checksum: a damaged byte may give another valid bundle, and then that one is
// whole, that is, it survives being written and read again.
TEST(Hostile, EveryDamagedByteOfAPlainBundle) {
  const std::string good = encode_bundle(small_observation());
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (char with : {'\0', '"', '0', '9', '-', '}', '\xff'}) {
      std::string bad = good;
      bad[at] = with;
      const auto read = from_bundle(bad);
      if (!read) {
        ASSERT_FALSE(read.error().message.empty()) << at;
        continue;
      }
      const auto again = decode_bundle(encode_bundle(*read));
      ASSERT_TRUE(again) << at << ": " << again.error().message;
      ASSERT_EQ(*again, *read) << at;
    }
  }
}

}  // namespace
}  // namespace lastack
