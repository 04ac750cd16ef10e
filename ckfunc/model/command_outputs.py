"""The documents that each command prints with `--json`, and their JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from ckfunc.base.errors import UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.model import outputs

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_USER = Annotated[dict[str, Any], "`ChatUserResource` of the Platform API, without `_links`."]
_CHANNEL = Annotated[dict[str, Any], "`ChannelResource` of the Platform API, without `_links`."]
_MESSAGE = Annotated[dict[str, Any], "`MessageResource` of the Platform API, without `_links`."]

Schema: TypeAlias = dict[str, Any]


@frozen
class CommandOutput:
    """What a command prints with `--json`: a document of a type, or with `lines` any number of them, one on each line.

    `condition` says when; it is empty for the usual output.
    """

    command: str
    type: Any
    condition: str = ""
    lines: bool = False


OUTPUTS: tuple[CommandOutput, ...] = (
    CommandOutput("init", outputs.WrittenJson),
    CommandOutput("new", outputs.WrittenJson),
    CommandOutput("pull", outputs.PulledJson),
    CommandOutput("types", outputs.WrittenJson),
    CommandOutput("types", outputs.StaleTypesJson, "with `--check`"),
    CommandOutput("lock", outputs.LockJson),
    CommandOutput("lock", outputs.LockCheckJson, "with `--check`"),
    CommandOutput("audit", outputs.AuditJson),
    CommandOutput("check", list[outputs.FindingJson]),
    CommandOutput("check", list[outputs.FindingJson], "with `--watch`", lines=True),
    CommandOutput("test", outputs.TestsJson),
    CommandOutput("test add", outputs.AdditionJson),
    CommandOutput("test record", outputs.AdditionJson),
    CommandOutput("test merge", outputs.MergedTestsJson),
    CommandOutput("diff", outputs.PlanJson),
    CommandOutput("diff", outputs.ComparisonJson, "for versions"),
    CommandOutput("deploy", outputs.ReportJson),
    CommandOutput("deploy", outputs.PlanJson, "with `--dry-run`"),
    CommandOutput("deploy", outputs.RefusedDeployJson, "if a gate fails"),
    CommandOutput("deploy", outputs.ResumedWatchJson, "if `--resume` continues a watch"),
    CommandOutput("replay", outputs.ReplayJson),
    CommandOutput("versions", list[outputs.VersionJson]),
    CommandOutput("show", outputs.ScriptJson),
    CommandOutput("rollback", outputs.RollbackJson),
    CommandOutput("undo", outputs.ReportJson),
    CommandOutput("undo", outputs.PlanJson, "with `--dry-run`"),
    CommandOutput("dev", outputs.ReadyJson | outputs.ReportJson | outputs.InvocationJson, lines=True),
    CommandOutput("watch", outputs.ReportJson | outputs.InvocationJson, lines=True),
    CommandOutput("logs", outputs.InvocationJson, lines=True),
    CommandOutput("invoke", outputs.HandlerRunJson),
    CommandOutput("trigger", outputs.TriggeredJson),
    CommandOutput("chat", outputs.ChatEventJson, lines=True),
    CommandOutput("login", outputs.LoginJson),
    CommandOutput("logout", outputs.LogoutJson),
    CommandOutput("whoami", outputs.IdentityJson),
    CommandOutput("api", Annotated[Any, "The response of the platform."]),
    CommandOutput("api", Annotated[list[Any], "The items of all pages."], "with `--paginate`"),
    CommandOutput("doctor", list[outputs.DiagnosisJson]),
    CommandOutput("cache info", outputs.CacheJson),
    CommandOutput("cache clean", outputs.CacheCleanedJson),
    CommandOutput("emulator users", list[_USER]),
    CommandOutput("emulator channels", list[_CHANNEL]),
    CommandOutput("emulator messages", list[_MESSAGE]),
    CommandOutput("emulator seed", outputs.SeededJson),
    CommandOutput("emulator snapshots", list[outputs.SnapshotJson]),
    CommandOutput("emulator snapshots save", outputs.SnapshotJson),
    CommandOutput("emulator snapshots restore", outputs.SnapshotJson),
    CommandOutput("emulator snapshots remove", outputs.SnapshotJson),
    CommandOutput("emulator faults", list[outputs.FaultJson]),
    CommandOutput("emulator faults add", outputs.FaultJson),
    CommandOutput("emulator faults clear", list[Annotated[outputs.FaultJson, "A fault that was removed."]]),
)

WITHOUT_JSON = (
    "cache",
    "completion",
    "emulator",
    "emulator export",
    "emulator import",
    "emulator reset",
    "help",
)
"""Commands that print the same with and without `--json`."""


def commands_with_json() -> list[str]:
    """Return the commands that print JSON, in the order of the help."""
    return list(dict.fromkeys(output.command for output in OUTPUTS))


def command_schema(command: str) -> Schema:
    """Return the schema of what a command prints with `--json`. Raises UsageProblem if it prints no JSON.

    If a command prints lines, the schema is that of each line.
    """
    outputs = [output for output in OUTPUTS if output.command == command]
    if not outputs:
        subcommand = next((name for name in commands_with_json() if name.startswith(f"{command} ")), "deploy")
        problem = f"`ckfunc {command}` prints no JSON" if command else "--schema needs the name of a command"
        raise UsageProblem(problem, hint=f"run `ckfunc help {subcommand} --schema`")
    definitions: dict[str, Schema] = {}
    schemas = [schema_of(output.type, definitions) for output in outputs]
    different = [schema for number, schema in enumerate(schemas) if schema not in schemas[:number]]
    body = different[0] if len(different) == 1 else {"anyOf": different}
    lines = {"description": "Each line of the output."} if all(output.lines for output in outputs) else {}
    return {"$schema": DRAFT, "title": f"ckfunc {command} --json", **lines, **body, "$defs": definitions}


def schema_of(kind: Any, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a type. Objects are added to `definitions`, and the schema refers to them.

    Fields that are not listed are allowed, because newer versions of ckfunc may add some.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    schema: Schema = {}
    if is_typeddict(kind):
        schema = _object(kind, definitions)
    elif origin is Annotated:
        schema = {**schema_of(arguments[0], definitions), "description": arguments[1]}
    elif origin is Literal:
        schema = {"const": arguments[0]}
    elif origin is list:
        schema = {"type": "array", "items": schema_of(arguments[0], definitions)}
    elif origin in {dict, Mapping}:
        schema = {"type": "object", "additionalProperties": schema_of(arguments[1], definitions)}
    elif origin in {Union, UnionType}:
        schemas = [schema_of(argument, definitions) for argument in arguments]
        plain = all(each.keys() == {"type"} for each in schemas)
        schema = {"type": [each["type"] for each in schemas]} if plain else {"anyOf": schemas}
    elif kind is not Any:
        schema = {"type": _TYPES[kind]}
    return schema


def _object(kind: type, definitions: dict[str, Schema]) -> Schema:
    name = kind.__name__.removesuffix("Json")
    if name not in definitions:
        properties: dict[str, Schema] = {}
        required = []
        definitions[name] = {"type": "object", "description": kind.__doc__, "properties": properties}
        for field, hint in get_type_hints(kind, include_extras=True).items():
            optional = get_origin(hint) is NotRequired
            properties[field] = schema_of(get_args(hint)[0] if optional else hint, definitions)
            required += [] if optional else [field]
        definitions[name]["required"] = required
    return {"$ref": f"#/$defs/{name}"}
