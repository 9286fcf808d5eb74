#include "lab/scenario/scenario_file.h"

#include <gtest/gtest.h>

#include "lab/scenario/remedy_words.h"
#include "lab/scenario/scenario_text.h"

#include <random>

namespace lastack::lab {
namespace {

const std::string kGood = R"(scenario = "x"
claims = ["A1"]
[host.client]
settings = { tcp_tw_reuse = 0 }
[host.server]
[wire]
delay = "2 ms"
[[fault]]
name = "loss"
do = "drop"
segment = "last ACK"
from = "client"
[[server]]
name = "service"
host = "server"
[[clients]]
name = "load"
host = "client"
to = "server:80"
rate = 10
[variant.off]
[variant.on]
"host.client.settings.tcp_tw_reuse" = 1
"clients.load.rate" = 20
[on.kernel]
duration = "3 s"
[[check]]
holds = "load.failed == 0"
variant = "on"
[[verdict]]
claim = "A1"
verdict = "true"
)";

std::string refusal(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  text.replace(at, what.size(), by);
  const auto file = ScenarioFile::parse(text, "x.toml");
  return file ? "accepted" : file.error().message;
}

TEST(ScenarioFile, ReadsVariantsAndWorlds) {
  const auto file = ScenarioFile::parse(kGood, "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->variants(), (std::vector<std::string>{"off", "on"}));
  const auto off = file->scenario("off", Where::Endpoint);
  const auto on =
      file->scenario("on", Where::Kernel, {{"clients.load.patience", "2 s"}, {"wire.loss", "0.5"}});
  ASSERT_TRUE(off && on);
  EXPECT_EQ(off->hosts[0].name, "client");  // in the order of the file
  EXPECT_EQ(off->hosts[0].settings.at("tcp_tw_reuse"), "0");
  EXPECT_EQ(on->hosts[0].settings.at("tcp_tw_reuse"), "1");
  EXPECT_EQ(off->clients[0].rate, 10);
  EXPECT_EQ(on->clients[0].rate, 20);
  EXPECT_EQ(on->clients[0].patience, 2s);
  EXPECT_EQ(on->duration, 3s);
  EXPECT_EQ(on->wire.loss, 0.5);
  EXPECT_EQ(off->wire.delay, 2ms);
  EXPECT_EQ(off->faults[0].segment, SegmentKind::LastAck);
}

TEST(ScenarioFile, ErrorsNameThePlaceAndTheNearestWord) {
  EXPECT_EQ(refusal(kGood, "delay =", "dealy ="),
            "x.toml:7:1: wire.dealy is not known; the nearest is \"delay\"");
  EXPECT_EQ(refusal(kGood, "\"drop\"", "\"dorp\""),
            "x.toml:10:6: fault.loss.do cannot be \"dorp\"; the nearest is \"drop\"");
  EXPECT_EQ(
      refusal(kGood, "\"2 ms\"", "\"2 lightyears\""),
      "x.toml:7:9: wire.delay has to be a time from 0 to a year, such as \"20 ms\", \"1.5 s\" or \"2 min\", and is \"2 lightyears\"");
  EXPECT_EQ(refusal(kGood, "\"server:80\"", "\"sever:80\""),
            "x.toml:19:6: clients.load.to names no host: \"sever\"; the nearest is \"server\"");
  EXPECT_EQ(
      refusal(kGood, "\"server:80\"", "\"server:99999\""),
      "x.toml:19:6: clients.load.to has to be a host and a port, such as \"server:80\", and not \"server:99999\"");
  EXPECT_EQ(refusal(kGood, "rate = 10", "rate = -1"),
            "x.toml:20:8: clients.load.rate has to be from 0.001 to 10000000, and is -1");
  EXPECT_EQ(
      refusal(kGood, "tcp_tw_reuse = 0", "tcp_tw_resue = 0"),
      "x.toml:4:12: host client: there is no setting \"tcp_tw_resue\"; the nearest is tcp_tw_reuse");
  EXPECT_EQ(
      refusal(kGood, "\"clients.load.rate\"", "\"clients.laod.rate\""),
      "x.toml:24:1: variant on: \"clients.laod.rate\" leads nowhere: there is no \"laod\" in this scenario; the nearest is \"load\"");
  EXPECT_EQ(refusal(kGood, "variant = \"on\"", "variant = \"no\""),
            "x.toml:29:11: check.check1.variant names no variant: \"no\"; there are off, on");
  EXPECT_EQ(
      refusal(kGood, "holds = \"load.failed == 0\"", "holds = \"load.failed = 0\"").substr(0, 54),
      "x.toml:28:9: check.check1.holds is no condition: at ch");
  EXPECT_EQ(refusal(kGood, "claims = [\"A1\"]", "claims = [\"A1\", \"A2\"]"),
            "x.toml:2:10: claims has \"A2\", on which no [[verdict]] is given");
  EXPECT_EQ(refusal(kGood, "[host.server]", "[host.server"),
            "x.toml:5:13: Error while parsing table header: expected ']', saw '\\n'")
      << "the words are those of toml++";
}

TEST(ScenarioFile, NamesOfMeasures) {
  const std::string holds = "\"load.failed == 0\"";
  EXPECT_EQ(
      refusal(kGood, holds, "\"laod.failed == 0\""),
      "x.toml:28:9: check.check1.holds names nothing of this scenario: \"laod\"; the nearest is "
      "\"load\"");
  EXPECT_EQ(
      refusal(kGood, holds, "\"client.states.TIMEWAIT == 0\""),
      "x.toml:28:9: check.check1.holds client has no measure \"states.TIMEWAIT\"; the nearest is "
      "\"states.TIME_WAIT\"");
  EXPECT_EQ(refusal(kGood, holds, "\"on:load.failed.ECONNRESET == 0\""), "accepted");
  EXPECT_EQ(
      refusal(kGood, "verdict = \"true\"",
              "verdict = \"true\"\nbecause = \"{off:load.tok} of {load.done}\"")
          .substr(0, 83),
      "x.toml:33:11: verdict.verdict1.because load has no measure \"tok\"; there are begun, ");
}

TEST(ScenarioFile, AdviceOfVariants) {
  const std::string variant = "[variant.on]\n";
  std::string text = kGood;
  text.replace(text.find(variant), variant.size(),
               variant + "advice = \"reuse ports\"\ncaution = \"hides it\"\n");
  const auto file = ScenarioFile::parse(text, "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->remedies().size(), 1u);
  EXPECT_EQ(file->remedies()[0].variant, "on");
  EXPECT_EQ(file->remedies()[0].text, "reuse ports");
  EXPECT_TRUE(file->remedies()[0].helps);
  EXPECT_EQ(file->remedies()[0].caution, "hides it");
  EXPECT_EQ(file->remedies()[0].instead_of, std::vector<std::string>{"off"});

  const auto after = [&](const std::string& more) {
    return refusal(kGood, variant, variant + more);
  };
  EXPECT_NE(after("caution = \"x\"\n").find("belongs to advice or will_not_help"),
            std::string::npos);
  EXPECT_NE(after("advice = \"x\"\nwill_not_help = \"y\"\n").find("has advice as well"),
            std::string::npos);
  EXPECT_NE(after("advice = \"x\"\ninstead_of = \"of\"\n").find("names no other variant: \"of\""),
            std::string::npos);
  EXPECT_NE(after("advice = \"x\"\ninstead_of = \"on\"\n").find("names no other variant"),
            std::string::npos);
  EXPECT_NE(refusal(kGood, "[variant.off]\n", "[variant.off]\nadvice = \"x\"\n")
                .find("the first variant is a remedy for another one"),
            std::string::npos);
}

TEST(ScenarioFile, WhereVariantsDiffer) {
  const auto file = ScenarioFile::parse(kGood, "x.toml");
  ASSERT_TRUE(file);
  std::map<std::string, std::string> found;
  for (const Difference& d : file->differences("off", "on", Where::Endpoint))
    found[d.key] = d.before + " to " + d.after;
  EXPECT_EQ(found["host.client.settings.tcp_tw_reuse"], "0 to 1");
  EXPECT_EQ(found["clients.load.rate"], "10 to 20");
  EXPECT_TRUE(file->differences("on", "on", Where::Endpoint).empty());
  // What is set for all of them makes no difference.
  EXPECT_EQ(file->differences("off", "on", Where::Endpoint, {{"clients.load.rate", "5"}}).size(),
            found.size() - 1);
  // As tables within tables it is the same.
  std::string text = kGood;
  const std::string quoted = "\"host.client.settings.tcp_tw_reuse\" = 1";
  text.replace(text.find(quoted), quoted.size(), "host.client.settings.tcp_tw_reuse = 1");
  const auto plain = ScenarioFile::parse(text, "x.toml");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->differences("off", "on", Where::Endpoint).size(), found.size());
  const auto scenario = file->scenario("on", Where::Endpoint);
  for (const Change& c : changes(file->differences("off", "on", Where::Endpoint), *scenario)) {
    if (c.command.empty()) continue;
    EXPECT_EQ(c.command, "sysctl -w net.ipv4.tcp_tw_reuse=1");
    EXPECT_EQ(c.undo, "sysctl -w net.ipv4.tcp_tw_reuse=0   # as it was here; the default is 2");
  }
  // Names and values of a file are quoted for a shell.
  EXPECT_EQ(setting_command("ip_local_port_range", "1024 65535"),
            "sysctl -w 'net.ipv4.ip_local_port_range=1024 65535'");
  EXPECT_EQ(setting_command("x;rm -rf /", "1"), "sysctl -w 'net.ipv4.x;rm -rf /=1'");
}

// A page in words has what only a variant has: a list as its parts, and what is measured of them.
TEST(ScenarioFile, WhatAVariantAddsIsInWords) {
  const auto file = ScenarioFile::parse(R"(scenario = "x"
[host.a]
[host.b]
[script]
steps = [ { name = "pause", do = "wait", time = "1 s" } ]
[variant.plain]
[variant.later]
advice = "none"
change = [ { at = "3 s", loss = 1 }, { name = "back", after = "pause", at = 0, loss = 0 } ]
fault = [ { name = "f", do = "drop", segment = "SYN" } ]
wire = { delay = "3 ms" }
[[check]]
variant = "later"
holds = "change1.at >= 3 and f.struck == 0"
)",
                                        "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  const auto words = scenario_text(*file, "x.toml");
  ASSERT_TRUE(words) << words.error().message;
  for (const char* line :
       {"change1: after 3 s, the wire: loss = 1\n",
        "back: at once, once pause has ended, the wire: loss = 0\n", "f: loses the first SYN\n",
        "wire.delay = 3 ms\n", "change1.at  when change1 is made\n",
        "f.struck    segments that fault f struck\n"}) {
    EXPECT_NE(words->find(line), std::string::npos) << line << *words;
  }
  EXPECT_EQ(words->find("advice ="), std::string::npos);
  // Where there was one already, both are told.
  const auto differences = file->differences("later", "plain", Where::Endpoint);
  const auto changes = std::find_if(differences.begin(), differences.end(),
                                    [](const Difference& d) { return d.key == "change"; });
  ASSERT_NE(changes, differences.end());
  EXPECT_EQ(changes->before,
            "{ at = 3 s, loss = 1 }, { name = back, after = pause, at = 0, loss = 0 }");
}

// What a variant, a world or an option puts there is said with the place of that, and not of the file in general.
TEST(ScenarioFile, WhoPutItThere) {
  const std::string key = "\"clients.load.rate\" = 20";
  EXPECT_EQ(refusal(kGood, key, "\"clients.load.rtae\" = 20"),
            "x.toml:24:1: variant on: clients.load.rtae is not known; the nearest is \"rate\"");
  EXPECT_EQ(refusal(kGood, key, "\"clients.load.rate\" = \"fast\""),
            "x.toml:24:1: variant on: clients.load.rate has to be a number, and is a text");
  EXPECT_EQ(
      refusal(kGood, key, "clients.load.rate = -5"),
      "x.toml:24:14: variant on: clients.load.rate has to be from 0.001 to 10000000, and is -5");
  // What was good until the variant came is the variant's mistake.
  std::string delays = kGood;
  const std::string drop = "do = \"drop\"\n";
  delays.replace(delays.find(drop), drop.size(), "do = \"delay\"\nby = \"1 s\"\n");
  EXPECT_EQ(refusal(delays, key, "\"fault.loss.which\" = 2"), "accepted");
  EXPECT_EQ(refusal(delays, key, "\"fault.loss.do\" = \"corrupt\""),
            "x.toml:25:1: variant on: fault.loss.by belongs to delay and duplicate");
  // Far from what it has changed.
  const std::string after =
      "rate = 10\nafter = \"pause\"\n[script]\nsteps = [ { name = \"pause\", do = \"wait\", time = 1 } ]";
  std::string later = kGood;
  later.replace(later.find("rate = 10"), 9, after);
  EXPECT_EQ(refusal(later, key, key), "accepted");
  const std::string far =
      refusal(later, key, "\"script.steps\" = [ { name = \"other\", do = \"wait\", time = 1 } ]");
  EXPECT_EQ(far.substr(0, 12), "x.toml:21:9:") << far;
  EXPECT_TRUE(far.ends_with(" (with variant on)")) << far;
  EXPECT_EQ(refusal(kGood, key, "clients.load.rate = 20"), "accepted") << "dotted as TOML has it";
  EXPECT_EQ(refusal(kGood, key, "\"host.server.address\" = \"10.0.0.1\""),
            "x.toml:24:1: variant on: host.server.address 10.0.0.1 is another's already");
  EXPECT_EQ(refusal(kGood, "duration = \"3 s\"", "\"wire.loss\" = 2"),
            "x.toml:26:1: on.kernel: wire.loss has to be from 0 to 1, and is 2");
  EXPECT_EQ(
      refusal(kGood, "duration = \"3 s\"", "\"host.client.settings.tcp_tw_resue\" = 2"),
      "x.toml:26:1: on.kernel: host client: there is no setting \"tcp_tw_resue\"; the nearest is "
      "tcp_tw_reuse");
  for (const char* other : {"\"variant.off.wire.delay\" = 1", "\"check.0.holds\" = \"x.y == 1\"",
                            "\"on.kernel.duration\" = 1", "variant.off.wire.delay = 1"}) {
    const std::string said = refusal(kGood, key, other);
    EXPECT_NE(said.find("cannot be changed"), std::string::npos) << said;
    EXPECT_NE(said.find("x.toml:24:"), std::string::npos) << said;
  }
  const auto file = ScenarioFile::parse(kGood, "x.toml");
  const auto set = [&](const char* k, const char* value) {
    const auto made = file->scenario("on", Where::Endpoint, {{k, value}});
    return made ? "accepted" : made.error().message;
  };
  EXPECT_EQ(set("wire.loss", "7"), "--set wire.loss=7: wire.loss has to be from 0 to 1, and is 7");
  EXPECT_EQ(set("clients.load.rate", "x"),
            "--set clients.load.rate=x: clients.load.rate has to be a number, and is a text");
  EXPECT_EQ(
      set("host.clinet.mtu", "900"),
      "--set host.clinet.mtu=900: \"host.clinet.mtu\" leads nowhere: there is no \"clinet\" in this "
      "scenario; the nearest is \"client\"");
  EXPECT_NE(set("claims.0", "A2").find("cannot be changed"), std::string::npos);
}

TEST(ScenarioFile, WordsOfConditions) {
  const std::string step =
      "[script]\nsteps = [ { name = \"a\", do = \"wait\", time = \"1 ms\" } ]\n[[check]]\n";
  const auto said = [&](const std::string& condition) {
    std::string text = kGood;
    text.replace(text.find("[[check]]"), 9, step);
    return refusal(text, "load.failed == 0", condition);
  };
  for (const char* fine : {"a.result == ok", "a.result != ECONNREFUSED", "timeout == a.result",
                           "client.findings.time-wait-server == notice", "a.result == a.result"}) {
    EXPECT_EQ(said(fine), "accepted") << fine;
  }
  const std::string at = "x.toml:31:9: check.check1.holds ";
  EXPECT_EQ(said("a.result == okay"),
            at + "compares a.result with \"okay\", which it never is; there are "
                 "ok, end, timeout, refused, cannot, and errors by their names");
  EXPECT_EQ(said("a.result != ECONREFUSED"),
            at + "compares a.result with \"ECONREFUSED\", which it never is; the nearest is "
                 "\"ECONNREFUSED\"");
  EXPECT_EQ(
      said("client.findings.time-wait-server == bad"),
      at + "compares client.findings.time-wait-server with \"bad\", which it never is; there are "
           "problem, warning, notice");
  EXPECT_EQ(said("load.failed == no"), at + "compares load.failed, a number, with a word: \"no\"");
  for (const char* odd : {"a.result == 5", "a.result < ok", "a.result + 1 == 2"}) {
    EXPECT_EQ(said(odd),
              at +
                  "has a.result, which is a word, and only == or != another one: ok, end, timeout, "
                  "refused, cannot ...");
  }
  EXPECT_EQ(said("many > 3"), at + "has a word that is compared with no measure: \"many\"");
}

TEST(ScenarioFile, Programs) {
  const std::string before = "[[clients]]";
  const auto said = [&](const std::string& rest, const std::string& host = "server") {
    return refusal(kGood, before,
                   "[[program]]\nname = \"p\"\nhost = \"" + host + "\"\n" + rest + "\n" + before);
  };
  EXPECT_EQ(said("run = [\"true\"]"), "accepted");
  EXPECT_EQ(said("run = [\"a\", \"{folder}{server.address} {x} ${y.address}\"]").substr(0, 55),
            "x.toml:19:7: program.p.run names no host: \"{y.address}\"");
  EXPECT_EQ(
      said("run = [\"curl\", \"http://{sever.address}/\"]"),
      "x.toml:19:7: program.p.run names no host: \"{sever.address}\"; the nearest is \"server\"");
  EXPECT_EQ(said("run = \"nginx -g x\"").substr(0, 52),
            "x.toml:19:7: program.p.run has to be a list of texts");
  EXPECT_EQ(said("").substr(0, 43), "x.toml:16:1: program.p.run is missing: the ");
  EXPECT_EQ(said("run = [\"a\"]\nready = 70000"),
            "x.toml:20:9: program.p.ready has to be from 1 to 65535, and is 70000");
  EXPECT_EQ(said("run = [\"a\"]\nsignal = \"TREM\""),
            "x.toml:20:10: program.p.signal cannot be \"TREM\"; the nearest is \"TERM\"");
  EXPECT_EQ(said("run = [\"a\"]\nstatus = [1, 300]").substr(0, 46),
            "x.toml:20:10: program.p.status has to be from ");
  EXPECT_EQ(said("run = [\"a\"]\nfiles = { \"../x\" = \"y\" }").substr(0, 43),
            "x.toml:20:20: program.p.files.../x is no na");
  EXPECT_EQ(said("run = [\"a\"]\nafter = \"p\"").substr(0, 45),
            "x.toml:20:9: program.p.after names no step: \"");
  EXPECT_EQ(said("run = [\"a\"]\nrunn = 1"),
            "x.toml:20:1: program.p.runn is not known; the nearest is \"run\"");
  EXPECT_EQ(said("run = [\"a\"]", "sever"),
            "x.toml:18:8: program.p.host names no host: \"sever\"; the nearest is \"server\"");
  std::string text = kGood;
  text.replace(text.find("[host.server]"), 13, "[host.server]\nkind = \"endpoint\"");
  EXPECT_EQ(
      refusal(text, before, "[[program]]\nhost = \"server\"\nrun = [\"a\"]\n" + before),
      "x.toml:18:8: program.program1.host server is an endpoint: real programs run on kernel hosts");
}

TEST(ScenarioFile, Changes) {
  const auto said = [&](const std::string& rest) {
    return refusal(kGood, "[[server]]", "[[change]]\n" + rest + "\n[[server]]");
  };
  EXPECT_EQ(said("at = \"1 s\"\nloss = 0.5\ndelay = \"2 s\""), "accepted");
  EXPECT_EQ(said("loss = 0.5").substr(0, 39), "x.toml:13:1: change.change1.at is missi");
  EXPECT_EQ(said("at = \"1 s\"\nloss = 2"),
            "x.toml:15:8: change.change1.loss has to be from 0 to 1, and is 2");
  EXPECT_EQ(said("at = \"1 s\"").substr(0, 46), "x.toml:13:1: change: nothing is changed: delay");
  EXPECT_EQ(said("at = \"1 s\"\nlos = 1"),
            "x.toml:15:1: change.change1.los is not known; the nearest is \"loss\"");
  EXPECT_EQ(said("at = \"1 s\"\nnat = \"gw\"").substr(0, 47),
            "x.toml:15:7: change.change1.nat names no NAT: \"");
  EXPECT_EQ(
      said("at = \"1 s\"\nbetween = [\"client\", \"sever\"]\nloss = 1"),
      "x.toml:15:11: change.change1.between names no host: \"sever\"; the nearest is \"server\"");
  EXPECT_EQ(said("after = \"x\"\nloss = 1").substr(0, 47),
            "x.toml:14:9: change.change1.after names no step");
}

// The name by which a variant, an option, a measure and an error call one of a list is the same one.
TEST(ScenarioFile, OneNameForWhatHasNone) {
  const std::string steps =
      "[script]\nsteps = [ { do = \"wait\", time = \"1 ms\" }, { name = \"b\", do = \"wait\", time = 2 } "
      "]\n[[check]]";
  std::string text = kGood;
  text.replace(text.find("[[check]]"), 9, steps);
  EXPECT_EQ(refusal(text, "\"1 ms\"", "-1").substr(0, 39),
            "x.toml:28:33: script.steps.step1.time h");
  EXPECT_EQ(refusal(text, "\"load.failed == 0\"", "\"step1.result == ok\""), "accepted");
  const auto file = ScenarioFile::parse(text, "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  const auto set = [&](const std::string& key, const std::string& value) {
    const auto made = file->scenario("on", Where::Endpoint, {{key, value}});
    return made ? "accepted" : made.error().message;
  };
  const auto made = file->scenario(
      "on", Where::Endpoint, {{"script.steps.step1.time", "7 s"}, {"script.steps.b.time", "8 s"}});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->steps[0].time, 7s);
  EXPECT_EQ(made->steps[1].time, 8s);
  EXPECT_NE(set("script.steps.0.time", "1")
                .find("has no number alone; the first is \"step1\", the "
                      "last \"b\""),
            std::string::npos)
      << set("script.steps.0.time", "1");
  EXPECT_NE(set("script.steps.step2.time", "1").find("there is no \"step2\" in this scenario"),
            std::string::npos)
      << "it has a name";
  // All of a step in the place of another.
  const auto other =
      file->scenario("on", Where::Endpoint,
                     {{"script.steps.b", "{ do = \"until\", holds = \"load.done == 1\" }"}});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->steps[1].deed, StepSpec::Deed::Until);
  EXPECT_EQ(other->steps[1].name, "b");
  EXPECT_EQ(
      set("script.steps.b", "wait"),
      "--set script.steps.b=wait: \"script.steps.b\" is all of b: give one of its keys another "
      "value, such as \"script.steps.b.do\", or all of it in braces: { do = ... }");
  EXPECT_NE(set("script.steps.step3", "{ do = \"wait\" }").find("the nearest is \"step1\""),
            std::string::npos);
  EXPECT_NE(set("script.steps.b", "{ do = \"wait\" }").find("script.steps.b.time is missing"),
            std::string::npos);
  // A variant may have other steps, more of them or fewer.
  const std::string variant = "[variant.off]\n";
  const auto with = [&](const std::string& more) { return refusal(text, variant, variant + more); };
  EXPECT_EQ(with("\"script.steps\" = [ { do = \"wait\", time = 1 } ]\n"), "accepted");
  EXPECT_NE(
      with("\"script.steps\" = [ { do = \"wait\", time = 1 }, { do = \"wait\", time = 1 }, { do = "
           "\"until\", holds = \"nobody.done == 1\" } ]\n")
          .find("names nothing of this scenario: \"nobody\""),
      std::string::npos);
}

