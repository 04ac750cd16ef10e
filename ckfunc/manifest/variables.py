"""`${NAME}` references, and the variables of the process and .env files.

In order of precedence: the process's environment, `.env.<target>`, `.env`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ckfunc.base.errors import InvalidFiles, Problem
from ckfunc.base.secrets import Secret, secret_values
from ckfunc.base.text import newlines
from ckfunc.manifest.sources import Complaint, read_text, without_bom

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""Pattern of a variable's name."""

TEMPLATE = rf"[^$]*(?:\$(?:\$|\{{{NAME}\}}|(?![{{$]))[^$]*)*"
"""Pattern of a whole value: a `$` is literal unless `$` or `{` follows."""

_REFERENCES = re.compile(rf"\$\$|\$\{{({NAME})\}}")

CONNECTION_NAMES = (
    "CHATKITTY_CLIENT_ID",
    "CHATKITTY_CLIENT_SECRET",
    "CHATKITTY_API_URL",
    "CHATKITTY_AUTHORIZATION_URL",
)
"""Variables with the addresses and credentials of an application."""


def references(text: str) -> tuple[tuple[str, int], ...]:
    """Return the variables that `text` refers to, each with its offset, in order and with repetitions."""
    return tuple((part[1], part.start()) for part in _REFERENCES.finditer(text) if part[1])


def expand(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with references replaced by values, and `$$` by `$`. `values` must contain all variables."""
    return _REFERENCES.sub(lambda part: values[part[1]] if part[1] else "$", text)


def whole_reference(text: str) -> str | None:
    """Return the variable if `text` consists of a single reference, or else None."""
    part = _REFERENCES.fullmatch(text)
    return part[1] if part else None


def env_files(root: Path, target: str) -> tuple[Path, ...]:
    """Return the files that may define variables, in order of precedence; they need not exist."""
    return (root / f".env.{target}", root / ".env")


def lookup(
    names: Iterable[str],
    root: Path,
    target: str,
    environ: Mapping[str, str],
    origins: dict[str, str] | None = None,
) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Return the values of the defined variables among `names`, and the errors in .env files.

    The files are only read if a name is not in `environ`. An empty value counts as defined. For each value from a file,
    the file's name is added to `origins`.
    """
    requested = set(names)
    values = {name: environ[name] for name in requested if name in environ}
    problems: list[Problem] = []
    for path in env_files(root, target):
        if not (requested - values.keys()) or not _exists(path):
            continue
        variables, errors = read_env_file(path)
        problems += errors
        new = {name: variables[name] for name in requested - values.keys() if name in variables}
        values.update(new)
        if origins is not None:
            origins.update(dict.fromkeys(new, path.name))
    return values, tuple(problems)


def connection_variables(
    root: Path, target: str, environ: Mapping[str, str]
) -> tuple[dict[str, Secret], dict[str, str]]:
    """Return the variables with the platform's addresses and credentials, and their origins; see `lookup`.

    Raises InvalidFiles for a .env file that cannot be read.
    """
    origins: dict[str, str] = {}
    values, problems = lookup(CONNECTION_NAMES, root, target, environ, origins)
    if problems:
        raise InvalidFiles("the credentials cannot be read", problems, hint="nothing was sent")
    return secret_values(values), origins


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # reading the file reports the error


def read_env_file(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """Return the variables of a file with NAME=value lines, without interpolation, and the errors in it.

    The file may be a named pipe, as mounted by password managers. If a name occurs twice, the last value applies.
    """
    # Imported here, because most commands and CI runs have all variables in the process.
    from dotenv.parser import parse_stream

    text = read_text(path, path.name, pipe=True)
    if isinstance(text, Complaint):
        return {}, [text.problem(path.name)]
    values: dict[str, str] = {}
    problems = []
    for binding in parse_stream(io.StringIO(newlines(without_bom(text)))):
        if binding.error:
            # The line is not shown, because it may contain a secret.
            line, hint = binding.original.line, "write NAME=VALUE, with quotes around a value that contains spaces or #"
            problems.append(Problem(path.name, line, 1, "this line is not NAME=VALUE", hint))
        elif "\0" in (binding.value or ""):
            hint = "environment variables cannot contain one: save the file as plain text"
            problems.append(Problem(path.name, binding.original.line, 1, "this value contains a NUL character", hint))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values, problems
