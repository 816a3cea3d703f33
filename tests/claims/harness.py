"""The migration harness for the claims: built, and given records to replay."""

import json
import pathlib

from bench import builds


def build():
    """The release binary of the harness alone, built by cargo."""
    built = builds.cargo("--release", "--package", "migration-harness", "--bin", "migration-harness")
    return [built["migration-harness"]]


def command(binary):
    """How the harness in a binary is called: it has a binary of its own, and is a part of gatehouse."""
    binary = pathlib.Path(binary)
    return [binary, "parity"] if binary.name.startswith("gatehouse") else [binary]


def record(number, body, answer, path="/", content_type="application/json"):
    """A captured call, as a line."""
    written = {"content_type": content_type, "encoding": "utf8"}
    line = {
        "schema_version": 1,
        "id": f"call-{number}",
        "captured_at": "2026-11-21T10:00:00Z",
        "model": ["spam", "offensive"][number % 2],
        "client": ["alehouse", "toybox", "plain-store"][number % 3],
        "request": {"method": "POST", "path": path, "body": body, **written},
        "response": {"status": 200, "body": answer, **written},
        "latency_us": 900,
    }
    return json.dumps(line) + "\n"
