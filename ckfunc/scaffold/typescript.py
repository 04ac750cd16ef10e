"""Convert JSON Schemas of the platform's contract to TypeScript."""

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
    """Writes declarations. `names` gives schemas their TypeScript names; one without is written where it is used."""

    def __init__(self, schemas: Mapping[str, Schema], names: Mapping[str, str]) -> None:
        self._schemas = schemas
        self._names = names

    def declaration(self, schema: str) -> str:
        """Return the declaration of a schema that has a name: an interface, or a type for what is one of several."""
        found, name = self._schemas[schema], self._names[schema]
        doc = comment(found.get("description", ""))
        if "properties" not in found:
            return f"{doc}{_wrapped(f'type {name} =', self.alternatives(found), ';')}"
        lines = [f"{doc}interface {name} {{"]
        for key, said in found["properties"].items():
            lines += self._property(key, said, key in found.get("required", ()))
        return "\n".join([*lines, "}"])

    def alternatives(self, schema: Schema) -> list[str]:
        """Return the types of which a value of `schema` has one."""
        several = schema.get("oneOf") or schema.get("anyOf")
        return [self.type(one) for one in several] if several else [self.type(schema)]

    def type(self, schema: Schema) -> str:
        """Return the type of what `schema` describes, on one line."""
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
                f"{field_name(key)}{'' if key in required else '?'}: {self.type(said)}"
                for key, said in schema["properties"].items()
            ]
            return f"{{ {'; '.join(fields)} }}"
        values = schema.get("additionalProperties")
        return f"Record<string, {self.type(values)}>" if isinstance(values, Mapping) else "Properties"

    def _property(self, key: str, schema: Schema, required: bool) -> list[str]:
        text = schema.get("description", "") + (" @deprecated" if schema.get("deprecated") else "")
        made = f"{field_name(key)}{'' if required else '?'}: {self.type(schema)};"
        return [*(comment(text, "  ").splitlines() if key != "_links" else ()), f"  {made}"]


def comment(text: str, indent: str = "", tags: Sequence[tuple[str, str]] = ()) -> str:
    """Return a doc comment that ends in a newline, "" for no text; `tags` are names and texts of parameters."""
    if not text and not tags:
        return ""
    safe = [line.replace("*/", "*\\/") for line in (text, *(f"@param {name} {said}" for name, said in tags)) if line]
    if len(safe) == 1 and len(indent) + len(safe[0]) + 7 <= _WIDTH:
        return f"{indent}/** {safe[0]} */\n"
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}\n" for line in safe), f"{indent} */\n"])


def method(name: str, parameters: Sequence[str], answer: str) -> str:
    """Return the signature of a method inside an interface, one parameter a line when it is long."""
    line = f"  {name}({', '.join(parameters)}): {answer};"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"  {name}(", *(f"    {one}," for one in parameters), f"  ): {answer};"])


def field_name(name: str) -> str:
    """Return how a property is named: as it is where TypeScript takes it so, else in quotes."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _wrapped(start: str, alternatives: Sequence[str], end: str) -> str:
    line = f"{start} {' | '.join(alternatives)}{end}"
    if len(line) <= _WIDTH or len(alternatives) == 1:
        return line
    return "\n".join([start, *(f"  | {one}" for one in alternatives)]) + end
