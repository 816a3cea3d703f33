"""Runs an unchanged SageMaker `inference.py` as a worker of the model container.

    runtime = "worker"
    raw = true
    command = ["python3", "{sagemaker_inference.py}"]

The script is looked for in `code/` of the package, then in the package itself; SAGEMAKER_PROGRAM
gives it another name. It has `model_fn(model_dir)` and either `transform_fn(model, body,
content_type, accept)` or some of `input_fn(body, content_type)`, `predict_fn(data, model)` and
`output_fn(prediction, accept)`; each may take one more argument, a context. A function that is
missing is what SageMaker's toolkits have in its place: JSON, CSV and NPY are decoded and encoded
(with numpy where it is installed, else JSON and CSV as plain lists), and `predict_fn` calls the
model's `predict`, or else the model.

Whatever is printed goes to standard error. Needs Python 3.8 and nothing else.
"""

import base64
import csv
import importlib
import inspect
import io
import json
import os
import sys
import traceback
import types

try:
    import numpy
except ImportError:
    numpy = None

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"


def main():
    requests, replies = take_streams()
    handler = Handler(os.getcwd())
    for line in requests:
        request = json.loads(line)
        try:
            # A content type of the script's own may be nothing that JSON can hold.
            reply = json.dumps({"id": request["id"], **handler.answer(request)})
        except Exception as error:
            traceback.print_exc()
            reply = json.dumps({"id": request["id"], "error": f"{type(error).__name__}: {error}"})
        replies.write(reply.encode() + b"\n")
        replies.flush()


def take_streams():
    """Standard input and output as the protocol's alone; what others print is a log line."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, replies


class Handler:
    """The script's functions and the model that they loaded."""

    def __init__(self, model_dir):
        script = load_script(model_dir)
        own = [name for name in ("input_fn", "predict_fn", "output_fn") if hasattr(script, name)]
        if hasattr(script, "transform_fn") and own:
            raise ValueError(f"{script.__file__} has transform_fn and {', '.join(own)}; only one of them can be used")
        if not hasattr(script, "model_fn"):
            raise ValueError(f"{script.__file__} has no model_fn(model_dir)")
        self.context = types.SimpleNamespace(
            model_name=os.path.basename(model_dir),
            model_dir=model_dir,
            system_properties={"model_dir": model_dir, "gpu_id": None, "batch_size": 1},
        )
        self.input = getattr(script, "input_fn", decode)
        self.predict = getattr(script, "predict_fn", predict)
        self.output = getattr(script, "output_fn", encode)
        self.transform = getattr(script, "transform_fn", self.steps)
        if hasattr(script, "pre_model_fn"):
            self.call(script.pre_model_fn, model_dir)
        self.model = self.call(script.model_fn, model_dir)
        if hasattr(script, "model_warmup_fn"):
            self.call(script.model_warmup_fn, model_dir, self.model)

    def answer(self, request):
        body, content_type = base64.b64decode(request["body"]), request["content_type"]
        accept = request["accept"]
        if not accept or accept == "*/*":
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        if essence(content_type) in (JSON, CSV):
            body = body.decode("utf-8")
        result = self.call(self.transform, self.model, body, content_type, accept)
        body, content_type = result if isinstance(result, tuple) else (result, accept)
        return {"body": base64.b64encode(to_bytes(body)).decode(), "content_type": content_type}

    def steps(self, model, body, content_type, accept):
        data = self.call(self.input, body, content_type)
        prediction = self.call(self.predict, data, model)
        return self.call(self.output, prediction, accept)

    def call(self, function, *arguments):
        """Calls a function, with the context too if it has one parameter more."""
        count = len(inspect.signature(function).parameters)
        if count == len(arguments) + 1:
            return function(*arguments, self.context)
        if count != len(arguments):
            raise TypeError(f"{function.__name__} takes {count} arguments, not {len(arguments)} and perhaps a context")
        return function(*arguments)


def load_script(model_dir):
    """Imports the script, with its folder first among those that it can import from."""
    # The first entry is where this program was read from, which is nowhere.
    del sys.path[0]
    # Nor can processes that the script starts with `multiprocessing` read this program again.
    globals().pop("__file__", None)
    program = os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    for folder in (os.path.join(model_dir, "code"), model_dir):
        if os.path.isfile(os.path.join(folder, program)):
            sys.path.insert(0, folder)
            return importlib.import_module(program[: -len(".py")] if program.endswith(".py") else program)
    raise FileNotFoundError(f"the package has neither code/{program} nor {program}; SAGEMAKER_PROGRAM names another script")


def essence(content_type):
    return content_type.split(";")[0].strip().lower()


def decode(body, content_type):
    kind = essence(content_type)
    if kind == JSON:
        data = json.loads(body)
        return numpy.array(data) if numpy else data
    if kind == CSV:
        if numpy:
            return numpy.genfromtxt(io.StringIO(body), dtype=None, delimiter=",", encoding="utf-8")
        return [[number(cell) for cell in row] for row in csv.reader(io.StringIO(body))]
    if kind == NPY and numpy:
        # Unlike the toolkit's, without pickles, which could run any code.
        return numpy.load(io.BytesIO(body), allow_pickle=False)
    raise ValueError(f"content type {content_type!r} needs an input_fn of the script's own")


def predict(data, model):
    if callable(getattr(model, "predict", None)):
        return model.predict(data)
    if callable(model):
        return model(data)
    raise ValueError("the model has no predict and can't be called; the script needs a predict_fn")


def encode(prediction, accept):
    wishes = [essence(wish) for wish in accept.split(",")]
    kind = next((JSON if wish == "*/*" else wish for wish in wishes if wish in (JSON, CSV, NPY, "*/*")), None)
    if kind == JSON:
        return to_json(prediction), kind
    if kind == CSV:
        rows = prediction.tolist() if hasattr(prediction, "tolist") else prediction
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows(row if isinstance(row, (list, tuple)) else [row] for row in rows)
        return text.getvalue(), kind
    if kind == NPY and numpy:
        buffer = io.BytesIO()
        numpy.save(buffer, prediction)
        return buffer.getvalue(), kind
    raise ValueError(f"accept {accept!r} needs an output_fn of the script's own")


def number(cell):
    try:
        return float(cell)
    except ValueError:
        return cell


def to_json(value):
    """JSON has no NaN and no infinity; an error is more honest than what parsers make of them."""
    return json.dumps(value, allow_nan=False, default=plain)


def plain(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")


def to_bytes(body):
    if isinstance(body, str):
        return body.encode("utf-8")
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    return to_json(body).encode("utf-8")


if __name__ == "__main__":
    main()
