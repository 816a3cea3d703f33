#!/usr/bin/env python3
"""Compares the pairs of pairs.py by datacompy on pandas, and says as JSON how many rows differ.

    datacompy_pairs.py FOLDER

The answers are JSON, so their fields become columns first, as datacompy compares columns.
"""

import json
import pathlib
import sys
import time

import datacompy
import pandas


def main():
    folder = pathlib.Path(sys.argv[1])
    started = time.monotonic()
    old, new = (read(folder, side) for side in ("old", "new"))
    read_at = time.monotonic()
    Compare = getattr(datacompy, "PandasCompare", None) or datacompy.Compare
    comparison = Compare(old, new, join_columns="id", abs_tol=0, rel_tol=0)
    differing = len(comparison.intersect_rows) - comparison.count_matching_rows()
    figures = {"differing": int(differing), "read": read_at - started, "compare": time.monotonic() - read_at}
    print(json.dumps(figures))


def read(folder, side):
    path = folder / f"{side}.parquet"
    if path.exists():
        frame = pandas.read_parquet(path, columns=["id", "model", "client", "response"])
    else:
        frame = pandas.read_json(folder / f"{side}.jsonl", lines=True)[["id", "model", "client", "response"]]
    answers = [json.loads(response["body"]) for response in frame.pop("response")]
    frame["status"] = 200
    frame["label"] = [answer["label"] for answer in answers]
    frame["score"] = [answer["score"] for answer in answers]
    for label in ("ham", "spam"):
        frame[f"scores.{label}"] = [answer["scores"][label] for answer in answers]
    return frame


if __name__ == "__main__":
    main()