TEST(ScenarioFile, ATimeThatIsNotInQuotes) {
  const std::string hint = "; a time with a unit is a text and has to be in quotes: ";
  const auto said = [&](const std::string& by) {
    const std::string all = refusal(kGood, "delay = \"2 ms\"", by);
    const std::size_t at = all.find(hint);
    return at == std::string::npos ? "" : all.substr(at + hint.size());
  };
  EXPECT_EQ(said("delay = 100 ms"), "\"100 ms\"");
  EXPECT_EQ(said("delay = 1.5s"), "\"1.5s\"");
  EXPECT_EQ(said("loss = 0.1\njitter=20 min # why"), "\"20 min\"");
  EXPECT_EQ(refusal(kGood, "rate = 10", "rate = 10\noptions = { }\npause = 3 ms").substr(0, 11),
            "x.toml:22:1");
  EXPECT_EQ(said("delay = \"2 ms"), "");
  EXPECT_EQ(said("delay = ms"), "");
  EXPECT_EQ(said("host10 = = 3"), "");
}

TEST(ScenarioFile, TheMostInAState) {
  const std::string holds = "load.failed == 0";
  EXPECT_EQ(refusal(kGood, holds, "client.most.SYN_SENT > 0"), "accepted");
  EXPECT_EQ(
      refusal(kGood, holds, "client.most.CLOSED > 0"),
      "x.toml:28:9: check.check1.holds client has no measure \"most.CLOSED\": what is closed is "
      "no socket that could be counted, in no world; ask for the state before, such as "
      "most.LAST_ACK, or for descriptors");
  EXPECT_NE(refusal(kGood, holds, "client.most.SYN_SEND > 0").find("most.SYN_SENT"),
            std::string::npos);
  std::string text = kGood;
  text.replace(text.find(holds), holds.size(), "client.most.LAST_ACK + server.most.TIME_WAIT >= 0");
  const auto file = ScenarioFile::parse(text, "x.toml");
  ASSERT_TRUE(file) << file.error().message;
  // TIME_WAIT is counted anyhow; sockets of those alone whose states somebody asks for.
  EXPECT_EQ(file->scenario("on", Where::Endpoint)->counted, std::set<std::string>{"client"});
}

