"""A small transformer, drawn node by node: embeddings, two layers of attention, a classifier.

The weights of its body are random; the classifier on top is fitted to the texts, so its answers mean something.
"""

import json

import numpy as np
import onnxruntime
import tokenizers
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from tokenizers import normalizers, pre_tokenizers, processors

VOCABULARY, POSITIONS, WIDTH, HEADS, LAYERS, BUCKET = 1200, 64, 48, 4, 2, 16
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LABELS = ["ham", "spam"]


def make(folder, rows):
    """Writes the package: model.onnx, tokenizer.json, model.toml and expected.jsonl."""
    folder.mkdir(exist_ok=True)
    tokenizer = learn_tokenizer([text for _, text in rows])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    body = Body()
    features = run_all(body.model("pooled"), tokenizer, [text for _, text in rows])
    head = LogisticRegression(C=10, max_iter=3000).fit(features, [label for label, _ in rows])
    body.weight("head.weight", np.hstack([-head.coef_.T, head.coef_.T]) / 2)
    body.weight("head.bias", np.array([-head.intercept_[0], head.intercept_[0]]) / 2)
    print(f"transformer: {len(rows)} texts, accuracy on them {head.score(features, [label for label, _ in rows]):.3f}")
    model = body.model("logits").SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "model.toml").write_text(
        f"name = 'transformer'\nversion = '1'\nruntime = 'onnx'\nartifact = 'model.onnx'\nlabels = {LABELS}\n"
        f"[onnx]\nactivation = 'none'\nmax_tokens = {POSITIONS}\n"
    )
    session = onnxruntime.InferenceSession(model)
    asked = ["", "Free entry! Text WIN to 80082 now", "ok see you at 5", "日本語 👍 naïve Ünïcödé", "a " * 200]
    with (folder / "expected.jsonl").open("w", encoding="utf-8") as lines:
        for text in [*asked, *(text for _, text in rows[:40])]:
            logits = session.run(["logits"], feed(tokenizer, text))[0][0]
            scores = dict(zip(LABELS, map(float, logits)))
            lines.write(json.dumps({"input": {"text": text}, "scores": scores}, ensure_ascii=False) + "\n")


def learn_tokenizer(texts):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    cls, sep = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    return tokenizer


def feed(tokenizer, text, bucket=BUCKET):
    """The tensors of one text, padded to a whole number of buckets as model-container pads them."""
    tokenizer.enable_truncation(POSITIONS)
    tokenizer.enable_padding(pad_to_multiple_of=bucket)
    encoding = tokenizer.encode(text)
    return {
        "input_ids": np.array([encoding.ids], np.int64),
        "attention_mask": np.array([encoding.attention_mask], np.int64),
        "token_type_ids": np.array([encoding.type_ids], np.int64),
    }


def run_all(model, tokenizer, texts):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.vstack([session.run(["pooled"], feed(tokenizer, text))[0] for text in texts])


