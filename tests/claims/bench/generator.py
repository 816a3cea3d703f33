"""The load: wrk for as much as a server takes, our open loop for a fixed rate; both tell their own CPU time."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

NAME = pathlib.Path(sys.argv[0]).name
POST = pathlib.Path(__file__).with_name("post.lua")
CONNECTIONS = 16
# Of the open loop: enough that a request which is due need not wait for an idle connection.
POOL = 32


@dataclasses.dataclass
class Load:
    """What is sent, and from which core."""

    core: int
    open_loop: pathlib.Path
    bodies: pathlib.Path | None = None
    content_type: str | None = None


@dataclasses.dataclass
class Work:
    """How much was done, in how long, and the CPU time that sending it took."""

    requests: int
    seconds: float
    generator_s: float


def wrk(address, path, load, seconds, first=None):
    """Keeps CONNECTIONS connections busy; with `first`, every body gets a number of its own, from there on."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", POST]
    command += [f"http://{address}", "--", path, load.content_type, load.bodies]
    command += [] if first is None else [first]
    report, generator_s = run(command, load.core)
    if report["failed"] or not report["requests"]:
        sys.exit(f"{NAME}: {report['failed']} of {report['requests']} requests to {path} failed")
    return Work(report["requests"], report["seconds"], generator_s)


def open_loop(address, path, load, rate, seconds):
    """Sends at a fixed rate, and times from the intended send time; an answer but a 200 ends the run."""
    command = [load.open_loop, address, path, load.content_type, load.bodies, rate, seconds, POOL]
    report, generator_s = run(command, load.core)
    return report | {"generator_busy": generator_s / seconds}


def run(command, core):
    """The last line of JSON that a generator prints, and the CPU seconds that it took."""
    command = ["taskset", "-c", str(core), *map(str, command)]
    generator = subprocess.Popen(command, stdout=subprocess.PIPE)
    with generator.stdout as stdout:
        output = stdout.read().decode()
    _, status, usage = os.wait4(generator.pid, 0)
    generator.returncode = os.waitstatus_to_exitcode(status)
    if generator.returncode:
        sys.exit(f"{NAME}: {' '.join(command)} ended with {generator.returncode}: {output}")
    return json.loads(output.strip().splitlines()[-1]), usage.ru_utime + usage.ru_stime
