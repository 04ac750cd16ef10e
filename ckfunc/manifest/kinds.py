"""Kinds of values in YAML files, and their JSON Schema for editors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, TypeAlias

from ckfunc.base.frozen import frozen


@frozen
class Rule:
    """A regular expression that must match the whole text, in the common syntax of Python and JavaScript.

    `wrong` completes a sentence that starts with the value's name ("handler uses backslashes"). With `forbidden`, the
    expression must not match.
    """

    pattern: str
    wrong: str
    hint: str
    forbidden: bool = False

    def allows(self, text: str) -> bool:
        """Return whether `text` complies with the rule."""
        return (re.fullmatch(self.pattern, text) is None) is self.forbidden


def violated(rules: tuple[Rule, ...], text: str) -> Rule | None:
    """Return the first rule that does not allow a text, or None."""
    return next((rule for rule in rules if not rule.allows(text)), None)


@frozen
class Text:
    """A text. A `secret` text is never quoted in messages. With `whole_numbers`, an unquoted 42 is the text "42".

    With `choices`, it must be one of them. `suggestions` are texts that editors offer.
    """

    rules: tuple[Rule, ...] = ()
    secret: bool = False
    whole_numbers: bool = False
    choices: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()


@frozen
class Flag:
    """A YAML boolean: true or false. `default` is None if an absent one means neither."""

    default: bool | None = False


@frozen
class Number:
    """A fixed integer."""

    value: int
    wrong: str
    hint: str


@frozen
class Whole:
    """A whole number from `least` to `most`."""

    least: int
    most: int = 2**53 - 1


@frozen
class Data:
    """Any JSON value; with `mapping`, any JSON object."""

    mapping: bool = False


@frozen
class Items:
    """A list of one kind. `item` names an item ("a case"); with `single`, a value that is not a list is a single item.

    `when_empty` is the error message for `[]`, with its hint; None allows it.
    """

    item: str
    kind: Kind
    single: bool = False
    when_empty: tuple[str, str] | None = None


@frozen
class Field:
    """A known key of a section; `also` is an alternative spelling."""

    name: str
    kind: Kind
    doc: str
    required: bool = False
    also: str | None = None


@frozen
class Section:
    """A mapping with known keys; `name` is used in the editor schema."""

    name: str
    fields: tuple[Field, ...]


@frozen
class Entries:
    """A mapping with keys chosen by the user. `entry` names an entry ("an environment variable").

    `suggestions` are keys that editors offer, with their descriptions. `when_empty` is the error message for `{}`, with
    its hint; None allows it.
    """

    entry: str
    key_rules: tuple[Rule, ...]
    kind: Kind
    suggestions: Mapping[str, str] = field(default_factory=dict)
    when_empty: tuple[str, str] | None = None


Kind: TypeAlias = Text | Flag | Number | Whole | Data | Items | Section | Entries


def schema_of(record: Section, title: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 7) of files that `validate` checks against `record`."""
    definitions: dict[str, Any] = {}
    root = _schema(record, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        **definitions.pop(root["$ref"].rsplit("/", 1)[1]),
        "definitions": definitions,
    }


def _schema(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any]
    match kind:
        case Text():
            schema = _text(kind)
        case Flag():
            schema = {"type": "boolean", **({} if kind.default is None else {"default": kind.default})}
        case Number():
            schema = {"type": "integer", "const": kind.value}
        case Whole():
            schema = {"type": "integer", "minimum": kind.least, "maximum": kind.most}
        case Data():
            schema = {"type": "object"} if kind.mapping else {}
        case Items():
            schema = _items(kind, definitions)
        case Entries():
            schema = _entries(kind, definitions)
        case Section():
            if kind.name not in definitions:
                definitions[kind.name] = {}
                definitions[kind.name].update(_record(kind, definitions))
            schema = {"$ref": f"#/definitions/{kind.name}"}
    return schema


def _text(kind: Text) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string", **_all(kind.rules)}
    if kind.choices:
        text["enum"] = list(kind.choices)
    if kind.suggestions:
        text = {"anyOf": [{"enum": list(kind.suggestions)}, text]}
    return {"anyOf": [{"type": "integer", "minimum": 1}, text]} if kind.whole_numbers else text


def _items(kind: Items, definitions: dict[str, Any]) -> dict[str, Any]:
    item = _schema(kind.kind, definitions)
    array = {"type": "array", "items": item, **({"minItems": 1} if kind.when_empty else {})}
    return {"anyOf": [array, item]} if kind.single else array


def _record(kind: Section, definitions: dict[str, Any]) -> dict[str, Any]:
    required = [field.name for field in kind.fields if field.required]
    return {
        "type": "object",
        "properties": {
            name: _described(_schema(field.kind, definitions), field.doc)
            for field in kind.fields
            for name in (field.name, field.also)
            if name
        },
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _entries(kind: Entries, definitions: dict[str, Any]) -> dict[str, Any]:
    value = _schema(kind.kind, definitions)
    schema: dict[str, Any] = {
        "type": "object",
        "propertyNames": _all(kind.key_rules),
        "additionalProperties": value,
    }
    if kind.suggestions:
        schema["properties"] = {name: _described(value, doc) for name, doc in kind.suggestions.items()}
    if kind.when_empty:
        schema["minProperties"] = 1
    return schema


def _described(schema: dict[str, Any], doc: str) -> dict[str, Any]:
    if not doc:
        return schema
    # Draft 7 ignores everything next to a $ref.
    return {"description": doc, **({"allOf": [schema]} if "$ref" in schema else schema)}


def _all(rules: tuple[Rule, ...]) -> dict[str, Any]:
    return {"allOf": [_rule(rule) for rule in rules]} if rules else {}


def _rule(rule: Rule) -> dict[str, Any]:
    pattern = {"pattern": f"^(?:{rule.pattern})$"}
    return {"not": pattern} if rule.forbidden else {**pattern, "description": rule.hint}
