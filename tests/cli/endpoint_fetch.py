#!/usr/bin/env python3
"""`lastack endpoint fetch` and servers that change, break off and lie: what is in the file in the end, and the exit code.

usage: endpoint_fetch.py LASTACK SOURCE_DIR
"""
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import private_network

LASTACK = ""
OLD, NEW = b"A" * 20, b"B" * 20
BIG = bytes(range(256)) * 40_000


class Server:
    """Answers one request after the other with what `answer` makes of its head, and then closes."""

    def __init__(self, answer):
        self.answer = answer
        self.heads = []
        self.listener = socket.create_server(("0.0.0.0", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        try:
            while b"\r\n\r\n" not in head:
                more = client.recv(4096)
                if not more:
                    return
                head += more
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
            self.heads.append(fields)
            client.sendall(self.answer(fields))
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
        except OSError:
            pass
        finally:
            client.close()

    def close(self):
        self.listener.close()


def whole(body, fields="", sent=None):
    """200; `sent`: it breaks off after so many bytes."""
    return f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body[:sent]


def rest(body, first, fields=""):
    return (f"HTTP/1.1 206 Partial Content\r\n{fields}Content-Range: bytes {first}-{len(body) - 1}/{len(body)}\r\n"
            f"Content-Length: {len(body) - first}\r\n\r\n").encode() + body[first:]


class Fetch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = os.path.join(self.folder.name, "file")

    def server(self, answer):
        server = Server(answer)
        self.addCleanup(server.close)
        return server

    def command(self, server, *options):
        return [LASTACK, "endpoint", "fetch", f"http://10.77.0.1:{server.port}/x", "--create", *options]

    def fetch(self, server, *options, **more):
        done = subprocess.run(self.command(server, *options), capture_output="stdout" not in more, timeout=60, **more)
        self.said = (done.stderr or b"").decode()
        return done.returncode

    def content(self):
        self.assertFalse(os.path.exists(self.file + ".part"))
        self.assertFalse(os.path.exists(self.file + ".part.version"))
        with open(self.file, "rb") as file:
            return file.read()

    def test_the_rest_of_the_same_version_is_joined(self):
        for field in ('ETag: "1"\r\n', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                       "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"):
            server = self.server(lambda f: rest(OLD, 10, field) if "Range" in f else whole(OLD, field, 10))
            self.assertEqual(self.fetch(server, "-o", self.file), 1)
            self.assertIn("--resume goes on with " + self.file, self.said)
            self.assertEqual(self.fetch(server, "-o", self.file, "--resume"), 0)
            self.assertEqual(self.content(), OLD)
            self.assertEqual(server.heads[1]["Range"], "bytes=10-")
            self.assertEqual(server.heads[1]["If-Range"], field.split("\r\n")[0].split(": ", 1)[1])

    def test_another_version_takes_the_place_of_the_first(self):
        versions = [(OLD, '"1"', 10), (NEW, '"2"', 5), (NEW, '"2"', None)]

        def answer(fields):
            body, tag, sent = versions[0]
            if fields.get("If-Range") == tag:
                return rest(body, int(fields["Range"][6:-1]), f"ETag: {tag}\r\n")
            return whole(body, f"ETag: {tag}\r\n", sent)

        server = self.server(answer)
        self.assertEqual(self.fetch(server, "-o", self.file), 1)
        versions.pop(0)
        self.assertEqual(self.fetch(server, "-o", self.file, "--resume"), 1)
        self.assertEqual(os.path.getsize(self.file + ".part"), 5)
        versions.pop(0)
        self.assertEqual(self.fetch(server, "-o", self.file, "--resume"), 0)
        self.assertEqual(self.content(), NEW)
        self.assertEqual(server.heads[2]["Range"], "bytes=5-")

    def test_what_is_of_no_known_version_is_fetched_anew(self):
        # A weak tag, and a date of the same second, promise nothing.
        for field in ("", 'ETag: W/"1"\r\n', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"):
            answers = [whole(OLD, field, 10), whole(NEW, field)]
            server = self.server(lambda f: answers.pop(0))
            self.assertEqual(self.fetch(server, "-o", self.file), 1)
            self.assertIn("--resume cannot go on with " + self.file, self.said)
            self.assertEqual(self.fetch(server, "-o", self.file, "--resume"), 0)
            self.assertEqual(self.content(), NEW)
            self.assertNotIn("Range", server.heads[1])

    def test_a_server_that_joins_what_does_not_belong_together_is_found_out(self):
        for answer in (rest(NEW, 10, 'ETag: "2"\r\n'), rest(NEW, 10), rest(NEW + b"B", 10, 'ETag: "1"\r\n'),
                       b"HTTP/1.1 416 No\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n"):
            server = self.server(lambda f: answer if "Range" in f else whole(OLD, 'ETag: "1"\r\n', 10))
            self.assertEqual(self.fetch(server, "-o", self.file), 1)
            self.assertEqual(self.fetch(server, "-o", self.file, "--resume"), 1)
            self.assertFalse(os.path.exists(self.file))
            self.assertEqual(os.path.getsize(self.file + ".part"), 10)

    def test_a_coding_that_is_not_undone_is_refused(self):
        for coding in ("gzip, chunked", "chunked, gzip", "chunked\r\nTransfer-Encoding: gzip", "chunked, chunked"):
            server = self.server(lambda f: (f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n"
                                            "5\r\nhello\r\n0\r\n\r\n").encode())
            self.assertEqual(self.fetch(server, "-o", self.file), 1, coding)
            self.assertFalse(os.path.exists(self.file))

    def test_a_reader_that_stalls_gets_all_of_it_later(self):
        server = self.server(lambda f: whole(BIG))
        with subprocess.Popen(self.command(server, "-q"), stdout=subprocess.PIPE) as fetch:
            time.sleep(1)
            self.assertEqual(fetch.stdout.read(), BIG)
            self.assertEqual(fetch.wait(60), 0)

    def test_a_reader_that_stalls_does_not_keep_signals_away(self):
        server = self.server(lambda f: whole(BIG))
        for number in (signal.SIGINT, signal.SIGTERM):
            read, write = os.pipe()
            with subprocess.Popen(self.command(server), stdout=write, stderr=subprocess.DEVNULL) as fetch:
                os.close(write)
                os.read(read, 1)
                time.sleep(0.5)
                fetch.send_signal(number)
                try:
                    self.assertEqual(fetch.wait(30), 128 + number)
                finally:
                    fetch.kill()
                    os.close(read)

    def test_what_cannot_be_written_is_said_by_the_exit_code(self):
        server = self.server(lambda f: whole(BIG))
        with open("/dev/full", "wb") as full:
            self.assertEqual(self.fetch(server, stdout=full, stderr=subprocess.DEVNULL), 73)
        self.assertEqual(self.fetch(server, "-o", "/dev/full"), 73)
        self.assertEqual(self.fetch(server, "-o", self.folder.name), 73)
        self.assertFalse(os.path.exists(self.folder.name + ".part"))
        shell = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *self.command(server)], stderr=subprocess.PIPE,
                               timeout=60)
        self.assertEqual(shell.returncode, 73, shell.stderr)

    def test_what_is_no_file_is_written_to_and_not_replaced(self):
        os.mkfifo(self.file)
        reader = os.open(self.file, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.assertEqual(self.fetch(self.server(lambda f: whole(OLD)), "-o", self.file), 0)
        self.assertEqual(os.read(reader, 100), OLD)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.file).st_mode))


if __name__ == "__main__":
    private_network.enter()
    LASTACK = sys.argv[1]
    unittest.main(argv=[sys.argv[0]], verbosity=2)
