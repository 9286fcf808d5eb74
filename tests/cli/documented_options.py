#!/usr/bin/env python3
"""Man pages and shell completions name the commands and options that the program has, and no others.

usage: documented_options.py LASTACK SOURCE_DIR
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import unittest

LASTACK = ""
SOURCE = ""
COMMANDS = ("doctor", "snapshot", "explain", "demo", "plan", "endpoint", "lab", "log")
# Commands of a command; one page is for all of them.
PARTS = {"endpoint": ("serve", "fetch", "churn"),
         "lab": ("list", "show", "run", "compare", "sweep", "claims"), "log": ("show", "html", "diff")}
# explain has a paragraph in the page of the program itself.
PAGES = {"doctor": "lastack-doctor.1", "snapshot": "lastack-snapshot.1", "demo": "lastack-demo.1", "plan": "lastack-plan.1",
         "endpoint": "lastack-endpoint.1", "lab": "lastack-lab.1", "log": "lastack-log.1"}


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def options_of(command):
    """Long names of the options that --help lists: they begin a line, after a short name if there is one."""
    lines = []
    for words in [[command]] + [[command, part] for part in PARTS.get(command, ())]:
        lines += subprocess.run([LASTACK, *words, "--help"], capture_output=True, text=True, check=True,
                                timeout=60).stdout.splitlines()
    return {
        name
        for line in lines
        if (match := re.match(r"\s+(-\S+)", line))
        for name in re.findall(r"--([a-z][a-z-]*)", match[1])
    }


class Documentation(unittest.TestCase):
    def setUp(self):
        self.options = {command: options_of(command) for command in COMMANDS}
        self.assertIn("sample", self.options["doctor"])
        self.assertIn("output", self.options["snapshot"])

    def test_the_program_has_these_commands(self):
        text = subprocess.run([LASTACK, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
        listed = re.findall(r"^  ([a-z]+) ", text.split("Subcommands:")[1], re.M)
        self.assertEqual(sorted(listed), sorted(COMMANDS))
        page = read("man", "lastack.1")
        for command in COMMANDS:
            self.assertIn(".It Cm " + command, page)

    def test_counters_of_scenarios(self):
        table = read("include", "lastack", "counters.h").split("#define LASTACK_TCP_COUNTERS(X)")[1].split("// clang-format on")[0]
        counters = re.findall(r"X\((\w+)\)", table)
        self.assertIn("TCPTimeWaitOverflow", counters)
        told = read("docs", "scenarios.md").split("Counters are those by the kernel's names")[1].split("\n\n")[0]
        named = [name for name in re.findall(r"`(\w+)`", told) if name not in ("Tcp", "TcpExt")]
        self.assertEqual(named, counters)

    def test_man_pages(self):
        for command, name in PAGES.items():
            described = set(re.findall(r"Fl -([a-z][a-z-]*)", read("man", name)))
            # The page of snapshot also speaks of the doctor's options.
            known = self.options[command] | self.options["doctor"]
            self.assertEqual(self.options[command] - described - {"help"}, set(), name)
            self.assertEqual(described - known - {"help"}, set(), name)

    def test_completions(self):
        everything = set().union(*self.options.values()) | {"version"}
        for name, form in (("lastack.bash", r"--([a-z][a-z-]*)"), ("_lastack", r"--([a-z][a-z-]*)"),
                           ("lastack.fish", r"(?m)^complete .* -l ([a-z][a-z-]*)")):
            text = read("completions", name)
            self.assertEqual(set(re.findall(form, text)), everything, name)
            for command in COMMANDS + sum(PARTS.values(), ()):
                self.assertIn(command, text)

    def test_man_pages_are_clean(self):
        if shutil.which("mandoc") is None:
            self.skipTest("mandoc is not installed")
        for page in sorted(glob.glob(os.path.join(SOURCE, "man", "*.1"))):
            # In their folder they find one another; what else this machine has of manuals is its own affair.
            done = subprocess.run(["mandoc", "-Tlint", "-Wstyle", os.path.basename(page)], cwd=os.path.dirname(page),
                                  capture_output=True, text=True, timeout=60)
            found = [l for l in (done.stdout + done.stderr).splitlines()
                     if "mandoc.db" not in l and "referenced manual not found" not in l]
            self.assertEqual(found, [])
            text = read("man", os.path.basename(page))
            for section in ("EXAMPLES", "EXIT STATUS"):
                self.assertIn(".Sh " + section, text)

    def test_shells_accept_the_completions(self):
        for shell, name in (("bash", "lastack.bash"), ("zsh", "_lastack"), ("fish", "lastack.fish")):
            with self.subTest(shell):
                if shutil.which(shell) is None:
                    self.skipTest(shell + " is not installed")
                path = os.path.join(SOURCE, "completions", name)
                done = subprocess.run([shell, "-n", path], capture_output=True, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    LASTACK, SOURCE = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0]], verbosity=2)
