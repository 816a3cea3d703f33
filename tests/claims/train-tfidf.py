#!/usr/bin/env python3
"""Trains the text model of `make bench-container` and writes it as an ONNX package.

    .tools/bench/fastapi/bin/python tests/claims/train-tfidf.py [--data DIR] [--out .tools/bench/tfidf]

TF-IDF over 20,000 terms and a logistic regression: offensive or clean. DIR holds the three files of
real text that ../shared/data/README.md describes. The package isn't committed.
"""

import argparse
import csv
import pathlib

from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
TERMS = 20_000
MANIFEST = """name = "tfidf"
version = "1"
runtime = "onnx"
artifact = "tfidf.onnx"
labels = ["clean", "offensive"]

[[canary]]
input = { text = "I love the sound of it, and it was easy to set up" }
label = "clean"
"""


def main():
    parser = argparse.ArgumentParser(description="Trains the text model of `make bench-container`.")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / ".tools/bench/tfidf")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        parser.error(f"{arguments.data} does not exist; name the folder of the three files of text with --data")
    texts, labels = read(arguments.data)
    # One character class, as ONNX Runtime's tokenizer knows no look-around and no Unicode words.
    vectorizer = TfidfVectorizer(token_pattern="[a-zA-Z0-9_]+", max_features=TERMS)
    pipeline = make_pipeline(vectorizer, LogisticRegression(max_iter=1000))
    pipeline.fit(texts, labels)
    assert len(vectorizer.vocabulary_) == TERMS
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "model.toml").write_text(MANIFEST)
    (arguments.out / "tfidf.onnx").write_bytes(convert(pipeline).SerializeToString())
    print(f"{len(texts)} texts, {TERMS} terms, {pipeline.score(texts, labels):.3f} of them right: {arguments.out}")


def read(data):
    """All texts, each with whether people called it offensive; messages and reviews count as clean."""
    with open(data / "offensive-tweets.csv", encoding="utf-8", newline="") as file:
        found = [(row["tweet"], "clean" if row["class"] == "2" else "offensive") for row in csv.DictReader(file)]
    with open(data / "amazon-alexa-reviews.tsv", encoding="utf-8-sig", newline="") as file:
        found += [(row["verified_reviews"], "clean") for row in csv.DictReader(file, delimiter="\t")]
    messages = (data / "sms-spam.tsv").read_text("utf-8").split("\n")
    found += [(line.split("\t", 1)[1], "clean") for line in messages if "\t" in line]
    return zip(*found)


def convert(pipeline):
    # The locale that every glibc has; the default, en_US.UTF-8, must be generated first.
    text = {"locale": "C.UTF-8", "tokenexp": "[a-zA-Z0-9_]+"}
    options = {TfidfVectorizer: text, LogisticRegression: {"zipmap": False}}
    inputs = [("text", StringTensorType([None, 1]))]
    return to_onnx(pipeline, initial_types=inputs, options=options, target_opset={"": 17, "ai.onnx.ml": 3})


if __name__ == "__main__":
    main()
