"""Models at plain URLs for the claims, which behave as they are told."""

import http.server
import json
import threading
import time


class Models:
    """Endpoints at URLs, which behave as they are told."""

    # How long a narrow endpoint, and a slow one, take for a call.
    NARROW_S, SLOW_S = 0.1, 1
    # How many calls a narrow endpoint takes at once.
    ROOM = 2

    def __init__(self):
        self.behaviours = {"slow": "slow", "contrary": "contrary"}
        self.lock, self.busy, self.released = threading.Lock(), 0, threading.Event()
        models = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                status, scores = models.answer(self.path.strip("/"))
                body = json.dumps({"scores": scores}).encode()
                head = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_):
                """A router that hangs up is no news."""

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"

    def behave(self, model, behaviour):
        self.behaviours[model] = behaviour

    def release(self):
        """Lets those that hang go."""
        self.released.set()

    def answer(self, model):
        scores = {"ham": 0.9, "spam": 0.1}
        match self.behaviours.get(model, "fine"):
            case "broken":
                return 500, {}
            case "hanging":
                self.released.wait()
            case "slow":
                self.released.wait(self.SLOW_S)
            case "contrary":
                scores = {"ham": 0.1, "spam": 0.9}
            case "narrow":
                return self.squeeze(scores)
        return 200, scores

    def squeeze(self, scores):
        with self.lock:
            if self.busy >= self.ROOM:
                return 429, {}
            self.busy += 1
        time.sleep(self.NARROW_S)
        with self.lock:
            self.busy -= 1
        return 200, scores
