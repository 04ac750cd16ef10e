"""Targets of a manifest: selection of one, and its values, settings and scripts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import did_you_mean
from ckfunc.manifest.definition import APPLICATION_ID, MANIFEST_NAME
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.sources import Complaint, Spelling, normal_path, read_script, same_letters
from ckfunc.manifest.tree import Scalar
from ckfunc.manifest.validation import Branch, Leaf, one_of
from ckfunc.manifest.variables import expand, lookup, references
from ckfunc.model.project import ManifestFunction, Script, Target, WatchPolicy
from ckfunc.model.triggers import START_SESSION, display_name

LOCAL = "local"
DEFAULT = "default"

_Region: TypeAlias = tuple[tuple[int, int], tuple[float, float]]
"""Line and column of an entry in a mapping, and of the next entry."""

_LITERAL_APPLICATION = Rule(
    APPLICATION_ID, "is not an application's id or key after ${NAME} is replaced", "an id is a number, a key is a UUID"
)

GUESTS_ALLOWED = f"guest users are allowed: anyone can start a session unless {START_SESSION} refuses it"


class NoSuchTarget(CkfuncError):
    """The selected target is not in the manifest."""

    def __init__(self, name: str, names: tuple[str, ...]) -> None:
        meant = did_you_mean(name, names)
        hint = f"{meant} (targets: {', '.join(names)})" if meant else f"targets: {', '.join(names)}"
        super().__init__(f"there is no target {name!r} in {MANIFEST_NAME}", hint)


class TargetNeeded(CkfuncError):
    """The manifest has several targets, and none was selected."""

    def __init__(self, names: tuple[str, ...]) -> None:
        listed = ", ".join(names)
        hint = f"use --target NAME, or set `default_target` in {MANIFEST_NAME} (targets: {listed})"
        super().__init__("no target selected: there are several and no default", hint)


def target_names(manifest: Branch) -> tuple[str, ...]:
    """Return the valid values of --target: the manifest's targets (or `default`), and `local`, which always exists."""
    names = _defined(manifest)
    return names if LOCAL in names else (*names, LOCAL)


def choose(manifest: Branch, name: str | None, *, first: bool = False) -> str:
    """Return the name of the selected target; with `first`, the first one if none is selected.

    Raises NoSuchTarget or TargetNeeded.
    """
    names = target_names(manifest)
    chosen = name if name is not None else manifest.text("default_target")
    if chosen is not None:
        if chosen not in names:
            raise NoSuchTarget(chosen, names)
        return chosen
    defined = _defined(manifest)
    if len(defined) > 1 and not first:
        raise TargetNeeded(defined)
    return defined[0]


def target_of(manifest: Branch, name: str, application: str | None) -> Target:
    """Return the target `name`, bound to `application`."""
    target_section = manifest.branch("targets", name)
    if target_section is None:
        return Target(name, emulator=name == LOCAL)
    return Target(name, target_section.flag("emulator"), application, target_section.flag("protected"))


def watch_policy(target_section: Branch | None) -> WatchPolicy:
    """Return how deploys to the target with this section are watched; None is a target without a section."""
    if target_section is None:
        return WatchPolicy()
    watch_for, max_failures, least = map(target_section.text, ("watch_for", "max_failures", "min_runs"))
    return WatchPolicy().with_texts(watch_for, max_failures, None if least is None else int(least))


def problems(manifest: Branch) -> list[Problem]:
    """Return the errors in targets that the format does not exclude."""
    mistakes = []
    default, names = manifest.leaf("default_target"), target_names(manifest)
    unreadable = "targets" in manifest.keys and manifest.branch("targets") is None
    if default and default.text not in names and not unreadable:
        hint = did_you_mean(default.text, names) or one_of(names)
        message = f"default_target {default.text!r} is not a target"
        mistakes.append(Problem(MANIFEST_NAME, default.node.line, default.node.column, message, hint))
    targets = manifest.branch("targets")
    for name, target_section in targets.branches() if targets else ():
        if target_section.flag("emulator") and (key := target_section.keys.get("application")):
            message = f"target {name!r} is an emulator, which has its own application"
            mistakes.append(Problem(MANIFEST_NAME, key.line, key.column, message, "remove `application` or `emulator`"))
    return mistakes


def concerning(manifest: Branch, name: str, mistakes: Iterable[Problem], *, chosen: bool) -> list[Problem]:
    """Return the errors in the manifest that affect the target `name`.

    These are errors in `targets`, except in other targets, and in `default_target`, unless the target was `chosen` by
    name. Without a section `targets`, every error counts, because its key may be misspelt.
    """
    top = _regions(manifest)
    targets = manifest.branch("targets")
    other_regions = [region for key, region in (_regions(targets) if targets else {}).items() if key != name]
    regions = [top[key] for key in ("targets", *(() if chosen else ("default_target",))) if key in top]
    return [
        each
        for each in mistakes
        if each.path == MANIFEST_NAME
        and ("targets" not in top or _within(each, regions))
        and not _within(each, other_regions)
    ]


