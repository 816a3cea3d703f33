"""The figures as Markdown: each claim with what was measured, then what it was made of."""

import pathlib
import platform
import statistics

WAYS = {"throughput": "throughput", "p99": "p99", "rss": "RSS under load", "cold_start": "cold start"}
# Above this a generator may be what limits a server.
SATURATED = 0.9
COLUMNS = {
    "throughput": ("requests/s", 1),
    "cpu_us": ("CPU us/request", 1),
    "busy": ("core used %", 100),
    "generator_busy": ("generator %", 100),
    "rss": ("RSS MB", 1e-6),
    "p50": ("p50 ms", 1e-3),
    "p99": ("p99 ms", 1e-3),
    "late_p99": ("sent late, p99 ms", 1e-3),
    "cold_start": ("cold start ms", 1e3),
}


def verdicts(row, figures):
    """One tuple a claim: its name, the target, the median and its spread, whether it holds."""
    mine, theirs = figures[row.ours.name], figures[row.peer.name]
    return [verdict(figure, target, mine, theirs) for figure, target in row.claims.items()]


def verdict(figure, target, mine, theirs):
    if figure == "cpu_more_us":
        more = [a - b for a, b in zip(mine["cpu_us"], theirs["cpu_us"])]
        return "CPU a request more", f"at most {target} us", spread(more, "{:.1f} us"), statistics.median(more) <= target
    pairs = zip(mine[figure], theirs[figure])
    times = [a / b if figure == "throughput" else b / a for a, b in pairs]
    name = WAYS[figure] + ("" if figure == "throughput" else " (how many times less)")
    measured = spread(times, "{:.2f}x") + (by_cpu(mine, theirs) if figure == "throughput" else "")
    return name, f"at least {target}x", measured, statistics.median(times) >= target


def by_cpu(mine, theirs):
    """What the throughput would be if nothing but the servers' own CPU time bounded it."""
    times = [b / a for a, b in zip(mine["cpu_us"], theirs["cpu_us"])]
    return f"; by CPU time {statistics.median(times):.2f}x"


def spread(values, form):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} ({form.format(low)} to {form.format(high)})"


def summary(results):
    lines = ["| against | claim | target | median (spread) | |", "|---|---|---|---|---|"]
    for row, figures in results:
        for name, target, measured, holds in verdicts(row, figures):
            lines.append(f"| {row.title} | {name} | {target} | {measured} | {'ok' if holds else 'short'} |")
    return "\n".join(lines)


def details(row, figures):
    """Every figure of both: the median, and the spread where it has one."""
    columns = [name for name in COLUMNS if any(name in of for of in figures.values())]
    lines = [f"**{row.key}**: {row.title}" + rate(figures), ""]
    lines.append("| | " + " | ".join(COLUMNS[name][0] for name in columns) + " |")
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, of in figures.items():
        lines.append(f"| {name} | " + " | ".join(cell(of.get(column), COLUMNS[column][1]) for column in columns) + " |")
    lines += [f"\n{note}" for note in notes(figures)]
    return "\n".join(lines)


def rate(figures):
    rates = next(iter(figures.values())).get("rate")
    return f"; p50 and p99 at {rates[0]:.0f} requests/s" if rates else ""


def cell(values, factor):
    if not values:
        return ""
    values = [value * factor for value in values]
    middle = statistics.median(values)
    form = "{:,.0f}" if middle >= 100 else "{:.1f}" if middle >= 10 else "{:.2f}"
    return spread(values, form)


def notes(figures):
    for name, of in figures.items():
        if statistics.median(of["generator_busy"]) > SATURATED:
            yield f"The load generator was at its limit with {name}, which may be able to do more."


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, one core for the server and one for the load; Linux {platform.release()}; median (least to most)."
