"""The container through unmodified tritonclient and kserve: clients.py HOST:PORT"""

import asyncio
import json
import sys
import urllib.request

import httpx
import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from tritonclient.utils import InferenceServerException

MODEL = "spam"
TEXTS = ["WINNER!! Claim your free prize now, call 09061701461", "grüße, bis später 🍷", ""]


def main(address):
    expected = invocations(address)
    with triton.InferenceServerClient(address) as client:
        triton_metadata(client)
        triton_infers(client, expected)
        triton_errors(client)
    asyncio.run(triton_asynchronously(address, expected))
    asyncio.run(kserve(f"http://{address}", expected))


def invocations(address):
    """What /invocations says of the texts, which every client must see to the last bit."""
    body = json.dumps({"instances": [{"text": text} for text in TEXTS]}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address}/invocations", body, headers)
    predictions = json.load(urllib.request.urlopen(request))["predictions"]
    return {
        "label": [one["label"] for one in predictions],
        "score": [one["score"] for one in predictions],
        "scores": [list(one["scores"].values()) for one in predictions],
    }


def triton_metadata(client):
    expect(client.is_server_live(), True)
    expect(client.is_server_ready(), True)
    expect(client.is_model_ready(MODEL), True)
    expect(client.is_model_ready("another"), False)
    expect(client.get_server_metadata()["extensions"], ["binary_tensor_data"])
    model = client.get_model_metadata(MODEL)
    expect([one["name"] for one in model["inputs"]], ["title", "text"])
    expect([one["name"] for one in model["outputs"]], ["label", "score", "scores"])
    [version] = model["versions"]
    expect(client.is_model_ready(MODEL, version), True)
    expect(client.get_model_metadata(MODEL, version), model)
    step("tritonclient: health and metadata")


def triton_input(binary, api=triton):
    texts = api.InferInput("text", [len(TEXTS)], "BYTES")
    return texts.set_data_from_numpy(np.array(TEXTS, dtype=object), binary_data=binary)


def triton_infers(client, expected):
    for binary in [True, False]:
        inputs = [triton_input(binary)]
        # Without a list of outputs the client asks for all of them as binary data.
        result = client.infer(MODEL, inputs, request_id="7")
        expect(result.get_response()["id"], "7")
        compare(result, expected)
        wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in expected]
        compare(client.infer(MODEL, inputs, outputs=wanted), expected)
    column = triton.InferInput("text", [len(TEXTS), 1], "BYTES")
    column.set_data_from_numpy(np.array(TEXTS, dtype=object).reshape(-1, 1))
    compare(client.infer(MODEL, [column]), expected)
    one = client.infer(MODEL, [triton_input(True)], outputs=[triton.InferRequestedOutput("score")])
    expect([output["name"] for output in one.get_response()["outputs"]], ["score"])
    expect(one.as_numpy("label"), None)
    step("tritonclient: texts as binary data and as JSON, outputs as both")
    compare(client.async_infer(MODEL, [triton_input(True)]).get_result(), expected)
    step("tritonclient: async_infer")


def compare(result, expected):
    label = result.as_numpy("label")
    expect([one.decode() if isinstance(one, bytes) else one for one in label], expected["label"])
    expect(result.as_numpy("score").tolist(), expected["score"])
    expect(result.as_numpy("scores").tolist(), expected["scores"])
    labels = result.get_output("scores")["parameters"]["labels"]
    expect(json.loads(labels), ["ham", "spam"])


def triton_errors(client):
    def refused(status, part, call, *arguments, **named):
        try:
            call(*arguments, **named)
        except InferenceServerException as error:
            expect((error.status(), part in error.message()), (status, True))
            return
        raise AssertionError(f"{status} expected, but the call was accepted")

    unknown = triton.InferInput("body", [1], "BYTES")
    unknown.set_data_from_numpy(np.array(["x"], dtype=object))
    refused("400", "no input `body`", client.infer, MODEL, [unknown])
    refused("404", "no model `another`", client.infer, "another", [triton_input(True)])
    refused("404", "no version `0`", client.get_model_metadata, MODEL, "0")
    zipped = dict(request_compression_algorithm="gzip")
    refused("415", "Content-Encoding", client.infer, MODEL, [triton_input(True)], **zipped)
    step("tritonclient: errors with their reasons")


async def triton_asynchronously(address, expected):
    async with triton_aio.InferenceServerClient(address) as client:
        expect(await client.is_model_ready(MODEL), True)
        compare(await client.infer(MODEL, [triton_input(True, triton_aio)]), expected)
    step("tritonclient.http.aio: infer")


async def kserve(url, expected):
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        expect(await client.is_server_live(url), True)
        expect(await client.is_server_ready(url), True)
        expect(await client.is_model_ready(url, MODEL), True)
        expect(await client.is_model_ready(url, "another"), False)
        step("kserve: health")
        for binary in [True, False]:
            parameters = {"binary_data_output": binary}
            request = InferRequest(MODEL, [kserve_input(binary)], "8", parameters=parameters)
            answer = await client.infer(url, request, model_name=MODEL)
            expect(answer.id, "8")
            outputs = {output.name: output for output in answer.outputs}
            expect(list(outputs["label"].data), expected["label"])
            expect(outputs["score"].as_numpy().tolist(), expected["score"])
            expect(outputs["scores"].as_numpy().tolist(), expected["scores"])
        step("kserve: infer with binary data and with JSON")
        try:
            await client.infer(url, InferRequest("another", [kserve_input(False)]), "another")
        except httpx.HTTPStatusError as error:
            expect((error.response.status_code, "no model `another`" in str(error)), (404, True))
        else:
            raise AssertionError("404 expected, but the call was accepted")
        step("kserve: errors with their reasons")


def kserve_input(binary):
    texts = InferInput("text", [len(TEXTS)], "BYTES")
    texts.set_data_from_numpy(np.array(TEXTS, dtype=object), binary_data=binary)
    return texts


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{wanted!r} expected, {found!r} found")


def step(words):
    print(f"ok: {words}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except (AssertionError, InferenceServerException, httpx.HTTPError) as error:
        sys.exit(f"failed: {error}")
