"""Seeds in YAML or JSON, with the positions of mistakes."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import yaml

from ckfunc.base.documents import DEEPEST
from ckfunc.base.errors import InvalidFiles, InvalidManifest, Problem
from ckfunc.manifest.tree import LOADER, Mapping, Node, Scalar, Sequence, parse
from ckfunc.model.job import Seed
from ckfunc.wire.dialects import camel
from ckfunc.wire.jobs import MalformedSeed, read_seed


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
            matches = [
                (key, value)
                for key, value in node.entries
                if isinstance(key, Scalar) and _spelled(key.text) == _spelled(step)
            ]
            if not matches:
                break
            last, node = matches[-1]
        else:
            break
    return (last.line, last.column) if last is not None else (0, 0)


def _spelled(name: Any) -> str:
    return camel(str(name))


def _refused(*problems: Problem) -> InvalidFiles:
    return InvalidFiles(
        "the seed has a mistake",
        problems,
        hint="`ckfunc emulator seed --help` describes seeds",
    )
