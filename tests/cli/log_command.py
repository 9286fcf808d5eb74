#!/usr/bin/env python3
"""`lastack log`: logs of real runs as text, as a page, and beside one another; and files that are none.

usage: log_command.py LASTACK SOURCE_DIR WRITE_REAL_LOGS
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

LASTACK = ""
WRITER = ""


class Log(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.logs = tempfile.TemporaryDirectory()
        subprocess.run([WRITER, cls.logs.name], check=True, timeout=60)

    @classmethod
    def tearDownClass(cls):
        cls.logs.cleanup()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def log(self, name):
        return os.path.join(self.logs.name, name + ".jsonl")

    def lastack(self, *arguments, **more):
        return subprocess.run([LASTACK, "log", *arguments], capture_output=True, text=True, timeout=60, **more)

    def test_show(self):
        done = self.lastack("show", self.log("lost"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("lost --X", done.stdout)
        self.assertNotIn("\x1b", done.stdout, "not a terminal")
        self.assertTrue(all(len(line) <= 120 for line in done.stdout.splitlines()))
        self.assertIn("\x1b[31m", self.lastack("show", "--color", "always", self.log("lost")).stdout)
        listed = self.lastack("show", "--list", self.log("lost"))
        with open(self.log("lost"), encoding="utf-8") as file:
            events = len(file.readlines()) - 1
        self.assertEqual(len(re.findall(r"(?m)^ *\d+ +[\d,.]+  \w", listed.stdout)), events)

    def test_a_part_of_it(self):
        for way in ("--list", "--diagram"):
            done = self.lastack("show", way, self.log("reuse"), "--connection", "2", "--from", "3950", "--to", "3960.5")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("RST 2'", done.stdout)
            self.assertNotIn("3,940.000", done.stdout)
        done = self.lastack("show", self.log("plain"), "--rows", "2")
        self.assertRegex(done.stdout, r"\.\.\. \d+ more rows, until 61,165\.000 ms")
        with open(self.log("plain"), encoding="utf-8") as file:
            self.assertIn("SYN 0", self.lastack("show", "-", stdin=file).stdout)

    def test_html_is_whole_or_not_there(self):
        out = os.path.join(self.folder, "out.html")
        done = self.lastack("html", self.log("reuse"), "-o", out, "--title", "<b>&")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        with open(out, encoding="utf-8") as file:
            page = file.read()
        self.assertTrue(page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n"))
        self.assertIn("<h1>&lt;b&gt;&amp;</h1>", page)
        self.assertEqual(self.lastack("html", self.log("reuse"), "-o", "-", "--title", "<b>&").stdout, page)
        # What was there stays when the next log is none.
        cut = os.path.join(self.folder, "cut.jsonl")
        with open(self.log("reuse"), "rb") as source, open(cut, "wb") as file:
            file.write(source.read()[:5000])
        done = self.lastack("html", cut, "-o", out)
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stderr, r"cut\.jsonl: line \d+: not a JSON object \(the log ends within this line\)")
        with open(out, encoding="utf-8") as file:
            self.assertEqual(file.read(), page)
        self.assertEqual(sorted(os.listdir(self.folder)), ["cut.jsonl", "out.html"])
        self.assertEqual(self.lastack("html", self.log("reuse"), "-o", "/dev/full").returncode, 73)
        self.assertEqual(self.lastack("html", self.log("reuse"), "-o", os.path.join(self.folder, "no", "x")).returncode, 73)

    def test_diff(self):
        same = self.lastack("diff", self.log("plain"), self.log("plain"))
        self.assertEqual(same.returncode, 0, same.stderr)
        self.assertIn("the same story", same.stdout)
        seeds = self.lastack("diff", self.log("three"), self.log("three-2"))
        self.assertEqual(seeds.returncode, 0, seeds.stdout)
        self.assertIn("made with another seed: 1, 2", seeds.stdout)
        other = self.lastack("diff", self.log("lost"), self.log("reuse"))
        self.assertEqual((other.returncode, other.stderr), (1, ""))
        self.assertRegex(other.stdout, r"(?m)^> ")
        with open(self.log("lost"), encoding="utf-8") as file:
            self.assertEqual(self.lastack("diff", "-", self.log("lost"), stdin=file).returncode, 0)
        self.assertEqual(self.lastack("diff", "-", "-").returncode, 64)

    def test_what_is_no_log(self):
        with open(self.log("plain"), "rb") as file:
            good = file.read()
        lines = good.splitlines(keepends=True)
        files = {
            "empty": (b"", "the log is empty"),
            "text": (b"hello\n", "line 1: not a JSON object"),
            "json": (b"{}\n", "line 1: not a lifecycle log"),
            "newer": (good.replace(b'"version":1', b'"version":2', 1), "line 1: of a version"),
            "broken": (lines[0] + lines[1] + b"{]\n" + lines[2], "line 3: not a JSON object"),
            "state": (good.replace(b'"LISTEN"', b'"LISTENING"', 1), "from and to: states"),
            "bytes": (bytes(range(256)) * 40, "line 1: "),
            "endless": (lines[0] + b"[" * (3 << 20), "line 2: longer than"),
            "deep": (lines[0] + b'{"a":' + b"[" * 500000 + b"\n", "line 2: not a JSON object"),
        }
        for name, (content, message) in files.items():
            with self.subTest(name):
                path = os.path.join(self.folder, name)
                with open(path, "wb") as file:
                    file.write(content)
                for arguments in (["show", path], ["show", "--list", path], ["html", path, "-o", path + ".html"],
                                  ["diff", self.log("plain"), path], ["diff", path, self.log("plain")]):
                    done = self.lastack(*arguments)
                    self.assertEqual(done.returncode, 65, arguments)
                    self.assertEqual(done.stdout, "")
                    self.assertIn(path + ": " + message if name != "state" else message, done.stderr)
                    self.assertFalse(os.path.exists(path + ".html"))
        for path in (os.path.join(self.folder, "none"), self.folder):
            self.assertEqual(self.lastack("show", path).returncode, 66)

    def test_wrong_usage(self):
        log = self.log("plain")
        for arguments in ([], ["show"], ["show", log, "--list", "--diagram"], ["show", log, "--rows", "-1"],
                          ["show", log, "--connection", "2"], ["show", log, "--connection", "x"], ["html", log],
                          ["show", log, "--from", "nan"], ["diff", log], ["diff", log, log, "--share", "101"],
                          ["html", log, "-o", ""]):
            done = self.lastack(*arguments)
            self.assertEqual(done.returncode, 64, arguments)
            self.assertTrue(done.stderr, arguments)
            self.assertEqual(done.stdout, "", arguments)

    def test_a_reader_that_goes_away(self):
        done = subprocess.run(f"'{LASTACK}' log show --list '{self.log('foul')}' --rows 0 | head -1", shell=True,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual((done.stdout.count("\n"), done.stderr), (1, ""))

    def test_names_from_a_log_do_not_act(self):
        done = self.lastack("html", self.log("evil"), "-o", "-")
        self.assertNotIn("<img", done.stdout)


if __name__ == "__main__":
    LASTACK, WRITER = sys.argv[1], sys.argv[3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
