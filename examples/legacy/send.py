#!/usr/bin/env python3
"""Sends calls, several at a time, to the legacy server or to a proxy before it.

    send.py URL < calls.jsonl

A call is a JSON object a line, as generate.py writes them. Each goes to POST /score/{model}, with its client in the
header `Gatehouse-Client`. Prints how many calls got which status; exits 1 when one got no answer.
"""

import argparse
import base64
import collections
import http.client
import itertools
import json
import sys
import threading
import urllib.parse


def main():
    arguments = parse_arguments()
    sender = Sender(arguments.url, sys.stdin)
    threads = [threading.Thread(target=sender.run) for _ in range(arguments.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(", ".join(f"{count} calls: {status}" for status, count in sorted(sender.statuses.items(), key=str)))
    # A line that is no call ends its connection, with the calls that were to follow on it.
    lost = sender.taken - sender.statuses.total()
    sys.exit(f"send.py: {lost} lines were not sent" if lost else 1 if sender.failed else 0)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Sends calls to the legacy server or to a proxy before it.")
    parser.add_argument("url", help="where it listens, such as http://127.0.0.1:8070")
    parser.add_argument("--connections", type=int, default=4, help="how many calls are under way at a time [default: 4]")
    return parser.parse_args()


class Sender:
    """What the connections share: the calls to come, and what became of those that were."""

    def __init__(self, url, calls):
        address = urllib.parse.urlsplit(url)
        self.address, self.calls = (address.hostname, address.port), calls
        self.lock, self.statuses, self.taken, self.failed = threading.Lock(), collections.Counter(), 0, 0

    def run(self):
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        while batch := self.take():
            for call in map(json.loads, batch):
                self.send(connection, call)
        connection.close()

    def take(self):
        """Some lines at a time; asking for each would take longer than many a call."""
        with self.lock:
            batch = list(itertools.islice(self.calls, 16))
            self.taken += len(batch)
            return batch

    def send(self, connection, call):
        """Counts the status of the answer, or why there is none."""
        try:
            status, failed = exchange(connection, call), False
        except (OSError, http.client.HTTPException) as error:
            # The next request opens a new connection.
            connection.close()
            status, failed = str(error) or type(error).__name__, True
        with self.lock:
            self.statuses[status] += 1
            self.failed += failed


def exchange(connection, call):
    """The status of one call, once all of its answer has come."""
    path = "/score/" + urllib.parse.quote(call["model"], safe="")
    body = call["body"].encode() if call["encoding"] == "utf8" else base64.b64decode(call["body"])
    headers = {"Gatehouse-Client": call["client"]}
    headers |= {"Accept": call["accept"]} if "accept" in call else {}
    headers |= {"Content-Type": call["content_type"]} if call["content_type"] else {}
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    response.read()
    return response.status


if __name__ == "__main__":
    main()
