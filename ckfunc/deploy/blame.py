"""Commits that deployed scripts came from, found by content."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.base.git import GitMissing, GitRefused, git, trust_command
from ckfunc.base.text import digest
from ckfunc.bundle.git_files import GitFiles
from ckfunc.bundle.project import Bundler
from ckfunc.deploy.history import script_digest
from ckfunc.deploy.resources import newlines
from ckfunc.model.function import FunctionVersion
from ckfunc.model.project import Script

MOST_BUNDLED = 200
"""The number of commits that bundles are made of, to find the one that a version came from."""

_MOST_BYTES = 1024 * 1024
_COMMIT = "\x01"
_FIELD = "\x02"
_RAW = re.compile(r":\d+ \d+ [0-9a-f]+ (?P<blob>[0-9a-f]{40,64}) [A-Z]\d*\t")
_NOTHING = re.compile(r"0+")


class NoHistory(CkfuncError):
    """There is no git here, or it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and the digest of the handler after it.

    `cut` marks a commit at the edge of a shallow clone: git shows all its files as new, whether it changed them or not.
    """

    id: str
    author: str
    time: datetime
    subject: str
    digest: str
    cut: bool = False


def commits_of(root: Path, paths: Collection[str]) -> tuple[Commit, ...]:
    """Return the commits that changed the files at `paths` (relative to `root`), the oldest first, renames followed.

    Raises NoHistory when the project is in no git repository.
    """
    found: dict[tuple[str, str], tuple[list[str], str]] = {}
    for path in paths:
        for fields, blob in _log(root, path):
            found[fields[0], blob] = (fields, blob)
    digests = _digests(root, sorted({blob for _, blob in found.values()}))
    edge = _shallow_edge(root)
    commits = [
        Commit(fields[0], fields[1], datetime.fromisoformat(fields[2]), fields[3], digests[blob], fields[0] in edge)
        for fields, blob in found.values()
        if blob in digests
    ]
    return tuple(sorted(commits, key=lambda one: one.time))


def blame(digests: Mapping[int, str], commits: Sequence[Commit]) -> dict[int, Commit]:
    """Return the commit that each version came from; `digests` are those of the versions' scripts, by number.

    Versions are deployed in the order of history more often than not: among several commits with the same content, the
    first one after the commit of the version before is taken, else the first of all.
    """
    found: dict[int, Commit] = {}
    since = 0
    for number, wanted in sorted(digests.items()):
        places = [place for place, one in enumerate(commits) if one.digest == wanted]
        if places:
            place = next((one for one in places if one >= since), places[0])
            found[number], since = commits[place], place
    return found


def blame_versions(
    root: Path, handler: Script, versions: Sequence[FunctionVersion], bundler: Bundler
) -> tuple[dict[int, Commit], tuple[str, ...]]:
    """Return the commit that each version of a handler came from, by number, and warnings.

    For a bundled handler, a bundle is made of what each commit had. Raises NoHistory.
    """
    commits, warnings = commits_of(root, (handler.path,)), []
    if handler.modules:
        bundled, skipped = _bundled_commits(root, handler, bundler)
        commits = tuple(sorted((*commits, *bundled), key=lambda one: one.time))
        if skipped:
            warnings.append(
                f"only the newest {MOST_BUNDLED} of {MOST_BUNDLED + skipped} commits to its files were read"
            )
    found = blame({one.version_number: script_digest(one) for one in versions}, commits)
    known = {number: one for number, one in found.items() if not one.cut}
    if len(known) < len(versions) and any(one.cut for one in commits):
        warnings.append(
            "this clone is shallow: versions from before its first commit have no commit here "
            "(`git fetch --unshallow` fetches the rest of the history)"
        )
    return known, tuple(warnings)


def _bundled_commits(root: Path, handler: Script, bundler: Bundler) -> tuple[list[Commit], int]:
    """Return the commits that changed any file of a bundle, each with the digest of its bundle, and how many others."""
    changes = {one.id: one for one in commits_of(root, handler.modules)}
    newest = sorted(changes.values(), key=lambda one: one.time)[-MOST_BUNDLED:]
    past = GitFiles(root)
    found = []
    for one in newest:
        read = past.at(one.id)
        source = read(handler.path)
        text = bundler.script(handler.path, source, read) if isinstance(source, str) else None
        if text is not None:
            found.append(replace(one, digest=digest(newlines(text))))
    return found, len(changes) - len(newest)


def _log(root: Path, path: str) -> list[tuple[list[str], str]]:
    """Return the fields and the blob of every commit that left content at `path`."""
    layout = f"--format={_COMMIT}%H{_FIELD}%an{_FIELD}%aI{_FIELD}%s"
    # Literal, because a handler may be called [id].ts.
    told = _git(
        root, "--literal-pathspecs", "log", "--follow", "-m", "--raw", "--no-abbrev", layout, "--", path
    ).decode("utf-8", "replace")
    found = []
    for entry in told.split(_COMMIT)[1:]:
        head, _, rest = entry.partition("\n")
        fields = head.split(_FIELD, 3)
        for line in rest.splitlines():
            raw = _RAW.match(line)
            if raw and len(fields) == 4 and not _NOTHING.fullmatch(raw["blob"]):
                found.append((fields, raw["blob"]))
    return found


def _shallow_edge(root: Path) -> frozenset[str]:
    """Return the ids of the commits whose parents a shallow clone lacks. Source: gitrepository-layout(5), `shallow`."""
    place = _git(root, "rev-parse", "--git-path", "shallow").decode("utf-8", "replace").rstrip("\n")
    try:
        edge = (root / place).read_text("ascii", "replace").split()
    except OSError:
        return frozenset()
    # A clone exactly as deep as its history lists the very first commit too, though nothing of it was cut off.
    return frozenset(one for one, _, content in _objects(root, edge) if b"\nparent " in content.partition(b"\n\n")[0])


def _digests(root: Path, blobs: Sequence[str]) -> dict[str, str]:
    """Return the digest of each blob that is a text, as a deploy would have sent it."""
    found: dict[str, str] = {}
    for name, kind, content in _objects(root, blobs):
        if kind == "blob" and len(content) <= _MOST_BYTES:
            text = content.decode("utf-8", "replace").removeprefix("\ufeff")
            found[name] = digest(newlines(text))
    return found


def _objects(root: Path, names: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, kind and content of each git object that the repository has."""
    told = _git(root, "cat-file", "--batch", given="".join(f"{one}\n" for one in names).encode()) if names else b""
    place = 0
    while place < len(told):
        end = told.index(b"\n", place)
        head = told[place:end].decode("ascii", "replace").split(" ")
        if len(head) != 3:  # missing, as in a partial clone
            place = end + 1
            continue
        size = int(head[2])
        yield head[0], head[1], told[end + 1 : end + 1 + size]
        place = end + 1 + size + 1


def _git(root: Path, *arguments: str, given: bytes = b"") -> bytes:
    try:
        return git(root, *arguments, given=given)
    except GitMissing:
        raise NoHistory("git cannot be run here", hint="--blame needs git and the project's history") from None
    except GitRefused as refusal:
        if refusal.no_commits:
            return b""
        if refusal.dubious_ownership:
            raise NoHistory(
                "git does not read this repository, because it belongs to another user",
                hint=f"if you trust it: {trust_command(root)}",
            ) from None
        raise NoHistory(
            "the project is not in a git repository, or git cannot read it",
            hint="--blame needs a git repository that contains the handlers",
        ) from None