@frozen
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
    target_section = manifest.branch("targets", target)
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
    target_section = manifest.branch("targets", target)
    leaf = target_section.leaf("application") if target_section else None
    if leaf is None:
        return None, ()
    values, file_problems = lookup((name for name, _ in references(leaf.text)), root, target, environ)
    problems = file_problems or tuple(_unresolved(leaf, values, target))
    return (None, problems) if problems else (expand(leaf.text, values), ())


def settings_of(manifest: Branch, target_name: str) -> dict[str, bool] | None:
    """Return the settings that the manifest has for a target; None if it has none."""
    return {path[-1]: leaf.data is True for path, leaf in _settings(manifest, target_name)} or None


def setting_places(manifest: Branch, target_name: str) -> dict[str, tuple[str, ...]]:
    """Return the path in the manifest of each setting of a target."""
    return {path[-1]: path for path, _ in _settings(manifest, target_name)}


def guest_warnings(manifest: Branch) -> Iterator[Problem]:
    """Yield each place that allows guest users, if there is a function that decides who may start a session.

    Emulators do not count: ChatKitty recommends disabling guest users in production. Source:
    https://chatkitty.com/docs/guides/securing-user-sessions
    """
    functions = manifest.branch("functions")
    if functions is None or START_SESSION not in functions.keys:
        return
    places: dict[tuple[int, int], list[str]] = {}
    for name in target_names(manifest):
        leaf = {path[-1]: leaf for path, leaf in _settings(manifest, name)}.get("guest_users")
        if leaf is not None and leaf.data is True and not target_of(manifest, name, None).emulator:
            places.setdefault((leaf.node.line, leaf.node.column), []).append(name)
    for (line, column), names in sorted(places.items()):
        message = f"on {' and '.join(names)}, {GUESTS_ALLOWED}"
        yield Problem(MANIFEST_NAME, line, column, message, "write `guest_users: false`")


class ScriptReader:
    """Reads the scripts of a project, each only once; `problems` receives those that cannot be used."""

    def __init__(self, root: Path, problems: list[Problem]) -> None:
        self._root = root
        self._problems = problems
        self._read: dict[str, str | Complaint] = {}
        self._spelling = Spelling(root)

    def script(self, key: str, leaf: Leaf) -> Script | None:
        """Return the script that the value of a key names; None, with a problem, if it cannot be used."""
        path = self._spelling.of(leaf.text)
        if path not in self._read:
            self._read[path] = self._text(path, leaf.text)
        text = self._read[path]
        # An empty init script is allowed: it disables a deployed one.
        if isinstance(text, str) and not text.strip() and key == "handler":
            text = Complaint(f"{path!r} is empty", "a handler needs a top-level function handleEvent")
        if isinstance(text, str):
            return Script(path, text)
        file, line, column = (
            (path, text.line, text.column) if text.line else (MANIFEST_NAME, leaf.node.line, leaf.node.column)
        )
        self._problems.append(Problem(file, line, column, f"{key} {text.message}", text.hint))
        return None

    def _text(self, path: str, written: str) -> str | Complaint:
        """Return the text of a script. The path must be spelled as on disk, so that it works on every system."""
        if path != normal_path(written) and not same_letters(path, written):
            return Complaint(
                f"{written!r} is spelled {path!r} on disk", "use the same spelling: other systems distinguish them"
            )
        return read_script(self._root, path)


def script_of(section: Branch | None, key: str, scripts: ScriptReader) -> Script | None:
    """Return the script that a key of a section names; None if there is none, or it cannot be used."""
    leaf = section.leaf(key) if section else None
    return scripts.script(key, leaf) if leaf else None


def functions_of(manifest: Branch, scripts: ScriptReader) -> tuple[ManifestFunction, ...] | None:
    """Return the functions of the manifest whose handlers can be used; None if it does not manage functions."""
    section = manifest.branch("functions")
    if section is None:
        return None
    functions = []
    for trigger_type, entry in section.branches():
        handler = script_of(entry, "handler", scripts)
        if handler:
            name = entry.text("name") or display_name(trigger_type)
            asynchronously = entry.flag("initialize_asynchronously")
            functions.append(ManifestFunction(trigger_type, handler, name, entry.text("description"), asynchronously))
    return tuple(functions)


def _regions(branch: Branch) -> dict[str, _Region]:
    keys = [key for key, _ in branch.node.entries if isinstance(key, Scalar)]
    begins = [(key.line, key.column) for key in keys]
    ends: list[tuple[float, float]] = [*begins[1:], (math.inf, math.inf)]
    return {key.text: (begin, end) for key, begin, end in zip(keys, begins, ends, strict=True)}


def _within(problem: Problem, regions: Iterable[_Region]) -> bool:
    return any(begin <= (problem.line, problem.column) < end for begin, end in regions)


def _defined(manifest: Branch) -> tuple[str, ...]:
    targets = manifest.branch("targets")
    return tuple(targets.keys) if targets and targets.keys else (DEFAULT,)


def _environment(manifest: Branch, target: Branch | None) -> dict[str, Leaf] | None:
    base = manifest.branch("runtime", "environment")
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


def _settings(manifest: Branch, target_name: str) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield the settings of a target with their paths: those of all targets, then its own, which override them."""
    for path in (("settings",), ("targets", target_name, "settings")):
        settings = manifest.branch(*path)
        for name, leaf in (settings.leaves() if settings else {}).items():
            yield (*path, name), leaf
