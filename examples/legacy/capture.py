#!/usr/bin/env python3
"""Calls the legacy server and records each call, for `gatehouse parity replay`.

    capture.py LEGACY_URL --model spam --model offensive < contents.jsonl > records.jsonl

A content is a JSON object a line: a moderation request with `fields` and perhaps `client`, or the fields alone.
Every content is sent to every model. A call without an answer is recorded with its error.
"""

import argparse
import base64
import http.client
import json
import sys
import time
import urllib.parse
import uuid
from datetime import datetime, timezone

CONTENT_TYPE = "application/jsonlines"


def main():
    arguments = parse_arguments()
    address = urllib.parse.urlsplit(arguments.url)
    sys.stdout.reconfigure(encoding="utf-8")
    for line in sys.stdin.buffer:
        if line.strip():
            content = json.loads(line)
            # Contents may come slowly, and a server closes connections that idle.
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
            for model in arguments.model:
                record = call(connection, model, content, arguments.client)
                print(json.dumps(record, ensure_ascii=False))
            connection.close()


def parse_arguments():
    parser = argparse.ArgumentParser(description="Records calls of the legacy server.")
    parser.add_argument("url", help="where the legacy server listens, such as http://127.0.0.1:8070")
    parser.add_argument("--model", action="append", required=True, help="a model to call; may be repeated")
    parser.add_argument("--client", help="the client of contents that name none")
    return parser.parse_args()


def call(connection, model, content, default_client):
    """One record: the request that is sent, and what came back."""
    path = "/score/" + urllib.parse.quote(model, safe="")
    line = json.dumps(content.get("fields", content), ensure_ascii=False) + "\n"
    # Half a surrogate pair goes out as it is, for the server to refuse.
    body = line.encode("utf-8", "surrogatepass")
    client = content.get("client", default_client) if "fields" in content else default_client
    record = {
        "schema_version": 1,
        "id": str(uuid.uuid4()),
        "captured_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "model": model,
    }
    if client is not None:
        record["client"] = client
    record["request"] = message({"method": "POST", "path": path}, CONTENT_TYPE, body)
    started = time.perf_counter()
    try:
        connection.request("POST", path, body, {"Content-Type": CONTENT_TYPE})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        # The next request opens a new connection.
        connection.close()
        return record | {"response": None, "error": str(error) or type(error).__name__}
    latency_us = round((time.perf_counter() - started) * 1e6)
    answered = message({"status": response.status}, response.headers.get("Content-Type"), answer)
    return record | {"response": answered, "latency_us": latency_us}


def message(start, content_type, body):
    """The recorded form of a body: text where it is UTF-8, else base64."""
    try:
        return start | {"content_type": content_type, "body": body.decode(), "encoding": "utf8"}
    except UnicodeDecodeError:
        return start | {"content_type": content_type, "body": base64.b64encode(body).decode(), "encoding": "base64"}


if __name__ == "__main__":
    main()
