"""Environment and application of a target, with overrides and variables applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.errors import Problem
from ckfunc.base.secrets import Secret
from ckfunc.manifest.checked import Branch, Leaf
from ckfunc.manifest.definition import APPLICATION_ID, MANIFEST_NAME
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.targets import section
from ckfunc.manifest.tree import Scalar
from ckfunc.manifest.variables import expand, lookup, references

_LITERAL_APPLICATION = Rule(
    APPLICATION_ID, "is not an application's id or key after ${NAME} is replaced", "an id is a number, a key is a UUID"
)


@dataclass(frozen=True, slots=True)
class Values:
    """The resolved values of a target. `environment` is None if it is unmanaged, or if a variable has no value."""

    environment: dict[str, Secret] | None = None
    application: str | None = None
    unresolved: tuple[Problem, ...] = ()
    """Variables without a value, allowed by `lenient`."""
    literals: frozenset[str] = frozenset()
    """The names in `environment` whose values do not refer to variables."""
    unknown: frozenset[str] = frozenset()
    """The names in `environment` whose values refer to variables without a value."""


def resolve(
    manifest: Branch, target: str, root: Path, environ: Mapping[str, str], *, lenient: bool = False
) -> tuple[Values, tuple[Problem, ...]]:
    """Return the values that apply to `target`, and a problem for each variable without a value.

    Overridden values and those of other targets are ignored. Problems never contain values. With `lenient`, a reference
    to a variable without a value stays unchanged, and an application with such a reference is None.
    """
    target_section = section(manifest, target)
    environment = _environment(manifest, target_section)
    application = target_section.leaf("application") if target_section else None
    leaves = [*(environment or {}).values(), *([application] if application else [])]
    values, file_problems = lookup(
        (name for leaf in leaves for name, _ in references(leaf.text)), root, target, environ
    )
    unresolved = tuple(problem for leaf in leaves for problem in _unresolved(leaf, values, target))
    # If a .env file could not be read, it may define the variables, so they are not reported as missing.
    problems = [*file_problems, *(() if lenient or file_problems else unresolved)]
    if problems:
        return Values(), tuple(problems)
    if application and any(name not in values for name, _ in references(application.text)):
        application = None
    unknown = [
        name
        for name, leaf in (environment or {}).items()
        if any(variable not in values for variable, _ in references(leaf.text))
    ]
    values = {name: f"${{{name}}}" for leaf in leaves for name, _ in references(leaf.text)} | values
    key = expand(application.text, values) if application else None
    if application and key is not None and not _LITERAL_APPLICATION.allows(key):
        message, node = f"application {_LITERAL_APPLICATION.wrong}", application.node
        problems.append(Problem(MANIFEST_NAME, node.line, node.column, message, _LITERAL_APPLICATION.hint))
    expanded = None
    if environment is not None:
        expanded = {name: Secret(expand(leaf.text, values)) for name, leaf in environment.items()}
    literals = frozenset(name for name, leaf in (environment or {}).items() if not references(leaf.text))
    return Values(expanded, key, unresolved, literals, frozenset(unknown)), tuple(problems)


def resolve_application(
    manifest: Branch, target: str, root: Path, environ: Mapping[str, str]
) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the application that `target` is bound to, and the problems in resolving it."""
    target_section = section(manifest, target)
    leaf = target_section.leaf("application") if target_section else None
    if leaf is None:
        return None, ()
    values, file_problems = lookup((name for name, _ in references(leaf.text)), root, target, environ)
    problems = file_problems or tuple(_unresolved(leaf, values, target))
    return (None, problems) if problems else (expand(leaf.text, values), ())


def _environment(manifest: Branch, target: Branch | None) -> dict[str, Leaf] | None:
    runtime = manifest.branch("runtime")
    base = runtime.branch("environment") if runtime else None
    override = target.branch("environment") if target else None
    if base is None and override is None:
        return None
    return {**(base.leaves() if base else {}), **(override.leaves() if override else {})}


def _unresolved(leaf: Leaf, values: Mapping[str, str], target: str) -> Iterator[Problem]:
    for name, offset in references(leaf.text):
        if name not in values:
            column = leaf.node.column + _source_offset(leaf.node, offset)
            hint = f"set {name} in the shell, in .env.{target} or in .env"
            yield Problem(MANIFEST_NAME, leaf.node.line, column, f"${{{name}}} has no value", hint)


def _source_offset(node: Scalar, offset: int) -> int:
    """Return the offset in a scalar's source of the character at `offset` in its text; 0 if it is unknown."""
    extra = node.end - node.start - len(node.text)
    return offset + extra // 2 if extra in (0, 2) and not node.block and "\n" not in node.text else 0
