#!/usr/bin/env python3
"""Writes recorded pairs: the same calls as two systems answered them, some of them differently.

    pairs.py FOLDER --pairs 1000000 [--form parquet|jsonl] [--faults 100]

FOLDER/old.FORM and FOLDER/new.FORM get as many records in the same order, as harness and datacompy read
them. As many answers as `--faults` says differ: half of them by the last digit of a score, half in the label. The
same arguments give the same files. Parquet needs pyarrow.
"""

import argparse
import datetime
import json
import pathlib
import random

CHUNK = 50_000
WORDS = "proper pint good beer bad smell never again arrived late lovely hops fresh broken bottle".split()
START = datetime.datetime(2026, 11, 21, 10, tzinfo=datetime.timezone.utc)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--form", choices=["parquet", "jsonl"], default="parquet")
    parser.add_argument("--faults", type=int, default=100)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    writer = {"parquet": Parquet, "jsonl": Lines}[arguments.form]
    faulty = set(random.Random(1).sample(range(arguments.pairs), arguments.faults))
    with writer(arguments.folder / f"old.{arguments.form}") as old, writer(arguments.folder / f"new.{arguments.form}") as new:
        for start in range(0, arguments.pairs, CHUNK):
            chance = random.Random(start)
            calls = [call(number, chance) for number in range(start, min(start + CHUNK, arguments.pairs))]
            old.write([(*of, answer(*scored, None)) for of, scored in calls])
            faults = (fault(of[0]) if of[0] in faulty else None for of, _ in calls)
            new.write([(*of, answer(*scored, how)) for (of, scored), how in zip(calls, faults)])


def call(number, chance):
    """Number, request, label and score."""
    text = " ".join(chance.choices(WORDS, k=chance.randint(4, 24)))
    score = chance.random()
    label = "spam" if score > 0.5 else "ham"
    return (number, f'{{"text": "{text} {number}"}}'), (label, score)


def fault(number):
    return "digit" if number % 2 else "label"


def answer(label, score, fault):
    if fault == "label":
        label = {"ham": "spam", "spam": "ham"}[label]
    shown = f"{score:.15f}"
    if fault == "digit":
        shown = shown[:-1] + ("1" if shown[-1] != "1" else "2")
    return f'{{"label": "{label}", "score": {shown}, "scores": {{"ham": {1 - score:.15f}, "spam": {score:.15f}}}}}'


def fields(number):
    """What a record says beside request and answer."""
    return {
        "id": f"0193c5d0-{number:012x}",
        "captured_at": START + datetime.timedelta(milliseconds=number),
        "model": ("spam", "offensive", "off-topic")[number % 3],
        "client": f"client-{number % 50}",
        "latency_us": 500 + number % 1000,
    }


class Lines:
    def __init__(self, path):
        self.file = open(path, "w")

    def write(self, rows):
        for number, request, response in rows:
            record = {"schema_version": 1} | fields(number)
            record["captured_at"] = record["captured_at"].isoformat().replace("+00:00", "Z")
            body = {"content_type": "application/json", "encoding": "utf8"}
            record["request"] = {"method": "POST", "path": "/invocations", "body": request} | body
            record["response"] = {"status": 200, "body": response} | body
            self.file.write(json.dumps(record) + "\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


class Parquet:
    def __init__(self, path):
        import pyarrow
        import pyarrow.parquet

        self.arrow = pyarrow
        message = [("content_type", pyarrow.string()), ("body", pyarrow.string()), ("encoding", pyarrow.string())]
        request = pyarrow.struct([("method", pyarrow.string()), ("path", pyarrow.string()), *message])
        response = pyarrow.struct([("status", pyarrow.int32()), *message])
        self.schema = pyarrow.schema([
            ("schema_version", pyarrow.int32()),
            ("id", pyarrow.string()),
            ("captured_at", pyarrow.timestamp("us", tz="UTC")),
            ("model", pyarrow.string()),
            ("client", pyarrow.string()),
            ("request", request),
            ("response", response),
            ("latency_us", pyarrow.int64()),
        ])
        self.file = pyarrow.parquet.ParquetWriter(path, self.schema, compression="zstd")

    def write(self, rows):
        count = len(rows)
        columns = {"schema_version": [1] * count}
        for name in ("id", "captured_at", "model", "client", "latency_us"):
            columns[name] = [fields(number)[name] for number, _, _ in rows]
        body = {"content_type": "application/json", "encoding": "utf8"}
        columns["request"] = [{"method": "POST", "path": "/invocations", "body": row[1]} | body for row in rows]
        columns["response"] = [{"status": 200, "body": row[2]} | body for row in rows]
        self.file.write_table(self.arrow.table(columns, schema=self.schema))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


if __name__ == "__main__":
    main()
