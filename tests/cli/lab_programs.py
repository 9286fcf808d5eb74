#!/usr/bin/env python3
"""Real programs in scenarios: what they say and end with, and that nothing of them is left however a run ends.

usage: lab_programs.py LASTACK SOURCE_DIR
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

LASTACK = ""
SOURCE = ""
NO_LOOK = 3
HEAD = """
scenario = "x"
[host.a]
[host.b]
"""


def program(name, script, *lines):
    words = json.dumps(["sh", "-c", script])
    return "\n".join(("", "[[program]]", f'name = "{name}"', 'host = "a"', f"run = {words}", *lines, ""))


def running(word):
    """Processes whose command has this word in it, those that have ended aside."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if word.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def until(holds, seconds=10):
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


class Programs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        # Nobody else's runs are looked at.
        self.temporary = os.path.join(self.folder, "tmp")
        os.mkdir(self.temporary)
        self.environment = {**os.environ, "TMPDIR": self.temporary}

    def file(self, text):
        path = os.path.join(self.folder, "x.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_on(self, text, where="kernel", *more):
        done = subprocess.run([LASTACK, "lab", "run", self.file(text), "--on", where, *more], capture_output=True,
                              text=True, timeout=60, env=self.environment)
        if done.returncode == NO_LOOK and ("namespace" in done.stdout or "/dev/net/tun" in done.stdout):
            self.skipTest(done.stdout)
        if "may not open /dev/net/tun" in done.stdout:
            self.skipTest(done.stdout)
        self.assertEqual(os.listdir(self.temporary), [])
        return done.returncode, done.stdout, done.stderr

    def result(self, text):
        code, out, err = self.run_on(text, "kernel", "--json")
        self.assertIn(code, (0, 2), out + err)
        report = json.loads(out)
        return code, report["variants"][0]["measures"], {p["program"]: p for p in report["variants"][0]["programs"]}

    def test_what_it_says_and_ends_with(self):
        code, measures, programs = self.result(
            HEAD + program("good", "cat word; echo n = 1.5; echo n=2.5; echo x y=3; echo half=4x; exit 3", "status = [2, 3]",
                           'files = { word = "{folder} {b.address} {c} {d\\n" }') +
            program("after", "echo $WORD; env >&2; kill -9 $$", "status = 137", 'after = "good"',
                    'environment = { WORD = "of {a.address}" }'))
        self.assertEqual(code, 0)
        self.assertEqual((measures["good.status"], measures["good.lines"], measures["good.says.n"]), (3, 5, 2.5))
        self.assertNotIn("good.says.half", measures)
        self.assertRegex(programs["good"]["output"], r"^/\S+/lastack-run-\w+ 10.0.0.2 {c} {d\n")
        said = programs["after"]["output"].splitlines()
        self.assertEqual(said[0], "of 10.0.0.1")
        self.assertEqual({line.split("=")[0] for line in said[1:]} - {"_", "SHLVL", "OLDPWD"},
                         {"PATH", "HOME", "TMPDIR", "LC_ALL", "WORD", "PWD"})
        self.assertGreaterEqual(measures["after.at"], measures["good.at"])

    def test_a_status_that_was_not_meant(self):
        code, out, _ = self.run_on(HEAD + program("bad", "echo 'that \\033[31m went wrong' >&2; exit 4"))
        self.assertEqual(code, 2)
        self.assertIn("FAILS  bad ends with 0\n         bad.status = 4", out)
        self.assertIn("| that ?[31m went wrong", out)

    def test_much_output_is_bounded(self):
        _, measures, programs = self.result(HEAD + program("big", "yes 0123456789 | head -c 5000000; echo; echo end"))
        self.assertGreaterEqual(measures["big.bytes"], 5000000)
        self.assertLessEqual(len(programs["big"]["output"]), 16384)
        self.assertTrue(programs["big"]["output"].endswith("\nend\n"))

    def test_one_that_does_not_end(self):
        code, out, _ = self.run_on(HEAD + program("long", "sleep 99.125", 'within = "100 ms"'))
        self.assertEqual(code, 2)
        self.assertIn("it had not ended after 0.1 s", out)
        self.assertEqual(running("99.125"), [])

    def test_one_that_does_not_get_ready(self):
        code, out, _ = self.run_on(HEAD + program("deaf", "sleep 99.25", "ready = 80", 'within = "100 ms"'))
        self.assertEqual(code, 2)
        self.assertIn("did not listen on port 80 within 0.1 s", out)
        code, out, _ = self.run_on(HEAD + program("short", "exit 5", "ready = 80"))
        self.assertEqual(code, 2)
        self.assertIn("it ended before it was ready (short.status = 5)", out)
        self.assertEqual(running("99.25"), [])

    def test_it_is_ended_when_its_time_has_come(self):
        _, measures, programs = self.result(
            HEAD + program("asked", "trap 'echo asked; exit 0' INT; while :; do sleep 0.01; done", 'ends = "500 ms"',
                           'signal = "INT"') +
            program("stubborn", "trap '' TERM; while :; do sleep 0.01; done", 'ends = "500 ms"', "status = 0") +
            program("waits", "true", 'after = "stubborn"'))
        self.assertEqual((measures["asked.status"], programs["asked"]["output"]), (0, "asked\n"))
        self.assertTrue(programs["asked"]["as_meant"])
        self.assertEqual(measures["stubborn.status"], 137)
        self.assertEqual(measures["waits.status"], 0)

    def test_daemons_go_with_the_run(self):
        script = "(setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 99.5; done' >/dev/null 2>&1 </dev/null &) ; exit 0"
        code, out, _ = self.run_on(HEAD + program("daemon", script))
        self.assertEqual(code, 0, out)
        self.assertEqual(running("99.5"), [])

    def test_sigkill_of_the_lab(self):
        path = self.file(HEAD + program("daemon", "(setsid sleep 99.75 &) ; sleep 99.75", 'ready = "1 ms"') +
                         '[script]\nsteps = [ { do = "wait", time = "50 s" } ]\n')
        with subprocess.Popen([LASTACK, "lab", "run", path, "--on", "kernel"], env=self.environment,
                              stdout=subprocess.PIPE, text=True) as lab:
            if not until(lambda: len(running("99.75")) == 3 or lab.poll() is not None) or lab.poll() is not None:
                self.skipTest(lab.communicate()[0])
            self.assertEqual(len(os.listdir(self.temporary)), 1)
            lab.send_signal(signal.SIGKILL)
            lab.communicate()
        self.assertTrue(until(lambda: running("99.75") == []), running("99.75"))
        # The folder is taken away by the next run; not that of a run that goes on.
        self.run_on(HEAD + program("next", "true"))

    def test_a_host_has_its_limit_of_descriptors(self):
        _, _, programs = self.result(HEAD.replace("[host.a]\n", "[host.a]\ndescriptors = 77\n") +
                                     program("limit", "ulimit -n"))
        self.assertEqual(programs["limit"]["output"], "77\n")

    def test_it_has_no_network_but_its_host_s(self):
        _, _, programs = self.result(HEAD + program("devices", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort"))
        self.assertEqual(programs["devices"]["output"].splitlines()[-2:], ["lo", "wire"])

    def test_where_it_cannot_be(self):
        text = HEAD + program("x", "true")
        code, out, _ = self.run_on(text, "endpoint")
        self.assertEqual(code, NO_LOOK)
        self.assertIn("host a runs sh, which only a kernel can, and is an endpoint here", out)
        code, out, _ = self.run_on(text.replace('"sh"', '"no-such-program"'), "kernel")
        self.assertEqual(code, NO_LOOK)
        self.assertIn("no-such-program is not installed", out)
        self.environment["PATH"] = "/nonexistent"
        if not any(os.path.exists(f"{place}/curl") for place in ("/usr/local/sbin", "/usr/sbin", "/sbin")):
            self.assertIn("curl is not installed: apt install curl", self.run_on(text.replace('"sh"', '"curl"'))[1])

    def test_one_that_cannot_be_run(self):
        path = os.path.join(self.folder, "garbage")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\x01")
        os.chmod(path, 0o755)
        code, out, _ = self.run_on(HEAD + program("x", "").replace('"sh"', json.dumps(path)))
        self.assertEqual(code, 2)
        self.assertIn("Exec format error", out)

    def test_curl_and_an_endpoint(self):
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        code, out, _ = self.run_on(r"""
scenario = "x"
[host.client]
[host.server]
[[server]]
name = "service"
host = "server"
request = "\r\n\r\n"
answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n"
requests = 3
closes = "first"
[[program]]
name = "curl"
host = "client"
run = ["curl", "-sS", "http://{server.address}/[1-6]"]
[[check]]
holds = "curl.lines == 6 and service.accepted == 2 and service.answered == 6"
""", "mixed")
        self.assertEqual(code, 0, out)

    def test_the_example_of_the_documentation(self):
        for name in ("nginx", "curl"):
            if not any(shutil.which(name, path=path) for path in (os.environ["PATH"], "/usr/sbin")):
                self.skipTest(f"{name} is not installed")
        with open(os.path.join(SOURCE, "docs", "scenarios.md"), encoding="utf-8") as file:
            examples = [part.split("```")[0] for part in file.read().split("```toml\n")[1:]]
        example = [one for one in examples if "[[program]]" in one]
        self.assertEqual(len(example), 1)
        code, out, err = self.run_on(example[0])
        self.assertEqual(code, 0, out + err)


if __name__ == "__main__":
    LASTACK, SOURCE = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
