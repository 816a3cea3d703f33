"""The ONNX text model behind FastAPI, as fast as that goes: what `make bench-container` compares with.

Raw body in, orjson in and out, no validation by pydantic. The session runs on the event loop itself: on
one core a thread pool was slower. Start it with uvicorn, uvloop and httptools; MODEL names the file.
"""

import os

import numpy
import onnxruntime
import orjson
from fastapi import FastAPI, Request, Response

LABELS = ["clean", "offensive"]

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
app = FastAPI(openapi_url=None)


@app.get("/ping")
async def ping() -> Response:
    return Response()


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    try:
        text = orjson.loads(await request.body())["text"]
    except (ValueError, KeyError, TypeError):
        return Response(b'{"detail": "expected an object with `text`"}', 400, media_type="application/json")
    label, probabilities = session.run(None, {"text": numpy.array([[text]], dtype=object)})
    scores = dict(zip(LABELS, probabilities[0].tolist()))
    answer = {"label": label[0], "score": scores[label[0]], "scores": scores}
    return Response(orjson.dumps(answer), media_type="application/json")
