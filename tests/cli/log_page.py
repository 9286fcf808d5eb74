#!/usr/bin/env python3
"""The page that `lastack log html` writes, in headless Chromium: it runs without an error and fetches nothing, its keys
work, it is light and dark, it prints; and nothing of a log acts in it.

usage: log_page.py LASTACK SOURCE_DIR WRITE_REAL_LOGS
"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

LASTACK = ""
WRITER = ""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Tab:
    """One page, through Chromium's own protocol: JSON with a zero byte after each message, on descriptors 3 and 4."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        for_browser, self_out = os.pipe()
        self_in, from_browser = os.pipe()

        def descriptors():
            first, second = os.dup(for_browser), os.dup(from_browser)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self.process = subprocess.Popen(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir=" + self.profile.name],
            preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(for_browser)
        os.close(from_browser)
        self.out = os.fdopen(self_out, "wb", 0)
        self.into = os.fdopen(self_in, "rb")
        self.buffer = b""
        self.number = 0
        self.session = None
        self.told = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def message(self):
        while b"\0" not in self.buffer:
            piece = self.into.read1(1 << 20)
            if not piece:
                raise EOFError("the browser has gone")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        self.out.write(json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.told.append(answer)

    def open(self, path, width=1200, height=800):
        self.told.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url="file://" + path)
        while not any(m.get("method") == "Page.loadEventFired" for m in self.told):
            self.told.append(self.message())
        self.frame()

    def frame(self):
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def run(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def text(self, name):
        return self.run(f"document.getElementById('{name}').textContent")

    def key(self, *keys):
        for key in keys:
            text = {"text": key} if len(key) == 1 else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def complaints(self):
        return [m["params"] for m in self.told if m.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]

    def requests(self):
        return [m["params"]["request"]["url"] for m in self.told if m.get("method") == "Network.requestWillBeSent"]

    def close(self):
        try:
            self.call("Browser.close")
        except (EOFError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.out.close()
        self.into.close()
        self.profile.cleanup()


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([WRITER, cls.folder.name], check=True, timeout=60)
        cls.tab = Tab()

    @classmethod
    def tearDownClass(cls):
        cls.tab.close()
        cls.folder.cleanup()

    def show(self, name, *options, **size):
        path = os.path.join(self.folder.name, name)
        subprocess.run([LASTACK, "log", "html", path + ".jsonl", "-o", path + ".html", *options], check=True, timeout=60)
        self.tab.call("Emulation.setEmulatedMedia", media="", features=[])
        self.tab.open(path + ".html", **size)
        return self.tab

    def test_it_runs_and_fetches_nothing(self):
        for name in ("plain", "reuse", "three", "foul"):
            with self.subTest(name):
                tab = self.show(name)
                self.assertEqual(tab.complaints(), [])
                self.assertEqual([url for url in tab.requests() if not url.startswith("data:")],
                                 ["file://" + os.path.join(self.folder.name, name + ".html")])
                self.assertGreater(tab.run("document.querySelectorAll('#lane .arrow').length"), 5)
                self.assertGreater(tab.run("document.querySelectorAll('#charts figure').length"), 0)
                self.assertGreater(tab.run("document.querySelectorAll('#marks svg').length"), 3)
                self.assertGreater(tab.run("document.querySelectorAll('#lines .row').length"), 10)

    def test_nothing_of_a_log_acts(self):
        tab = self.show("evil")
        self.assertEqual(tab.complaints(), [])
        self.assertEqual(tab.run("document.querySelectorAll('img').length"), 0)
        self.assertEqual(tab.run("document.querySelectorAll('script').length"), 2)
        self.assertIn("</script><img", tab.text("lines"))

    def test_keys(self):
        tab = self.show("reuse")
        tab.key("ArrowDown")
        self.assertTrue(tab.text("detail").startswith("line 2 "))
        tab.key("End")
        self.assertTrue(tab.text("detail").startswith("line 78 "))
        tab.key("Home", *["ArrowDown"] * 4)
        self.assertIn("sent #1   SYN 0", tab.text("detail"))
        tab.key("ArrowRight")
        self.assertIn("arrived #1   SYN 0", tab.text("detail"))
        tab.key("ArrowLeft")
        self.assertIn("sent #1   SYN 0", tab.text("detail"))
        height = "parseFloat(document.getElementById('lane').style.height)"
        before = tab.run(height)
        tab.key("+")
        self.assertGreater(tab.run(height), before)
        tab.key("-", "-")
        self.assertLess(tab.run(height), before)
        tab.key("?")
        self.assertTrue(tab.run("document.getElementById('help').open"))
        tab.key("?")
        self.assertFalse(tab.run("document.getElementById('help').open"))
        tab.key("[", ".", ",", "]")
        self.assertEqual(tab.complaints(), [])

    def test_filter(self):
        tab = self.show("reuse")
        tab.key("/", *"rst 2'")
        self.assertEqual(tab.text("count"), "2 of 77 events")
        self.assertEqual(tab.run("document.querySelectorAll('#lines .row').length"), 2)
        tab.key("Escape")
        self.assertEqual(tab.text("count"), "77 events")
        tab.run("(() => { const s = document.getElementById('connection'); s.value = '1';"
                " s.dispatchEvent(new Event('change')); })()")
        self.assertRegex(tab.text("count"), r"^\d\d of 77 events")
        tab.key("/", *"<img")
        self.assertEqual(tab.text("count"), "0 of 77 events")
        self.assertEqual(tab.complaints(), [])

    def test_light_and_dark(self):
        tab = self.show("lost")
        ground = "getComputedStyle(document.body).backgroundColor"
        colors = {}
        for scheme in ("light", "dark"):
            tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            tab.frame()
            colors[scheme] = tab.run(ground)
        light, dark = (sum(map(int, c[4:-1].split(","))) for c in (colors["light"], colors["dark"]))
        self.assertGreater(light, 600)
        self.assertLess(dark, 200)
        tab.key("t")
        self.assertEqual(tab.run(ground), colors["light"])
        # Either way what is written can be read: at least 4.5 to 1.
        contrast = """(() => {
          const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); };
          const light = (s) => { const [r, g, b] = s.match(/\\d+/g).map(Number).map(channel);
                                 return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const two = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          const panel = light(getComputedStyle(document.getElementById('diagram')).backgroundColor);
          return ['.meta', '.row', 'svg .soft', 'svg text.bad'].map((s) => {
            const style = getComputedStyle(document.querySelector(s));
            return two(panel, light(s.startsWith('svg') ? style.fill : style.color));
          });
        })()"""
        for _ in range(2):
            self.assertTrue(all(c >= 4.5 for c in tab.run(contrast)), tab.run(contrast))
            tab.key("t")

    def test_thousands_of_events_are_drawn_as_they_come_into_sight(self):
        tab = self.show("foul", "--rows", "0")
        self.assertGreater(tab.run("JSON.parse(document.getElementById('log').textContent).events.length"), 4000)
        for _ in range(3):
            tab.key("End")
            tab.frame()
            self.assertLess(tab.run("document.querySelectorAll('*').length"), 4000)
            last = tab.run("document.getElementById('lines').lastChild.textContent")
            tab.key("Home")
            tab.frame()
            self.assertNotEqual(tab.run("document.getElementById('lines').lastChild.textContent"), last)
        self.assertEqual(tab.complaints(), [])

    def test_it_prints(self):
        tab = self.show("reuse")
        pdf = base64.b64decode(tab.call("Page.printToPDF", printBackground=True)["data"])
        self.assertTrue(pdf.startswith(b"%PDF"))
        tab.call("Emulation.setEmulatedMedia", media="print")
        tab.run("window.dispatchEvent(new Event('beforeprint'))")
        self.assertGreater(tab.run("document.querySelectorAll('#paper .arrow').length"), 15)
        self.assertEqual(tab.run("getComputedStyle(document.getElementById('diagram')).display"), "none")
        self.assertEqual(tab.run("getComputedStyle(document.getElementById('paper')).display"), "block")
        self.assertEqual(tab.complaints(), [])

    def test_it_fits_a_narrow_window(self):
        tab = self.show("three", width=480, height=700)
        self.assertLessEqual(tab.run("document.documentElement.scrollWidth"), 480)


def choose_browser(arguments):
    global LASTACK
    LASTACK = arguments[1]
    if BROWSER is None:
        print("skipped: none of " + ", ".join(BROWSERS) + " is installed")
        sys.exit(77)


if __name__ == "__main__":
    LASTACK, WRITER = sys.argv[1], sys.argv[3]
    if BROWSER is None:
        print("skipped: none of " + ", ".join(BROWSERS) + " is installed")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
