#!/usr/bin/env python3
"""Arguments of `lastack endpoint` that cannot be, and what is said about them: the option, and what would do.

usage: endpoint_arguments.py LASTACK SOURCE_DIR
"""
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import private_network

LASTACK = ""


def run(*words, without=()):
    """`without`: capabilities that it is not to have."""
    how = []
    if without:
        lost = ",".join("-" + name for name in without)
        how = ["setpriv", "--bounding-set", lost, "--inh-caps", lost]
    done = subprocess.run([*how, LASTACK, *words], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr + done.stdout


class Arguments(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def refused(self, *words, code=64, says=(), **more):
        status, text = run(*words, **more)
        self.assertEqual(status, code, (words, text))
        for word in says:
            self.assertIn(word, text, words)
        self.assertIsNone(re.search(r"\d{30}", text), text)
        return text

    def test_numbers(self):
        churn, fetch, serve = ["churn", "10.77.0.1:1"], ["fetch", "http://10.77.0.1/"], ["serve"]
        for words, options, values in (
                (churn, ("--rate", "--duration", "--patience"), ("nan", "inf", "-nan", "0", "-1", "1e300", "1s", "")),
                (fetch, ("--patience",), ("nan", "inf", "0")),
                (churn, ("--count", "--concurrency"), ("0", "-1", "nan", "1e3", "99999999999999999999", "1.5", "0x10")),
                (serve, ("--loss",), ("nan", "-0.1", "100.1", "inf")),
                (serve, ("--sample",), ("nan", "0.1", "3601")),
                (serve, ("--seed",), ("-1", "99999999999999999999", "x", "")),
                (serve, ("--sockets",), ("0", "-1", "nan", "1048577")),
                (serve, ("--http", "--echo"), ("65536", "-1", "nan", "x"))):
            for option in options:
                for value in values:
                    # With a device that is not there, what is taken after all ends with another code.
                    self.refused("endpoint", *words, f"{option}={value}", "--tun", "la8", says=(option,))
        self.refused("doctor", "--sample", "nan", says=("--sample",))
        self.refused("doctor", "--width", "1e3", says=("--width",))

    def test_addresses(self):
        for address in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "127.0.0.1", "::1", "0.1.2.3",
                        "250.0.0.1", "10.77.0", "10.77.0.255", "10.77.0.1"):
            self.refused("endpoint", "serve", "--create", "--peer", "10.77.0.1/24", "--address", address,
                         says=(address,))
        for peer in ("0.0.0.0/0", "127.0.0.1/8", "224.0.0.1/4", "ff02::1/64", "10.77.0.1/33", "10.77.0.1/x"):
            self.refused("endpoint", "serve", "--create", "--address", "10.77.0.2", "--peer", peer,
                         says=("--peer " + peer,))

    def test_an_address_that_is_not_reached_is_spoken_of(self):
        text = self.refused("endpoint", "churn", "10.77.0.1:1", "--create", "--peer", "10.77.0.1/24", "--address",
                            "10.78.0.2", "--count", "1", "--duration", "0.1", "--patience", "0.1", code=1)
        self.assertIn("ip route add 10.78.0.2 dev la0", text)

    def test_names_of_devices(self):
        for name in ("a/b", "a b", "", ".", "..", "a:b", "sixteen-bytes-ab"):
            self.refused("endpoint", "serve", "--tun", name, says=("--tun",))
        # One that can be, but means something to a shell.
        text = self.refused("endpoint", "serve", "--tun", "$(x)", code=66)
        self.assertNotRegex(text, r"dev \$\(x\)")

    def test_an_option_takes_one_argument(self):
        listener = socket.create_server(("0.0.0.0", 0))
        self.addCleanup(listener.close)
        there = f"10.77.0.1:{listener.getsockname()[1]}"
        for words in (["--set", "tcp_tw_reuse=1", there], ["--peer", "10.77.0.1/24", "--address", "10.77.0.2", there],
                      ["--peer", "10.77.0.1/24", "--peer", "fd77::1/64", "--address", "10.77.0.2", "--address",
                       "fd77::2", there]):
            threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
            code, text = run("endpoint", "churn", *words, "--create", "--exchange", "none", "--count", "1")
            self.assertEqual(code, 0, text)

    def test_services(self):
        self.refused("endpoint", "serve", self.folder.name, "--create", "--echo", "80", says=("--echo 80", "--http"))
        self.refused("endpoint", "serve", "--create", "--chargen", "7", says=("--chargen 7", "--echo"))
        self.refused("endpoint", "serve", "--create", "--sockets", "1", says=("--discard", "--sockets is 1"))
        # Leading zeros are no octal numbers; http is not there without a directory.
        with subprocess.Popen([LASTACK, "endpoint", "serve", "--create", "--echo", "080"], stdout=subprocess.PIPE,
                              text=True) as serve:
            serve.stdout.readline()
            self.assertIn("echo 80 ", serve.stdout.readline())
            serve.send_signal(signal.SIGTERM)
            self.assertEqual(serve.wait(30), 128 + signal.SIGTERM)

    def test_a_reader_of_numbers_who_stalls_keeps_no_signal_away(self):
        for words, signals in ((["serve", "--live"], (signal.SIGTERM,)),
                               (["churn", "10.77.0.1:1", "--rate", "10"], (signal.SIGINT, signal.SIGINT))):
            read, write = os.pipe()
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
            os.write(write, b"x" * 3800)  # the first page fits, two lines more do not
            with subprocess.Popen([LASTACK, "endpoint", *words, "--create"], stdout=write,
                                  stderr=subprocess.DEVNULL) as program:
                os.close(write)
                for number in signals:
                    time.sleep(1.5)
                    program.send_signal(number)
                try:
                    self.assertIn(program.wait(20), (128 + number, -number), words)
                finally:
                    program.kill()
                    os.close(read)

    def test_what_cannot_be_written_in_the_end_is_known_in_the_beginning(self):
        for path in ("/nowhere/x", self.folder.name):
            self.refused("endpoint", "serve", "--create", "--snapshot", path, code=73, says=("--snapshot", path))

    def test_what_is_not_permitted(self):
        if shutil.which("setpriv") is None:
            self.skipTest("there is no setpriv(1)")
        closed = os.path.join(self.folder.name, "closed")
        os.makedirs(closed + "/below")
        os.chmod(closed, 0)
        for directory in (closed, closed + "/below"):
            self.refused("endpoint", "serve", directory, "--create", code=77, says=(directory,),
                         without=("dac_override", "dac_read_search"))
        os.chmod(closed, 0o700)
        text = self.refused("endpoint", "serve", "--create", code=77, without=("net_admin",))
        self.assertIn("ip tuntap add", text)
        self.assertNotIn("let this program do it", text)


if __name__ == "__main__":
    private_network.enter()
    LASTACK = sys.argv[1]
    unittest.main(argv=[sys.argv[0]], verbosity=2)
