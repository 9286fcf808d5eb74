#!/usr/bin/env python3
"""The endpoint against real programs: curl, nginx, wrk, h2load, haproxy, socat, hping3, and the kernel's own sockets.

Everything happens in a network namespace of the test's own. LASTACK_FULL=1 moves 1 GB where 3 MB are usual.
usage: real_peers.py LASTACK [unittest arguments]
"""
import contextlib
import functools
import hashlib
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

LASTACK = ""
FULL = os.environ.get("LASTACK_FULL") == "1"
SIZE = 1_000_000_000 if FULL else 3_000_000
OURS = {4: "10.77.0.2", 6: "fd77::2"}
KERNEL = {4: "10.77.0.1", 6: "fd77::1"}
FOLDER = ""  # of this run: www/, and what peers write


def in_url(address):
    return f"[{address}]" if ":" in address else address


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).hexdigest()


def run(*words, timeout=60, check=True, **more):
    done = subprocess.run(words, capture_output=True, timeout=3600 if FULL else timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def needs(program):
    return unittest.skipUnless(shutil.which(program), program + " is not installed")


def wait_for(condition, what, limit=10):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("never: " + what)
        time.sleep(0.01)


def answers(address, port):
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=0.5):
        return True
    return False


class Child:
    """A program that runs until the block ends; it is ended by SIGTERM and must not have ended by itself."""

    def __init__(self, *words, ends=signal.SIGTERM):
        self.words, self.ends = words, ends

    def __enter__(self):
        self.output = open(os.path.join(FOLDER, "child.log"), "w+b")
        self.process = subprocess.Popen(self.words, stdout=self.output, stderr=subprocess.STDOUT)
        return self

    def text(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def __exit__(self, kind, *_):
        early = self.process.poll()
        if early is None:
            self.process.send_signal(self.ends)
            self.process.wait(20)
        text = self.text()
        self.output.close()
        if early is not None and kind is None:
            raise AssertionError(f"{self.words} ended early with {early}: {text}")


@contextlib.contextmanager
def serving(*more, ends=signal.SIGTERM):
    with Child(LASTACK, "endpoint", "serve", os.path.join(FOLDER, "www"), "--create", *more, ends=ends) as child:
        wait_for(lambda: "ports:" in child.text() or child.process.poll() is not None, "the endpoint serves")
        yield child
    assert child.process.returncode == 128 + ends or ends == signal.SIGKILL, (child.process.returncode)
    # The device is gone when the program is.
    assert not os.path.exists("/sys/class/net/la0") or subprocess.run(
        ["ip", "link", "show", "la0"], capture_output=True).returncode != 0


class Ranged(http.server.SimpleHTTPRequestHandler):
    """Where nginx is not installed: files and ranges, by the kernel's TCP all the same."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.translate_path(self.path)
        if not os.path.isfile(path):
            self.send_error(404)
            return
        size, first = os.path.getsize(path), 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted:
            first = int(wanted[1])
            if first >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - first))
        self.end_headers()
        with open(path, "rb") as file:
            file.seek(first)
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    def log_message(self, *_):
        pass


class RangedServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 1024

    def handle_error(self, *_):  # peers that reset or vanish
        pass


@contextlib.contextmanager
def web_server():
    """Files at port 8080 of the kernel, both families: nginx, or else a server in this process."""
    if shutil.which("nginx"):
        with nginx():
            yield
        return
    server = RangedServer(("::", 8080), functools.partial(Ranged, directory=os.path.join(FOLDER, "www")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def nginx():
    path = os.path.join(FOLDER, "nginx.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""daemon off; master_process off; pid {FOLDER}/nginx.pid; error_log {FOLDER}/nginx.err;
            events {{ worker_connections 1024; }}
            http {{ access_log off; client_body_temp_path {FOLDER}/t1; proxy_temp_path {FOLDER}/t2;
                    fastcgi_temp_path {FOLDER}/t3; uwsgi_temp_path {FOLDER}/t4; scgi_temp_path {FOLDER}/t5;
                    server {{ listen 0.0.0.0:8080 backlog=4096; listen [::]:8080; root {FOLDER}/www; }} }}""")
    with Child("nginx", "-p", FOLDER, "-c", path):
        wait_for(lambda: answers("127.0.0.1", 8080), "nginx listens")
        yield


