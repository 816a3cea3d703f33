"""Who asks ten models a review: our router by two ways, FastAPI, and a client that does nothing else."""

import dataclasses
import json
import pathlib
import sys
import time

import endpoints
from bench import builds, generator, servers
from bench.texts import texts
from routers import JSON, Router

MODELS = 10
REVIEW_AT, REJECT_AT = 0.9, 0.97
MARK = "@" * 12
PATH = "/v1/moderate"
FASTAPI = builds.ROOT / ".tools/fanout/bin/uvicorn"


@dataclasses.dataclass
class Setting:
    """The models, a folder for databases and bodies, and the cores."""

    stub: endpoints.Server
    folder: pathlib.Path
    core: int
    load_core: int

    def urls(self):
        return [f"{self.stub.url}/plain/m-{number}" for number in range(MODELS)]


class Row:
    """One way to decide: a server, a client of it, and whether decisions are stored."""

    def __init__(self, name, server, client, stored, setting):
        self.name, self.server, self.client, self.stored = name, server, client, stored
        bodies = setting.folder / f"{name.replace(', ', '-')}.jsonl"
        bodies.write_text("".join(self.body(text) + "\n" for text in texts()))
        self.load = generator.Load(setting.load_core, None, bodies, "application/json")

    def body(self, text):
        content = {"client": self.client, "content_id": f"r-{MARK}", "fields": {"text": f"{MARK} {text}"}}
        return json.dumps(content | ({} if self.stored else {"dry_run": True}))

    def verdict(self, text, number):
        """What must be the same for all."""
        body = self.body(text).replace(MARK, f"{number:012}")
        status, answer = self.server.ask(body)
        verdict = json.loads(answer)
        statuses = {call["status"] for call in verdict["calls"]}
        if status != 200 or verdict["degraded"] or statuses != {"ok"} or len(verdict["calls"]) != MODELS:
            sys.exit(f"bench-router: {self.name} answered {status} {answer.decode()}")
        reasons = [(it["rule"], it["score"], it["threshold"], it["outcome"]) for it in verdict["reasons"]]
        return verdict["decision"], sorted(reasons)

    def work(self, seconds):
        first = time.time_ns() // 1000 % 10**11
        return generator.wrk(f"127.0.0.1:{self.server.port}", PATH, self.load, seconds, first)

    def cpu_seconds(self):
        return servers.cpu_seconds(self.server.process.pid)

    def stop(self):
        self.server.stop()


class Gatehouse(Router):
    """Our router on one core, with the client `sdk` and the client `http`."""

    def __init__(self, binary, setting):
        database = f"sqlite://{setting.folder}/gatehouse.db"
        self.prefix = ["taskset", "-c", str(setting.core)]
        super().__init__(binary, database, setting.stub, setting.folder, "router", ["--allow-net", "127.0.0.0/8"])
        self.create("scopes/platform", {"defaults": {"deadline_ms": 10000}})
        self.create_client("sdk", [{"sagemaker": f"m-{number}"} for number in range(MODELS)])
        self.create_client("http", [{"http": url} for url in setting.urls()])

    def create_client(self, name, models):
        for number, endpoint in enumerate(models):
            self.create(f"models/{name}-{number}", {"endpoint": endpoint, "max_concurrency": 200})
        rules = {f"rule-{number}": rule(f"{name}-{number}") for number in range(MODELS)}
        self.create(f"scopes/client/{name}", {"rules": rules})

    def ask(self, *arguments, **options):
        """A body alone is content to be moderated."""
        if len(arguments) > 1:
            return super().ask(*arguments, **options)
        status, _, answer = super().ask("POST", PATH, *arguments, JSON)
        return status, answer

    def stop(self):
        if self.process.poll() is None:
            super().stop()


def rule(model):
    """All models are asked for every review, also where the verdict is certain before."""
    rule = {"model": model, "label": "bad", "review_at": REVIEW_AT, "reject_at": REJECT_AT}
    return rule | {"required": True, "on_failure": "review"}


class FastApi(servers.Server):
    def __init__(self, setting):
        command = [FASTAPI, "--app-dir", builds.ROOT / "tests/claims/peers", "fastapi_fanout:app"]
        command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--port"]
        environment = {"MODELS": ",".join(setting.urls()), "DATABASE": setting.folder / "fastapi.db"}
        super().__init__("FastAPI", lambda port: [*command, port], PATH, environment=lambda _: environment)
        first = {"client": "http", "content_id": "r-1", "fields": {"text": "first"}}
        self.start(setting.core, json.dumps(first), "application/json")

    def ask(self, body, content_type="application/json"):
        return super().ask(body, content_type)


class BareClient:
    """Is told to go on for some seconds, and how many rounds of ten calls that were."""

    name = "hyper"

    def __init__(self, program, setting):
        command = [program, generator.CONNECTIONS, *setting.urls()]
        self.server = servers.Program("bare client", lambda _: command)
        text = next(iter(texts()))
        self.server.start(setting.core, json.dumps({"text": f"{0:012} {text}"}), None)

    def work(self, seconds):
        return self.server.work(None, seconds)

    def cpu_seconds(self):
        return self.server.cpu_seconds()

    def stop(self):
        self.server.stop()


def rows(keys, setting, binary, bare_fanout):
    """Those asked for, started, in the order of the table."""
    if unknown := set(keys) - {"sdk", "http", "fastapi", "hyper"}:
        sys.exit(f"bench-router: there is no row {unknown}; there are sdk, http, fastapi, hyper")
    ours = Gatehouse(binary, setting) if {"sdk", "http"} & set(keys) else None
    theirs = FastApi(setting) if "fastapi" in keys else None
    by_key = {"sdk": (ours, "sdk"), "http": (ours, "http"), "fastapi": (theirs, "http")}
    found = [
        Row(f"{key}, stored" if stored else key, *by_key[key], stored, setting)
        for key in by_key
        if key in keys
        for stored in (True, False)
    ]
    return found + ([BareClient(bare_fanout, setting)] if "hyper" in keys else [])


def compare_verdicts(found):
    """All give the same verdict, for the same reasons, on every text."""
    judges = [row for row in found if isinstance(row, Row)]
    for number, text in enumerate(texts()):
        verdicts = {row.name: row.verdict(text, number) for row in judges}
        if len(set(map(str, verdicts.values()))) > 1:
            sys.exit(f"bench-router: the verdicts on text {number} differ: {verdicts}")

