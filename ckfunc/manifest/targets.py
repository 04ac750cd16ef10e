"""Targets of a manifest, and the selection of one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeAlias

from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.base.text import did_you_mean
from ckfunc.manifest.definition import MANIFEST_NAME
from ckfunc.manifest.tree import Mapping, Scalar
from ckfunc.manifest.validation import Branch, one_of
from ckfunc.model.project import Target, WatchPolicy

LOCAL = "local"
DEFAULT = "default"


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
    wanted = name if name is not None else manifest.text("default_target")
    if wanted is not None:
        if wanted not in names:
            raise NoSuchTarget(wanted, names)
        return wanted
    defined = _defined(manifest)
    if len(defined) > 1 and not first:
        raise TargetNeeded(defined)
    return defined[0]


def section(manifest: Branch, name: str) -> Branch | None:
    """Return the section of a target; None for a target without one."""
    targets = manifest.branch("targets")
    return targets.branch(name) if targets else None


def target_of(manifest: Branch, name: str, application: str | None) -> Target:
    """Return the target `name`, bound to `application`."""
    target_section = section(manifest, name)
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
    found = []
    default, names = manifest.leaf("default_target"), target_names(manifest)
    unreadable = "targets" in manifest.keys and manifest.branch("targets") is None
    if default and default.text not in names and not unreadable:
        hint = did_you_mean(default.text, names) or one_of(names)
        message = f"default_target {default.text!r} is not a target"
        found.append(Problem(MANIFEST_NAME, default.node.line, default.node.column, message, hint))
    targets = manifest.branch("targets")
    for name, target_section in targets.branches() if targets else ():
        if target_section.flag("emulator") and (key := target_section.keys.get("application")):
            message = f"target {name!r} is an emulator, which has its own application"
            found.append(Problem(MANIFEST_NAME, key.line, key.column, message, "remove `application` or `emulator`"))
    return found


def concerning(manifest: Branch, name: str, found: Iterable[Problem], *, chosen: bool) -> list[Problem]:
    """Return the errors in the manifest that affect the target `name`.

    These are errors in `targets`, except in other targets, and in `default_target`, unless the target was `chosen` by
    name. Without a section `targets`, every error counts, because its key may be misspelt.
    """
    top = _regions(manifest.node)
    targets = manifest.branch("targets")
    others = [region for key, region in (_regions(targets.node) if targets else {}).items() if key != name]
    regions = [top[key] for key in ("targets", *(() if chosen else ("default_target",))) if key in top]
    return [
        each
        for each in found
        if each.path == MANIFEST_NAME and ("targets" not in top or _within(each, regions)) and not _within(each, others)
    ]


_Region: TypeAlias = tuple[tuple[int, int], tuple[float, float]]
"""Line and column of an entry in a mapping, and of the next entry."""


def _regions(mapping: Mapping) -> dict[str, _Region]:
    keys = [key for key, _ in mapping.entries if isinstance(key, Scalar)]
    begins = [(key.line, key.column) for key in keys]
    ends: list[tuple[float, float]] = [*begins[1:], (math.inf, math.inf)]
    return {key.text: (begin, end) for key, begin, end in zip(keys, begins, ends, strict=True)}


def _within(problem: Problem, regions: Iterable[_Region]) -> bool:
    return any(begin <= (problem.line, problem.column) < end for begin, end in regions)


def _defined(manifest: Branch) -> tuple[str, ...]:
    targets = manifest.branch("targets")
    return tuple(targets.keys) if targets and targets.keys else (DEFAULT,)
