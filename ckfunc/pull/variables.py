"""Environment variables in a pull: references in the manifest, values in `.env` files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from dotenv.parser import Binding, parse_stream

from ckfunc.base.secrets import Secret


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The text of a `.env` file, and the names whose values it cannot contain."""

    text: str = field(repr=False)
    unwritable: tuple[str, ...] = ()


def reference_names(environment: Mapping[str, Secret], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the reference for each variable: its own name, unless the shell has a different value of that name.

    The shell takes precedence over `.env` files, so `HOME: ${HOME}` would deploy the home directory of the user.
    """
    names: dict[str, str] = {}
    for name, value in environment.items():
        other = name
        while (other in environ and Secret(environ[other]) != value) or (other != name and other in environment):
            other = f"APP_{other}"
        names[name] = other
    return names


def env_text(text: str, values: Mapping[str, str]) -> EnvFile:
    """Return a `.env` file with `values` set, and all other lines unchanged."""
    lines = {name: _line(name, value) for name, value in values.items()}
    unwritable = tuple(sorted(name for name, line in lines.items() if line is None))
    parts: list[str] = []
    written: set[str] = set()
    for binding in parse_stream(io.StringIO(text)):
        line = lines.get(binding.key or "") if not binding.error else None
        if line is None or (binding.value or "").replace("\r\n", "\n") == values[binding.key or ""]:
            parts.append(binding.original.string)
        else:
            parts.append(_leading(binding) + line)
        if binding.key and not binding.error:
            written.add(binding.key)
    updated = "".join(parts)
    added = "".join(line for name, line in lines.items() if line is not None and name not in written)
    return EnvFile(f"{_ended(updated)}{added}", unwritable)


def _leading(binding: Binding) -> str:
    """Return the empty lines before a binding, which the parser adds to the binding."""
    string = binding.original.string
    return string[: len(string) - len(string.lstrip("\r\n"))]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _line(name: str, value: str) -> str | None:
    """Return `NAME=VALUE` with the first kind of quotes that preserves the value, or None if there is none."""
    single = value.replace("\\", "\\\\").replace("'", "\\'")
    double = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    for written in (value, f"'{single}'", f'"{double}"', f"'{value}'", f'"{value}"'):
        line = f"{name}={written}\n"
        # The next line shows whether a quote was left open.
        if _bindings(line + "NEXT='x'\n") == [(name, value), ("NEXT", "x")]:
            return line
    return None


def _bindings(text: str) -> list[tuple[str | None, str | None]]:
    try:
        return [
            (binding.key, None if binding.error else binding.value)
            for binding in parse_stream(io.StringIO(text, newline=""))
        ]
    except UnicodeError:
        return []
