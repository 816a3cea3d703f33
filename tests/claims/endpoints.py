"""Endpoint hosts and platforms for the claims: started, spoken to over HTTP, stopped."""

import atexit
import http.client
import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 60


def build():
    """The release binary, built by cargo."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--package", "gatehouse"], cwd=ROOT, check=True)
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    metadata = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return pathlib.Path(json.loads(metadata.stdout)["target_directory"]) / "release/gatehouse"


def percentile(values, share):
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Server:
    """A process of gatehouse that says where it listens."""

    # What comes before the program on the command line.
    prefix = ()

    def __init__(self, binary, arguments, cwd=None, stderr=subprocess.DEVNULL, env=None):
        command = [*self.prefix, binary, *map(str, arguments)]
        streams = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
        self.process = subprocess.Popen(command, cwd=cwd, env=env, **streams)
        # However the claim ends; a server that was stopped is not there any more.
        atexit.register(self.process.kill)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def ask(self, method, path, body=None, headers={}, connection=None):
        """The status, the headers and the body of one answer."""
        connection = connection or self.connect()
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


class Host(Server):
    """An endpoint host on a data folder, with the model folders that its endpoints may read."""

    def __init__(self, binary, data, idle_timeout="300s", flags=()):
        arguments = ["host", "--listen", "127.0.0.1:0", "--data", data, "--idle-timeout", idle_timeout]
        super().__init__(binary, [*arguments, "--model-root", ROOT, *flags])

    def control(self, operation, connection=None, **fields):
        """What an operation of the control plane answers; a refusal ends the claim."""
        headers = {"x-amz-target": f"SageMaker.{operation}", "content-type": "application/x-amz-json-1.1"}
        status, _, body = self.ask("POST", "/", json.dumps(fields), headers, connection)
        if status != 200:
            raise SystemExit(f"{operation} {fields}: {status} {body.decode()}")
        return json.loads(body or b"{}")

    def create_config(self, name, model_folder, environment={}, concurrency=20):
        """A model and a configuration of that name."""
        container = {
            "Image": "gatehouse/model-container",
            "ModelDataUrl": f"file://{model_folder}",
            "Environment": environment,
        }
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": concurrency},
        }
        self.control("CreateModel", ModelName=name, PrimaryContainer=container)
        self.control("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[variant])

    def status(self, endpoint):
        return self.control("DescribeEndpoint", EndpointName=endpoint)["EndpointStatus"]

    def wait(self, endpoint):
        deadline = time.monotonic() + PATIENCE_S
        while (status := self.status(endpoint)) not in ("InService", "Failed"):
            if time.monotonic() > deadline:
                raise SystemExit(f"{endpoint} is still {status}")
            time.sleep(0.02)
        return status

    def invoke(self, endpoint, body, connection=None):
        path, headers = f"/endpoints/{endpoint}/invocations", {"content-type": "application/json"}
        return self.ask("POST", path, body, headers, connection)

    def containers(self):
        """The ids of the container processes that run now."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                stat = entry.isdigit() and pathlib.Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            if stat and stat.rsplit(") ", 1)[1].split()[1] == str(self.process.pid):
                found.append(int(entry))
        return found
