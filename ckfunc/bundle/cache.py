"""Bundles, their inputs, and a cache of bundles by content digest."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from ckfunc.base.files import mark_used, read_checked, remove_unused, write_checked
from ckfunc.base.frozen import frozen
from ckfunc.base.text import digest
from ckfunc.bundle.graph import Graph

ESBUILD = "0.28.2"
"""The exact version of esbuild, so that bundles are the same bytes on every machine."""

FORMAT = 4
"""Incremented when the same sources and esbuild give a different bundle, so that cached bundles are not used."""

_UNUSED_S = 30 * 24 * 3600.0
_FRESH_S = 24 * 3600.0


@frozen
class BundleInput:
    """A script to bundle; `handler` requires that it has a handleEvent."""

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


def bundle_key(entry: BundleInput, digest_of: Callable[[str], str]) -> str:
    """Return the digest of all inputs of a script's bundle, equal on every machine; `digest_of` may cache digests."""
    files = sorted((path, digest_of(text)) for path, text in entry.graph.files.items())
    return digest(json.dumps([FORMAT, ESBUILD, entry.path, entry.handler, files]))


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
        except (KeyError, TypeError):
            return None
        mark_used(file, after_s=_FRESH_S)
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