TEST(ScenarioFile, WhatContradictsItself) {
  EXPECT_EQ(refusal(kGood, "rate = 10", "rate = 10\nbegins = \"2 s\"\nends = \"1 s\""),
            "x.toml:22:8: clients.load.ends has to be later than begins");
  EXPECT_EQ(refusal(kGood, "from = \"client\"", "from = \"client\"\nends = \"0 s\""),
            "x.toml:13:8: fault.loss.ends has to be later than begins");
  EXPECT_EQ(
      refusal(kGood, "delay = \"2 ms\"", "delay = -2"),
      "x.toml:7:9: wire.delay has to be a time from 0 to a year, such as \"20 ms\", \"1.5 s\" or "
      "\"2 min\", and is -2");
  EXPECT_EQ(refusal(kGood, "do = \"drop\"", "do = \"drop\"\nicmp = \"port\""),
            "x.toml:11:8: fault.loss.icmp belongs to reject");
  EXPECT_EQ(refusal(kGood, "do = \"drop\"", "do = \"reject\"\nicmp = \"prot\""),
            "x.toml:11:8: fault.loss.icmp cannot be \"prot\"; the nearest is \"port\"");
  EXPECT_EQ(refusal(kGood, "claims = [\"A1\"]", "claims = [\"A1\", \"Z9\"]").substr(0, 53),
            "x.toml:2:10: claims has \"Z9\", which is no claim: they");
  EXPECT_EQ(
      refusal(kGood, "[[check]]", "[script]\nsteps = [ { do = \"frobnicate\" } ]\n[[check]]"),
      "x.toml:28:18: script.steps.step1.do cannot be \"frobnicate\"; there are listen, connect, accept, "
      "read, write, shutdown, close, abort, option, wait, until, set, crash");
  EXPECT_EQ(refusal(kGood, "name = \"load\"", "name = \"server\""),
            "x.toml:17:8: clients.server.name is taken: two things are called \"server\"");
  EXPECT_EQ(ScenarioFile::parse("# nothing\n", "x.toml").error().message,
            "x.toml: there is nothing in it: a scenario begins with scenario = \"NAME\"");

  EXPECT_NE(refusal(kGood, "[host.server]", "[host.server]\naddress = \"10.0.0.1\"")
                .find("another's already"),
            std::string::npos);
  EXPECT_NE(refusal(kGood, "name = \"load\"", "name = \"service\"").find("two things are called"),
            std::string::npos);
  EXPECT_NE(refusal(kGood, "[host.client]", "[host.client]\nbehind = \"gw\"").find("names no NAT"),
            std::string::npos);
  EXPECT_NE(ScenarioFile::parse("scenario = \"x\"\n[host.a]\n", "x.toml")
                .error()
                .message.find("nothing happens"),
            std::string::npos);
  EXPECT_FALSE(ScenarioFile::parse("", "x.toml"));
}

TEST(ScenarioFile, AnyBytes) {
  std::mt19937 random(11);
  for (int i = 0; i < 1000; ++i) {
    std::string text = kGood;
    for (auto n = 1 + random() % 4; n > 0; --n) {
      const std::size_t at = random() % text.size();
      if (random() % 2 == 0) {
        text[at] = static_cast<char>(random());
      } else {
        text.erase(at, random() % 20);
      }
    }
    const auto file = ScenarioFile::parse(text, "x.toml");
    if (!file) {
      EXPECT_NE(file.error().message, "");
    }
  }
}

}  // namespace
}  // namespace lastack::lab
