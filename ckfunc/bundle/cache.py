"""Bundles, their inputs, and a cache of bundles by content digest."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from ckfunc.base.files import read_checked, remove_unused, write_checked
from ckfunc.base.frozen import frozen
from ckfunc.base.text import digest
from ckfunc.bundle.graph import Graph

ESBUILD = "0.28.2"
"""The exact version of esbuild, so that bundles are the same bytes on every machine."""

FORMAT = 4
"""Incremented when the same sources and esbuild give a different bundle, so that cached bundles are not used."""

_UNUSED_S = 30 * 24 * 3600.0
_TOUCH_AFTER_S = 24 * 3600.0


@frozen
class BundleInput:
    """A script to bundle; a `handler` must have a handleEvent."""

    path: str
    source: str
    handler: bool
    graph: Graph


@frozen
class Bundle:
    """The bundle of a script; `text` is None if the script needs no other file (imports only in types or comments).

    `modules` are its files, sorted, including the script itself; `source_map` is JSON.
    """

    text: str | None
    modules: tuple[str, ...] = ()
    source_map: str | None = None


class BundleKeys:
    """Digests of all inputs of bundles, equal on every machine."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}

    def key(self, entry: BundleInput) -> str:
        """Return the key of a script's bundle."""
        files = sorted((path, self._digest(text)) for path, text in entry.graph.files.items())
        return digest(json.dumps([FORMAT, ESBUILD, entry.path, entry.handler, files]))

    def _digest(self, text: str) -> str:
        if text not in self._digests:
            self._digests[text] = digest(text)
        return self._digests[text]


class BundleCache:
    """The bundles in a cache directory. Files that cannot be read count as missing; write errors are ignored."""

    def __init__(self, cache: Path) -> None:
        self._directory = cache / "bundles"

    def read(self, name: str) -> Bundle | None:
        """Return the bundle with the key `name`, or None."""
        file = self._file(name)
        try:
            document = read_checked(file)
            bundle = Bundle(document["text"], tuple(document["modules"]), document["source_map"])
            if time.time() - file.stat().st_mtime > _TOUCH_AFTER_S:
                os.utime(file)  # marks the file as used
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return bundle

    def store(self, name: str, bundle: Bundle) -> None:
        """Store a bundle with the key `name`."""
        document = {"text": bundle.text, "modules": bundle.modules, "source_map": bundle.source_map}
        with contextlib.suppress(OSError):
            write_checked(self._file(name), document)

    def remove_unused(self) -> None:
        """Remove bundles that were not used for a month."""
        with contextlib.suppress(OSError):
            remove_unused(self._directory, _UNUSED_S)

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.json"
