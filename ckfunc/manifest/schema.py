"""JSON Schema (draft 7) of YAML files, for editors."""

from __future__ import annotations

from typing import Any

from ckfunc.manifest.definition import MANIFEST
from ckfunc.manifest.kinds import Data, Entries, Flag, Items, Kind, Number, Rule, Section, Text, Whole


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `functions.yaml`, generated from the definition that `load` uses.

    It is draft 7, which every YAML language server supports. Rules that a schema cannot express (about files, variables
    and default_target) are only checked by `load`.
    """
    return schema_of(MANIFEST, "ckfunc manifest (functions.yaml)")


def schema_of(record: Section, title: str) -> dict[str, Any]:
    """Return the JSON Schema of files that `validate` checks against `record`."""
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
