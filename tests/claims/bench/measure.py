"""One row's rounds, ours and the peer's in turns, on the same core."""

import dataclasses
import statistics
import sys
import threading

from bench import generator

WARM_UP_SLICES = 3


@dataclasses.dataclass
class Plan:
    """Which cores, how many rounds, and how long each takes."""

    server_core: int
    rounds: int
    slice_s: int
    load: generator.Load

    @classmethod
    def within(cls, seconds, rounds, server_core, load):
        """As long as the seconds of a row allow: two servers, each warmed up, at full load and paced."""
        slice_s = int(seconds / (2 * (WARM_UP_SLICES + 2 * rounds)))
        return cls(server_core, rounds if slice_s else 1, max(slice_s, 1), load)

    def __str__(self):
        trial = ": a trial, no measurement" if self.rounds < 5 else ""
        return f"{self.rounds} rounds of {self.slice_s} s, in turns{trial}"


def measure(row, bodies, plan):
    """The figures of both, each a list with one value a round."""
    figures = {server.name: {} for server in (row.ours, row.peer)}
    try:
        row.ours.start(plan.server_core, bodies[0], row.content_type)
        row.prepare(row.ours, bodies)
        row.ours.stop()
        if "cold_start" in row.claims:
            cold_starts(row, bodies, plan, figures)
        for server in (row.ours, row.peer):
            server.start(plan.server_core, bodies[0], row.content_type)
        compare_answers(row, bodies)
        for server in (row.ours, row.peer):
            server.work(plan.load, WARM_UP_SLICES * plan.slice_s)
        in_turns(row, plan, figures, lambda server: full(server, plan))
        if row.peer.is_http:
            rate = min(statistics.median(of["throughput"]) for of in figures.values()) / 2
            in_turns(row, plan, figures, lambda server: paced(server, plan, rate))
    finally:
        row.ours.stop()
        row.peer.stop()
    return figures


def in_turns(row, plan, figures, measure_once):
    for _ in range(plan.rounds):
        for server in (row.ours, row.peer):
            add(figures[server.name], measure_once(server))


def add(figures, found):
    for name, value in found.items():
        figures.setdefault(name, []).append(value)


def cold_starts(row, bodies, plan, figures):
    """From the start of the process to its first good answer; the first of each only fills the caches."""
    for number in range(plan.rounds + 1):
        for server in (row.ours, row.peer):
            seconds = server.start(plan.server_core, bodies[0], row.content_type)
            server.stop()
            if number > 0:
                add(figures[server.name], {"cold_start": seconds})


def compare_answers(row, bodies):
    """Both give each body the same label and, within the tolerance, the same scores."""
    if row.peer.read is None:
        return
    for body in bodies:
        (label, scores), (their_label, theirs) = (
            server.read(server.ask(body, row.content_type)[1]) for server in (row.ours, row.peer)
        )
        same = label == their_label and scores.keys() == theirs.keys()
        if not same or any(abs(scores[name] - theirs[name]) > row.tolerance for name in scores):
            sys.exit(
                f"bench-container: {row.key}: for {body} ours answers `{label}` {scores},"
                f" {row.peer.name} `{their_label}` {theirs}"
            )


def full(server, plan):
    """As much load as the server takes."""
    before = server.cpu_seconds()
    with Watch(server) as watch:
        work = server.work(plan.load, plan.slice_s)
    cpu_s = server.cpu_seconds() - before
    return {
        "throughput": work.requests / work.seconds,
        "cpu_us": cpu_s / work.requests * 1e6,
        "rss": watch.rss_bytes,
        "busy": cpu_s / work.seconds,
        "generator_busy": work.generator_s / work.seconds,
    }


def paced(server, plan, rate):
    """A fixed rate, the same for both."""
    report = generator.open_loop(f"127.0.0.1:{server.port}", server.path, plan.load, rate, plan.slice_s)
    return {
        "rate": rate,
        "p50": report["p50_us"],
        "p99": report["p99_us"],
        "late_p99": report["late_p99_us"],
        "paced_generator_busy": report["generator_busy"],
    }


class Watch:
    """The largest RSS of a server, looked at four times a second."""

    def __init__(self, server):
        self.server = server
        self.rss_bytes = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def look(self):
        while not self.ended.wait(0.25):
            self.rss_bytes = max(self.rss_bytes, self.server.rss_bytes())

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
