"""A container that keeps SageMaker's contract and does on request what containers should not."""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOG = """
import sys, time
held = [b"x" * (1 << 20) for _ in range(int(sys.argv[1]))]
time.sleep(60)
"""
ARGUMENTS = dict(zip(sys.argv[2::2], sys.argv[3::2]))


def share(megabytes):
    """Holds memory together with a child for a second."""
    held = [b"x" * (1 << 20) for _ in range(megabytes)]
    child = os.fork()
    if child == 0:
        time.sleep(1)
        os._exit(0)
    os.waitpid(child, 0)
    return held


def meet(others):
    """Answers only once so many containers of the variant have such a call at the same time."""
    os.makedirs(f"{MODEL}/meeting", exist_ok=True)
    open(f"{MODEL}/meeting/{os.getpid()}", "w").close()
    while len(os.listdir(f"{MODEL}/meeting")) < others:
        time.sleep(0.01)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body == b"die":
            print("out of paper", file=sys.stderr, flush=True)
            os._exit(3)
        if body == b"freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
            # The signal may reach this thread late.
            time.sleep(600)
        if body == b"hang up":
            self.close_connection = True
        elif body == b"unscorable":
            self.answer(422, b"field `text` is missing")
        elif body == b"broken":
            self.answer(500, b"no ink")
        elif body.startswith(b"stream"):
            self.stream(body.decode())
        elif body == b"large":
            self.answer(200, bytes(4 * 1024 * 1024 + 1))
        else:
            if body == b"slow":
                time.sleep(1)
            if body.startswith(b"hog "):
                sys.argv[1] = body.split()[1]
                exec(HOG)
            if body.startswith(b"child hog "):
                subprocess.run([sys.executable, "-c", HOG, body.split()[2]], start_new_session=True)
            if body.startswith(b"share "):
                share(int(body.split()[1]))
            if body.startswith(b"meet "):
                meet(int(body.split()[1]))
            self.answer(200, json.dumps(self.seen(body)).encode())

    def stream(self, how):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "from-container")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while how == "stream without end":
            self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        for word in ["one", "two", "three"]:
            if how == "stream until told" and word == "two":
                while not os.path.exists("go on"):
                    time.sleep(0.01)
            self.wfile.write(f"{len(word):x}\r\n{word}\r\n".encode())
            if how == "stream and break off" and word == "two":
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")

    def seen(self, body):
        return {
            "pid": os.getpid(),
            "size": len(body),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "model": sorted(os.listdir(MODEL)),
        }

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "from-container")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if sys.argv[1] != "serve":
    sys.exit("expected serve")
if os.environ.get("MODE") == "fail":
    print("first line", file=sys.stderr)
    sys.exit("cannot read `spam.model`: unexpected end of file")
MODEL = ARGUMENTS["--model-dir"]
if os.path.exists(f"{MODEL}/starts"):
    print("x", end="", file=open(f"{MODEL}/starts", "a"))
if os.path.exists(f"{MODEL}/broken"):
    print("x", end="", file=open(f"{MODEL}/broken", "a"))
    sys.exit("`broken` is in the way")
while os.path.exists(f"{MODEL}/dawdle"):
    time.sleep(0.01)
if os.environ.get("MODE") == "alone":
    try:
        open(f"{MODEL}/alone", "x").close()
    except FileExistsError:
        sys.exit("there is another")
if os.environ.get("MODE") == "slow start":
    time.sleep(60)
if os.environ.get("MODE") == "late start":
    time.sleep(3)
if os.environ.get("MODE") == "slow end":
    signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), os._exit(0)))
    print(os.getpid(), end="", file=open(f"{MODEL}/pid", "w"))
    time.sleep(60)
server = Server(("127.0.0.1", 0), Handler)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
