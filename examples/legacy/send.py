#!/usr/bin/env python3
"""Sends calls, several at a time, to the legacy server or to a proxy before it.

    send.py URL [--record records.jsonl] < calls.jsonl

A call is a JSON object a line, as generate.py writes them. Each goes to POST /score/{model}, with its client in the
header `Gatehouse-Client`. --record also writes each call with its answer as `gatehouse parity replay` reads it; behind
`gatehouse parity capture`, which records by itself, it is left out. Prints how many calls got which status; exits 1 when
one got no answer, which is recorded with its error.
"""

import argparse
import base64
import collections
import http.client
import itertools
import json
import sys
import threading
import time
import urllib.parse
import uuid
from datetime import datetime, timezone


def main():
    arguments = parse_arguments()
    sender = Sender(arguments.url, sys.stdin, arguments.record and open(arguments.record, "w", encoding="utf-8"))
    threads = [threading.Thread(target=sender.run) for _ in range(arguments.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sender.record:
        sender.record.close()
    print(", ".join(f"{count} calls: {status}" for status, count in sorted(sender.statuses.items(), key=str)))
    # A line that is no call ends its connection, with the calls that were to follow on it.
    lost = sender.taken - sender.statuses.total()
    sys.exit(f"send.py: {lost} lines were not sent" if lost else 1 if sender.failed else 0)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Sends calls to the legacy server or to a proxy before it.")
    parser.add_argument("url", help="where it listens, such as http://127.0.0.1:8070")
    parser.add_argument("--record", help="a file for the calls and their answers")
    parser.add_argument("--connections", type=int, default=4, help="how many calls are under way at a time [default: 4]")
    return parser.parse_args()


class Sender:
    """What the connections share: the calls to come, and what became of those that were."""

    def __init__(self, url, calls, record):
        address = urllib.parse.urlsplit(url)
        self.address, self.calls, self.record = (address.hostname, address.port), calls, record
        self.lock, self.statuses, self.taken, self.failed = threading.Lock(), collections.Counter(), 0, 0

    def run(self):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        while batch := self.take():
            for call in map(json.loads, batch):
                self.done(*exchange(connection, call))
        connection.close()

    def take(self):
        """Some lines at a time; asking for each would take longer than many a call."""
        with self.lock:
            batch = list(itertools.islice(self.calls, 16))
            self.taken += len(batch)
            return batch

    def done(self, record, status):
        line = json.dumps(record, ensure_ascii=False) + "\n" if self.record else ""
        with self.lock:
            self.statuses[status] += 1
            self.failed += record["response"] is None
            if self.record:
                self.record.write(line)


def exchange(connection, call):
    """The record of one call, and its status or why there is none."""
    path = "/score/" + urllib.parse.quote(call["model"], safe="")
    body = call["body"].encode() if call["encoding"] == "utf8" else base64.b64decode(call["body"])
    accept = {"accept": call["accept"]} if "accept" in call else {}
    request = {"method": "POST", "path": path, "content_type": call["content_type"] or None}
    record = {
        "schema_version": 1,
        "id": str(uuid.uuid4()),
        "captured_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "model": call["model"],
        "client": call["client"],
        "request": request | {"headers": accept, "body": call["body"], "encoding": call["encoding"]},
    }
    headers = accept | {"Gatehouse-Client": call["client"]}
    if call["content_type"]:
        headers["Content-Type"] = call["content_type"]
    started = time.perf_counter()
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        # The next request opens a new connection.
        connection.close()
        reason = str(error) or type(error).__name__
        return record | {"response": None, "error": reason}, reason
    record["latency_us"] = round((time.perf_counter() - started) * 1e6)
    # All that the legacy server answers is UTF-8.
    answered = {"content_type": response.headers.get("Content-Type"), "body": answer.decode(), "encoding": "utf8"}
    return record | {"response": {"status": response.status} | answered}, response.status


if __name__ == "__main__":
    main()
