"""Conversion of JSON Schemas of the platform's contract to TypeScript."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_WIDTH = 120
_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
_PLAIN = re.compile(r"[A-Za-z_$][\w$]*")


class Writer:
    """Writer of declarations. `names` are the TypeScript names of schemas; a schema without a name is inlined."""

    def __init__(self, schemas: Mapping[str, Schema], names: Mapping[str, str]) -> None:
        self._schemas = schemas
        self._names = names

    def declaration(self, schema: str) -> str:
        """Return the declaration of a schema that has a name: an interface, or a type alias for alternatives."""
        definition, name = self._schemas[schema], self._names[schema]
        doc = comment(definition.get("description", ""))
        if "properties" not in definition:
            return f"{doc}{_wrapped(f'type {name} =', self.alternatives(definition), ';')}"
        lines = [f"{doc}interface {name} {{"]
        for key, value in definition["properties"].items():
            lines += self._property(key, value, key in definition.get("required", ()))
        return "\n".join([*lines, "}"])

    def alternatives(self, schema: Schema) -> list[str]:
        """Return the alternative types of a value of `schema`."""
        alternatives = schema.get("oneOf") or schema.get("anyOf")
        return [self.type(each) for each in alternatives] if alternatives else [self.type(schema)]

    def type(self, schema: Schema) -> str:
        """Return the type of a value of `schema`, on one line."""
        if reference := schema.get("$ref"):
            target = reference.rpartition("/")[2]
            return self._names.get(target) or self.type(self._schemas[target])
        if "oneOf" in schema or "anyOf" in schema:
            return " | ".join(self.alternatives(schema))
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
        return self._plain(schema)

    def _plain(self, schema: Schema) -> str:
        kind = schema.get("type")
        if kind == "array":
            item = self.type(schema["items"])
            return f"({item})[]" if " " in item and not item.startswith("{") else f"{item}[]"
        if kind == "object":
            return self._object(schema)
        if kind == "string" and schema.get("format") == "date-time":
            return "Timestamp"
        return _SCALARS.get(str(kind), "any")

    def _object(self, schema: Schema) -> str:
        if "properties" in schema:
            required = schema.get("required", ())
            fields = [
                f"{field_name(key)}{'' if key in required else '?'}: {self.type(value)}"
                for key, value in schema["properties"].items()
            ]
            return f"{{ {'; '.join(fields)} }}"
        values = schema.get("additionalProperties")
        return f"Record<string, {self.type(values)}>" if isinstance(values, Mapping) else "Properties"

    def _property(self, key: str, schema: Schema, required: bool) -> list[str]:
        text = schema.get("description", "") + (" @deprecated" if schema.get("deprecated") else "")
        line = f"{field_name(key)}{'' if required else '?'}: {self.type(schema)};"
        return [*(comment(text, "  ").splitlines() if key != "_links" else ()), f"  {line}"]


def comment(text: str, indent: str = "", tags: Sequence[tuple[str, str]] = ()) -> str:
    """Return a doc comment with a final newline, "" for no text; `tags` are names and descriptions of parameters."""
    if not text and not tags:
        return ""
    safe = [line.replace("*/", "*\\/") for line in (text, *(f"@param {name} {doc}" for name, doc in tags)) if line]
    if len(safe) == 1 and len(indent) + len(safe[0]) + 7 <= _WIDTH:
        return f"{indent}/** {safe[0]} */\n"
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}\n" for line in safe), f"{indent} */\n"])


def method(name: str, parameters: Sequence[str], result: str) -> str:
    """Return the signature of a method in an interface; if it is long, with each parameter on its own line."""
    line = f"  {name}({', '.join(parameters)}): {result};"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"  {name}(", *(f"    {parameter}," for parameter in parameters), f"  ): {result};"])


def field_name(name: str) -> str:
    """Return the name of a property, in quotes if TypeScript requires them."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _wrapped(start: str, alternatives: Sequence[str], end: str) -> str:
    line = f"{start} {' | '.join(alternatives)}{end}"
    if len(line) <= _WIDTH or len(alternatives) == 1:
        return line
    return "\n".join([start, *(f"  | {alternative}" for alternative in alternatives)]) + end
