"""Validation of a YAML tree: all errors at once, and the valid values with types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any, TypeAlias

from ckfunc.base.errors import Problem
from ckfunc.base.frozen import frozen
from ckfunc.base.text import did_you_mean
from ckfunc.manifest.definition import MANIFEST_NAME
from ckfunc.manifest.kinds import Data, Entries, Field, Flag, Items, Kind, Number, Section, Text, Whole, violated
from ckfunc.manifest.tree import Mapping, Node, Scalar, Sequence, boolean, json_value, retyped_as, unique_entries

_BOOLEAN_WORDS = {"yes", "no", "on", "off", "true", "false", "1", "0", "y", "n"}


@frozen
class Leaf:
    """A valid text, boolean or number with its position."""

    node: Scalar
    data: str | bool | int = field(repr=False)

    @property
    def text(self) -> str:
        """The value as text."""
        return str(self.data)


@frozen
class Branch:
    """The valid entries of a mapping, in order; `keys` has the positions of known keys, even with invalid values."""

    node: Mapping
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, Checked] = field(default_factory=dict)

    def branch(self, *path: str) -> Branch | None:
        """Return the valid mapping at a path of keys, or None."""
        branch: Checked | None = self
        for name in path:
            branch = branch.values.get(name) if isinstance(branch, Branch) else None
        return branch if isinstance(branch, Branch) else None

    def leaf(self, name: str) -> Leaf | None:
        """Return the valid text, boolean or number under `name`, or None."""
        value = self.values.get(name)
        return value if isinstance(value, Leaf) else None

    def text(self, name: str) -> str | None:
        """Return the valid value under `name` as text, or None."""
        leaf = self.leaf(name)
        return None if leaf is None else leaf.text

    def items(self, name: str) -> tuple[Checked, ...] | None:
        """Return the valid items of the list under `name`, or None if there is no list."""
        value = self.values.get(name)
        return value.items if isinstance(value, Row) else None

    def given(self, name: str) -> Given | None:
        """Return the user data under `name`, or None."""
        value = self.values.get(name)
        return value if isinstance(value, Given) else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return the boolean under `name`, or `default` if there is none."""
        leaf = self.leaf(name)
        return default if leaf is None else leaf.data is True

    def leaves(self) -> dict[str, Leaf]:
        """Return the entries whose values are texts, booleans or numbers."""
        return {name: value for name, value in self.values.items() if isinstance(value, Leaf)}

    def branches(self) -> Iterator[tuple[str, Branch]]:
        """Yield the entries whose values are mappings."""
        for name, value in self.values.items():
            if isinstance(value, Branch):
                yield name, value


@frozen
class Row:
    """The valid items of a list, in order."""

    node: Node
    items: tuple[Checked, ...]


@frozen
class Given:
    """User data: any JSON value."""

    node: Node
    data: Any = field(repr=False)


Checked: TypeAlias = Leaf | Branch | Row | Given


@frozen
class _Place:
    """The name of a value in messages, and its key, which is the position of errors about a missing value."""

    label: str
    key: Scalar | None = None


def validate(record: Section, root: Node, path: str = MANIFEST_NAME) -> tuple[Branch | None, tuple[Problem, ...]]:
    """Return the valid parts of `root`, and a problem for every error."""
    check = _Check(path)
    checked = check.value(record, root, _Place("the file"))
    return (checked if isinstance(checked, Branch) else None), tuple(dict.fromkeys(check.problems))


def one_of(names: Iterable[str]) -> str:
    """Return a hint that lists all names."""
    return f"known: {', '.join(names)}"


