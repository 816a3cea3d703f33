"""Routers for the claims: several on one database, with an endpoint that knows drinks behind them."""

import json

import endpoints
from endpoints import Host, Server

# What the endpoint `alcohol` scores with 0.9.
TEXT = "a pint of beer"
SCORE = 0.9
JSON = {"content-type": "application/json"}


class Router(Server):
    """A router process; what it logs is kept in `folder`."""

    def __init__(self, binary, database, host, folder, name, flags=()):
        self.log = folder / f"{name}.log"
        arguments = ["router", "--listen", "127.0.0.1:0", "--database", database]
        arguments += ["--spool", folder / "spool", "--sagemaker-endpoint-url", host.url, *flags]
        with open(self.log, "a") as log:
            super().__init__(binary, arguments, stderr=log)

    def send(self, method, path, document=None, headers={}, connection=None):
        """The status, the headers and the document of one answer."""
        body = None if document is None else json.dumps(document)
        status, head, answer = self.ask(method, path, body, {**JSON, **headers}, connection)
        return status, head, json.loads(answer) if answer else None

    def create(self, subject, document):
        """Puts a document that must be new and fine."""
        status, _, answer = self.send("PUT", f"/v1/{subject}", document, {"if-none-match": "*"})
        if status != 201:
            raise SystemExit(f"{subject}: {status} {answer}")

    def version(self):
        """The version of the options in force."""
        return self.send("GET", "/readyz")[2]["policy_version"]


def start_host(binary, data):
    """An endpoint host with the endpoint `alcohol`, in service."""
    host = Host(binary, data)
    host.create_config("alcohol", endpoints.ROOT / "examples/models/alcohol", concurrency=200)
    host.control("CreateEndpoint", EndpointName="alcohol", EndpointConfigName="alcohol")
    if host.wait("alcohol") != "InService":
        raise SystemExit("the endpoint `alcohol` failed")
    return host


def create_model(router):
    """Registers `alcohol`, which is given the time that a busy machine takes."""
    model = {"endpoint": {"sagemaker": "alcohol"}, "timeout_ms": 20000, "max_concurrency": 100}
    router.create("models/alcohol", model)
