"""YAML documents as trees of nodes with positions; scalars and their values.

Scalars keep their exact text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import field
from typing import Any, TypeAlias, cast

import yaml

from ckfunc.base.errors import InvalidManifest, Problem
from ckfunc.base.frozen import frozen
from ckfunc.base.text import escaped, position
from ckfunc.manifest.sources import MAX_FILE_BYTES, merge_conflicts
from ckfunc.manifest.variables import NAME

MAX_DEPTH = 32
"""The maximum nesting of collections; a manifest needs four levels."""

MAX_PROBLEMS = 200

# The parser of libyaml, if PyYAML includes it (all wheels do), is ten times as fast as the one in Python.
LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Source: YAML 1.1, c-printable. Checked here, because the two parsers report these characters differently.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS = {None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@frozen
class Scalar:
    """A text with its position in the file. `plain` means neither quoted nor tagged; `line` and `column` count from 1.

    `start` and `end` are offsets into the document, in characters.
    """

    text: str = field(repr=False)
    plain: bool
    line: int
    column: int
    start: int
    end: int
    block: bool = False


@frozen
class Mapping:
    """Keys and values in the file's order, including duplicate keys. `flow` means written in braces.

    As in YAML parsers, the `end` of a block mapping is the start of the next node.
    """

    entries: tuple[tuple[Node, Node], ...]
    flow: bool
    line: int
    column: int
    start: int
    end: int


@frozen
class Sequence:
    """A list. `flow` means written in brackets; the `end` of a block is as for mappings."""

    items: tuple[Node, ...]
    flow: bool
    line: int
    column: int
    start: int
    end: int


Node: TypeAlias = Scalar | Mapping | Sequence


def parse(
    text: str,
    path: str,
    *,
    loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = LOADER,
    max_depth: int = MAX_DEPTH,
) -> Node | None:
    """Return the tree of the document in `text`, or None if there is none.

    `path` is the file's name in problems. Aliases are expanded, up to the maximum size of a manifest. Raises
    InvalidManifest with one problem, which never quotes the file, because invalid text may be a secret.
    """
    if bad := _FORBIDDEN.search(text):
        line, column = position(text, bad.start())
        message = f"the character U+{ord(bad[0]):04X} is not allowed in YAML"
        raise refused(Problem(path, line, column, message, "remove it, or write it as an escape in double quotes"))
    try:
        return _composed(text, path, loader, max_depth)
    except yaml.MarkedYAMLError as error:
        if (conflict := next(merge_conflicts(path, text), None)) is not None:
            raise refused(conflict) from None
        mark = error.problem_mark or error.context_mark
        if mark is not None and text.count("[") + text.count("{") > max_depth:
            _refuse_deep_nesting(text[: mark.index], path, max_depth)
        raise refused(_as_problem(error, text, path)) from None
    except yaml.YAMLError:
        raise refused(Problem(path, 1, 1, "this is not YAML", "check the file's encoding")) from None


def _composed(
    text: str, path: str, loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader], max_depth: int
) -> Node | None:
    with closing(cast("Generator[Any]", yaml.parse(text, Loader=loader))) as events:
        return _Composer(path, events, max_depth).document()


def _refuse_deep_nesting(text: str, path: str, max_depth: int) -> None:
    """Raise InvalidManifest if `text`, up to the position of a parser's error, is nested more deeply than `max_depth`.

    libyaml reads ahead of the events that it returns, and some of its releases limit nesting (to 1000 levels in PyYAML
    6.0.4), so it can fail before our lower limit is reached. The parser in Python has no such limit. It rejects tabs in
    more places than libyaml, so tabs are replaced by spaces, which does not change positions.
    """
    with suppress(yaml.YAMLError):
        _composed(text.replace("\t", " "), path, yaml.SafeLoader, max_depth)


def refused(*problems: Problem) -> InvalidManifest:
    """Return the error that reports `problems`, at most MAX_PROBLEMS of them."""
    count = "a mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    shown = sorted(problems)[:MAX_PROBLEMS]
    if len(problems) > MAX_PROBLEMS:
        message = f"only the first {MAX_PROBLEMS} of {len(problems)} mistakes are shown"
        shown.append(Problem(shown[0].path, 0, 0, message))
    names = list(dict.fromkeys(problem.path for problem in sorted(problems)))
    files = " and ".join(names) if len(names) < 3 else f"{len(names)} files"
    return InvalidManifest(f"{files} {'has' if len(names) == 1 else 'have'} {count}", shown)


class _Composer:
    """Builder of the tree from the parser's events. It counts the size of the tree with expanded aliases."""

    def __init__(self, path: str, events: Iterator[Any], max_depth: int) -> None:
        # Any, because the stubs of both parsers' events declare every mark as optional.
        self._path = path
        self._events = events
        self._max_depth = max_depth
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._size = 0
        self._added_by_aliases = 0

    def document(self) -> Node | None:
        root: Node | None = None
        seen = False
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise self._error(event, "a second document starts here", "a file must have only one document")
                seen = True
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, 0)
        # A file with only comments and `---` is an empty plain scalar.
        return None if isinstance(root, Scalar) and root.plain and not root.text else root

    def _node(self, event: Any, depth: int) -> Node:
        if depth > self._max_depth:
            raise self._error(event, "this is nested too deeply", f"at most {self._max_depth} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag not in _TAGS:
            raise self._error(event, "tags are not supported", "quote the value if it is a string that starts with !")
        before = self._size
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._collection(event, depth) if isinstance(event, yaml.CollectionStartEvent) else self._scalar(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._size - before)
        return node

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark, event.end_mark
        self._size += len(event.value) + 1
        block = event.style in ("|", ">")
        plain = event.tag is None and not event.style
        return Scalar(event.value, plain, start.line + 1, start.column + 1, start.index, end.index, block)

    def _collection(self, event: Any, depth: int) -> Mapping | Sequence:
        start = event.start_mark
        self._size += 1
        items: list[Node] = []
        inner = next(self._events)
        while not isinstance(inner, yaml.CollectionEndEvent):
            items.append(self._node(inner, depth + 1))
            inner = next(self._events)
        end = cast(Any, inner).end_mark.index
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(items), bool(event.flow_style), start.line + 1, start.column + 1, start.index, end)
        entries = tuple(zip(items[::2], items[1::2], strict=True))
        return Mapping(entries, bool(event.flow_style), start.line + 1, start.column + 1, start.index, end)

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            hint = "quote the value if it is a string that starts with *"
            raise self._error(event, "this alias refers to an anchor that is not defined above it", hint)
        anchored = self._anchors[event.anchor]
        if anchored is None:
            raise self._error(event, "this alias is part of its own anchor", "an anchor cannot contain itself")
        node, size = anchored
        self._size += size
        self._added_by_aliases += size
        if self._added_by_aliases > MAX_FILE_BYTES:
            hint = "expanded, aliases may add at most 1 MiB"
            raise self._error(event, "the aliases make this file too large", hint)
        return node

    def _error(self, event: Any, message: str, hint: str) -> InvalidManifest:
        mark = event.start_mark
        return refused(Problem(self._path, mark.line + 1, mark.column + 1, message, hint))


