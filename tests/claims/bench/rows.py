"""What is compared with what: one row a peer, with what the row must show."""

import dataclasses
import json
import pathlib
from collections.abc import Callable

from bench.servers import Program, Server, free_port

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODELS = ROOT / "examples/models"
PEERS = ROOT / "tests/claims/peers"
ENVIRONMENTS = ROOT / ".tools/bench"
TFIDF = ENVIRONMENTS / "tfidf"
LIBRARY = "fastapi/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*"
V2_PATH = "/v2/models/tfidf/infer"


@dataclasses.dataclass
class Row:
    """Ours and a peer on the same model and the same bodies."""

    key: str
    title: str
    ours: Server
    peer: Server
    # How many times better ours is at least, by figure; `cpu_more_us` is at most that.
    claims: dict
    # What tests/install-tools installs for it.
    tools: list
    content_type: str = "application/json"
    body: Callable = lambda text: json.dumps({"text": text})
    # How far scores may be apart.
    tolerance: float = 0.0
    # Called with ours when it is up and before the peer is.
    prepare: Callable = lambda _ours, _bodies: None


def all_rows(programs):
    """Every row, in the order of the table; `programs` has the paths of what cargo built."""
    return [make(programs) for make in [legacy, fastapi, in_process, mlserver, hyper]]


def legacy(programs):
    command = [ROOT / "examples/legacy/run", "--models", MODELS / "spam", "--port"]
    return Row(
        key="legacy",
        title="Java server with WEKA, on the spam model",
        ours=ours(programs, MODELS / "spam"),
        peer=Server("Java server", lambda port: [*command, port], "/score/spam", own_form),
        claims={"throughput": 2, "p99": 2, "rss": 10, "cold_start": 10},
        tools=["wrk", "java", "weka"],
        content_type="application/jsonlines",
    )


def fastapi(programs):
    command = [ENVIRONMENTS / "fastapi/bin/uvicorn", "--app-dir", PEERS, "fastapi_onnx:app"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--port"]
    environment = {"MODEL": TFIDF / "tfidf.onnx"}
    return Row(
        key="fastapi",
        title="FastAPI + uvicorn + onnxruntime, on TF-IDF of 20,000 terms and a logistic regression",
        ours=ours(programs, TFIDF),
        peer=Server("FastAPI", lambda port: [*command, port], "/invocations", own_form, lambda _: environment),
        claims={"throughput": 3, "p99": 2, "rss": 3, "cold_start": 5},
        tools=["wrk", "bench"],
        tolerance=1e-6,
    )


def in_process(programs):
    command = [programs["in_process_onnx"], TFIDF / "tfidf.onnx"]
    return Row(
        key="in-process",
        title="ONNX Runtime called in-process from Rust, on the same",
        ours=ours(programs, TFIDF),
        peer=Program("in-process", lambda _: command, None, own_form, onnx_environment),
        claims={"cpu_more_us": 25},
        tools=["wrk", "bench"],
        tolerance=1e-6,
    )


def mlserver(programs):
    command = [ENVIRONMENTS / "mlserver/bin/mlserver", "start", PEERS / "mlserver"]
    ports = ["MLSERVER_GRPC_PORT", "MLSERVER_METRICS_PORT"]

    def environment(port):
        return {"MLSERVER_HTTP_PORT": port} | {name: free_port() for name in ports}

    return Row(
        key="mlserver",
        title="MLServer with onnxruntime, on the same, by V2 REST",
        ours=ours(programs, TFIDF, V2_PATH, v2_form),
        peer=Server("MLServer", lambda _: command, V2_PATH, v2_form, environment),
        claims={"throughput": 5},
        tools=["wrk", "bench"],
        body=v2_body,
        tolerance=1e-6,
    )


def hyper(programs):
    answer = programs["folder"] / "answer.json"

    def prepare(server, bodies):
        """The constant is ours of median length."""
        answers = sorted((server.ask(body, "application/json")[1] for body in bodies), key=len)
        answer.write_bytes(answers[len(answers) // 2])

    return Row(
        key="hyper",
        title="a bare hyper server with a constant answer, on the lexicon `alcohol`",
        ours=ours(programs, MODELS / "alcohol"),
        peer=Server("bare hyper", lambda port: [programs["bare_hyper"], f"127.0.0.1:{port}", answer]),
        claims={"throughput": 0.7},
        tools=["wrk"],
        prepare=prepare,
    )


def ours(programs, model_dir, path="/invocations", read=None):
    command = [*programs["model-container"], "serve", "--model-dir", model_dir, "--listen"]
    environment = onnx_environment if model_dir == TFIDF else lambda _: {}
    return Server("ours", lambda port: [*command, f"127.0.0.1:{port}"], path, read or own_form, environment)


def onnx_environment(_port):
    """The very library that the Python servers use."""
    return {"ORT_DYLIB_PATH": next(iter(ENVIRONMENTS.glob(LIBRARY)))}


def v2_body(text):
    return json.dumps({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]})


def own_form(answer):
    prediction = json.loads(answer)
    return prediction["label"], prediction["scores"]


def v2_form(answer):
    """Ours names the labels of `scores`; MLServer has `probabilities` in the model's order."""
    outputs = {output["name"]: output for output in json.loads(answer)["outputs"]}
    tensor = outputs.get("scores") or outputs["probabilities"]
    labels = json.loads(tensor["parameters"].get("labels", '["clean", "offensive"]'))
    return outputs["label"]["data"][0], dict(zip(labels, tensor["data"]))
