"""Small projects for tests of bundling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ckfunc.manifest.project import load
from ckfunc.model.project import Project, Script

Make = Callable[..., Project]

HANDLER = """\
import { greeting } from "../lib/format";

async function handleEvent(event: UserAttemptedStartSessionEvent, context: Context) {
  return greeting(event.username);
}
"""
FORMAT = """\
import ms from "ms";

/** Says hello. */
export function greeting(name: string): string {
  if (!name) {
    throw new Error("nobody is there");
  }
  return `hello ${name}, within ${ms(1000)}`;
}

export const unused = (value: number) => value + 1;
"""


def written(root: Path, files: Mapping[str, str], handlers: Mapping[str, str], init: str | None = None) -> Project:
    """Write a project with `handlers` (paths by type) and return it without bundling."""
    lines = ["version: 1", *([f"runtime:\n  initialization_script: {init}"] if init else []), "functions:"]
    lines += [f"  {name}: {{handler: {path}}}" for name, path in handlers.items()]
    for path, text in {
        **files,
        "functions.yaml": "\n".join([*lines, "targets: {local: {emulator: true}}", ""]),
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode())
    return load(root, None, {})


def handler(project: Project, name: str = "start") -> Script:
    """Return the handler of a function of that type's last word."""
    (found,) = [function.handler for function in project.functions or () if function.type == f"type.{name}"]
    return found
