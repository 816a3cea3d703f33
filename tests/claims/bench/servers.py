"""What is measured: a process on a core of its own, started, asked, watched through /proc, and stopped."""

import http.client
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

from bench import generator

NAME = pathlib.Path(sys.argv[0]).name
LOGS = pathlib.Path(__file__).resolve().parents[3] / "target" / NAME
PATIENCE_S = 60
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Server:
    """An HTTP server that may be started again and again.

    `command` and `environment` are made for a port; `read` takes the label and the scores out of an answer.
    """

    is_http = True

    def __init__(self, name, command, path="/invocations", read=None, environment=lambda _: {}):
        self.name = name
        self.command = command
        self.path = path
        self.read = read
        self.environment = environment
        self.process = None
        self.port = None

    def start(self, core, body, content_type):
        """Starts the process and waits for its first good answer; how long both took, in seconds."""
        self.port = free_port()
        command = ["taskset", "-c", str(core), *map(str, self.command(self.port))]
        environment = os.environ | {name: str(value) for name, value in self.environment(self.port).items()}
        LOGS.mkdir(parents=True, exist_ok=True)
        with open(self.log(), "wb") as log:
            started = time.perf_counter()
            self.process = self.spawn(command, env=environment, stderr=log, start_new_session=True)
        while not self.is_up(body, content_type):
            if self.process.poll() is not None:
                self.fail(f"ended with {self.process.returncode}")
            if time.perf_counter() - started > PATIENCE_S:
                self.fail(f"gave no good answer for {PATIENCE_S} s")
            time.sleep(0.0005)
        return time.perf_counter() - started

    def spawn(self, command, **options):
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)

    def is_up(self, body, content_type):
        try:
            return self.ask(body, content_type)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def ask(self, body, content_type):
        """The status and the body of the answer to one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("POST", self.path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def work(self, load, seconds):
        """As much as it takes."""
        return generator.wrk(f"127.0.0.1:{self.port}", self.path, load, seconds)

    def cpu_seconds(self):
        """User and system time of the process and its children, in steps of 10 ms."""
        return cpu_seconds(self.process.pid)

    def rss_bytes(self):
        """VmRSS of the process and its children; a page of a file that several map counts in each."""
        return sum(vm_rss(process) for process in tree(self.process.pid))

    def log(self):
        """The file with what it wrote on standard error."""
        return LOGS / f"{self.name.replace(' ', '-')}.log"

    def fail(self, how):
        self.stop()
        sys.exit(f"{NAME}: {self.name} {how}; see {self.log()}")

    def stop(self):
        """Ends the process and whatever it started in its session."""
        if self.process is None:
            return
        for number in [signal.SIGTERM, signal.SIGKILL]:
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(timeout=10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.process.wait()
        self.process = None


class Program(Server):
    """A program that is asked on standard input: by a body, or by a number of seconds to go on in a loop."""

    is_http = False

    def spawn(self, command, **options):
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

    def ask(self, body, _content_type):
        self.process.stdin.write(body.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return 200 if answer else 500, answer

    def work(self, _load, seconds):
        started = time.perf_counter()
        calls = int(self.ask(str(seconds), None)[1])
        return generator.Work(calls, time.perf_counter() - started, 0.0)


def cpu_seconds(root):
    """User and system time of the process and its children, in steps of 10 ms."""
    times = [stat(process)[11:13] for process in tree(root)]
    return sum(int(user) + int(system) for user, system in times) / TICKS_A_SECOND


def busy_seconds(core):
    """How long the core has worked, for whomever, in steps of 10 ms."""
    lines = pathlib.Path("/proc/stat").read_text().splitlines()
    times = next(line.split()[1:] for line in lines if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, times)
    return (user + nice + system + irq + softirq) / TICKS_A_SECOND


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(root):
    """The process and all below it."""
    children = {}
    for process in (int(path.name) for path in pathlib.Path("/proc").glob("[0-9]*")):
        try:
            children.setdefault(int(stat(process)[1]), []).append(process)
        except OSError:
            continue
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def stat(process):
    """/proc/PID/stat from the state on, which proc(5) numbers 3."""
    return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def vm_rss(process):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))
