"""Comparison with wrangler and miniflare, which are installed into .cache/peers."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import calls, memory, save, start, version
from bench.harness import ROOT, Figure, table, talk
from bench.subjects import Ckfunc, Miniflare, Subject, Wrangler, node_directory
from ckfunc import __version__

PEERS = ROOT / ".cache" / "peers"
LOCKED = ROOT / "requirements" / "npm" / "peers"  # miniflare: the release that this wrangler uses
MEASURES: dict[str, Callable[[Sequence[Subject]], list[Figure]]] = {
    "version": version.measure,
    "start": start.measure,
    "calls": calls.measure,
    "save": save.measure,
    "memory": memory.measure,
}


def install(directory: Path) -> None:
    """Install the locked versions of the peers with npm, once; git ignores the directory."""
    lock = (LOCKED / "package-lock.json").read_text()
    done = directory / "installed"
    if done.exists() and done.read_text() == lock:
        return
    talk(f"installing {', '.join(json.loads((LOCKED / 'package.json').read_text())['dependencies'])}")
    directory.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / file, directory)
    node = node_directory()
    npm = next(path for path in (node.parent / "lib/node_modules/npm", node / "node_modules/npm") if path.exists())
    env = {**os.environ, "PATH": os.pathsep.join([str(node), os.environ.get("PATH", os.defpath)])}
    command = [
        str(node / "node"),
        str(npm / "bin/npm-cli.js"),
        "ci",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]
    subprocess.run(command, cwd=directory, env=env, check=True, stdin=subprocess.DEVNULL)
    done.write_text(lock)


def document(figures: Sequence[Figure]) -> dict[str, Any]:
    """Return figures with their date, machine and versions, from which website/charts.py draws."""
    versions = {Ckfunc.name: __version__}
    for subject in (Miniflare, Wrangler):
        package = PEERS / "node_modules" / subject.name / "package.json"
        versions[subject.name] = json.loads(package.read_text(encoding="utf-8"))["version"]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "figures": [asdict(figure) for figure in figures],
    }


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="bench.peers")
    parser.add_argument(
        "names", nargs="*", metavar="MEASUREMENT", help=f"one or more of {', '.join(MEASURES)}; default: all"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    names = options.names or list(MEASURES)
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
    if options.json:
        options.json.write_text(json.dumps(document(figures), indent=2) + "\n", encoding="utf-8")
    print(table(figures))


if __name__ == "__main__":
    main()
