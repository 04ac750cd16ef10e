"""Stored data of an emulator, running or not: seeds, snapshots, reset."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ckfunc.api import Client, Connection
from ckfunc.api import emulator as controls
from ckfunc.api.connection import emulator_connection
from ckfunc.base.containment import require_plain
from ckfunc.base.documents import DEEPEST
from ckfunc.base.errors import Busy, CkfuncError, InvalidFiles, InvalidManifest, Problem, shown_path
from ckfunc.base.files import read_file
from ckfunc.base.frozen import frozen
from ckfunc.emulator.data import (
    Snapshots,
    described,
    export_data,
    import_data,
    require_data,
    require_name,
    reset_data,
    seed_data,
)
from ckfunc.emulator.data_directory import DATABASE, find_running, lock_directory
from ckfunc.manifest.tree import LOADER, Mapping, Node, Scalar, Sequence, parse
from ckfunc.model.job import DataSnapshot, Seed, Seeded
from ckfunc.wire.dialects import camel
from ckfunc.wire.jobs import MalformedSeed, read_seed

T = TypeVar("T")


@frozen
class StoredData:
    """The data of one emulator. `connect` creates a client for it while it runs.

    Methods raise Busy, UnusableDatabase, LeadsOutside, ApiFailure and OSError.
    """

    directory: Path
    connect: Callable[[Connection], Client]

    @property
    def exists(self) -> bool:
        """Whether there is data. Raises LeadsOutside."""
        require_plain(self.directory, DATABASE)
        return (self.directory / DATABASE).is_file()

    def require(self) -> None:
        """Raise NoData if there is no data."""
        require_data(self.directory)

    def export(self, file: Path) -> None:
        """Write all data to a file. Raises NoData."""
        export_data(self.directory, file)

    def import_from(self, file: Path, confirm: Callable[[], bool]) -> bool:
        """Replace all data with an exported file, and return whether that was confirmed. Nothing may be running."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return import_data(file, self.directory, confirm)

    def seed(self, file: Path) -> Seeded:
        """Add the seed in a file. Raises what `read_seed_file` raises."""
        seed, document = read_seed_file(file)
        return self._either(
            lambda client: controls.post_seed(client, document), lambda: seed_data(self.directory, seed)
        )

    def snapshots(self) -> tuple[DataSnapshot, ...]:
        """Return the snapshots, newest first."""
        return Snapshots(self.directory).all()

    def snapshot(self, name: str) -> DataSnapshot:
        """Return a snapshot. Raises NoSnapshot and InvalidSnapshotName."""
        return Snapshots(self.directory).get(name)

    def save(self, name: str, *, replace: bool) -> DataSnapshot:
        """Save all data as a snapshot. Raises NoData, SnapshotExists and InvalidSnapshotName."""
        require_name(name)

        def save() -> DataSnapshot:
            require_data(self.directory)
            with lock_directory(self.directory):
                return Snapshots(self.directory).save(name, partial(export_data, self.directory), replace=replace)

        return self._either(lambda client: controls.save_snapshot(client, name, replace=replace), save)

    def restore(self, name: str) -> DataSnapshot:
        """Replace all data with a snapshot. Raises NoSnapshot and InvalidSnapshotName."""

        def restore() -> DataSnapshot:
            file = Snapshots(self.directory).path(name)
            import_data(file, self.directory)
            return described(file)

        return self._either(lambda client: controls.restore_snapshot(client, name), restore)

    def remove(self, name: str) -> DataSnapshot:
        """Delete a snapshot, and return it. Raises NoSnapshot and InvalidSnapshotName."""
        return Snapshots(self.directory).remove(name)

    def reset(self) -> None:
        """Delete all data except the snapshots."""
        self._either(controls.reset, lambda: reset_data(self.directory))

    def _either(self, running: Callable[[Client], T], stopped: Callable[[], T]) -> T:
        """Call `running` with a client of the emulator if it is running, else `stopped`."""
        url = find_running(self.directory)
        if url is None:
            try:
                return stopped()
            except Busy:
                # An emulator may have started since find_running.
                url = find_running(self.directory)
                if url is None:
                    raise
        with self.connect(emulator_connection(url)) as client:
            return running(client)


def read_seed_file(file: Path) -> tuple[Seed, Any]:
    """Return the seed in a YAML or JSON file, and the document itself.

    Raises InvalidFiles with the position of a mistake.
    """
    shown = shown_path(file)
    try:
        text = read_file(file, pipe=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:200]
        hint = "a seed is a YAML or JSON file in UTF-8"
        raise CkfuncError(f"cannot read the seed {shown}: {reason}", hint=hint) from None
    return read_seed_text(text, shown)


def read_seed_text(text: str, shown: str) -> tuple[Seed, Any]:
    """Return the seed in a text, and its document as JSON.

    Messages call the text `shown`. Raises InvalidFiles with the position of a mistake.
    """
    root, document = _parsed(_without_surrogates(text), shown)
    try:
        return read_seed({} if document is None else document), document or {}
    except MalformedSeed as mistake:
        line, column = _position(root, mistake.place)
        raise _refused(Problem(shown, line, column, str(mistake))) from None


_SURROGATES = re.compile(r"((?<!\\)(?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""An escape in JSON of a character after U+FFFF, such as an emoji, and the backslashes before it."""


def _without_surrogates(text: str) -> str:
    """Return JSON with pairs of surrogates as escapes that YAML has, and other text unchanged."""
    if _SURROGATES.search(text):
        with suppress(ValueError, RecursionError):
            json.loads(text)
            return _SURROGATES.sub(_escape, text)
    return text


def _escape(match: re.Match[str]) -> str:
    code = 0x10000 + ((int(match[2], 16) - 0xD800) << 10) + (int(match[3], 16) - 0xDC00)
    return f"{match[1]}\\U{code:08x}"


def _parsed(text: str, shown: str) -> tuple[Node | None, Any]:
    """Return the nodes of a YAML document, and the document as JSON. Raises InvalidFiles."""
    try:
        root = parse(text, shown, max_depth=DEEPEST)
        document = yaml.load(text, _loader())  # noqa: S506 - a kind of SafeLoader
        json.dumps(document, allow_nan=False)
    except InvalidManifest as error:
        raise _refused(*error.problems) from None
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _refused(Problem(shown, line, column, "invalid value", "JSON has no such value or key")) from None
    return root, document


def _loader() -> Any:
    """Return a loader that reads dates as text, as JSON does."""
    resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in LOADER.yaml_implicit_resolvers.items()
    }
    return type("Loader", (LOADER,), {"yaml_implicit_resolvers": resolvers})


def _position(root: Node | None, place: tuple[str | int, ...]) -> tuple[int, int]:
    """Return line and column, from 1, of the value at `place`, or of its closest existing parent."""
    node, last = root, root
    for step in place:
        if isinstance(node, Sequence) and isinstance(step, int):
            node = last = node.items[step]
        elif isinstance(node, Mapping):
            name = camel(str(step))
            matches = [pair for pair in node.entries if isinstance(pair[0], Scalar) and camel(pair[0].text) == name]
            if not matches:
                break
            last, node = matches[-1]
        else:
            break
    return (last.line, last.column) if last is not None else (0, 0)


def _refused(*problems: Problem) -> InvalidFiles:
    return InvalidFiles("the seed has a mistake", problems, hint="`ckfunc emulator seed --help` describes seeds")
