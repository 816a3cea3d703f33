"""What cargo builds for the claims."""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]


def cargo(*options):
    """Builds; the executables by name."""
    command = ["cargo", "build", "--quiet", "--locked", "--message-format", "json", *options]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    artifacts = (json.loads(line) for line in done.stdout.splitlines())
    return {it["target"]["name"]: pathlib.Path(it["executable"]) for it in artifacts if it.get("executable")}


def peers(names, folder, beside_tests):
    """Programs of model-container/benches: those in `folder`, or built; beside tests, as they are built."""
    if folder:
        return {name: folder / name for name in names}
    benches = [option for name in names for option in ("--bench", name)]
    built = ["--workspace"] if beside_tests else ["--package", "model-container", "--release"]
    return cargo(*built, *benches)
