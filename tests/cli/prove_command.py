#!/usr/bin/env python3
"""lastack doctor --prove: what it says without playing anything, and one proof played, held against its schema.

usage: prove_command.py LASTACK SOURCE_DIR
"""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

LASTACK = ""
SOURCE = ""


def run(*words, before=()):
    done = subprocess.run([*before, LASTACK, *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def listed():
    """Ids that can be proved, and those that cannot."""
    _, out, _ = run("doctor", "--prove", "list")
    can, _, cannot = out.partition("\n\n")
    return ([line.split()[0] for line in can.splitlines()], [line.split()[0] for line in cannot.splitlines()[1:]])


class Prove(unittest.TestCase):
    def test_every_finding_can_be_proved_or_has_a_reason(self):
        _, out, _ = run("explain")
        known = [line.split()[0] for line in out.splitlines()]
        can, cannot = listed()
        self.assertEqual(sorted(can + cannot), sorted(known))
        self.assertEqual(sorted(can), sorted(name[:-5] for name in os.listdir(os.path.join(SOURCE, "scenarios", "prove"))))
        for finding in cannot:
            code, out, err = run("doctor", "--prove", finding)
            self.assertEqual((code, out), (3, ""))
            self.assertRegex(err, "cannot be made to happen in small: .{20}")

    def test_explain_says_so(self):
        can, cannot = listed()
        self.assertIn("lastack doctor --prove " + can[0], run("explain", can[0])[1])
        self.assertNotIn("--prove", run("explain", cannot[0])[1])

    def test_what_is_wrong(self):
        for words, says in (
                (("--prove", "close-wait-laek"), "did you mean close-wait-leak?"),
                (("--prove", "x"), "--prove list"),
                (("--prove", ""), "--prove"),
                (("--prove", "close-wait-leak", "--pid", "1"), "cannot be combined"),
                (("--prove", "close-wait-leak", "--from", "x"), "cannot be combined"),
                (("--full",), "--prove"),
        ):
            code, out, err = run("doctor", *words)
            self.assertEqual((code, out), (64, ""), (words, err))
            self.assertIn(says, err)

    def test_where_namespaces_are_not_permitted(self):
        # In a user namespace that may not have another.
        if shutil.which("unshare") is None or subprocess.run(
                ["unshare", "-r", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no user namespace to forbid others in")
        script = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
        code, out, err = run("doctor", "--prove", "close-wait-leak", before=("unshare", "-r", "sh", "-c", script, "sh"))
        self.assertEqual((code, out), (77, ""), err)
        self.assertIn("private namespace", err)
        self.assertIn("max_net_namespaces", err)

    def test_a_proof(self):
        code, out, err = run("doctor", "--prove", "accept-queue-overflow", "--json")
        if code == 77 or "/dev/net/tun" in out:
            self.skipTest(err or out)
        proof = json.loads(out)
        self.assertEqual(code, 0 if proof["proved"] else 2, out)
        self.validate(proof)
        raised, remedy = proof["rows"][0], proof["rows"][1]
        self.assertEqual(raised["finding"]["id"], "accept-queue-overflow")
        self.assertIsNone(remedy["finding"])
        self.assertEqual(remedy["remedy"], 1)
        code, out, _ = run("doctor", "--prove", "accept-queue-overflow", "--width", "80")
        self.assertEqual(code, 0, out)
        self.assertTrue(re.search(r"\n1 +accepted +gone +\d+ ", out), out)
        self.assertEqual([line for line in out.splitlines() if len(line) > 80], [])

    def validate(self, proof):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        schemas = {}
        for name in ("proof", "diagnosis"):
            with open(os.path.join(SOURCE, "schema", name + "-1.schema.json"), encoding="utf-8") as file:
                schemas[name] = json.load(file)
        validator = jsonschema.Draft202012Validator(schemas["proof"])
        validator.check_schema(schemas["proof"])
        validator.validate(proof)
        finding = jsonschema.Draft202012Validator({"$ref": "#/$defs/finding", "$defs": schemas["diagnosis"]["$defs"]})
        finding.validate(proof["rows"][0]["finding"])
        for damage in ({"rows": [{}]}, {"proved": "yes"}, {"format": "x"}):
            self.assertFalse(validator.is_valid({**proof, **damage}))


if __name__ == "__main__":
    LASTACK, SOURCE = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
