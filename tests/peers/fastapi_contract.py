"""A container as many teams write it: FastAPI and uvicorn, /ping and /invocations, no more.

    python tests/peers/fastapi_contract.py serve

`model-container check` is shown on it; it listens where SageMaker asks it to.
"""

import os

import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.get("/ping")
async def ping():
    return Response(status_code=200)


@app.post("/invocations")
async def invocations(request: Request):
    content = await request.json()
    words = content["text"].lower().split()
    score = sum(word in ("win", "free", "prize") for word in words) / max(len(words), 1)
    return {"label": "spam" if score > 0.1 else "ham", "score": score}


if __name__ == "__main__":
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    uvicorn.run(app, host="0.0.0.0", port=port, log_level="warning")
