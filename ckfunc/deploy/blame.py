"""Commits that deployed scripts came from, found by content."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.git import GitMissing, GitRefused, git, trust_command
from ckfunc.base.text import digest, newlines
from ckfunc.bundle.graph import Reader
from ckfunc.bundle.project import Bundler
from ckfunc.deploy.history import script_digest
from ckfunc.manifest.sources import MAX_FILE_BYTES
from ckfunc.model.application import FunctionVersion
from ckfunc.model.project import Script

MOST_BUNDLED = 200
"""How many commits are bundled, at most, to find the origin of a version."""

_MOST_BYTES = 1024 * 1024
_COMMIT = "\x01"
_FIELD = "\x02"
_RAW = re.compile(r":\d+ \d+ [0-9a-f]+ (?P<blob>[0-9a-f]{40,64}) [A-Z]\d*\t")
_NOTHING = re.compile(r"0+")


class NoHistory(CkfuncError):
    """Git is not installed, or cannot read the history."""


@frozen
class Commit:
    """A commit, and the digest of the handler after it.

    `is_shallow` marks a commit at the edge of a shallow clone: git lists all its files as new, changed or not.
    """

    id: str
    author: str
    time: datetime
    subject: str
    digest: str
    is_shallow: bool = False


def commits_of(root: Path, paths: Collection[str]) -> tuple[Commit, ...]:
    """Return the commits that changed the files at `paths` (relative to `root`), oldest first, renames followed.

    Raises NoHistory when the project is in no git repository.
    """
    changes: dict[tuple[str, str], tuple[list[str], str]] = {}
    for path in paths:
        for fields, blob in _log(root, path):
            changes[fields[0], blob] = (fields, blob)
    digests = _digests(root, sorted({blob for _, blob in changes.values()}))
    edge = _shallow_edge(root)
    commits = [
        Commit(fields[0], fields[1], datetime.fromisoformat(fields[2]), fields[3], digests[blob], fields[0] in edge)
        for fields, blob in changes.values()
        if blob in digests
    ]
    return tuple(sorted(commits, key=lambda commit: commit.time))


def blame(digests: Mapping[int, str], commits: Sequence[Commit]) -> dict[int, Commit]:
    """Return the commit of each version. `digests` maps version numbers to digests of their scripts.

    Versions are usually deployed in the order of history. If several commits have the same content, the first one after
    the commit of the previous version is used, or else the first of all.
    """
    origins: dict[int, Commit] = {}
    since = 0
    for number, content in sorted(digests.items()):
        places = [place for place, commit in enumerate(commits) if commit.digest == content]
        if places:
            place = next((place for place in places if place >= since), places[0])
            origins[number], since = commits[place], place
    return origins


def blame_versions(
    root: Path, handler: Script, versions: Sequence[FunctionVersion], bundler: Bundler
) -> tuple[dict[int, Commit], tuple[str, ...]]:
    """Return the commit of each version of a handler, by version number, and warnings.

    For a bundled handler, the files of each commit are bundled and compared. Raises NoHistory.
    """
    commits, warnings = commits_of(root, (handler.path,)), []
    if handler.modules:
        bundled, skipped = _bundled_commits(root, handler, bundler)
        commits = tuple(sorted((*commits, *bundled), key=lambda commit: commit.time))
        if skipped:
            warnings.append(
                f"only the newest {MOST_BUNDLED} of {MOST_BUNDLED + skipped} commits to its files were read"
            )
    commits_by_number = blame({version.version_number: script_digest(version) for version in versions}, commits)
    complete = {number: commit for number, commit in commits_by_number.items() if not commit.is_shallow}
    if len(complete) < len(versions) and any(commit.is_shallow for commit in commits):
        warnings.append(
            "this clone is shallow: commits of older versions are unknown "
            "(`git fetch --unshallow` fetches the rest of the history)"
        )
    return complete, tuple(warnings)


class GitFiles:
    """The files in a project's git repository. Files that git cannot read count as missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, str] = {}

    def at(self, commit: str) -> Reader:
        """Return a reader of the files at `commit`."""
        listed = self._git("ls-tree", "-r", "-z", commit, "--", ".").decode("utf-8", "replace")
        blobs: dict[str, str] = {}
        for entry in listed.split("\0"):
            head, _, path = entry.partition("\t")
            mode, _, rest = head.partition(" ")
            if path and mode.startswith("100"):  # a regular file, not a link or submodule
                blobs[path] = rest.split(" ")[1]
        return lambda path: self.text(blobs[path]) if path in blobs else None

    def text(self, blob: str) -> str:
        """Return the text of a blob, decoded as in a deploy."""
        if blob not in self._texts:
            data = self._git("cat-file", "blob", blob)[: MAX_FILE_BYTES + 1]
            self._texts[blob] = newlines(data.decode("utf-8", "replace").removeprefix("\ufeff"))
        return self._texts[blob]

    def _git(self, *arguments: str) -> bytes:
        try:
            return git(self._root, *arguments)
        except (GitMissing, GitRefused):
            return b""


