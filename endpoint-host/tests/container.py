"""A container that keeps SageMaker's contract and does on request what containers should not."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ARGUMENTS = dict(zip(sys.argv[2::2], sys.argv[3::2]))


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
        if body == b"hang up":
            self.close_connection = True
        elif body == b"unscorable":
            self.answer(422, b"field `text` is missing")
        elif body == b"broken":
            self.answer(500, b"no ink")
        elif body == b"large":
            self.answer(200, bytes(4 * 1024 * 1024 + 1))
        else:
            if body == b"slow":
                time.sleep(1)
            self.answer(200, json.dumps(self.seen(body)).encode())

    def seen(self, body):
        return {
            "pid": os.getpid(),
            "size": len(body),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "model": sorted(os.listdir(ARGUMENTS["--model-dir"])),
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
if "broken" in os.listdir(ARGUMENTS["--model-dir"]):
    sys.exit("`broken` is in the way")
if os.environ.get("MODE") == "slow start":
    time.sleep(60)
server = Server(("127.0.0.1", 0), Handler)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