def _as_problem(error: yaml.MarkedYAMLError, text: str, path: str) -> Problem:
    """Convert a parser's error to a problem. The error may quote the file, so only its kind is used."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Problem(path, 1, 1, "this is not YAML")
    if text[max(0, mark.index - 1) : mark.index + 1] == "${":
        hint = 'write "${NAME}" with quotes inside { } and [ ]'
        return Problem(path, mark.line + 1, mark.column, "this reference needs quotes", hint)
    at = text[mark.index : mark.index + 1]
    words = f"{error.context or ''} {error.problem or ''}"
    for sentence in _SENTENCES:
        if any(at == needle or (len(needle) > 1 and needle in words) for needle in sentence.needles):
            position = (error.context_mark if sentence.from_start else None) or mark
            return Problem(path, position.line + 1, position.column + 1, sentence.message, sentence.hint)
    hint = "check the indentation and the quotes around here"
    return Problem(path, mark.line + 1, mark.column + 1, "this does not match the text before it", hint)


@frozen
class _Sentence:
    """The message for an error: a needle is the character at fault, or part of the parser's message.

    With `from_start`, the position is the start of the invalid construct instead of the parser's position.
    """

    needles: tuple[str, ...]
    message: str
    hint: str
    from_start: bool = False


_SENTENCES = (
    _Sentence(("\t", "tab character"), "a tab cannot indent YAML", "use spaces"),
    _Sentence(
        ("quoted scalar",),
        "this quoted string does not end properly",
        "close the quote; in double quotes, write \\ as \\\\",
        from_start=True,
    ),
    _Sentence(("block scalar",), "a string may not start with > or | here", "put it in quotes", from_start=True),
    _Sentence(("@", "`", "%"), "a string may not start with @, ` or % unless it is quoted", "put it in quotes"),
    _Sentence(
        ("mapping values are not allowed",),
        "a colon is not allowed here",
        "check the indentation; quote a string that contains `: `",
    ),
    _Sentence(("could not find expected ':'",), "a colon is missing", "write `name: value`", from_start=True),
    _Sentence(
        ("flow mapping", "flow sequence"),
        "this { or [ is not closed, or a comma is missing in it",
        "check the commas and closing brackets",
        from_start=True,
    ),
    _Sentence(("tag",), "tags are not supported", "quote the value if it is a string that starts with !"),
    _Sentence(
        ("alias", "anchor"),
        "this alias or anchor has no name",
        "quote the value if it is a string that starts with * or &",
    ),
)


# The union of YAML 1.1 (https://yaml.org/type/) and the YAML 1.2 core schema: 1.1 reads `0042` as octal and `yes` as a
# boolean, 1.2 reads `1e3` as a number. A file must mean the same for every YAML parser, including those of editors.
_RETYPED: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("null", re.compile(r"|~|null|Null|NULL")),
    ("a boolean", re.compile(r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")),
    (
        "a number",
        re.compile(
            r"[-+]?(?:0b[01_]+|0o[0-7]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
            r"|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?)"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
    ),
    (
        "a date",
        re.compile(
            r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
            r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?)?)?"
        ),
    ),
)

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_PLAIN = re.compile(r"[A-Za-z0-9_^][A-Za-z0-9_./^+-]*")
_REFERENCE = re.compile(rf"\$\{{{NAME}\}}")
Report = Callable[[Node, str, str], None]
"""Report an error: takes the node, the message and a hint."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_MAX_DIGITS = 400


