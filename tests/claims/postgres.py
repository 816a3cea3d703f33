"""A throwaway PostgreSQL cluster for the claims: started, restarted, gone however a claim ends."""

import itertools
import subprocess

import endpoints


class Cluster:
    """A running `tests/postgres`, which stops and removes its cluster when its input ends."""

    def __init__(self):
        command = [endpoints.ROOT / "tests/postgres"]
        # The script sees the end of this process however it comes.
        self.script = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.script.stdout.readline()
        if not line.startswith("postgres listening on "):
            raise SystemExit("run `make tools` first: no PostgreSQL")
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.databases = itertools.count()

    def create(self):
        """The name of a new, empty database; its URL is the cluster's and /NAME."""
        name = f"claim_{next(self.databases)}"
        self.command(f"create {name}")
        return name

    def command(self, command):
        """Has the script do this, such as `restart fast` or `stop immediate`."""
        self.script.stdin.write(command + "\n")
        self.script.stdin.flush()
        answer = self.script.stdout.readline().strip()
        if answer != f"{command.split()[0]}: done":
            raise SystemExit(f"{command}: {answer or 'PostgreSQL has ended'}")

    def ask(self, name, sql):
        """What this gives in that database, one row with one value, as text."""
        self.script.stdin.write(f"ask {name} {sql}\n")
        self.script.stdin.flush()
        value = self.script.stdout.readline().strip()
        if self.script.stdout.readline().strip() != "ask: done":
            raise SystemExit(f"{sql}: {value or 'PostgreSQL has ended'}")
        return value

    def stop(self):
        self.script.stdin.close()
        self.script.wait()