def fetch(url, *more, check=True):
    return run(LASTACK, "endpoint", "fetch", "--create", url, *more, check=check)


def churn(*more):
    done = run(LASTACK, "endpoint", "churn", "--create", "--json", *more, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(done.stderr.decode())
    return json.loads(done.stdout)


def read_all(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


class Device(unittest.TestCase):
    def test_a_missing_device_is_explained_and_nothing_is_changed(self):
        before = run("ip", "link").stdout
        done = run(LASTACK, "endpoint", "serve", check=False)
        self.assertEqual(done.returncode, 66)
        self.assertIn(b"ip tuntap add dev la0 mode tun", done.stderr)
        self.assertIn(b"ip link delete dev la0", done.stderr)
        self.assertEqual(run("ip", "link").stdout, before)

    def test_it_does_what_its_own_advice_says(self):
        advice = run(LASTACK, "endpoint", "serve", check=False).stderr.decode()
        commands = [line.strip() for line in advice.splitlines() if line.startswith("  ip ")]
        for line in commands[:-1]:
            run(*line.split())
        try:
            with Child(LASTACK, "endpoint", "serve", os.path.join(FOLDER, "www")) as child:
                wait_for(lambda: answers(OURS[4], 7), "echo answers")
                wait_for(lambda: answers(OURS[6], 80), "http answers")
            self.assertEqual(child.process.returncode, 128 + signal.SIGTERM)
            self.assertIn(b"la0", run("ip", "link").stdout)  # not ours to remove
        finally:
            run(*commands[-1].split())
        self.assertNotIn(b"la0", run("ip", "link").stdout)

    def test_it_sleeps_while_nothing_happens(self):
        with serving() as child, socket.create_connection((OURS[4], 7)):
            def used():
                with open(f"/proc/{child.process.pid}/stat", encoding="ascii") as file:
                    return sum(int(word) for word in file.read().rsplit(") ", 1)[1].split()[11:13])
            before = used()
            time.sleep(1)
            self.assertLess(used() - before, os.sysconf("SC_CLK_TCK") / 10)

    def test_it_leaves_nothing_behind(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with serving(ends=number):
                self.assertTrue(answers(OURS[4], 7))
            wait_for(lambda: b"la0" not in run("ip", "link").stdout, "the device goes")

    def test_a_signal_writes_a_bundle_that_the_doctor_reads(self):
        bundle = os.path.join(FOLDER, "la.json.gz")
        with serving("--snapshot", bundle) as child:
            with socket.create_connection((OURS[4], 7)):
                child.process.send_signal(signal.SIGUSR1)
                wait_for(lambda: os.path.exists(bundle), "a bundle")
                page = json.loads(run(LASTACK, "doctor", "--from", bundle, "--json", check=False).stdout)
        self.assertEqual((page["totals"]["established"], page["totals"]["listen"]), (1, 4))


class Http(unittest.TestCase):
    @needs("curl")
    def test_curl(self):
        big = os.path.join(FOLDER, "www", "big.bin")
        with open(big, "rb") as file:
            content = file.read(2_000_000)

        def curl(*words, path="/big.bin", v=4):
            return run("curl", "-s", "--path-as-is", *words, f"http://{in_url(OURS[v])}{path}").stdout

        def status(*words, path="/big.bin"):
            return curl("-o", os.devnull, "-w", "%{http_code}", *words, path=path).decode()

        with serving():
            self.assertEqual(curl("-r", "1000-1999"), content[1000:2000])
            self.assertEqual(curl("-r", "0-0", v=6), content[:1])
            self.assertEqual(len(curl("-r", "-777")), 777)
            self.assertEqual(status("-r", "99999999999-"), "416")
            self.assertIn(b"Content-Length: %d\r\n" % SIZE, curl("-I"))
            self.assertEqual(curl(path="/"), b"hello\n")
            self.assertIn(b"Connection: close", curl("-0", "-i", path="/"))
            self.assertEqual(status(path="/nothing"), "404")
            self.assertEqual(status(path="/leak"), "403")  # a link that leads out
            self.assertEqual(status(path="/../../etc/passwd"), "400")
            self.assertEqual(status(path="/%2e%2e/%2e%2e/etc/passwd"), "400")
            self.assertEqual(status(path="/folder"), "301")
            self.assertEqual(curl(path="/folder/?a=b"), b"inner\n")
            self.assertEqual(status("-X", "POST"), "405")
            self.assertEqual(status("-X", "BREW"), "501")
            tag = [line.split(b" ", 1)[1] for line in curl("-I").splitlines() if line.startswith(b"ETag")][0].decode()
            self.assertEqual(status("-H", "If-None-Match: " + tag), "304")
            self.assertEqual(status("-r", "5-9", "-H", "If-Range: " + tag), "206")
            self.assertEqual(status("-r", "5-9", "-H", 'If-Range: "other"'), "200")
            # Three files over one connection.
            one = f"http://{OURS[4]}/"
            done = run("curl", "-s", "-w", "%{num_connects} ", "-o", os.devnull, one, "-o", os.devnull, one,
                       "-o", os.devnull, one).stdout
            self.assertEqual(done.split(), [b"1", b"0", b"0"])

    def test_requests_that_are_none(self):
        with serving():
            for request, expected in ((b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", b"200"), (b"GET\r\n\r\n", b"400"),
                                      (b"GET / HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/2.0\r\n\r\n", b"505"),
                                      (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
                                      (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"400"),
                                      (b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
                                      (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"501"),
                                      (b"GET / HTTP/1.1\r\nX: " + b"y" * 20000, b"431"),
                                      (b"\x16\x03\x01" + bytes(300) + b"\n\n", b"400")):
                with self.subTest(request[:40]), socket.create_connection((OURS[4], 80), timeout=10) as peer:
                    peer.sendall(request)
                    peer.shutdown(socket.SHUT_WR)
                    self.assertEqual(read_all(peer)[9:12], expected)
            # Two requests at once, the second in two pieces.
            with socket.create_connection((OURS[4], 80), timeout=10) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTT")
                time.sleep(0.05)
                peer.sendall(b"P/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = read_all(peer)
                self.assertEqual(answer.count(b"200 OK"), 2)
                self.assertEqual(answer.count(b"hello"), 1)

    @needs("wrk")
    def test_wrk(self):
        with serving():
            text = run("wrk", "-t1", "-c10", "-d1", "--timeout", "10s", f"http://{OURS[4]}/").stdout.decode()
        self.assertNotIn("Non-2xx", text)
        self.assertNotIn("Socket errors", text)
        self.assertRegex(text, r"[1-9]\d+ requests in")

    @needs("h2load")
    def test_h2load(self):
        with serving():
            text = run("h2load", "--h1", "-n", "2000", "-c", "20", f"http://{in_url(OURS[6])}/").stdout.decode()
        self.assertIn("2000 succeeded, 0 failed, 0 errored, 0 timeout", text)

    @needs("haproxy")
    def test_haproxy_in_between(self):
        path = os.path.join(FOLDER, "haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"""defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend f
  bind 127.0.0.1:8090
  default_backend b
backend b
  option httpchk HEAD / HTTP/1.0
  server s {OURS[4]}:80 check inter 200
""")
        big = os.path.join(FOLDER, "www", "big.bin")
        got = os.path.join(FOLDER, "through")
        with serving(), Child("haproxy", "-db", "-f", path):
            wait_for(lambda: answers("127.0.0.1", 8090), "haproxy listens")
            time.sleep(0.5)  # health checks, which end by a reset
            run("curl", "-s", "-o", got, "http://127.0.0.1:8090/big.bin")
        self.assertEqual(digest(got), digest(big))


class Transfers(unittest.TestCase):
    """Whole files with equal hashes, either way, over IPv4 and IPv6, with and without loss."""

    def there_and_back(self, v, loss):
        options = ["--loss", str(loss), "--seed", "7"] if loss else []
        big = os.path.join(FOLDER, "www", "big.bin")
        got = os.path.join(FOLDER, "got")
        with serving(*options):
            run("curl", "-s", "-o", got, f"http://{in_url(OURS[v])}/big.bin")
        self.assertEqual(digest(got), digest(big), "endpoint to kernel")
        os.unlink(got)
        with web_server():
            fetch(f"http://{in_url(KERNEL[v])}:8080/big.bin", "-o", got, *options)
        self.assertEqual(digest(got), digest(big), "kernel to endpoint")
        os.unlink(got)

    @needs("curl")
    def test_hashes(self):
        for loss in (0, 1, 5):
            for v in (4, 6):
                with self.subTest(ip=v, loss=loss):
                    begun = time.monotonic()
                    self.there_and_back(v, loss)
                    if FULL:
                        print(f"IPv{v}, {loss} %: 2 x {SIZE} bytes in {time.monotonic() - begun:.0f} s", flush=True)

    def test_fetch(self):
        got = os.path.join(FOLDER, "got")
        big = os.path.join(FOLDER, "www", "big.bin")
        with web_server():
            url = f"http://{KERNEL[4]}:8080/big.bin"
            an_hour_ago = time.time() - 3600  # else the server's time of it is no strong validator (RFC 9110, 8.8.2.2)
            os.utime(big, (an_hour_ago, an_hour_ago))
            ask = urllib.request.Request("http://127.0.0.1:8080/big.bin", method="HEAD")
            with urllib.request.urlopen(ask) as head:
                version = "".join(f"{name}: {head.headers[name]}\r\n" for name in ("ETag", "Last-Modified")
                                  if head.headers[name])
            with open(big, "rb") as file, open(got + ".part", "wb") as part:
                part.write(file.read(1_234_567))
            with open(got + ".part.version", "w", encoding="ascii", newline="") as file:
                file.write(f"part of\r\n{version}\r\n")
            text = fetch(url, "-o", got, "--resume").stderr.decode()
            self.assertIn(f"{SIZE - 1_234_567} bytes from", text)
            self.assertEqual(digest(got), digest(big))
            self.assertFalse(os.path.exists(got + ".part"))
            os.rename(got, got + ".part")  # nothing is missing
            with open(got + ".part.version", "w", encoding="ascii", newline="") as file:
                file.write(f"part of\r\n{version}\r\n")
            fetch(url, "-o", got, "--resume")
            self.assertEqual(digest(got), digest(big))
            os.unlink(got)
            self.assertEqual(fetch(f"http://{in_url(KERNEL[6])}:8080/index.html").stdout, b"hello\n")
            self.assertEqual(fetch(url + "x", check=False).returncode, 1)
            self.assertIn(b"ECONNREFUSED", fetch(f"http://{KERNEL[4]}:1/", check=False).stderr)

    def test_fetch_notices_what_is_missing(self):
        answers_ = {"short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "nothing": b"",
                    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                    "noise": b"\0\1\2\n\n\n"}
        good = {"chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: u\r\n\r\n",
                           b"hello!"),
                "end": (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
                "interim": (b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok")}
        listener = socket.create_server(("0.0.0.0", 8081))
        self.addCleanup(listener.close)

        def answer(content):
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(content)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass

        for name, content in {**answers_, **{k: v[0] for k, v in good.items()}}.items():
            with self.subTest(name):
                thread = threading.Thread(target=answer, args=(content,))
                thread.start()
                done = fetch(f"http://{KERNEL[4]}:8081/", check=False)
                thread.join(20)
                self.assertEqual(done.returncode, 0 if name in good else 1, done.stderr)
                if name in good:
                    self.assertEqual(done.stdout, good[name][1])

    def test_bulk_both_ways(self):
        with serving():
            with socket.create_connection((OURS[4], 9), timeout=20) as sink:  # discard
                for _ in range(200):
                    sink.sendall(bytes(100_000))
                sink.shutdown(socket.SHUT_WR)
                self.assertEqual(sink.recv(1), b"")
            with socket.create_connection((OURS[6], 19), timeout=20) as source:  # chargen
                text = b""
                while len(text) < 10_000_000:
                    text += source.recv(1 << 20)
            period = b"".join(bytes(32 + (line + i) % 95 for i in range(72)) + b"\r\n" for line in range(95))
            self.assertEqual(text[:10_000_000], (period * 1500)[:10_000_000])


class HalfClose(unittest.TestCase):
    @needs("socat")
    def test_socat_ends_first_and_still_hears(self):
        with open(os.path.join(FOLDER, "www", "big.bin"), "rb") as file:
            content = file.read(2_000_000)
        with serving():
            done = run("socat", "-t20", "-", f"TCP:{OURS[4]}:7", input=content)
            self.assertEqual(done.stdout, content)

    @needs("socat")
    def test_the_endpoint_ends_first_and_still_hears(self):
        with Child("socat", "TCP-LISTEN:8082,fork,reuseaddr,backlog=128", "EXEC:cat"):
            wait_for(lambda: answers("127.0.0.1", 8082), "socat listens")
            result = churn(f"{KERNEL[4]}:8082", "--end", "shutdown", "--count", "40", "--concurrency", "5")
        self.assertEqual((result["finished"], result["failed"]), (40, 0), result)
        self.assertEqual(result["time_wait"], 40)

    def test_a_closing_server_lets_the_client_finish(self):
        with serving(), socket.create_connection((OURS[4], 80), timeout=10) as peer:
            peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assertTrue(read_all(peer).endswith(b"hello\n"))
            peer.sendall(b"more, which nobody asked for")  # no RST comes of it
            time.sleep(0.1)
            peer.sendall(b"and more")


class Churn(unittest.TestCase):
    def test_what_is_not_reached_is_hinted_at(self):
        for to, hint in ((f"{KERNEL[4]}:9", b"refuses: is a server listening"),
                         ("192.0.2.1:80", b"was not reached: the endpoint reaches what this machine routes from la0")):
            with self.subTest(to=to):
                done = run(LASTACK, "endpoint", "churn", "--create", "--count", "3", "--patience", "1", to, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(hint, done.stderr)
                done = fetch(f"http://{to}/", "--patience", "1", check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(hint, done.stderr)

    def test_a_setting_that_cannot_be_is_explained(self):
        for setting, reason in (("tcp_tw_resue=1", b"the nearest is tcp_tw_reuse"),
                                ("tcp_tw_reuse=7", b"tcp_tw_reuse takes a number from 0 to 2, and not 7"),
                                ("tcp_mtu_probing=1", b"known on Linux, and not used by the endpoint")):
            with self.subTest(setting=setting):
                done = run(LASTACK, "endpoint", "churn", "--create", "--set", setting, f"{KERNEL[4]}:9", check=False)
                self.assertEqual(done.returncode, 64, done.stderr)
                self.assertIn(reason, done.stderr)

    def test_every_way_to_end(self):
        with web_server():
            to = f"{KERNEL[4]}:8080"
            for end, first, left in (("close", "us", 200), ("shutdown", "us", 200), ("reset", "us", 0),
                                     ("vanish", "us", 0), ("close", "peer", 0), ("reset", "peer", 0)):
                with self.subTest(end=end, first=first):
                    result = churn(to, "--exchange", "http", "--path", "/index.html", "--count", "200", "--end", end, "--first", first)
                    self.assertEqual((result["opened"], result["finished"], result["failed"]), (200, 200, 0), result)
                    # The peer's FIN may not have come yet.
                    states = result["states"]
                    waiting = sum(states.get(name, 0) for name in ("FIN_WAIT_1", "FIN_WAIT_2", "CLOSING"))
                    self.assertEqual(result["time_wait"] + waiting, left, result)

    def test_it_runs_out_of_ports_and_says_so(self):
        with web_server():
            to = f"{KERNEL[4]}:8080"
            few = ["--exchange", "none", "--count", "300", "--set", "ip_local_port_range=40000 40099"]
            result = churn(to, *few)
            self.assertEqual((result["finished"], result["failed"]), (100, 200), result)
            self.assertEqual(result["failures"], {"EADDRNOTAVAIL": 200})
            self.assertEqual(result["ports_exhausted"], 200)
            # With reuse a port rests for a second only (tcp_tw_reuse_delay).
            result = churn(to, *few, "--rate", "150", "--concurrency", "50", "--set", "tcp_tw_reuse=1", "--set", "tcp_tw_reuse_delay=1")
            self.assertEqual(result["failed"], 0, result)
            self.assertGreater(result["reused"], 150)

    def test_nobody_is_there(self):
        result = churn(f"{KERNEL[4]}:1", "--count", "20")
        self.assertEqual(result["failures"], {"ECONNREFUSED": 20})


class Hostile(unittest.TestCase):
    """Packets that no TCP sends. The endpoint must go on serving; what it answers is other tests' affair."""

    def still_serves(self):
        with socket.create_connection((OURS[4], 7), timeout=10) as peer:
            peer.sendall(b"still there?")
            self.assertEqual(peer.recv(100), b"still there?")

    def test_random_segments(self):
        seed = int(os.environ.get("LASTACK_SEED", random.randrange(1 << 32)))
        print(f"replay: LASTACK_SEED={seed}", flush=True)
        dice = random.Random(seed)
        with serving(), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw, \
                socket.create_connection((OURS[4], 7), timeout=10) as victim:
            source, destination = socket.inet_aton(KERNEL[4]), socket.inet_aton(OURS[4])
            for _ in range(4000):
                # Among them the four-tuple of a connection that lives.
                sport = dice.choice((victim.getsockname()[1], dice.randrange(65536)))
                options = dice.randbytes(4 * dice.randrange(11))
                offset = dice.choice((5 + len(options) // 4, dice.randrange(16)))
                tcp = bytearray(struct.pack("!HHIIHHHH", sport, dice.choice((7, 9, 19, 80, dice.randrange(65536))),
                                            dice.getrandbits(32), dice.getrandbits(32),
                                            offset << 12 | dice.randrange(1 << 12), dice.getrandbits(16), 0,
                                            dice.getrandbits(16)) + options + dice.randbytes(dice.choice((0, 1, 30))))
                if dice.random() < 0.9:
                    pseudo = source + destination + struct.pack("!HH", 6, len(tcp))
                    total = sum(struct.unpack(f"!{(len(pseudo) + len(tcp) + 1) // 2}H",
                                              bytes(pseudo + tcp + (b"\0" if len(tcp) % 2 else b""))))
                    total = (total >> 16) + (total & 0xffff)
                    total += total >> 16
                    struct.pack_into("!H", tcp, 16, ~total & 0xffff)
                ip = struct.pack("!BBHHHBBH4s4s", 0x45, dice.choice((0, 3)), 0, 0,
                                 dice.choice((0, 0x4000)), 64, 6, 0, source, destination)
                with contextlib.suppress(OSError):
                    raw.sendto(ip + tcp, (OURS[4], 0))
            self.still_serves()

    @needs("hping3")
    def test_hping3(self):
        with serving():
            for flags in ("-S", "-SF", "-SR", "-FSRPAUXY", "-F", "-FPU", "-A", "-X", "-Y", "-SA"):
                run("hping3", "-c", "20", "-i", "u100", "-p", "7", flags, "-d", "7", OURS[4], check=False)
            run("hping3", "-c", "2000", "-i", "u20", "-S", "-p", "80", OURS[4], check=False)  # a small flood
            self.still_serves()


if __name__ == "__main__":
    LASTACK = os.path.abspath(sys.argv[1])
    if os.environ.get("LASTACK_PEERS_INSIDE") != "1":
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            print("skipped: there is no /dev/net/tun here that may be opened")
            sys.exit(77)
        words = ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
        if subprocess.run(words + ["true"], capture_output=True, check=False).returncode != 0:
            print("skipped: this machine does not permit private namespaces")
            sys.exit(77)
        os.environ["LASTACK_PEERS_INSIDE"] = "1"
        os.execvp(words[0], words + [sys.executable] + sys.argv)
    run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="lastack-peers-") as FOLDER:
        os.makedirs(os.path.join(FOLDER, "www", "folder"))
        with open(os.path.join(FOLDER, "www", "big.bin"), "wb") as big_file:
            maker = random.Random(1)
            for left in range(SIZE, 0, -1_000_000):
                big_file.write(maker.randbytes(min(left, 1_000_000)))
        for file_name, lines in (("index.html", "hello\n"), ("folder/index.html", "inner\n")):
            with open(os.path.join(FOLDER, "www", file_name), "w", encoding="utf-8") as small_file:
                small_file.write(lines)
        os.symlink("/etc/passwd", os.path.join(FOLDER, "www", "leak"))
        os.chmod(FOLDER, 0o755)
        unittest.main(argv=[sys.argv[0]] + sys.argv[2:], verbosity=2)
