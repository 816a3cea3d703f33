"""Leads schemathesis to what exists: names at random would only ever find nothing.

Data that break their schema stay as they are, and so do those that earlier answers led to.
"""

import random

import schemathesis

NAMES = {
    "/v1/models/{name}": ["spam", "other"],
    "/v1/scopes/industry/{name}": ["beer", "other"],
    "/v1/policy/versions/{version}": [1, 2, 3, 99],
}
CLIENTS = ["alehouse", "plainstore", "other"]


@schemathesis.hook
def before_call(context, case, kwargs):
    if is_to_be_left(case) or random.random() < 0.2:
        return
    path = case.operation.path
    for name in case.path_parameters or {}:
        if name in ("name", "version"):
            case.path_parameters[name] = random.choice(NAMES.get(path, CLIENTS))
    if case.method == "PUT":
        for header in ("If-Match", "If-None-Match"):
            case.headers.pop(header, None)
        case.headers[random.choice(["If-Match", "If-None-Match"])] = "*"
    if isinstance(case.body, dict):
        lead(case.body)
    for name in ("from", "to", "version"):
        if name in (case.query or {}):
            case.query[name] = random.choice([0, 1, 2])


def is_to_be_left(case):
    meta = case.meta
    return meta is None or not meta.generation.mode.is_positive or meta.phase.name.value == "stateful"


def lead(body):
    """Puts in names of what exists, wherever the body has room for them."""
    if "client" in body:
        body["client"] = random.choice(CLIENTS)
        body.pop("site", None)
    if isinstance(body.get("version"), int):
        body["version"] = random.choice([0, 1, 2])
    for rule in (body.get("rules") or {}).values():
        rule.update(model="spam", label="spam", direction="above", review_at=0.5, reject_at=0.9, when=None)
    if "rules" in body:
        body["locked"] = []
        body.pop("parent", None)
    for document in (body.get("documents") or {}).values():
        if isinstance(document, dict):
            lead(document)
