"""What is bundled, what comes of it, and what besides the sources decides about that."""

from __future__ import annotations

from dataclasses import dataclass, field

from ckfunc.bundle.graph import Graph

ESBUILD = "0.28.2"
"""The version of esbuild, exactly: bundles must be the same bytes on every machine."""

FORMAT = 2
"""Raised when the same sources and esbuild make another bundle, so that no older one is taken for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A script to be bundled; `handler` is whether it must have a handleEvent."""

    path: str
    source: str = field(repr=False)
    handler: bool
    graph: Graph = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a script became; `text` is None when it needs none of the files that it names: types alone, or comments.

    `modules` are the files it was made of, sorted, its own included; `source_map` is JSON.
    """

    text: str | None = field(repr=False)
    modules: tuple[str, ...] = ()
    source_map: str | None = field(default=None, repr=False)