class Body:
    """The graph's nodes and weights as they are added."""

    def __init__(self):
        self.random = np.random.default_rng(3)
        self.nodes, self.weights = [], {}
        self.weight("minus_infinity", np.array(np.finfo(np.float32).min))
        hidden = self.embeddings()
        mask = self.mask()
        for layer in range(LAYERS):
            hidden = self.layer(f"layer{layer}", hidden, mask)
        self.pool(hidden)
        self.node("MatMul", ["pooled", "head.weight"], "head.product")
        self.node("Add", ["head.product", "head.bias"], "logits")

    def model(self, output):
        sides = ["input_ids", "attention_mask", "token_type_ids"]
        inputs = [helper.make_tensor_value_info(side, TensorProto.INT64, ["batch", "sequence"]) for side in sides]
        width = len(LABELS) if output == "logits" else WIDTH
        end = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])
        nodes = self.nodes if output == "logits" else self.nodes[:-2]
        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(nodes, "transformer", inputs, [end], weights)
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="gatehouse")

    def weight(self, name, array):
        integer = np.issubdtype(np.asarray(array).dtype, np.integer)
        self.weights[name] = np.asarray(array, np.int64 if integer else np.float32)
        return name

    def drawn(self, name, *shape):
        return self.weight(name, self.random.normal(scale=shape[0] ** -0.5, size=shape))

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def embeddings(self):
        for name, count in [("words", VOCABULARY), ("positions", POSITIONS), ("types", 2)]:
            self.weight(f"{name}.table", self.random.normal(size=(count, WIDTH)))
        self.node("Gather", ["words.table", "input_ids"], "words")
        self.node("Gather", ["types.table", "token_type_ids"], "types")
        self.node("Shape", ["input_ids"], "length", start=1, end=2)
        self.node("Slice", ["positions.table", self.weight("zero", np.array([0])), "length"], "positions")
        self.node("Add", ["words", "types"], "embedded.sum")
        self.node("Add", ["embedded.sum", "positions"], "embedded")
        return self.norm("embedded", "embedded")

    def mask(self):
        """0 where a token stands and minus infinity on padding, for every head and every query."""
        self.node("Unsqueeze", ["attention_mask", self.weight("axes", np.array([1, 2]))], "mask.wide")
        self.node("Cast", ["mask.wide"], "mask.float", to=TensorProto.FLOAT)
        self.node("Sub", [self.weight("one", np.array(1.0)), "mask.float"], "mask.padding")
        return self.node("Mul", ["mask.padding", "minus_infinity"], "mask")

    def layer(self, name, hidden, mask):
        attended = self.attention(f"{name}.attention", hidden, mask)
        hidden = self.norm(f"{name}.attended", self.node("Add", [hidden, attended], f"{name}.attended"))
        inner = self.linear(f"{name}.inner", hidden, WIDTH, 2 * WIDTH)
        outer = self.linear(f"{name}.outer", self.gelu(f"{name}.gelu", inner), 2 * WIDTH, WIDTH)
        return self.norm(f"{name}.done", self.node("Add", [hidden, outer], f"{name}.done"))

    def attention(self, name, hidden, mask):
        query, key, value = (self.heads(f"{name}.{part}", hidden) for part in ("query", "key", "value"))
        self.node("Transpose", [key], f"{name}.turned", perm=[0, 1, 3, 2])
        self.node("MatMul", [query, f"{name}.turned"], f"{name}.products")
        scale = self.weight(f"{name}.scale", np.array((WIDTH // HEADS) ** -0.5))
        self.node("Mul", [f"{name}.products", scale], f"{name}.scaled")
        self.node("Add", [f"{name}.scaled", mask], f"{name}.masked")
        self.node("Softmax", [f"{name}.masked"], f"{name}.weights", axis=-1)
        self.node("MatMul", [f"{name}.weights", value], f"{name}.mixed")
        self.node("Transpose", [f"{name}.mixed"], f"{name}.back", perm=[0, 2, 1, 3])
        shape = self.weight(f"{name}.joined", np.array([0, 0, WIDTH]))
        self.node("Reshape", [f"{name}.back", shape], f"{name}.heads")
        return self.linear(f"{name}.out", f"{name}.heads", WIDTH, WIDTH)

    def heads(self, name, hidden):
        shape = self.weight(f"{name}.shape", np.array([0, 0, HEADS, WIDTH // HEADS]))
        self.node("Reshape", [self.linear(name, hidden, WIDTH, WIDTH), shape], f"{name}.split")
        return self.node("Transpose", [f"{name}.split"], f"{name}.heads", perm=[0, 2, 1, 3])

    def linear(self, name, hidden, inputs, outputs):
        self.node("MatMul", [hidden, self.drawn(f"{name}.weight", inputs, outputs)], f"{name}.product")
        return self.node("Add", [f"{name}.product", self.drawn(f"{name}.bias", outputs)], f"{name}.sum")

    def gelu(self, name, hidden):
        self.node("Mul", [hidden, self.weight(f"{name}.root", np.array(0.5**0.5))], f"{name}.scaled")
        self.node("Erf", [f"{name}.scaled"], f"{name}.erf")
        self.node("Add", [f"{name}.erf", "one"], f"{name}.raised")
        self.node("Mul", [hidden, f"{name}.raised"], f"{name}.product")
        return self.node("Mul", [f"{name}.product", self.weight(f"{name}.half", np.array(0.5))], f"{name}.gelu")

    def norm(self, name, hidden):
        scale, bias = self.weight(f"{name}.gain", np.ones(WIDTH)), self.weight(f"{name}.shift", np.zeros(WIDTH))
        return self.node("LayerNormalization", [hidden, scale, bias], f"{name}.norm", epsilon=1e-5)

    def pool(self, hidden):
        """The mean over the tokens that are there."""
        self.node("Cast", ["attention_mask"], "present", to=TensorProto.FLOAT)
        self.node("Unsqueeze", ["present", self.weight("last", np.array([-1]))], "present.column")
        self.node("Mul", [hidden, "present.column"], "kept")
        self.node("ReduceSum", ["kept", self.weight("middle", np.array([1]))], "kept.sum", keepdims=0)
        self.node("ReduceSum", ["present.column", "middle"], "kept.count", keepdims=0)
        self.node("Div", ["kept.sum", "kept.count"], "pooled")
