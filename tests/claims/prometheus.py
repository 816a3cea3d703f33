"""A Prometheus for the claims: it scrapes routers, and says which alerts fire."""

import atexit
import json
import re
import socketserver
import subprocess
import time
import urllib.parse
import urllib.request

import endpoints

FOLDER = endpoints.ROOT / ".tools/prometheus"
SCRAPE = "500ms"


def check(alerts):
    """Ends the claim where Prometheus would not take these alerts."""
    if not (FOLDER / "promtool").exists():
        raise SystemExit("run `tests/install-tools prometheus` first: no Prometheus")
    subprocess.run([FOLDER / "promtool", "check", "rules", alerts], check=True, stdout=subprocess.DEVNULL)


class Prometheus(endpoints.Server):
    """Scrapes installations, and evaluates these alerts as they stand, but with seconds for their minutes.

    An installation is some routers and the key that they take.
    """

    def __init__(self, folder, alerts, installations):
        rules = re.sub(r"\b(\d+)m\b", r"\1s", alerts.read_text())
        (folder / "alerts.yml").write_text(rules)
        jobs = [self.job(f"gatehouse-router-{number}", *of) for number, of in enumerate(installations)]
        config = {
            "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE},
            "rule_files": [str(folder / "alerts.yml")],
            "scrape_configs": jobs,
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [FOLDER / "prometheus", f"--config.file={folder}/prometheus.yml"]
        command += [f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{self.port}"]
        with open(folder / "prometheus.log", "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        atexit.register(self.process.kill)
        deadline = time.monotonic() + endpoints.PATIENCE_S
        while not self.is_ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit((folder / "prometheus.log").read_text())
            time.sleep(0.1)

    def job(self, name, routers, key):
        targets = [f"127.0.0.1:{router.port}" for router in routers]
        return {"job_name": name, "authorization": {"credentials": key}, "static_configs": [{"targets": targets}]}

    def is_ready(self):
        try:
            return self.ask("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def api(self, path):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}") as answer:
            return json.load(answer)["data"]

    def rules(self):
        """The alerts by name: their queries, annotations and states."""
        return {rule["name"]: rule for group in self.api("rules")["groups"] for rule in group["rules"]}

    def state(self, alert):
        rule = self.rules()[alert]
        if rule["health"] == "err":
            raise SystemExit(f"{alert} cannot be evaluated: {rule['lastError']}")
        return rule["state"]

    def count(self, query):
        return len(self.api(f"query?query={urllib.parse.quote(query)}")["result"])


def free_port():
    with socketserver.TCPServer(("127.0.0.1", 0), None) as server:
        return server.server_address[1]
