#!/usr/bin/env python3
"""lastack lab as a person runs it: the library, a file of one's own, what is wrong with one, sweeps that go on, replays.

usage: lab_command.py LASTACK SOURCE_DIR
"""
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
import unittest

LASTACK = ""
SOURCE = ""
REFUSED = """
scenario = "refused"
[host.client]
[host.server]
[script]
steps = [ { name = "open", do = "connect", host = "client", socket = "c", to = "server:80" } ]
[[check]]
holds = "open.result == ECONNREFUSED"
"""

ALL = """
scenario = "everything"
title = "Of everything one"
about = "What a page shows."
claims = ["A1"]
duration = "2 min"
advice = "look at the page"

[host.client]
address = ["10.1.0.1", "fd00::1"]
behind = "box"
descriptors = 200
settings = { tcp_tw_reuse = 1 }

[host.server]
address = ["10.1.0.2", "fd00::2"]
profile = "rfc9293"

[host.dark]
address = "10.1.0.3"
kind = "endpoint"

[nat.box]
address = "10.1.0.9"

[wire]
delay = "0.1 ms"
loss = 0.01

[[link]]
between = ["server", "dark"]
rate = 1000000
mtu = 1400

[[fault]]
name = "first-lost"
do = "drop"
segment = "SYN"
from = "client"

[[fault]]
do = "duplicate"
segment = "data"
which = [2, 12]
connection = 1
by = "1.5 s"
after = "ready"

[[change]]
name = "outage"
at = "2 s"
down = true

[[server]]
host = "server"
requests = 0
idle_limit = "5 s"

[[clients]]
name = "load"
host = "client"
to = "server:80"
rate = 2.5
count = 10
options = { linger = 0 }

[[pool]]
host = "dark"
to = "server:80"

[script]
steps = [
  { do = "listen", host = "dark", socket = "listener", port = 81 },
  { name = "ready", do = "wait", time = "90 s" },
  { do = "connect", host = "server", socket = "c", to = "dark:81", from_port = 5000, within = "3 s", background = true },
  { do = "accept", of = "listener", socket = "s" },
  { do = "write", socket = "c", text = "a line\\n" },
  { do = "shutdown", socket = "c", how = "write" },
  { do = "read", socket = "s" },
  { do = "crash", host = "dark", quiet = true },
]

[variant.plain]

[variant.slow]
advice = "wait"
caution = "it takes long"
"clients.load.rate" = 1

[on.kernel]
duration = "3 s"

[[check]]
holds = "load.failed == 0"
variant = "slow"
on = "endpoint"
why = "nothing is lost"

[[verdict]]
claim = "A1"
verdict = "true"
because = "{slow:load.done} were done"
"""
ALL_SHOWN = """everything: Of everything one
  claim A1  the side that closes first has TIME_WAIT, and keeps the port with it

What a page shows.

hosts
  client  10.1.0.1 fd00::1, behind box, a limit of 200 descriptors
          tcp_tw_reuse = 1
  server  10.1.0.2 fd00::2, profile rfc9293
  dark    10.1.0.3, an endpoint in every world

between them
  the wire       delay 100 us, loss 1 %
  server - dark  delay 100 us, loss 1 %, 1 Mbit/s, MTU 1400
  NAT box        10.1.0.9, ports 1024-65535; forgets a mapping 4 min after both sides have closed,
                 or 2 h 4 min after its last packet

faults
  first-lost  loses the first SYN from client
  fault2      duplicates the 2nd to 12th data segment of the first connection on the same addresses
              and ports, the copy comes 1.5 s later, once ready has ended

what changes meanwhile
  outage  after 2 s, the wire: down = true

programs, and on which host
  server1  server  server: listens on port 80; a request of 1 byte, an answer of 1 byte; as many
                   requests of a connection as come; closes when the other side has; closes a
                   connection that was silent for 5 s
  load     client  clients: 2.5 connections a second, 10 connections in all, to server:80; 1 request
                   of a connection, a request of 1 byte, an answer of 1 byte; closes first; gives up
                   after 10 s; options linger = 0
  pool1    dark    pool: 100 requests a second to server:80 over at most 8 connections, which are
                   kept; a request of 1 byte, an answer of 1 byte; waits 1 s for a free connection,
                   1 s for connect(), 1 s for an answer

steps, one after the other, and on which host
  step1  dark    listen on port 81: listener
  ready          wait 1 min 30 s
  step3  server  connect to dark:81 from port 5000: c, within 3 s; the next begins at once
  step4  dark    accept of listener: s
  step5  server  write to c: "a line\\n"
  step6  server  shut down c, writing
  step7  dark    read s to the end
  step8  dark    lose all memory, and keep quiet for an MSL

course
  ends  after 2 min
  seed  1; --seed takes another

in one world only (--on)
  on kernel  duration = 3 s, in place of 2 min

variants: each is a run of its own
  plain  as above
  slow   clients.load.rate = 1, in place of 2.5
         a remedy for plain: wait
         mind: it takes long

what has to hold
  load.failed == 0
      in slow, on endpoint: nothing is lost

what is measured for it
  load.failed  load: connections that failed
  load.done    load: connections that did all of their part

what it decides, where all of that holds; {...} is what was measured
  A1  true: {slow:load.done} were done

what follows
  look at the page

run it: lastack lab run all.toml   (--measures: all that it measures)
as it is written: lastack lab show --toml all.toml
"""