def _bundled_commits(root: Path, handler: Script, bundler: Bundler) -> tuple[list[Commit], int]:
    """Return the commits that changed a file of a bundle, with bundle digests, and how many commits were skipped."""
    changes = {commit.id: commit for commit in commits_of(root, handler.modules)}
    newest = sorted(changes.values(), key=lambda commit: commit.time)[-MOST_BUNDLED:]
    git_files = GitFiles(root)
    bundled = []
    for commit in newest:
        read = git_files.at(commit.id)
        source = read(handler.path)
        text = bundler.script(handler.path, source, read) if isinstance(source, str) else None
        if text is not None:
            bundled.append(replace(commit, digest=digest(newlines(text))))
    return bundled, len(changes) - len(newest)


def _log(root: Path, path: str) -> list[tuple[list[str], str]]:
    """Return the fields and the blob of every commit that left content at `path`."""
    layout = f"--format={_COMMIT}%H{_FIELD}%an{_FIELD}%aI{_FIELD}%s"
    # Literal pathspecs, because a handler may be called [id].ts.
    output = _git(
        root, "--literal-pathspecs", "log", "--follow", "-m", "--raw", "--no-abbrev", layout, "--", path
    ).decode("utf-8", "replace")
    entries = []
    for entry in output.split(_COMMIT)[1:]:
        head, _, rest = entry.partition("\n")
        fields = head.split(_FIELD, 3)
        for line in rest.splitlines():
            raw = _RAW.match(line)
            if raw and len(fields) == 4 and not _NOTHING.fullmatch(raw["blob"]):
                entries.append((fields, raw["blob"]))
    return entries


def _shallow_edge(root: Path) -> frozenset[str]:
    """Return the ids of commits whose parents a shallow clone omits. Source: gitrepository-layout(5), `shallow`."""
    path = _git(root, "rev-parse", "--git-path", "shallow").decode("utf-8", "replace").rstrip("\n")
    try:
        edge = (root / path).read_text("ascii", "replace").split()
    except OSError:
        return frozenset()
    # A clone exactly as deep as its history also lists the first commit, which has no parents.
    return frozenset(name for name, _, content in _objects(root, edge) if b"\nparent " in content.partition(b"\n\n")[0])


def _digests(root: Path, blobs: Sequence[str]) -> dict[str, str]:
    """Return the digest of each text blob, normalized as a deploy would send it."""
    digests: dict[str, str] = {}
    for name, kind, content in _objects(root, blobs):
        if kind == "blob" and len(content) <= _MOST_BYTES:
            text = content.decode("utf-8", "replace").removeprefix("\ufeff")
            digests[name] = digest(newlines(text))
    return digests


def _objects(root: Path, names: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, kind and content of each git object that the repository has."""
    output = _git(root, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode()) if names else b""
    start = 0
    while start < len(output):
        end = output.index(b"\n", start)
        head = output[start:end].decode("ascii", "replace").split(" ")
        if len(head) != 3:  # a missing object, as in a partial clone
            start = end + 1
            continue
        size = int(head[2])
        yield head[0], head[1], output[end + 1 : end + 1 + size]
        start = end + 1 + size + 1


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        return git(root, *arguments, stdin=stdin)
    except GitMissing:
        raise NoHistory("git cannot be run", hint="--blame needs git and the project's history") from None
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
