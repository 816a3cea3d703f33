"""Texts of a review's length, out of the examples."""

import json

from bench.builds import ROOT

COUNT = 16
LENGTH = 200


def texts():
    """From each second review on as many as it takes."""
    lines = (ROOT / "examples/content/reviews.jsonl").read_text("utf-8").splitlines()
    reviews = [" ".join(json.loads(line)["fields"].values()) for line in lines]
    for start in range(0, 2 * COUNT, 2):
        text = reviews[start]
        for more in reviews[start + 1 :]:
            if len(text) >= LENGTH:
                break
            text += " " + more
        yield text
