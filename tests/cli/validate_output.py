#!/usr/bin/env python3
"""What the program prints and writes, held against the schemas that are shipped with it.

usage: validate_output.py LASTACK SOURCE_DIR
"""
import copy
import gzip
import json
import os
import subprocess
import sys
import tempfile
import unittest

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


def run(*arguments, text_in=None):
    return subprocess.run([LASTACK, *arguments], input=text_in, capture_output=True, timeout=60)


def validator(name):
    with open(os.path.join(SOURCE, "schema", name), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class Bundles(unittest.TestCase):
    def setUp(self):
        self.schema = validator("bundle-1.schema.json")
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def snapshot(self, *options):
        path = os.path.join(self.folder.name, "bundle.json.gz")
        done = run("snapshot", "-o", path, *options)
        self.assertIn(done.returncode, (0, 3), done.stderr)
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return json.load(file)

    def test_of_this_host(self):
        self.schema.validate(self.snapshot())

    def test_of_this_host_redacted(self):
        plain = self.snapshot()
        bundle = self.snapshot("--redact")
        self.schema.validate(bundle)
        if plain["now"]["hostname"] not in ("", "localhost", "host"):
            self.assertNotEqual(bundle["now"]["hostname"], plain["now"]["hostname"])
        for process in bundle["now"].get("processes", []):
            self.assertIn(process.get("arguments", ""), ("", "redacted"))

    def test_of_two_looks(self):
        bundle = self.snapshot("--sample", "0.3")
        self.assertIn("earlier", bundle)
        self.schema.validate(bundle)

    def test_to_standard_output(self):
        done = run("snapshot", "-o", "-")
        self.assertIn(done.returncode, (0, 3), done.stderr)
        self.schema.validate(json.loads(gzip.decompress(done.stdout)))

    def test_the_schema_refuses_what_the_reader_refuses(self):
        bundle = self.snapshot()
        for damage in (
            lambda b: b.pop("format"),
            lambda b: b.update(version=2),
            lambda b: b["now"].pop("namespaces"),
            lambda b: b["now"].update(page_size=-1),
            lambda b: b["now"].update(hostname=7),
            lambda b: b["now"]["namespaces"][0]["sockets"]["states"].update(OPEN=1),
            lambda b: b["now"]["namespaces"][0]["counters"].update(TW=1.5),
            lambda b: b["now"]["namespaces"][0].update(enter="rm -rf /"),
        ):
            bad = copy.deepcopy(bundle)
            damage(bad)
            self.assertFalse(self.schema.is_valid(bad))
            done = run("doctor", "--from", "-", text_in=json.dumps(bad).encode())
            self.assertEqual(done.returncode, 65, done.stderr)


class Diagnoses(unittest.TestCase):
    def setUp(self):
        self.schema = validator("diagnosis-1.schema.json")

    def diagnosis(self, *options, text_in=None):
        done = run("doctor", "--json", *options, text_in=text_in)
        self.assertIn(done.returncode, (0, 1, 2, 3), done.stderr)
        diagnosis = json.loads(done.stdout)
        self.schema.validate(diagnosis)
        if diagnosis["looked"]:
            self.assertEqual(done.returncode, ["notice", "warning", "problem"].index(diagnosis["worst"]))
        return diagnosis

    def test_of_this_host(self):
        self.diagnosis()

    # Seeds of the fuzz target: in one every member has some value, the other is a host in trouble.
    def test_of_a_bundle_with_everything(self):
        path = os.path.join(SOURCE, "fuzz", "corpus", "bundle", "everything.json")
        with open(path, encoding="utf-8") as file:
            validator("bundle-1.schema.json").validate(json.load(file))
        self.diagnosis("--from", path)

    def test_of_a_host_in_trouble(self):
        path = os.path.join(SOURCE, "fuzz", "corpus", "bundle", "trouble.json")
        diagnosis = self.diagnosis("--from", path)
        self.assertEqual(diagnosis["worst"], "problem")
        self.assertEqual(diagnosis["headroom"][0]["remote"], {"address": "10.0.9.2", "port": 3306})
        self.assertEqual(diagnosis["headroom"][0]["taken"], 28009)
        leak = [f for f in diagnosis["findings"] if f["id"] == "close-wait-leak"]
        self.assertEqual([o["pid"] for f in leak for o in f["owners"]], [901])
        self.assertTrue(all(f["remedies"] for f in diagnosis["findings"] if f["severity"] != "notice"))

    def test_a_bundle_gives_what_the_host_gave(self):
        bundle = run("snapshot", "-o", "-").stdout
        first = self.diagnosis("--from", "-", text_in=bundle)
        again = self.diagnosis("--from", "-", text_in=gzip.decompress(bundle))
        self.assertEqual(first, again)

    def test_the_schema_can_fail(self):
        diagnosis = self.diagnosis()
        for damage in (
            lambda d: d.pop("findings"),
            lambda d: d.update(version="1"),
            lambda d: d.update(worst="fine"),
            lambda d: d["findings"].append({"id": "x"}),
        ):
            bad = copy.deepcopy(diagnosis)
            damage(bad)
            self.assertFalse(self.schema.is_valid(bad))


if __name__ == "__main__":
    LASTACK, SOURCE = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0]], verbosity=2)