BOTH = """
scenario = "both"

[host.client]
address = ["10.0.0.1", "fd00::1"]

[host.server]
address = ["10.0.0.2", "fd00::2"]

[wire]
delay = "20 ms"

[[fault]]
name = "rejected"
do = "reject"
segment = "SYN"
from = "client"
which = "all"
after = "six"

[script]
steps = [
  { do = "listen", host = "server", socket = "l", port = 80 },
  { name = "four", do = "connect", host = "client", socket = "a", to = "server:80" },
  { name = "six", do = "connect", host = "client", socket = "b", to = "server:80", from_address = "fd00::1" },
  { name = "rejected4", do = "connect", host = "client", socket = "c", to = "server:80", within = "500 ms" },
  { name = "rejected6", do = "connect", host = "client", socket = "d", to = "server:80", from_address = "fd00::1", within = "500 ms" },
]

[variant.prohibited]

[variant.port]
"fault.rejected.icmp" = "port"

[variant.host]
"fault.rejected.icmp" = "host"

[variant.net]
"fault.rejected.icmp" = "net"

[[check]]
holds = "four.result == ok and six.result == ok and rejected.struck >= 2 and client.most.ESTABLISHED == 2"

[[check]]
holds = "rejected4.result == EHOSTUNREACH and rejected6.result == EACCES"
variant = "prohibited"

[[check]]
holds = "rejected4.result == ECONNREFUSED and rejected6.result == ECONNREFUSED"
variant = "port"

[[check]]
holds = "rejected4.result == EHOSTUNREACH and rejected6.result == EHOSTUNREACH"
variant = "host"

[[check]]
holds = "rejected4.result == ENETUNREACH and rejected6.result == ENETUNREACH"
variant = "net"
"""


def said_in(node, key=""):
    """Names and texts of a scenario, but for those that a page says in other words: times, and what is chosen from a list."""
    chosen = ("do", "segment", "closes", "kind", "how", "signal", "profile", "syn_answer", "port_choice", "which")
    if isinstance(node, dict):
        for name, inner in node.items():
            if key in ("host", "nat", "variant", "settings", "environment", "files"):
                yield name
            if key == "files":
                yield from filter(None, map(str.strip, inner.splitlines()))
            elif name not in chosen:
                yield from said_in(inner, name)
    elif isinstance(node, list):
        for one in node:
            yield from said_in(one, key)
    elif isinstance(node, str) and not re.fullmatch(r"[0-9.]+ ?(ns|us|ms|s|min|h|d)", node):
        yield node


def run(*words, **more):
    done = subprocess.run([LASTACK, "lab", *words], capture_output=True, text=True, timeout=60, **more)
    return done.returncode, done.stdout, done.stderr


