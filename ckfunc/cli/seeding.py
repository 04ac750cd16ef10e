"""How a seed file is read, with the place of a mistake, and where its content goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ckfunc.base.errors import Busy, CkfuncError, InvalidFiles, Problem
from ckfunc.cli.context import App
from ckfunc.model.seed import Seed, Seeded


def read_seed_file(app: App, file: Path) -> tuple[Seed, Any]:
    """Return the seed that a YAML (or JSON) file holds, and the document itself. Raises InvalidFiles."""
    from ckfunc.wire.seeds import MalformedSeed, read_seed

    shown = app.output.path(app.directory / file)
    try:
        text = (app.directory / file).read_text(encoding="utf-8-sig")
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
    from ckfunc.emulator.address import find_running
    from ckfunc.emulator.data import seed_data

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


def _parsed(text: str, shown: str) -> tuple[Any, Any]:
    """Return the tree of nodes of a YAML document and the document, which JSON could hold too. Raises InvalidFiles."""
    import yaml

    try:
        loader = _loader(yaml)(text)
        root = loader.get_single_node()
        document = None if root is None else loader.construct_document(root)
        json.dumps(document, allow_nan=False)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _refused(Problem(shown, line, column, f"this is not YAML: {error.problem or error.context}")) from None
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        raise _refused(Problem(shown, 0, 0, f"this cannot be read: {_why(error)}")) from None
    return root, document


def _loader(yaml: Any) -> Any:
    """Return a loader for which a date is a text, as in JSON."""
    resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": resolvers})


def _position(root: Any, place: tuple[str | int, ...]) -> tuple[int, int]:
    """Return line and column, from 1, of what stands at `place`, or of the last thing on the way that is there."""
    node, mark = root, None if root is None else root.start_mark
    for step in place:
        entries = node.value if node is not None and isinstance(node.value, list) else []
        if isinstance(step, int):
            node = entries[step] if step < len(entries) else None
            mark = node.start_mark if node is not None else mark
        else:
            pairs = [pair for pair in entries if isinstance(pair, tuple) and _spelled(pair[0].value) == _spelled(step)]
            node = pairs[-1][1] if pairs else None
            mark = pairs[-1][0].start_mark if pairs else mark
        if node is None:
            break
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def _spelled(name: Any) -> str:
    from ckfunc.wire.dialects import camel

    return camel(str(name))


def _refused(problem: Problem) -> InvalidFiles:
    return InvalidFiles(
        "the seed has a mistake", [problem], hint="`ckfunc emulator seed --help` shows what it may hold"
    )


def _why(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
