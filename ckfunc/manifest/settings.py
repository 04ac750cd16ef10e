"""Settings of an application in the manifest, and warnings about guest users."""

from __future__ import annotations

from collections.abc import Iterator

from ckfunc.base.errors import Problem
from ckfunc.manifest.checked import Branch, Leaf
from ckfunc.manifest.definition import MANIFEST_NAME
from ckfunc.manifest.targets import section, target, target_names
from ckfunc.model.triggers import START_SESSION

GUESTS_ALLOWED = f"guest users are allowed: anyone can start a session unless {START_SESSION} refuses it"


def values(manifest: Branch, target_name: str) -> dict[str, bool] | None:
    """Return the settings that the manifest has for a target; None if it has none."""
    return {path[-1]: leaf.data is True for path, leaf in _leaves(manifest, target_name)} or None


def paths(manifest: Branch, target_name: str) -> dict[str, tuple[str, ...]]:
    """Return the path in the manifest of each setting of a target."""
    return {path[-1]: path for path, _ in _leaves(manifest, target_name)}


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
        leaf = {path[-1]: leaf for path, leaf in _leaves(manifest, name)}.get("guest_users")
        if leaf is not None and leaf.data is True and not target(manifest, name, None).emulator:
            places.setdefault((leaf.node.line, leaf.node.column), []).append(name)
    for (line, column), names in sorted(places.items()):
        message = f"on {' and '.join(names)}, {GUESTS_ALLOWED}"
        yield Problem(MANIFEST_NAME, line, column, message, "write `guest_users: false`")


def _leaves(manifest: Branch, target_name: str) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield the settings of a target with their paths: those of all targets, then its own, which override them."""
    own = section(manifest, target_name)
    for path, branch in (((), manifest), (("targets", target_name), own)):
        settings = branch.branch("settings") if branch else None
        for name, leaf in (settings.leaves() if settings else {}).items():
            yield (*path, "settings", name), leaf
