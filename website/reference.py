"""Reference pages of the site, generated from commands and definitions: Markdown by the path of its page."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ckfunc.cli.commands.help import contexts, is_common
from ckfunc.cli.main import cli
from ckfunc.cli.options import examples
from ckfunc.manifest.definition import MANIFEST
from ckfunc.manifest.kinds import Data, Entries, Flag, Items, Kind, Number, Section, Text, Whole
from ckfunc.model.command_outputs import DRAFT, OUTPUTS, CommandOutput, schema_of
from ckfunc.testing.definition import CASES, project_schemas

_PLACEHOLDERS = {"functions": "TYPE", "targets": "NAME", "environment": "VARIABLE", "dependencies": "PACKAGE"}


def generated() -> dict[str, str]:
    """Return all generated pages and files of the site."""
    schemas = project_schemas()
    return {
        "command-options.md": command_options(),
        "manifest-keys.md": keys_page(
            "Keys of the manifest",
            "`functions.yaml` as ckfunc and editors check it. [The manifest](manifest.md) explains the keys; "
            "editors use the [JSON schema](functions.schema.json).",
            MANIFEST,
        ),
        "test-keys.md": keys_page(
            "Keys of test files",
            "`tests/*.yaml` as ckfunc and editors check them. [Test files](test-files.md) explains the keys; "
            "editors use the [JSON schema](tests.schema.json).",
            CASES,
        ),
        "json-output.md": json_output(),
        "output.schema.json": f"{json.dumps(output_schema(), indent=2)}\n",
        "functions.schema.json": f"{schemas.manifest}\n",
        "tests.schema.json": f"{schemas.tests}\n",
    }


def command_options() -> str:
    """Return a page with usage, options and examples of every command."""
    root = click.Context(cli, info_name="ckfunc")
    common = [param for param in cli.params if is_common(param)]
    parts = [
        "# Command options",
        "Usage, options and examples of every command, as `ckfunc COMMAND --help` shows them. "
        "[Commands](commands.md) is an overview.",
        "## Common options",
        "All commands have these options, which can precede or follow the name of the command.",
        _options(root, common),
    ]
    for context in contexts(root):
        command = context.command
        text = inspect.cleandoc(command.help or "").replace("\b\n", "")
        parts += [
            f"## {context.command_path}",
            _prose(text),
            f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```",
            _options(context, [param for param in command.params if not is_common(param)]),
        ]
        if text := examples(context):
            heading, _, lines = text.partition("\n")
            parts += [heading, f"```sh\n{inspect.cleandoc(lines)}\n```"]
    return "\n\n".join(filter(None, parts)) + "\n"


def json_output() -> str:
    """Return a page with the `--json` output of every command, and a table of the fields of every object."""
    definitions: dict[str, Any] = {}
    rows = [
        f"| `ckfunc {output.command}` | {output.condition} | {_output(output, schema_of(output.type, definitions))} |"
        for output in OUTPUTS
    ]
    parts = [
        "# JSON output",
        "What commands print with `--json`, on stdout. Errors and messages are text on stderr. Fields that are not "
        "marked as optional are always there. Newer versions may add fields, so ignore those that you don't know.",
        "`ckfunc help COMMAND --schema` prints the JSON Schema of a command's output; "
        "[output.schema.json](output.schema.json) has the schemas of all commands.",
        "\n".join(["| command | when | output |", "|---|---|---|", *rows]),
    ]
    for name in sorted(definitions):
        parts += [f"## {name}", definitions[name]["description"], _fields(definitions[name])]
    return "\n\n".join(parts) + "\n"


def output_schema() -> dict[str, Any]:
    """Return a JSON Schema with a definition for the output of each command and for each object."""
    definitions: dict[str, Any] = {}
    found: dict[str, list[Any]] = {}
    for output in OUTPUTS:
        schema, these = schema_of(output.type, definitions), found.setdefault(f"ckfunc {output.command}", [])
        these += [] if schema in these else [schema]
    commands = {name: these[0] if len(these) == 1 else {"anyOf": these} for name, these in found.items()}
    return {"$schema": DRAFT, "title": "Output of ckfunc with --json", "$defs": {**commands, **definitions}}


def _output(output: CommandOutput, schema: Mapping[str, Any]) -> str:
    shown = _value(schema)
    shown = f"one per line: {shown}" if output.lines else shown
    described = schema.get("description") or schema.get("items", {}).get("description")
    return f"{shown}: {_cell(described)}" if described else shown


def _fields(definition: Mapping[str, Any]) -> str:
    rows = []
    for name, schema in definition["properties"].items():
        optional = "" if name in definition["required"] else ", optional"
        rows.append(f"| `{name}` | {_value(schema)}{optional} | {_cell(schema.get('description', ''))} |")
    return "\n".join(["| field | value | description |", "|---|---|---|", *rows])


def _value(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words, with links to objects."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        *others, last = map(_value, schema["anyOf"])
        return f"{', '.join(others)} or {last}"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    kinds = schema.get("type", "any value")
    if kinds == "array":
        return f"list of {_value(schema['items'])}"
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def keys_page(title: str, opening: str, section: Section) -> str:
    """Return a page with a table of all keys of a file, with their types and rules."""
    rows = [f"| `{name}` | {kind} | {_cell(doc)} |" for name, kind, doc in _keys(section, "")]
    table = "\n".join(["| key | value | description |", "|---|---|---|", *rows])
    return f"# {title}\n\n{opening}\n\n{table}\n"


def _options(context: click.Context, params: list[click.Parameter]) -> str:
    options = [param for param in params if isinstance(param, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    rows = [f"| `{names.replace('|', chr(92) + '|')}` | {_cell(text)} |" for names, text in records]
    return "\n".join(["| option | description |", "|---|---|", *rows]) if rows else ""


def _prose(text: str) -> str:
    """Return the text of a help in Markdown: indented lines are code."""
    blocks = []
    for block in text.split("\n\n"):
        lines = block.splitlines()
        code = [line for line in lines if line.startswith("  ")]
        words = [line for line in lines if not line.startswith("  ")]
        blocks += [_escaped("\n".join(words))] if words else []
        blocks += [f"```text\n{inspect.cleandoc(chr(10).join(code))}\n```"] if code else []
    return "\n\n".join(blocks)


def _keys(section: Section, prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and description of every key."""
    for field in section.fields:
        name = f"{prefix}{field.name}"
        doc = f"{field.doc} Also spelled `{field.also}`." if field.also else field.doc
        yield name, f"{_type(field.kind)}{', required' if field.required else ''}", doc
        kind, below = field.kind, name
        while isinstance(kind, Items | Entries):
            below += "[]" if isinstance(kind, Items) else f".{_PLACEHOLDERS.get(field.name, 'NAME')}"
            kind = kind.kind
        if isinstance(kind, Section):
            yield from _keys(kind, f"{below}.")


def _type(kind: Kind) -> str:
    match kind:
        case Text():
            shown = " or ".join(f"`{choice}`" for choice in kind.choices) or "string"
        case Flag():
            shown = "`true` or `false`"
        case Number():
            shown = f"`{kind.value}`"
        case Whole():
            shown = f"whole number from {kind.least}" + (f" to {kind.most}" if kind.most < 2**53 - 1 else "")
        case Data():
            shown = "mapping" if kind.mapping else "any value"
        case Items():
            shown = f"list of: {_type(kind.kind)}"
        case Entries():
            shown = f"mapping from {kind.entry} to: {_type(kind.kind)}"
        case Section():
            shown = "keys below"
    return shown


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Escape what Markdown would take for markup outside of code."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if index % 2 else re.sub(r"([*<\[\]_])", r"\\\1", part) for index, part in enumerate(parts))
