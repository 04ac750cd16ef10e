"""How editors check and complete a manifest: the definition as a JSON Schema (draft 7)."""

from __future__ import annotations

from typing import Any

from ckfunc.manifest.definition import MANIFEST
from ckfunc.manifest.kinds import Entries, Flag, Kind, Number, Record, Rule, Text


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `functions.yaml`, made from the same definition that `load` checks with.

    Draft 7, which every YAML language server knows. What a schema cannot say (files, variables, default_target) is
    checked by `load` alone.
    """
    definitions: dict[str, Any] = {}
    root = _schema(MANIFEST, definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "ckfunc manifest (functions.yaml)",
        **definitions.pop(root["$ref"].rsplit("/", 1)[1]),
        "definitions": definitions,
    }


def _schema(kind: Kind, definitions: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case Text():
            text = {"type": "string", **_all(kind.rules)}
            return {"anyOf": [{"type": "integer", "minimum": 1}, text]} if kind.whole_numbers else text
        case Flag():
            return {"type": "boolean", "default": kind.default}
        case Number():
            return {"type": "integer", "const": kind.value}
        case Entries():
            return _entries(kind, definitions)
        case Record():
            if kind.name not in definitions:
                definitions[kind.name] = {}
                definitions[kind.name].update(_record(kind, definitions))
            return {"$ref": f"#/definitions/{kind.name}"}


def _record(kind: Record, definitions: dict[str, Any]) -> dict[str, Any]:
    required = [one.name for one in kind.fields if one.required]
    return {
        "type": "object",
        "properties": {one.name: _described(_schema(one.kind, definitions), one.doc) for one in kind.fields},
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
    # Draft 7 ignores everything beside a $ref.
    return {"description": doc, **({"allOf": [schema]} if "$ref" in schema else schema)}


def _all(rules: tuple[Rule, ...]) -> dict[str, Any]:
    return {"allOf": [_rule(rule) for rule in rules]} if rules else {}


def _rule(rule: Rule) -> dict[str, Any]:
    pattern = {"pattern": f"^(?:{rule.pattern})$"}
    return {"not": pattern} if rule.forbidden else {**pattern, "description": rule.hint}