class _Check:
    """Validator that walks the definition and the tree in parallel and collects problems."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.problems: list[Problem] = []

    def value(self, kind: Kind, node: Node, place: _Place) -> Checked | None:
        checked: Checked | None
        match kind:
            case Section():
                checked = self._record(kind, node, place)
            case Entries():
                checked = self._entries(kind, node, place)
            case Text():
                checked = self._text(kind, node, place)
            case Flag():
                checked = self._flag(node, place)
            case Number():
                checked = self._number(kind, node, place)
            case Whole():
                checked = self._whole(kind, node, place)
            case Data():
                checked = self._data(kind, node, place)
            case Items():
                checked = self._items(kind, node, place)
        return checked

    def _report(self, node: Node, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self._path, node.line, node.column, message, hint))

    def _mapping(self, node: Node, place: _Place, keys: str, example: str) -> Mapping | None:
        """Return `node` if it is a mapping; `keys` describes its keys, and `example` is a minimal one, for hints."""
        if isinstance(node, Mapping):
            return node
        if _is_null(node):
            hint = (
                f"write `{place.label}: {example}`, or remove the key" if place.key else f"keys: {keys}; or remove it"
            )
            self._report(place.key or node, f"{place.label} has no value", hint)
        else:
            actual = "a list" if isinstance(node, Sequence) else "a single value"
            self._report(node, f"{place.label} must be a mapping, not {actual}", f"keys: {keys}")
        return None

    def _record(self, kind: Section, node: Node, place: _Place) -> Branch | None:
        fields = {field.name: field for field in kind.fields}
        alternatives = {field.also: field for field in kind.fields if field.also}
        required = ", ".join(f"{field.name}: …" for field in kind.fields if field.required)
        mapping = self._mapping(node, place, ", ".join(fields), f"{{{required}}}")
        if mapping is None:
            return None
        branch = Branch(mapping)
        for key, value in self._unique(mapping, secret=False):
            known = fields.get(key.text) or alternatives.get(key.text)
            if known is None:
                hint = _merge_hint(key) or did_you_mean(key.text, fields) or one_of(fields)
                self._report(key, f"unknown key{_quoted_name(key.text)} in {place.label}", hint)
                continue
            if known.name in branch.keys:
                self._report(key, f"{known.name} is given in both spellings", "keep one")
                continue
            self._add(branch, key, self.value(known.kind, value, _Place(key.text, key)), known.name)
        self._report_missing(kind.fields, mapping, place)
        return branch

    def _report_missing(self, fields: tuple[Field, ...], mapping: Mapping, place: _Place) -> None:
        present = {key.text for key, _ in mapping.entries if isinstance(key, Scalar)}
        for known in fields:
            if known.required and known.name not in present and known.also not in present:
                example = f"{known.name}: {known.kind.value}" if isinstance(known.kind, Number) else f"{known.name}: …"
                self._report(place.key or mapping, f"{place.label} has no `{known.name}`", f"add `{example}`")

    def _entries(self, kind: Entries, node: Node, place: _Place) -> Branch | None:
        if kind.when_empty and _is_null(node):
            self._report(place.key or node, *kind.when_empty)
            return None
        mapping = self._mapping(node, place, f"one for each {kind.entry}", "{}")
        if mapping is None:
            return None
        if not mapping.entries and kind.when_empty:
            self._report(place.key or mapping, *kind.when_empty)
        branch = Branch(mapping)
        secret = isinstance(kind.kind, Text) and kind.kind.secret
        for key, value in self._unique(mapping, secret=secret):
            broken = violated(kind.key_rules, key.text)
            if broken:
                hint = _merge_hint(key) or broken.hint
                name = "this" if secret and not key.text.isidentifier() else _quoted_name(key.text).lstrip() or "this"
                self._report(key, f"{name} {broken.wrong}", hint)
                if isinstance(kind.kind, Section):
                    self.value(kind.kind, value, _Place(f"this {kind.entry}", key))
            else:
                self._add(branch, key, self.value(kind.kind, value, _Place(key.text, key)))
        return branch

    def _unique(self, mapping: Mapping, *, secret: bool) -> Iterator[tuple[Scalar, Node]]:
        """Yield the entries whose key is a text, each key once; report all others."""
        return unique_entries(
            mapping, self._report, lambda key: _quoted_name(key) if not secret or key.isidentifier() else ""
        )

    @staticmethod
    def _add(branch: Branch, key: Scalar, checked: Checked | None, name: str | None = None) -> None:
        name = key.text if name is None else name
        branch.keys[name] = key
        if checked is not None:
            branch.values[name] = checked

    def _text(self, kind: Text, node: Node, place: _Place) -> Leaf | None:
        scalar = self._scalar(node, place, "a string")
        if scalar is None:
            return None
        retyped = retyped_as(scalar.text) if scalar.plain else None
        if retyped == "null":
            empty = f'an empty string is `{place.label}: ""`'
            hint = "add a value, or remove the key" if violated(kind.rules, "") else empty
            self._report(place.key or scalar, f"{place.label} has no value", hint)
            return None
        broken = violated(kind.rules, scalar.text)
        if retyped and not (kind.whole_numbers and scalar.text.isdecimal()):
            quoted = '"…"' if kind.secret else f'"{scalar.text}"'
            hint = broken.hint if broken else f"quote it: `{place.label}: {quoted}`"
            self._report(scalar, f"{place.label} is {retyped}, and must be a string", hint)
            return None
        if broken:
            self._report(scalar, f"{place.label} {broken.wrong}", broken.hint)
            return None
        if kind.choices and scalar.text not in kind.choices:
            hint = did_you_mean(scalar.text, kind.choices) or one_of(kind.choices)
            self._report(scalar, f"{place.label} must be one of {', '.join(kind.choices)}", hint)
            return None
        return Leaf(scalar, scalar.text)

    def _flag(self, node: Node, place: _Place) -> Leaf | None:
        scalar = self._scalar(node, place, "true or false")
        if scalar is None:
            return None
        value = boolean(scalar.text) if scalar.plain else None
        if value is None:
            meant = "true" if scalar.text.lower() in ("yes", "on", "true", "1", "y") else "false"
            written = "true or false, unquoted" if scalar.text.lower() not in _BOOLEAN_WORDS else meant + ", unquoted"
            self._report(scalar, f"{place.label} must be true or false", f"write {written}")
            return None
        return Leaf(scalar, value)

    def _number(self, kind: Number, node: Node, place: _Place) -> Leaf | None:
        scalar = self._scalar(node, place, f"the number {kind.value}")
        if scalar is None:
            return None
        if not scalar.plain or scalar.text != str(kind.value):
            quoted = not scalar.plain and scalar.text == str(kind.value)
            wrong = f"must be the number {kind.value}, without quotes" if quoted else kind.wrong
            self._report(scalar, f"{place.label} {wrong}", kind.hint)
            return None
        return Leaf(scalar, kind.value)

    def _whole(self, kind: Whole, node: Node, place: _Place) -> Leaf | None:
        scalar = self._scalar(node, place, "a whole number")
        if scalar is None:
            return None
        plain = scalar.plain and re.fullmatch(r"0|[1-9][0-9]{0,15}", scalar.text)
        if not plain or not kind.least <= int(scalar.text) <= kind.most:
            hint = f"from {kind.least} to {kind.most}, without quotes"
            self._report(scalar, f"{place.label} must be a whole number", hint)
            return None
        return Leaf(scalar, int(scalar.text))

    def _data(self, kind: Data, node: Node, place: _Place) -> Given | None:
        if kind.mapping and self._mapping(node, place, "any", "{}") is None:
            return None
        return Given(node, json_value(node, self._report))

    def _items(self, kind: Items, node: Node, place: _Place) -> Row | None:
        if _is_null(node):
            empty = (f"{place.label} has no value", "an empty list is `[]`")
            self._report(place.key or node, *(kind.when_empty or empty))
            return None
        if not isinstance(node, Sequence):
            if not kind.single:
                actual = "a mapping" if isinstance(node, Mapping) else "a single value"
                hint = f"write {kind.item} after each `- `"
                self._report(node, f"{place.label} must be a list, not {actual}", hint)
                return None
            node = Sequence((node,), False, node.line, node.column, node.start, node.end)
        if not node.items and kind.when_empty:
            self._report(place.key or node, *kind.when_empty)
        checked = (self.value(kind.kind, item, _Place(kind.item)) for item in node.items)
        return Row(node, tuple(item for item in checked if item is not None))

    def _scalar(self, node: Node, place: _Place, expected: str) -> Scalar | None:
        if isinstance(node, Scalar):
            return node
        actual = "a mapping" if isinstance(node, Mapping) else "a list"
        self._report(node, f"{place.label} must be {expected}, not {actual}", "quote it if it starts with { or [")
        return None


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and retyped_as(node.text) == "null"


def _merge_hint(key: Scalar) -> str | None:
    return "merge keys are not supported; write the entries out" if key.plain and key.text == "<<" else None


def _quoted_name(text: str) -> str:
    """Return ` 'text'` if it can only be a name, or else "", so that text such as `NAME=secret` is not shown."""
    return f" {text!r}" if re.fullmatch(r"[\w.@/~-]{1,80}", text) else ""
