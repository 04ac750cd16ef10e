"""How a seed file is read, with the place of a mistake, and where its content goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import Busy, CkfuncError, InvalidFiles, InvalidManifest, Problem
from ckfunc.base.files import read_file
from ckfunc.base.nesting import DEEPEST
from ckfunc.cli.app import App
from ckfunc.model.job import Seed, Seeded

if TYPE_CHECKING:
    from ckfunc.manifest.tree import Node


def read_seed_file(app: App, file: Path) -> tuple[Seed, Any]:
    """Return the seed that a YAML (or JSON) file holds, and the document itself. Raises InvalidFiles."""
    from ckfunc.wire.seeds import MalformedSeed, read_seed

    shown = app.output.path(app.directory / file)
    try:
        text = read_file(app.directory / file, pipe=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CkfuncError(f"cannot read the seed {shown}: {_why(error)}") from None
    root, document = _parsed(text, shown)
    try:
        return read_seed({} if document is None else document), document or {}
    except MalformedSeed as mistake:
        line, column = _position(root, mistake.place)
        raise _refused(Problem(shown, line, column, str(mistake))) from None


def plant(app: App, data: Path, file: Path) -> Seeded:
    """Fill the emulator of the directory `data`, running or not. Raises InvalidFiles, CkfuncError and ApiFailure."""
    from ckfunc.emulator.data import seed_data
    from ckfunc.emulator.data_directory import find_running

    seed, document = read_seed_file(app, file)
    if (url := find_running(data)) is not None:
        return _plant_in_running(app, url, document)
    try:
        return seed_data(data, seed)
    except Busy:
        # Between our look and this, one may have started.
        if (url := find_running(data)) is None:
            raise
        return _plant_in_running(app, url, document)


def _plant_in_running(app: App, url: str, document: Any) -> Seeded:
    from ckfunc.api import Client, Connection
    from ckfunc.api.connection import EMULATOR_CREDENTIAL
    from ckfunc.api.emulator import plant_seed

    connection = Connection(url, f"{url}/oauth/token", EMULATOR_CREDENTIAL, EMULATOR_CREDENTIAL)
    with Client(connection, clock=app.clock, on_wait=app.output.waiting) as client:
        return plant_seed(client, document)


def describe(seeded: Seeded) -> str:
    """Return what was added, in words."""
    counts = (
        (seeded.users, "user"),
        (seeded.channels, "channel"),
        (seeded.members, "member"),
        (seeded.messages, "message"),
    )
    added = [f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count]
    return f"added {', '.join(added)}" if added else "nothing to add: all of it is there"


def _parsed(text: str, shown: str) -> tuple[Node | None, Any]:
    """Return the tree of nodes of a YAML document and the JSON document that it is. Raises InvalidFiles."""
    import yaml

    from ckfunc.manifest.tree import parse

    try:
        root = parse(text, shown, max_depth=DEEPEST)
        document = yaml.load(text, _loader())  # noqa: S506 - a kind of SafeLoader
        json.dumps(document, allow_nan=False)
    except InvalidManifest as error:
        raise _refused(*error.problems) from None
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _refused(Problem(shown, line, column, "this cannot be read", "JSON has no such value or key")) from None
    return root, document


def _loader() -> Any:
    """Return a loader for which a date is a text, as in JSON."""
    from ckfunc.manifest.tree import LOADER

    resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in LOADER.yaml_implicit_resolvers.items()
    }
    return type("Loader", (LOADER,), {"yaml_implicit_resolvers": resolvers})


def _position(root: Node | None, place: tuple[str | int, ...]) -> tuple[int, int]:
    """Return line and column, from 1, of what stands at `place`, or of the last thing on the way that is there."""
    from ckfunc.manifest.tree import Mapping, Scalar, Sequence

    node, last = root, root
    for step in place:
        if isinstance(node, Sequence) and isinstance(step, int):
            node = last = node.items[step]
        elif isinstance(node, Mapping):
            found = [
                (key, value)
                for key, value in node.entries
                if isinstance(key, Scalar) and _spelled(key.text) == _spelled(step)
            ]
            if not found:
                break
            last, node = found[-1]
        else:
            break
    return (last.line, last.column) if last is not None else (0, 0)


def _spelled(name: Any) -> str:
    from ckfunc.wire.dialects import camel

    return camel(str(name))


def _refused(*problems: Problem) -> InvalidFiles:
    return InvalidFiles(
        "the seed has a mistake",
        problems,
        hint="`ckfunc emulator seed --help` shows what it may hold",
    )


def _why(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
