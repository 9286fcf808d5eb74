#!/usr/bin/env python3
"""The page that `lastack lab run --html` writes, in headless Chromium: what happened, why, what to change and how, the
proof, one base of time, faults that can be seen; and nothing of a scenario file acts in it.

usage: lab_page.py LASTACK SOURCE_DIR
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

import log_page

LASTACK = SOURCE = ""
EVIL = "</script><script>window.pwned = 1</script><img src=x onerror=window.pwned=1>"
TROUBLES = """
scenario = "troubles"
title = "%(evil)s"
about = "%(evil)s and *stress* and `code` and tcp_keepalive_*"
advice = "%(evil)s"
claims = ["A1"]
duration = "4 s"
[host.client]
settings = { ip_local_port_range = "40000 40019", tcp_tw_reuse = 0 }
[host.server]
[[fault]]
name = "slow"
do = "delay"
segment = "SYN"
from = "client"
which = [3, 5]
by = "300 ms"
[[server]]
name = "service"
host = "server"
[[clients]]
name = "load"
host = "client"
to = "server:80"
rate = 20
[script]
steps = [ { do = "wait", time = "3 s" }, { do = "crash", host = "server" } ]
[variant.as-it-is]
[variant.reuse]
advice = "%(evil)s"
caution = "%(evil)s"
"host.client.settings.tcp_tw_reuse" = 1
"clients.load.options" = { no_delay = 1 }
[variant.linger]
will_not_help = "%(evil)s"
"clients.load.options" = { linger = 5 }
[[check]]
holds = "load.failed == 3"
variant = "as-it-is"
why = "%(evil)s"
[[check]]
holds = "load.failed < 2"
variant = "reuse"
[[verdict]]
claim = "A1"
verdict = "%(evil)s"
because = "%(evil)s {as-it-is:load.failed}"
""" % {"evil": EVIL}


class LabPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.tab = log_page.Tab()

    @classmethod
    def tearDownClass(cls):
        cls.tab.close()
        cls.folder.cleanup()

    def play(self, scenario, *options, code=0):
        """Runs it; the pages, by variant, as the command itself names them."""
        path = os.path.join(self.folder.name, "page.html")
        done = subprocess.run([LASTACK, "lab", "run", scenario, "--html", path, *options], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        pages = re.findall(r"page in (.*)", done.stdout)
        for page in pages:
            self.assertTrue(os.path.exists(page), page)
        return pages

    def show(self, path, **size):
        self.tab.call("Emulation.setEmulatedMedia", media="", features=[])
        self.tab.open(path, **size)
        self.assertEqual(self.tab.complaints(), [])
        self.assertEqual([url for url in self.tab.requests() if not url.startswith("data:")], ["file://" + path])
        return self.tab

    def words(self, selector="body"):
        return self.tab.run(f"document.querySelector('{selector}').innerText")

    def test_an_incident(self):
        pages = self.play("port-exhaustion", "--set", "duration=\"35 s\"", "--variant", "flapping", "--variant", "reuse", code=2)
        self.assertEqual([os.path.basename(p) for p in pages], ["page-flapping.html", "page-reuse.html"])
        tab = self.show(pages[0])
        # It ends too soon for one of the conditions: which, and by how much.
        failed = self.words(".failed")
        self.assertIn("One condition does not hold", failed)
        self.assertRegex(failed, r"requests.done > 990: it is 500, 490 too little")
        self.assertIn("not confirmed", self.words(".verdict"))
        # Up, then down, at the top of the page.
        key = self.words("#key")
        self.assertIn("connected: 500 in all", key)
        self.assertRegex(key, r"failed to connect \(EADDRNOTAVAIL\): 20\d in all")
        self.assertLess(tab.run("document.getElementById('key').offsetTop"), tab.run("document.getElementById('change').offsetTop"))
        # What to change, how, how to undo it, and what came of it.
        remedies = self.words(".remedies")
        # Its own value, and for good.
        for said in ("sysctl net.ipv4.tcp_tw_reuse", "echo 'net.ipv4.tcp_tw_reuse = 1' > /etc/sysctl.d/90-tcp-tcp_tw_reuse.conf"):
            self.assertIn(said, remedies)
        self.assertIn("docker run --sysctl NAME=VALUE", self.words("body"))
        self.assertIn("what the diagram below shows", self.words("#bands"))
        for said in ("let connect() reuse ports in TIME_WAIT", "sysctl -w net.ipv4.tcp_tw_reuse=1", "sysctl -w net.ipv4.tcp_tw_reuse=0",
                     "connections that failed: 0 in place of 20", "Caution: "):
            self.assertIn(said, remedies)
        self.assertIn("Not run here", remedies)  # those that were not asked for
        self.assertRegex(self.words(".proof"), r"connections that failed\s+20\d\s+0 better")
        # The limit, in the chart of ports; and what does not change is said.
        self.assertIn("500 ports to each destination", self.words("#charts"))
        self.assertIn("descriptors of server: 0, and from", self.words("#constant"))
        # One base of time: the diagram begins at nothing, as what was measured does.
        self.assertRegex(tab.run("document.querySelector('#lines .row').textContent"), r"^\s+2\s+0\.000  ")
        tab.run("[...document.querySelectorAll('#moments button')].find((b) => b.textContent.startsWith('requests: first failure')).click()")
        self.assertIn("25,0", tab.text("detail"))
        self.assertIn("--variant flapping --variant reuse --html", self.words("body"))
        # The pages know each other.
        self.assertEqual(tab.run("[...document.querySelectorAll('.pages a')].map((a) => a.getAttribute('href'))"),
                         ["./page.html", "./page-reuse.html"])
        tab = self.show(pages[1])
        self.assertIn("reuse, shown here", self.words(".remedies"))

    def test_an_overview_of_variants(self):
        """The file that was named leads to the page of each variant, and is light or dark as they are."""
        pages = self.play("port-exhaustion", "--set", "duration=\"65 s\"", "--variant", "flapping", "--variant", "kept-open",
                          "--variant", "below", code=2)
        path = os.path.join(self.folder.name, "page.html")
        tab = self.show(path)
        self.assertEqual(tab.run("[...document.querySelectorAll('.pages a')].map((a) => a.getAttribute('href'))"),
                         ["./" + os.path.basename(page) for page in pages])
        self.assertIn("3 variants", self.words(".meta"))
        self.assertIn("flapping: more connections than ports come back", self.words("body"))
        self.assertIn("--variant flapping --variant kept-open --variant below --html", self.words("body"))
        self.assertIn("lastack doctor --sample 5", self.words(".remedies"))
        self.assertNotIn("shown here", self.words("body"))
        for scheme in ("light", "dark"):
            tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            tab.frame()
            self.assertEqual(tab.run("document.documentElement.getAttribute('data-theme')"), scheme)
        # A connection that is kept is not over, and is not one that came to nothing.
        proof = self.words(".proof")
        self.assertRegex(proof, r"\t0\s+and 1 still open at the end")
        # What got worse by a remedy is said with it, as in the table.
        self.assertRegex(self.words(".remedies"), r"At the price of requests: requests answered: 5\d\d in place of 5\d\d")

    def test_a_step_that_fails_is_not_better(self):
        self.show(self.play("delayed-duplicate")[0])
        row = self.tab.run("[...document.querySelectorAll('.proof tr')].find((r) => r.innerText.includes('what it came to')).innerText")
        self.assertRegex(row, r"step second \(connect\): what it came to\s+ok\s+ok\s+ok\s+EADDRNOTAVAIL worse")
        body = self.words("body")
        self.assertIn("A host as Linux comes is not affected", body)
        foreign = self.tab.run("[...document.querySelectorAll('.proof tr')].find((r) => r.innerText.includes('bytes of another')).innerText")
        self.assertEqual(foreign.count("better"), 2, foreign)  # where there was a second connection
        # The same on two hosts is there once, numbers of a run are not what is kept.
        self.assertEqual(self.words(".remedies").count("on client, server"), 2)
        self.assertIn("echo 'net.ipv4.tcp_max_tw_buckets = VALUE' > /etc/sysctl.d/", self.words(".remedies"))

    def test_a_proof_has_the_advice_of_the_doctor(self):
        pages = self.play(os.path.join(SOURCE, "scenarios", "prove", "close-wait-leak.toml"))
        for page in (os.path.join(self.folder.name, "page.html"), pages[0]):
            self.show(page)
            body = self.words("body")
            self.assertIn("close the connection when read() returns 0", body)
            self.assertIn("Will not help", body)
            self.assertIn("tcp_keepalive_", body)
            self.assertNotIn("None of its variants is a remedy", body)
            self.assertIn("connections that failed: 0 in place of", self.words(".remedies"))
        self.play(os.path.join(SOURCE, "scenarios", "prove", "ports-exhausted-time-wait.toml"), code=2)
        self.show(os.path.join(self.folder.name, "page.html"))
        body = self.words("body")
        self.assertIn("sysctl -w 'net.ipv4.ip_local_port_range=1024 65535'", body)
        self.assertIn("what is set about it is shown by lastack doctor --prove", self.words(".verdict"))
        self.assertRegex(body, r"undo\s+sysctl -w")
        self.assertNotIn("lastack endpoint --set", body)
        self.assertIn("lastack doctor --prove ports-exhausted-time-wait does", body)
        self.assertRegex(self.words(".failed"), r"wider-range: .* \(what the doctor would set is set only by lastack doctor --prove")

    def test_what_it_says_runs_again(self):
        pages = self.play("delayed-duplicate", "--variant", "neither", "--seed", "3")
        self.show(pages[0])
        line = re.search(r"lastack lab run .*", self.words("body")).group(0)
        self.assertRegex(line, r"delayed-duplicate --on endpoint --seed 3 --variant neither --html ")
        with open(pages[0], "rb") as file:
            before = file.read()
        subprocess.run([LASTACK, *line.split()[1:]], check=True, timeout=60, capture_output=True)
        with open(pages[0], "rb") as file:
            self.assertEqual(file.read(), before)

    def test_faults_can_be_seen(self):
        pages = self.play("delayed-duplicate")
        tab = self.show(pages[0])
        self.assertIn("scripted fault old strikes", self.words("#bands"))
        self.assertIn("scripted fault old: copies arrive", self.words("#marks"))
        self.assertGreater(tab.run("document.querySelectorAll('#charts .band0').length"), 1)
        tab.run("[...document.querySelectorAll('#moments button')].find((b) => b.textContent.includes('copies arrive')).click()")
        tab.frame()
        self.assertGreater(tab.run("document.querySelectorAll('#lane .band0').length"), 5)
        # Each connection has a lane at each host, with the names of its states.
        self.assertIn("ESTABLISHED", tab.run("document.querySelector('#charts svg').textContent"))
        # No two words of the diagram lie on each other.
        for _ in range(4):
            self.assertEqual(tab.run("""(() => {
              const boxes = [...document.querySelectorAll('#lane text')].map((t) => t.getBoundingClientRect());
              let met = 0;
              boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
                const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                if (wide > 1 && tall > 3) ++met;
              }));
              return met;
            })()"""), 0)
            tab.key("PageDown", "PageDown", "PageDown")
            tab.frame()

    def test_few_requests_are_counted_by_the_minute(self):
        tab = self.show(self.play("nat-forgets")[0])
        self.assertIn("requests a minute", tab.run("document.getElementById('key').textContent"))
        self.assertIn("failed (ECONNRESET): 2 in all", self.words("#key"))

    def test_a_loss_probe_is_no_retransmission_time_out(self):
        tab = self.show(self.play("lost-last-ack")[0])
        buttons = tab.run("[...document.querySelectorAll('#moments button')].map((b) => b.textContent)")
        probe = [b for b in buttons if b.startswith("first loss probe ")]
        late = [b for b in buttons if b.startswith("first retransmission time-out ")]
        self.assertEqual((len(probe), len(late)), (1, 1), buttons)
        self.assertLess(buttons.index(probe[0]), buttons.index(late[0]))

    def test_clients_behind_a_nat(self):
        pages = self.play("nat-recycle", "--set", "duration=\"4 s\"")
        tab = self.show(pages[0])
        self.assertEqual(tab.run("[...document.querySelectorAll('#heads text[font-weight]')].map((t) => t.firstChild.data)"),
                         ["one", "two", "nat", "server"])
        self.assertEqual(tab.run("document.querySelectorAll('#key figure').length"), 2)
        self.assertIn("no answer in time", self.words("#key"))
        # Each of the two has its rows, and what was still under way is told.
        proof = self.words(".proof")
        for client in ("of-one", "of-two"):
            self.assertIn(client + ": connections that failed", proof)
        self.assertRegex(proof, r"and \d+ still open at the end")
        self.assertIn("remote address when", self.words("body"))  # stressed, without its stars
        self.assertEqual(tab.run("document.querySelector('em').textContent"), "address")

    def test_nothing_of_a_scenario_acts(self):
        path = os.path.join(self.folder.name, "troubles.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(TROUBLES)
        pages = self.play(path, code=2)
        for page in pages:
            tab = self.show(page)
            self.assertEqual(tab.run("typeof window.pwned"), "undefined")
            self.assertEqual(tab.run("document.querySelectorAll('img').length"), 0)
            self.assertEqual(tab.run("document.querySelectorAll('script').length"), 2)
        tab = self.show(pages[0])
        for selector in ("h1", ".because", ".remedies", ".caution", ".failed"):
            self.assertIn("window.pwned = 1", self.words(selector), selector)
        self.assertIn("server crashes", self.words("#bands"))
        self.assertIn("scripted fault slow: arrive late", self.words("#bands"))
        self.assertIn("setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof v)", self.words(".remedies"))
        self.assertIn("Tried in the run: clients load: option linger = 5", self.words("body"))
        self.assertIn("Will not help", self.words("body"))

    def test_without_a_remedy(self):
        self.show(self.play("orderly-close")[0])
        self.assertIn("Nothing: this shows how it works", self.words("body"))

    def test_small_dark_and_printed(self):
        page = self.play("delayed-duplicate")[0]
        tab = self.show(page, width=460, height=800)
        self.assertLessEqual(tab.run("document.documentElement.scrollWidth"), 460)
        for scheme in ("light", "dark"):
            tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            tab.frame()
            contrast = tab.run("""(() => {
              const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); };
              const light = (s) => { const [r, g, b] = s.match(/\\d+/g).map(Number).map(channel);
                                     return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
              const two = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
              const ground = light(getComputedStyle(document.body).backgroundColor);
              return ['.word', '.because', '.id', '.gain', '.caution', '.better', '.pages a', '.steps th', '.legend'].map((s) =>
                [s, two(ground, light(getComputedStyle(document.querySelector(s)).color))]);
            })()""")
            self.assertEqual([one for one in contrast if one[1] < 4.5], [])
        tab.call("Emulation.setEmulatedMedia", media="print")
        tab.run("window.dispatchEvent(new Event('beforeprint'))")
        self.assertEqual(tab.run("getComputedStyle(document.getElementById('moments')).display"), "none")
        self.assertNotEqual(tab.run("getComputedStyle(document.querySelector('.proof')).display"), "none")


if __name__ == "__main__":
    LASTACK, SOURCE = sys.argv[1:3]
    log_page.choose_browser(sys.argv)
    unittest.main(argv=sys.argv[:1], verbosity=2)
