"""A router of FastAPI and aiohttp, as fast as that goes: what `make bench-router` compares with.

Each review goes to all models side by side on connections kept alive, is judged by fixed thresholds, and
stored before it is answered, in batches, as safely as our router stores it. Raw body in, orjson in and
out, no validation by pydantic. Start it with uvicorn, uvloop and httptools. MODELS names the endpoints'
URLs with a comma between, DATABASE the SQLite file.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
import uuid
from datetime import UTC, datetime

import aiohttp
import orjson
from fastapi import FastAPI, Request, Response

REVIEW_AT, REJECT_AT = 0.9, 0.97
DEADLINE_S = 10
STRICTNESS = {"approve": 0, "review": 1, "reject": 2}
JSON = {"content-type": "application/json"}


class Log:
    """Writes what has come together since the last flush as one transaction."""

    def __init__(self, path):
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = FULL")
        self.database.execute(
            "CREATE TABLE decisions (decision_id TEXT PRIMARY KEY, client TEXT, content_id TEXT, decided_at TEXT,"
            " decision TEXT, request TEXT, response TEXT, calls TEXT) STRICT"
        )
        self.waiting, self.wake = [], asyncio.Event()

    async def keep(self, row):
        kept = asyncio.get_running_loop().create_future()
        self.waiting.append((row, kept))
        self.wake.set()
        await kept

    async def run(self):
        while True:
            await self.wake.wait()
            self.wake.clear()
            batch, self.waiting = self.waiting, []
            await asyncio.to_thread(self.write, [row for row, _ in batch])
            for _, kept in batch:
                kept.set_result(None)

    def write(self, rows):
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.database.execute("COMMIT")


@contextlib.asynccontextmanager
async def lifespan(app):
    app.log = Log(os.environ["DATABASE"])
    writer = asyncio.create_task(app.log.run())
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as app.session:
        yield
    writer.cancel()


app = FastAPI(openapi_url=None, lifespan=lifespan)
models = os.environ["MODELS"].split(",")


@app.post("/v1/moderate")
async def moderate(request: Request) -> Response:
    text = await request.body()
    try:
        content = orjson.loads(text)
        client, content_id, payload = content["client"], content["content_id"], orjson.dumps(content["fields"])
    except (ValueError, KeyError, TypeError):
        return Response(b'{"detail": "expected a content"}', 400, media_type="application/json")
    calls = [None] * len(models)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(ask(number, payload, calls) for number in range(len(models))))
    decision_id = str(uuid.uuid4())
    verdict = {"decision_id": decision_id, "client": client, "content_id": content_id, **judge(calls)}
    answer = orjson.dumps(verdict)
    if not content.get("dry_run"):
        row = (decision_id, client, content_id, datetime.now(UTC).isoformat(), verdict["decision"])
        scores = [call and {"model": call["model"], "scores": call["scores"]} for call in calls]
        await app.log.keep((*row, text.decode(), answer.decode(), orjson.dumps(scores).decode()))
    return Response(answer, media_type="application/json")


async def ask(number, payload, calls):
    """One model's answer and how long it took; whatever fails leaves it unknown."""
    started = time.perf_counter()
    with contextlib.suppress(aiohttp.ClientError, ValueError, KeyError):
        async with app.session.post(models[number], data=payload, headers=JSON) as response:
            answer = orjson.loads(await response.read())
            if response.status == 200 and 0 <= answer["scores"]["bad"] <= 1:
                answer["latency_ms"] = (time.perf_counter() - started) * 1e3
                calls[number] = answer


def judge(calls):
    findings = [finding(number, call) for number, call in enumerate(calls)]
    decision = max((found["outcome"] for found in findings), key=STRICTNESS.get)
    return {
        "decision": decision,
        "reasons": [found for found in findings if decision != "approve" and found["outcome"] == decision],
        "calls": [report(number, call) for number, call in enumerate(calls)],
        "degraded": None in calls,
    }


def finding(number, call):
    found = {"rule": f"rule-{number}", "model": f"m-{number}", "label": "bad"}
    if call is None:
        return found | {"score": None, "threshold": None, "outcome": "review"}
    score = call["scores"]["bad"]
    if score >= REJECT_AT:
        threshold, outcome = REJECT_AT, "reject"
    elif score >= REVIEW_AT:
        threshold, outcome = REVIEW_AT, "review"
    else:
        threshold, outcome = None, "approve"
    version = call["model"]["version"]
    return found | {"version": version, "score": score, "threshold": threshold, "outcome": outcome}


def report(number, call):
    if call is None:
        return {"model": f"m-{number}", "version": None, "status": "failed"}
    version = call["model"]["version"]
    return {"model": f"m-{number}", "version": version, "status": "ok", "latency_ms": call["latency_ms"]}
