#!/usr/bin/env python3
"""lastack plan as a person runs it: answers, the JSON against its schema, hosts from bundles, remedies, what is wrong, the document.

usage: plan_command.py LASTACK SOURCE_DIR
"""
import copy
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

LASTACK = ""
SOURCE = ""
BASE = ("--rate", "1000", "--lifetime", "50ms")


def run(*words, text_in=None, command="plan"):
    done = subprocess.run([LASTACK, command, *words], input=text_in, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def closed(schema):
    """The schema with no member that it does not name."""
    if isinstance(schema, dict):
        schema = {key: closed(value) for key, value in schema.items()}
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
    elif isinstance(schema, list):
        schema = [closed(one) for one in schema]
    return schema


def validator():
    with open(os.path.join(SOURCE, "schema", "plan-1.schema.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(closed(schema))


class Plan(unittest.TestCase):
    def plan(self, *words, code=None, text_in=None):
        got, out, err = run(*words, "--json", text_in=text_in)
        self.assertIn(got, (0, 1, 2) if code is None else (code,), (words, err))
        plan = json.loads(out)
        validator().validate(plan)
        self.assertEqual(got, ["fits", "at_a_price", "breaks"].index(plan["fit"]))
        return plan

    def test_fits_costs_or_breaks(self):
        self.plan("--rate", "100", "--lifetime", "50ms", code=0)
        self.assertGreater(self.plan("--rate", "400", "--lifetime", "50ms", code=1)["demand"]["dear_share"], 0)
        plan = self.plan(*BASE, code=2)
        self.assertEqual(plan["breaks_first"], "ports")
        self.assertAlmostEqual(plan["carries"], 28232 / 60.05, 6)
        self.assertAlmostEqual(plan["first_failure_s"], 28.232, 6)
        self.assertIsNone(plan["check"])
        self.assertIsNone(plan["origin"])

    def test_every_option(self):
        plan = self.plan("--rate", "9", "--times", "2", "--lifetime", "2s", "--round-trip", "10ms", "--sources", "2",
                         "--destinations", "3", "--first", "peer", "--source-port", "range", "--descriptors", "99",
                         "--requests", "10", "--set", "ip_local_port_range=40000-40099", "--set",
                         "ip_local_reserved_ports=40000-40009", "--set", "nf_conntrack_max=500", "--loopback")
        load = plan["load"]
        self.assertEqual((load["rate_per_second"], load["lifetime_s"], load["round_trip_s"]), (18, 2, 0.01))
        self.assertEqual((load["sources"], load["destinations"], load["ports"]), (2, 3, 90))
        self.assertEqual((load["closes_first"], load["source_port"]), ("peer", "range"))
        self.assertEqual({limit["limit"]: limit["there_is"] for limit in plan["limits"]},
                         {"ports": 90, "descriptors": 99, "conntrack": 500})
        self.assertEqual([way["requests_each"] for way in plan["ways"] if way["id"] == "keep-alive"], [10])
        self.assertFalse(self.plan(*BASE, "--set", "tcp_tw_reuse=1", "--no-peer-timestamps")["load"]["reuse_applies"])

    def test_the_endpoint_agrees(self):
        # What the two once disagreed about.
        small = ("--rate", "10", "--lifetime", "50ms", "--set", "ip_local_port_range=40000 40255")
        for words in (
                small,
                (*small, "--first", "peer", "--round-trip", "5ms"),
                (*small, "--set", "tcp_max_tw_buckets=50"),
                (*small, "--set", "tcp_max_tw_buckets=50", "--set", "tcp_tw_reuse=1"),
                (*small, "--destinations", "3", "--source-port", "bind"),
                (*small, "--source-port", "explicit", "--no-peer-timestamps"),
                ("--rate", "0.1", "--lifetime", "50ms", "--set", "ip_local_port_range=40000 40007"),
                ("--rate", "0.1", "--lifetime", "50ms", "--set", "ip_local_port_range=40000 40000"),
                ("--rate", "1000", "--lifetime", "20us"),
                ("--rate", "3", "--lifetime", "50ms", "--set", "tcp_tw_reuse=1", "--set", "ip_local_port_range=40000 40255"),
        ):
            plan = self.plan(*words, "--check")
            self.assertTrue(plan["check"]["agrees"], words)
            self.assertGreater(plan["check"]["attempts"], 500)
            subjects = {c["subject"] for c in plan["check"]["comparisons"]}
            self.assertLessEqual({"as asked", "keep-alive"}, subjects)

    def test_the_same_seed_is_the_same_answer(self):
        words = ("--rate", "5", "--lifetime", "1s", "--set", "ip_local_port_range=40000 40249", "--set",
                 "tcp_tw_reuse=1", "--check", "--seed")
        self.assertEqual(run(*words, "7"), run(*words, "7"))
        self.assertNotEqual(run(*words, "7")[1], run(*words, "8")[1])

    def test_of_a_host(self):
        bundle = os.path.join(SOURCE, "fuzz", "corpus", "bundle", "trouble.json")
        plan = self.plan("--from", bundle)
        origin = plan["origin"]
        self.assertEqual(origin["seen"][origin["chosen"]]["destination"], {"address": "10.0.9.2", "port": 3306})
        self.assertGreater(plan["load"]["rate_per_second"], 0)
        with open(bundle, encoding="utf-8") as file:
            self.assertEqual(self.plan("--from", "-", text_in=file.read()), plan)
        twice = self.plan("--from", bundle, "--times", "2", "--to", "10.0.9.2:3306")
        self.assertAlmostEqual(twice["load"]["rate_per_second"], 2 * plan["load"]["rate_per_second"])
        # What is said goes before what was seen.
        said = self.plan("--from", bundle, "--rate", "5", "--set", "ip_local_port_range=1000 1009", "--lifetime", "3s")
        self.assertEqual((said["load"]["rate_per_second"], said["load"]["range_low"], said["load"]["lifetime_s"]), (5, 1000, 3))
        code, _, err = run("--from", bundle, "--to", "10.0.9.9:1")
        self.assertEqual(code, 66)
        self.assertIn("10.0.9.2:3306", err)

    def test_of_this_host(self):
        code, out, err = run("--from-host", "--sample", "0.3", "--rate", "1", "--lifetime", "1ms", "--json")
        self.assertIn(code, (0, 1, 2), err)
        validator().validate(json.loads(out))

    def test_the_schema_can_fail(self):
        plan = self.plan(*BASE)
        for damage in (
                lambda p: p.pop("ways"),
                lambda p: p.update(fit="perhaps"),
                lambda p: p.update(new=1),
                lambda p: p["load"].pop("ports"),
                lambda p: p["limits"][0].update(limit="luck"),
                lambda p: p["demand"].update(open=-1),
        ):
            bad = copy.deepcopy(plan)
            damage(bad)
            self.assertFalse(validator().is_valid(bad))

    def test_what_is_wrong_is_said(self):
        short = ("--rate", "1000", "--lifetime")
        for words, code, says in (
                ((), 64, "--rate and --lifetime are needed"),
                (("--rate", "1000"), 64, "--rate and --lifetime are needed"),
                ((*short, "50"), 64, "such as 50ms"),
                ((*short, "-1s"), 64, "such as 50ms"),
                ((*short, "2y"), 64, "us, ms, s, min, h"),
                ((*short, "9000h"), 64, "a year at most"),
                ((*short, "1us"), 64, "20us or more"),
                ((*short, "0s"), 64, "--lifetime is needed"),
                ((*short, "50ms", "--round-trip", "51ms"), 64, "longer than the lifetime"),
                ((*short, "50ms", "--first", "peer", "--round-trip", "26ms"), 64, "two round trips"),
                (("--rate", "0", "--lifetime", "1s"), 64, "--rate"),
                (("--rate", "nan", "--lifetime", "1s"), 64, "--rate"),
                (("--rate", "1e99", "--lifetime", "1s"), 64, "--rate"),
                ((*BASE, "--rat", "5"), 64, "--rat"),
                ((*BASE, "--destinations", "0"), 64, "--destinations"),
                ((*BASE, "--sources", "1000001"), 64, "1000000"),
                ((*BASE, "--first", "both"), 64, "peer"),
                ((*BASE, "--source-port", "random"), 64, "explicit"),
                ((*BASE, "--requests", "1"), 64, "--requests"),
                ((*BASE, "--set", "tcp_tw_reuse"), 64, "NAME=VALUE"),
                ((*BASE, "--set", "tcp_tw_resue=1"), 64, "the nearest is tcp_tw_reuse"),
                ((*BASE, "--set", "tcp_tw_reuse=3"), 64, "0 to 2"),
                ((*BASE, "--set", "tcp_tw_reuse_delay=0"), 64, "1 to 60000"),
                ((*BASE, "--set", "ip_local_port_range=9 8"), 64, "the lower one first"),
                ((*BASE, "--set", "ip_local_port_range=0 8"), 64, "1 to 65535"),
                ((*BASE, "--set", "ip_local_reserved_ports=70000"), 64, "8080,9100-9110"),
                ((*BASE, "--set", "tcp_fin_timeout=10"), 64, "FIN_WAIT_2"),
                ((*BASE, "--set", "tcp_syn_retries=2"), 64, "changes nothing here"),
                ((*BASE, "--set", "ip_local_port_range=5 9", "--set", "ip_local_reserved_ports=1-20"), 64, "no local port is left"),
                ((*BASE, "--full"), 64, "belong to --check"),
                ((*BASE, "--seed", "2"), 64, "belong to --check"),
                ((*BASE, "--check", "--seed", "-2"), 64, "--seed"),
                ((*BASE, "--pid", "1"), 64, "--from-host looks at"),
                ((*BASE, "--to", "1.2.3.4:5"), 64, "--from-host or --from"),
                (("--from-host", "--from", "x"), 64, "exclude each other"),
                ((*BASE, "--check", "--full", "--rate", "1000000", "--sources", "4", "--destinations", "4"), 64, "without --full"),
                (("--from", "/nowhere/x"), 66, "/nowhere/x"),
                (("--from-host", "--pid", "999999999"), 66, "999999999"),
        ):
            if words.count("--rate") > 1:
                words = words[2:]  # the later one holds
            got, out, err = run(*words)
            self.assertEqual(got, code, (words, err))
            self.assertIn(says, err, words)
            self.assertEqual(out, "")
        for text in ("", "{", "[]", "null", '{"format": "lastack-bundle"}', "\x00\x01"):
            got, out, err = run("--from", "-", text_in=text)
            self.assertEqual(got, 65, (text, err))
            self.assertEqual(out, "")

    def test_a_full_disk(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([LASTACK, "plan", *BASE], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 73)

    def test_the_page_keeps_its_width(self):
        for width, check in (("60", ("--check",)), ("90", ()), ("200", ())):
            _, out, _ = run(*BASE, *check, "--width", width)
            for line in out.splitlines():
                if "sysctl" not in line and not re.search(r"  [-\d.]+ %|carries|/s  ", line):
                    self.assertLessEqual(len(line), max(int(width), 90), line)

    def test_the_remedies_of_a_load_balancer(self):
        """D6: each has its gain and its price, and gains what the scenario measures."""
        balancer = ("--rate", "2000", "--lifetime", "20ms", "--destinations", "3")
        plan = self.plan(*balancer, "--check", code=2)
        ways = {way["id"]: way for way in plan["ways"]}
        self.assertEqual(set(ways), {"keep-alive", "peer-closes", "range", "sources", "destinations", "reuse", "explicit-ports"})
        self.assertAlmostEqual(plan["carries"], 3 * 28232 / 60.02, 6)
        for way in ways.values():
            self.assertTrue(way["price"], way["id"])
            self.assertTrue(way["enough"], way["id"])
            self.assertIn(way["id"], {c["subject"] for c in plan["check"]["comparisons"]})
        self.assertTrue(plan["check"]["agrees"])
        # Whose program binds first has one pool for all of them, and one remedy more.
        plan = self.plan(*balancer, "--source-port", "bind", code=2)
        self.assertAlmostEqual(plan["carries"], 28232 / 60.02, 6)
        self.assertEqual([way["id"] for way in plan["ways"]][:2], ["keep-alive", "bind-late"])
        self.assertAlmostEqual(plan["ways"][1]["carries"], 3 * 28232 / 60.02, 6)
        self.assertTrue(any("more destinations" in one for one in plan["will_not_help"]))

    def test_the_scenario_measures_what_is_planned(self):
        code, out, err = run("run", "load-balancer-remedies", "--json", command="lab")
        self.assertEqual(code, 0, err)
        measured = {}
        for variant in json.loads(out)["variants"]:
            values = variant["measures"]
            measured[variant["variant"]] = (values["requests.answered"], values["balancer.most.TIME_WAIT"])
        # 60 ports and 49 requests a second for 2.5 s, as the scenario says.
        small = ("--rate", "49", "--lifetime", "20us", "--set", "ip_local_port_range=40000 40059", "--set", "tcp_tw_reuse=0")
        for variant, words in (
                ("none", ()),
                ("wider-range", ("--set", "ip_local_port_range=40000 40239")),
                ("source-addresses", ("--sources", "4")),
                ("destination-ports", ("--destinations", "4")),
                ("destination-addresses", ("--destinations", "4")),
                ("bound-first", ("--destinations", "4", "--source-port", "bind")),
                ("back-end-closes", ("--first", "peer")),
                ("reuse", ("--set", "tcp_tw_reuse=1")),
        ):
            plan = self.plan(*small, *words)
            # In 2.5 s all that is offered, or no more than there are ports until one may be had again.
            load = plan["load"]
            pools = load["sources"] * (1 if load["source_port"] == "bind" else load["destinations"])
            rounds = max(1, 2.5 / load["port_hold_s"])
            expected = min(49 * 2.5, load["ports"] * pools * rounds)
            self.assertAlmostEqual(measured[variant][0], expected, delta=2, msg=variant)
            records = 0 if load["closes_first"] == "peer" else min(expected, load["ports"] * pools)
            self.assertAlmostEqual(measured[variant][1], records, delta=2, msg=variant)
        late = [w for w in self.plan(*small, "--destinations", "4", "--source-port", "bind")["ways"] if w["id"] == "bind-late"]
        self.assertAlmostEqual(measured["bound-late"][0], min(49 * 2.5, late[0]["load"]["ports"] * 4), delta=2)
        kept = [w for w in self.plan(*small, "--requests", "10")["ways"] if w["id"] == "keep-alive"][0]
        self.assertAlmostEqual(kept["load"]["rate_per_second"], 4.9)
        self.assertAlmostEqual(measured["keep-alive"][0], 49 * 2.5, delta=10)  # the last ones are still being asked
        self.assertAlmostEqual(measured["keep-alive"][1], kept["load"]["rate_per_second"] * 2.5, delta=2)


class Document(unittest.TestCase):
    def test_its_examples_are_what_is_printed(self):
        with open(os.path.join(SOURCE, "docs", "plan.md"), encoding="utf-8") as file:
            document = file.read()
        examples = re.findall(r"```\n\$ lastack (plan .*)\n((?:.*\n)*?)```", document)
        self.assertGreaterEqual(len(examples), 2)
        for words, shown in examples:
            done = subprocess.run([LASTACK, *shlex.split(words)], capture_output=True, text=True, timeout=60)
            parts = [part.strip("\n") for part in shown.split("...\n")]
            at = 0
            for part in parts:
                found = done.stdout.find(part, at)
                self.assertGreaterEqual(found, 0, f"{words}\nthe document has:\n{part}\nprinted is:\n{done.stdout}")
                at = found + len(part)


if __name__ == "__main__":
    LASTACK, SOURCE = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1], verbosity=2)
