"""Validate the `--json` output of commands, without additional fields."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import click
from jsonschema import Draft202012Validator

from ckfunc.cli.commands.help import within
from ckfunc.cli.main import cli
from ckfunc.model.command_outputs import OUTPUTS, command_schema


def command_of(args: Sequence[str]) -> str:
    """Return the words of a command line that name its command, such as `emulator faults add`."""
    context, words = click.Context(cli, info_name="ckfunc"), list[str]()
    for arg in args:
        inner = within(context, arg)
        if inner is not None:
            context = inner
            words.append(arg)
    return " ".join(words)


@cache
def strict_validator(command: str) -> Draft202012Validator:
    schema = command_schema(command)
    for definition in schema["$defs"].values():
        definition["additionalProperties"] = False
    return Draft202012Validator(schema)


def documents_of(command: str, out: str) -> list[Any]:
    """Return the documents in an output, in lines if the command prints lines."""
    lines = any(output.lines for output in OUTPUTS if output.command == command)
    return [json.loads(line) for line in out.splitlines()] if lines and command != "check" else [json.loads(out)]


def require_documented(command: str, *documents: Any) -> None:
    """Fail unless the documents match the schema of the command's output."""
    for document in documents:
        problems = [
            f"{problem.json_path}: {problem.message}" for problem in strict_validator(command).iter_errors(document)
        ]
        assert problems == [], f"`ckfunc {command} --json` printed something that is not in its schema"
