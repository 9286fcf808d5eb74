#!/usr/bin/env python3
"""`lastack endpoint --log`: every line is what the schema says, and together they tell how each connection ended.

usage: endpoint_log.py LASTACK SOURCE_DIR
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import private_network

try:
    import jsonschema
except ImportError:
    # Where ./dev installed it: the distribution's Python, not one that a version manager put in front.
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

LASTACK = ""
SOURCE = ""


class Log(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def churn(self, log, *options):
        """The endpoint opens and closes twenty connections to the kernel's echo service, and more are lost."""
        server = subprocess.Popen([sys.executable, "-c", """
import socket
s = socket.create_server(("0.0.0.0", 7))
print("ready", flush=True)
while True:
    c, _ = s.accept()
    while True:
        d = c.recv(4096)
        if not d:
            break
        c.sendall(d)
    c.close()
"""], stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        server.stdout.readline()
        return subprocess.run(
            [LASTACK, "endpoint", "churn", "10.77.0.1:7", "--create", "--tun", "la8", "--count", "20", "--concurrency",
             "4", "--exchange", "echo", "--json", "--log", log, *options],
            capture_output=True, text=True, timeout=60)

    def test_lines_and_what_they_tell(self):
        path = os.path.join(self.folder, "log.jsonl")
        done = self.churn(path, "--set", "tcp_tw_reuse=1", "--seed", "18446744073709551615")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        with open(os.path.join(SOURCE, "schema", "lifecycle-log-1.schema.json"), encoding="utf-8") as file:
            schema = json.load(file)
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for line in lines:
            validator.validate(line)
        header, events = lines[0], lines[1:]
        self.assertEqual(header["settings"], {"tcp_tw_reuse": "1"})
        self.assertEqual(header["seed"], "18446744073709551615", "more than 2^53: a string")
        self.assertEqual(header["coverage"]["segment"], "complete")
        self.assertEqual([e["t"] for e in events], sorted(e["t"] for e in events))
        # No field is there that the schema does not describe.
        known = set(schema["$defs"]["event"]["properties"])
        self.assertEqual(set().union(*events) - known, set())
        states = {}
        for event in events:
            if event["ev"] != "state:changed":
                continue
            key = event["local"], event["remote"], event["inc"]
            self.assertEqual(states.setdefault(key, ["CLOSED"])[-1], event["from"])
            self.assertTrue(event["why"])
            self.assertTrue(event["rule"], event)
            states[key].append(event["to"])
        self.assertEqual(len(states), 20)
        for path in states.values():
            self.assertEqual(path[:4], ["CLOSED", "SYN_SENT", "ESTABLISHED", "FIN_WAIT_1"])
            self.assertEqual(path[-1], "TIME_WAIT")
        self.assertEqual(sum(e["ev"] == "timewait:entered" for e in events), 20)

    def test_a_full_disk_is_told_and_the_work_goes_on(self):
        done = self.churn("/dev/full")
        self.assertEqual(done.returncode, 73)
        self.assertIn("/dev/full: No space left on device", done.stderr)
        self.assertEqual(done.stderr.count("/dev/full"), 1, "told once")
        self.assertEqual(json.loads(done.stdout)["finished"], 20)

    def test_what_cannot_be_written_is_told_before_anything_is_done(self):
        done = self.churn(os.path.join(self.folder, "no", "such", "log"))
        self.assertEqual(done.returncode, 73)
        self.assertIn("--log: cannot write", done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    private_network.enter()
    LASTACK, SOURCE = sys.argv[1], sys.argv[2]
    unittest.main(argv=sys.argv[:1])