def retyped_as(text: str) -> str | None:
    """Return the type that some YAML parsers infer for an unquoted `text`, such as "a boolean"; None for a text."""
    return next((name for name, pattern in _RETYPED if pattern.fullmatch(text)), None)


def boolean(text: str) -> bool | None:
    """Return the boolean that every YAML parser infers for an unquoted `text`, or None."""
    return _BOOLEANS.get(text)


def scalar(text: str, *, flow: bool = False) -> str:
    """Return `text` as a plain scalar if that is safe, or else in double quotes; `flow` is for use inside braces.

    Characters that hide or reorder text, and those that YAML forbids or reads as line ends, become escapes. Raises
    ValueError for lone surrogates, which YAML cannot contain.
    """
    if _PLAIN.fullmatch(text) and retyped_as(text) is None:
        return text
    if not flow and _REFERENCE.fullmatch(text):
        return text
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("YAML cannot contain a lone surrogate")
    return escaped(json.dumps(text, ensure_ascii=False))


def json_value(node: Node, report: Report) -> Any:
    """Return the JSON value of a node. Reports ambiguous values."""
    if isinstance(node, Scalar):
        return _scalar(node, report)
    if isinstance(node, Mapping):
        return _object(node, report)
    return [json_value(item, report) for item in node.items]


def unique_entries(
    node: Mapping, report: Report, name_of: Callable[[str], str] = lambda _: ""
) -> Iterator[tuple[Scalar, Node]]:
    """Yield the entries whose key is a text, each key once; report all others.

    `name_of` returns how a duplicate key is shown after "duplicate key".
    """
    first: dict[str, Scalar] = {}
    for key, value in node.entries:
        if not isinstance(key, Scalar):
            report(key, "a key must be a single text", "quote it if it starts with { or [")
        elif (other := first.setdefault(key.text, key)) is not key:
            name = name_of(key.text)
            report(key, f"duplicate key{name}, first at line {other.line}, column {other.column}", "keep one")
        else:
            yield key, value


def _object(node: Mapping, report: Report) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in unique_entries(node, report):
        if key.plain and key.text == "<<":
            report(key, "merge keys are not supported", "write the entries out, or quote the key")
        else:
            document[key.text] = json_value(value, report)
    return document


def _scalar(node: Scalar, report: Report) -> Any:
    if not node.plain:
        return node.text
    if (flag := boolean(node.text)) is not None:
        return flag
    number = _NUMBER.fullmatch(node.text)
    if number and len(node.text) < _MAX_DIGITS:
        value = int(node.text) if node.text.lstrip("-").isdigit() else float(node.text)
        if value not in (float("inf"), float("-inf")):
            return value
    retyped = retyped_as(node.text)
    if retyped == "null":
        return None
    if retyped is not None:
        or_boolean = " (or write true or false)" if retyped == "a boolean" else ""
        report(
            node,
            f"some YAML parsers read this as {retyped}, others as a string",
            f'quote it: "{node.text[:40]}"{or_boolean}',
        )
    return node.text
