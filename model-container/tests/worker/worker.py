"""A worker that does as the request's text says; any other text is scored by its length."""

import json
import os
import sys
import time

kept = []
held = None


def answer(request, **reply):
    print(json.dumps({"id": request["id"], **reply}), flush=True)


def score(request, spam):
    answer(request, scores={"spam": spam, "ham": 1 - spam})


def once(name):
    """Whether this is the first time that any process gets here."""
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


if sys.argv[1:] == ["greet"]:
    print("hello from the worker", flush=True)
if sys.argv[1:] == ["child"]:
    import subprocess

    child = subprocess.Popen(["sleep", "600"])
if sys.argv[1:2] == ["fail"]:
    sys.exit("no model here")
if sys.argv[1:2] == ["fail-after"] and not once(sys.argv[2]):
    time.sleep(600)

for line in sys.stdin:
    request = json.loads(line)
    if "body" in request:
        if request["accept"] == "text/x-scores":
            score(request, 0.25)
        else:
            answer(request, body=request["body"], content_type=request["content_type"] or "none/none")
        continue
    word, _, rest = request["input"].get("text", "").partition(" ")
    if word == "pid":
        score(request, os.getpid())
    elif word == "child":
        score(request, child.pid)
    elif word == "sleep":
        time.sleep(float(rest))
        score(request, 0.5)
    elif word == "die":
        os._exit(3)
    elif word == "die-once" and once(rest):
        os.kill(os.getpid(), 9)
    elif word == "hang":
        time.sleep(600)
    elif word == "garbage":
        print("Loading layer 7 of 12", flush=True)
        time.sleep(0.2)
        score(request, 0.5)
    elif word == "nan":
        score(request, float("nan"))
    elif word == "error":
        answer(request, error=rest)
    elif word == "labels":
        answer(request, scores={rest: 1.0})
    elif word == "twice":
        score(request, 0.75)
        score(request, 0.25)
        answer({"id": 10**9}, scores={"spam": 1, "ham": 0})
    elif word == "swap" and held is None:
        held = request
    elif word == "swap":
        score(request, 0.2)
        score(held, 0.1)
        held = None
    elif word == "grow":
        kept.append(bytearray(os.urandom(1 << 20) * 100))
        score(request, 0.5)
    else:
        score(request, len(request["input"].get("text", "")) / 1000)
