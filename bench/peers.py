"""ckfunc beside wrangler and miniflare: installs them into .cache/peers and measures all in the same rounds."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import calls, memory, save, start, version
from bench.harness import ROOT, Figure, table, talk
from bench.subjects import Ckfunc, Miniflare, Subject, Wrangler, node_directory

PEERS = ROOT / ".cache" / "peers"
PACKAGES = {"wrangler": "4.86.0", "miniflare": "4.20260426.0"}  # miniflare: the release that this wrangler holds
MEASURES: dict[str, Callable[[Sequence[Subject]], list[Figure]]] = {
    "version": version.measure,
    "start": start.measure,
    "calls": calls.measure,
    "save": save.measure,
    "memory": memory.measure,
}


def install(directory: Path) -> None:
    """Install the peers with npm, once; the directory is ignored by git."""
    wanted = json.dumps({"private": True, "dependencies": PACKAGES})
    manifest = directory / "package.json"
    if manifest.exists() and manifest.read_text() == wanted and (directory / "installed").exists():
        return
    talk(f"installing {', '.join(f'{name} {number}' for name, number in PACKAGES.items())}")
    directory.mkdir(parents=True, exist_ok=True)
    manifest.write_text(wanted)
    node = node_directory()
    npm = next(path for path in (node.parent / "lib/node_modules/npm", node / "node_modules/npm") if path.exists())
    env = {**os.environ, "PATH": os.pathsep.join([str(node), os.environ.get("PATH", os.defpath)])}
    command = [
        str(node / "node"),
        str(npm / "bin/npm-cli.js"),
        "install",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]
    subprocess.run(command, cwd=directory, env=env, check=True, stdin=subprocess.DEVNULL)
    (directory / "installed").touch()


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="bench.peers")
    parser.add_argument(
        "names", nargs="*", metavar="MEASUREMENT", help=f"one or more of {', '.join(MEASURES)}; default: all"
    )
    names = parser.parse_args().names or list(MEASURES)
    install(PEERS)
    subjects = [
        Ckfunc(PEERS / "ckfunc"),
        Miniflare(PEERS / "run-miniflare", PEERS),
        Wrangler(PEERS / "run-wrangler", PEERS),
    ]
    for subject in subjects:
        subject.prepare()
    figures: list[Figure] = []
    for name in names:
        talk(f"measuring {name}")
        figures += MEASURES[name](subjects)
    print(table(figures))


if __name__ == "__main__":
    main()