def read_pcapng(path):
    """Interfaces by name and packets, of a file whose blocks are as the draft has them; an assertion fails otherwise."""
    with open(path, "rb") as file:
        data = file.read()
    interfaces, packets, at = [], [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0 and length >= 12, (at, length)
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length, at
        body = data[at + 8:at + length - 4]
        at += length
        if kind == 0x0a0d0d0a:
            assert body[:8] == struct.pack("<IHH", 0x1a2b3c4d, 1, 0)
        elif kind == 1:
            assert struct.unpack_from("<H", body)[0] == 101
            options = pcapng_options(body[8:])
            assert options[9] == b"\x09"
            interfaces.append(options[2].decode())
        elif kind == 6:
            which, high, low, captured, original = struct.unpack_from("<IIIII", body)
            assert captured == original
            packet = body[20:20 + captured]
            options = pcapng_options(body[20 + (captured + 3) // 4 * 4:])
            packets.append({
                "interface": interfaces[which], "at": high << 32 | low, "id": struct.unpack("<Q", options[5])[0],
                "outbound": struct.unpack("<I", options[2])[0] == 2, "comment": options.get(1, b"").decode(),
                "sum": tcp_sum(packet)
            })
    return interfaces, packets


def pcapng_options(body):
    options, at = {}, 0
    while at < len(body):
        code, length = struct.unpack_from("<HH", body, at)
        if code == 0:
            assert length == 0 and at + 4 == len(body)
            return options
        options[code] = body[at + 4:at + 4 + length]
        padding = -length % 4
        assert body[at + 4 + length:at + 4 + length + padding] == bytes(padding)
        at += 4 + length + padding
    assert not body, "options without an end"
    return options


def tcp_sum(packet):
    """0 where the checksum of an IPv4 packet's TCP segment is right."""
    segment = packet[(packet[0] & 15) * 4:]
    data = packet[12:20] + struct.pack(">HH", 6, len(segment)) + segment + bytes(len(segment) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    return total % 0xffff


class Lab(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.refused = self.file("refused.toml", REFUSED)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_the_library(self):
        code, out, _ = run("list")
        self.assertEqual(code, 0)
        names = [line.split()[0] for line in out.splitlines()]
        files = sorted(name[:-5] for name in os.listdir(os.path.join(SOURCE, "scenarios"))
                       if name.endswith(".toml"))
        self.assertEqual(names, files)
        with open(os.path.join(SOURCE, "scenarios", names[0] + ".toml"), encoding="utf-8") as file:
            self.assertEqual(run("show", "--toml", names[0])[1], file.read())

    def test_show_tells_all_that_a_file_says(self):
        """Whatever is written in a file is on its page, in words or as it is."""
        folder = os.path.join(SOURCE, "scenarios")
        files = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".toml")]
        self.assertGreater(len(files), 60)
        for path in files:
            with open(path, "rb") as file:
                scenario = tomllib.load(file)
            code, out, err = run("show", path)
            self.assertEqual(code, 0, err)
            self.assertLessEqual(max(map(len, out.splitlines()[:-3])), 140, path)
            page = "".join(out.split())
            for text in said_in(scenario):
                forms = ["".join(form.split()) for form in (text, text.replace("\n", "\\n").replace("\r", "\\r"))]
                self.assertTrue(any(form in page for form in forms), f"{path}: {text}\n{out}")

    def test_show(self):
        path = self.file("all.toml", ALL)
        code, out, err = run("show", path)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out, ALL_SHOWN.replace("all.toml", path))
        self.assertEqual(run("show", path, "--toml")[1], ALL)
        wrong = self.file("wrong.toml", ALL.replace('do = "listen"', 'do = "lisen"'))
        code, out, err = run("show", wrong)
        self.assertEqual((code, out), (65, ""))
        self.assertIn('the nearest is "listen"', err)

    def test_the_example_of_the_documentation(self):
        with open(os.path.join(SOURCE, "docs", "scenarios.md"), encoding="utf-8") as file:
            example = file.read().split("```toml\n")[1].split("```")[0]
        code, out, _ = run("run", self.file("example.toml", example), "--diagram")
        self.assertEqual(code, 0, out)
        self.assertIn("A2   true:", out)
        self.assertIn("lost --X", out)

    def test_a_link_that_changes(self):
        with open(os.path.join(SOURCE, "docs", "scenarios.md"), encoding="utf-8") as file:
            change = next(part.split("```")[0] for part in file.read().split("```toml\n") if part.startswith("[[change]]"))
        text = 'scenario = "changes"\n[host.client]\n[host.server]\n' + change + """
[script]
steps = [
  { name = "during", do = "wait", time = "2200 ms" },
  { name = "open", do = "connect", host = "client", socket = "c", to = "server:80" },
]
[[check]]
holds = "outage.at == 2 and open.result == ECONNREFUSED and abs(open.took - 1.002 s) < 1 ms"
"""
        code, out, err = run("run", self.file("changes.toml", text), "--diagram")
        self.assertEqual(code, 0, out + err)
        self.assertIn("wire: down = true", out)

    def test_conditions_decide(self):
        self.assertEqual(run("run", self.refused)[0], 0)
        code, out, _ = run("run", self.file("false.toml", REFUSED.replace("== ECONN", "!= ECONN")))
        self.assertEqual(code, 2)
        self.assertIn("FAILS", out)
        code, out, _ = run("run", self.refused, "--json")
        self.assertTrue(json.loads(out)["holds"])

    def test_the_same_seed_is_the_same_log(self):
        logs = []
        for name in ("a", "b"):
            path = os.path.join(self.folder, name)
            self.assertEqual(run("run", self.refused, "--seed", "9", "--log", path)[0], 0)
            with open(path, "rb") as file:
                logs.append(file.read())
        self.assertEqual(logs[0], logs[1])
        self.assertGreater(len(logs[0].splitlines()), 4)

    def test_what_is_wrong_is_said_with_its_place(self):
        for text, code, says in (
                (REFUSED.replace("socket", "sokcet"), 65, 'wrong.toml:6:11: script.steps.open.socket is missing'),
                (REFUSED.replace('socket = "c"', 'within = 100 ms'), 65, 'has to be in quotes: "100 ms"'),
                (REFUSED.replace('"connect"', '"conect"'), 65, 'the nearest is "connect"'),
                ("scenario = ", 65, "wrong.toml:1:"),
        ):
            path = self.file("wrong.toml", text)
            got, out, err = run("run", path)
            self.assertEqual(got, code, err)
            self.assertIn(says, err)
            self.assertEqual(out, "")
        for words, code, says in (
                (("run", "port-exhaustoin"), 64, "did you mean port-exhaustion?"),
                (("run", self.folder + "/none.toml"), 66, "none.toml"),
                (("run", self.refused, "--set", "nothing"), 64, "KEY=VALUE"),
                (("run", self.refused, "--set", "host.clinet.mtu=900"), 64, 'the nearest is "client"'),
                (("run", self.refused, "--set", "wire.loss=7"), 64, "--set wire.loss=7: wire.loss has to be from 0 to 1"),
                (("run", self.refused, "--variant", "x"), 64, "no variants"),
                (("compare", self.refused, "--seeds", "5-1"), 64, "--seeds 5-1"),
                (("sweep", self.refused, "--shard", "3/2"), 64, "--shard 3/2"),
                (("claims", "Z9"), 64, "no claim 'Z9'"),
                (("replay", "rm -rf /"), 64, "lastack lab run"),
                (("run", self.refused, "--html", "/nowhere/at/all.html"), 73, "/nowhere"),
        ):
            got, _, err = run(*words)
            self.assertEqual(got, code, (words, err))
            self.assertIn(says, err)

    def test_why_a_condition_does_not_hold(self):
        """Which failures there were in place of one that there was not; which step's failure a step follows."""
        path = self.file("why.toml", """
scenario = "why"
duration = "2 s"
[host.client]
[host.server]
[[clients]]
name = "load"
host = "client"
to = "server:80"
rate = 10
[script]
steps = [
  { name = "open", do = "connect", host = "client", socket = "c", to = "server:81" },
  { name = "said", do = "write", socket = "c", bytes = 1 },
]
[[check]]
holds = "load.failed.EADDRNOTAVAIL > 0"
[[check]]
holds = "said.result == ok"
""")
        code, out, err = run("run", path)
        self.assertEqual(code, 2, err)
        self.assertRegex(out, "NOT MEASURED load.failed.EADDRNOTAVAIL > 0")
        self.assertRegex(out, "load: what failed: ECONNREFUSED (19|20)")
        self.assertIn("said.result: it follows open (connect), which came to ECONNREFUSED, so c is no connection", out)
        code, out, _ = run("run", path, "--measures", "--set", "clients.load.rate=1", "--set", "clients.load.begins=1.9 s")
        self.assertIn("it follows open (connect)", out.split("said.result  ")[1].splitlines()[0])

    def test_both_worlds_on_families_states_and_rejections(self):
        """What is written in docs/scenarios.md of both kinds of hosts, on the running kernel as on the endpoint."""
        path = self.file("both.toml", BOTH)
        code, out, err = run("compare", path)
        if code == 3:
            self.skipTest(out)
        self.assertEqual(code, 0, out + err)
        self.assertEqual(len(re.findall(r"match|permitted variation", out)), 4, out)
        self.assertNotIn("does not hold", out)
        # Where segments part, both are told.
        for line in out.splitlines():
            if ": another segment" in line:
                self.assertRegex(line, r"another segment: .+ on the endpoint, .+ on the kernel")

    def test_a_file_that_is_too_large(self):
        code, out, err = run("run", self.file("large.toml", "#" * ((1 << 20) + 1)))
        self.assertEqual((code, out), (65, ""), err)
        self.assertIn("at most 1 MiB", err)

    def test_a_full_disk(self):
        code, out, _ = run("run", self.refused, "--log", "/dev/full")
        self.assertEqual(code, 73)
        self.assertIn("No space left", out)
        code, out, _ = run("run", self.refused, "--pcap", "/dev/full")
        self.assertEqual(code, 73)
        self.assertIn("No space left", out)

    def test_a_capture(self):
        scenario = os.path.join(SOURCE, "scenarios", "lost-last-ack.toml")
        path = os.path.join(self.folder, "a.pcapng")
        words = ("run", scenario, "--variant", "time-wait", "--pcap")
        self.assertEqual(run(*words, path)[0], 0)
        interfaces, packets = read_pcapng(path)
        self.assertEqual(interfaces, ["client", "server"])
        for packet in packets:
            self.assertEqual(packet["sum"], 0, packet)
        # Three ACKs of the client are lost: sent, and never arrived.
        lost = [p for p in packets if "lost: fault loss" in p["comment"]]
        self.assertEqual([(p["interface"], p["outbound"]) for p in lost], [("client", True)] * 3)
        for packet in packets:
            seen = [p["interface"] for p in packets if p["id"] == packet["id"]]
            self.assertEqual(len(seen), 1 if packet in lost else 2, packet)
        ends = [p["comment"] for p in packets if "TIME_WAIT" in p["comment"]]
        self.assertEqual(len(ends), 1)
        self.assertIn("FIN_WAIT_2 -> TIME_WAIT (RFC9293", ends[0])
        self.assertEqual(packets[0]["at"], 10**9)
        self.assertEqual([p["at"] for p in packets], sorted(p["at"] for p in packets))
        # One place, and the same bytes with the same seed.
        again = os.path.join(self.folder, "b.pcapng")
        self.assertEqual(run(*words, again)[0], 0)
        with open(path, "rb") as one, open(again, "rb") as other:
            self.assertEqual(one.read(), other.read())
        self.assertEqual(run(*words, again, "--pcap-at", "server")[0], 0)
        interfaces, only = read_pcapng(again)
        self.assertEqual(interfaces, ["server"])
        self.assertEqual(len(only), sum(p["interface"] == "server" for p in packets))
        self.assertEqual(run(*words, again, "--pcap-at", "sever")[0], 64)
        if shutil.which("tshark"):
            done = subprocess.run(["tshark", "-r", path, "-T", "fields", "-e", "frame.comment"], capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.splitlines(), [p["comment"] for p in packets])

    def test_a_file_that_cannot_be_written(self):
        folder = os.path.join(self.folder, "files")
        os.mkdir(folder)
        path = os.path.join(folder, "a")
        for option in ("--pcap", "--log"):
            with open(path, "w", encoding="utf-8") as file:
                file.write("old")
            code, out, _ = run("run", self.refused, option, path, restore_signals=False,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
            self.assertEqual(code, 73, out)
            self.assertIn("cannot write " + path, out)
            with open(path, encoding="utf-8") as file:
                self.assertEqual(file.read(), "old")
            self.assertEqual(os.listdir(folder), ["a"])
            code, out, _ = run("run", self.refused, option, os.path.join(folder, "no", "x"))
            self.assertEqual(code, 73, out)

    def test_standard_output_is_taken(self):
        for option in ("--log", "--pcap", "--html"):
            code, out, err = run("run", self.refused, option, "-")
            self.assertEqual((code, out), (64, ""))
            self.assertIn(option + " -: standard output is taken", err)

    def test_a_full_disk_ends_a_run(self):
        scenario = os.path.join(SOURCE, "scenarios", "port-exhaustion-full.toml")
        code, out, _ = run("run", scenario, "--variant", "reuse", "--log", "/dev/full")
        self.assertEqual(code, 73, out)
        self.assertIn("No space left", out)

    def test_a_run_is_replayed(self):
        code, out, _ = run("run", self.refused, "--seed", "4", "--set", "wire.delay=3 ms")
        self.assertEqual(code, 0)
        line = out.splitlines()[-1].split(None, 1)[1]
        for words in ((line,), tuple(__import__("shlex").split(line))):
            again = run("replay", *words)
            self.assertEqual(again[0], 0, again)
            self.assertIn("seed 4, 0.006 s", again[1])
        self.assertIn("seed 4, 0.006 s", out)

    def test_a_sweep_goes_on(self):
        out = os.path.join(self.folder, "sweep.jsonl")
        words = ("sweep", self.refused, "--set", "wire.delay=1 ms,2 ms", "--seeds", "1-3", "-o", out)
        self.assertEqual(run(*words)[0], 0)
        with open(out, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual(sorted(json.loads(line)["point"] for line in lines), list(range(6)))
        self.assertTrue(all(json.loads(line)["holds"] for line in lines))
        # Broken off within the last line.
        with open(out, "w", encoding="utf-8") as file:
            file.write("\n".join(lines[:4]) + "\n" + lines[4][:30])
        self.assertEqual(run(*words)[0], 0)
        with open(out, encoding="utf-8") as file:
            after = file.read().splitlines()
        self.assertEqual(after[:4], lines[:4])
        whole = [json.loads(line) for line in after if line != lines[4][:30]]
        self.assertEqual(sorted(one["point"] for one in whole), list(range(6)))
        # Shards are the whole.
        parts = [run(*words[:-2], "--shard", f"{i}/4")[1].splitlines() for i in range(1, 5)]
        self.assertEqual(sorted(json.loads(line)["point"] for part in parts for line in part), list(range(6)))

    def test_nothing_is_left(self):
        temporary = os.path.join(self.folder, "tmp")
        os.mkdir(temporary)
        page = os.path.join(self.folder, "x.html")
        code, out, err = run("run", self.refused, "--diagram", "--html", page, env={**os.environ, "TMPDIR": temporary})
        self.assertEqual(code, 0, out + err)
        self.assertEqual(os.listdir(temporary), [])
        with open(page, encoding="utf-8") as file:
            self.assertIn("ECONNREFUSED", file.read())


if __name__ == "__main__":
    LASTACK, SOURCE = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
