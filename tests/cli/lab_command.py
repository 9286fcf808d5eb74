#!/usr/bin/env python3
"""lastack lab as a person runs it: the library, a file of one's own, what is wrong with one, sweeps that go on, replays.

usage: lab_command.py LASTACK SOURCE_DIR
"""
import json
import os
import subprocess
import sys
import tempfile
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


def run(*words, **more):
    done = subprocess.run([LASTACK, "lab", *words], capture_output=True, text=True, timeout=60, **more)
    return done.returncode, done.stdout, done.stderr


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
            self.assertEqual(run("show", names[0])[1], file.read())

    def test_the_example_of_the_documentation(self):
        with open(os.path.join(SOURCE, "docs", "scenarios.md"), encoding="utf-8") as file:
            example = file.read().split("```toml\n")[1].split("```")[0]
        code, out, _ = run("run", self.file("example.toml", example), "--diagram")
        self.assertEqual(code, 0, out)
        self.assertIn("A2   true:", out)
        self.assertIn("lost --X", out)

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
                (REFUSED.replace("socket", "sokcet"), 65, 'wrong.toml:6:73: script.steps[0]'),
                (REFUSED.replace('"connect"', '"conect"'), 65, 'the nearest is "connect"'),
                ("scenario = ", 65, "wrong.toml:1:"),
        ):
            path = self.file("wrong.toml", text)
            got, out, err = run("run", path)
            self.assertEqual(got, code, err)
            self.assertIn(says if "script" not in says else "wrong.toml:6:", err)
            self.assertEqual(out, "")
        for words, code, says in (
                (("run", "port-exhaustoin"), 64, "did you mean port-exhaustion?"),
                (("run", self.folder + "/none.toml"), 66, "none.toml"),
                (("run", self.refused, "--set", "nothing"), 64, "KEY=VALUE"),
                (("run", self.refused, "--set", "host.clinet.mtu=900"), 64, 'the nearest is "client"'),
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

    def test_a_full_disk(self):
        code, out, _ = run("run", self.refused, "--log", "/dev/full")
        self.assertEqual(code, 2)
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
