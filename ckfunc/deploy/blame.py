"""Which commit a deployed script came from: found by its content, since the platform keeps no such note."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ckfunc.base.digests import digest
from ckfunc.base.errors import CkfuncError
from ckfunc.deploy.resources import newlines

_MOST_BYTES = 1024 * 1024
_TIMEOUT_S = 60.0
_COMMIT = "\x01"
_FIELD = "\x02"
_RAW = re.compile(r":\d+ \d+ [0-9a-f]+ (?P<blob>[0-9a-f]{40,64}) [A-Z]\d*\t")
_NOTHING = re.compile(r"0+")


class NoHistory(CkfuncError):
    """There is no git here, or it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and the digest of the handler as it left it."""

    id: str
    author: str
    time: datetime
    subject: str
    digest: str


def commits_of(root: Path, paths: Collection[str]) -> tuple[Commit, ...]:
    """Return the commits that changed the files at `paths` (relative to `root`), the oldest first, renames followed.

    Raises NoHistory when the project is in no git repository.
    """
    found: dict[tuple[str, str], tuple[list[str], str]] = {}
    for path in paths:
        for fields, blob in _log(root, path):
            found[fields[0], blob] = (fields, blob)
    digests = _digests(root, sorted({blob for _, blob in found.values()}))
    commits = [
        Commit(fields[0], fields[1], datetime.fromisoformat(fields[2]), fields[3], digests[blob])
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


def _log(root: Path, path: str) -> list[tuple[list[str], str]]:
    """Return the fields and the blob of every commit that left content at `path`."""
    layout = f"--format={_COMMIT}%H{_FIELD}%an{_FIELD}%aI{_FIELD}%s"
    told = _git(root, "log", "--follow", "-m", "--raw", "--no-abbrev", layout, "--", path).decode("utf-8", "replace")
    found = []
    for entry in told.split(_COMMIT)[1:]:
        head, _, rest = entry.partition("\n")
        fields = head.split(_FIELD, 3)
        for line in rest.splitlines():
            raw = _RAW.match(line)
            if raw and len(fields) == 4 and not _NOTHING.fullmatch(raw["blob"]):
                found.append((fields, raw["blob"]))
    return found


def _digests(root: Path, blobs: Sequence[str]) -> dict[str, str]:
    """Return the digest of each blob that is a text, as a deploy would have sent it."""
    if not blobs:
        return {}
    told = _git(root, "cat-file", "--batch", given="".join(f"{one}\n" for one in blobs).encode())
    found: dict[str, str] = {}
    place = 0
    while place < len(told):
        end = told.index(b"\n", place)
        head = told[place:end].decode("ascii", "replace").split(" ")
        if len(head) != 3:  # missing, as in a partial clone
            place = end + 1
            continue
        size = int(head[2])
        content = told[end + 1 : end + 1 + size]
        place = end + 1 + size + 1
        if head[1] == "blob" and size <= _MOST_BYTES:
            text = content.decode("utf-8", "replace").removeprefix("\ufeff")
            found[head[0]] = digest(newlines(text))
    return found


def _git(root: Path, *arguments: str, given: bytes | None = None) -> bytes:
    command = ["git", "-C", str(root), "--no-optional-locks", "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(command, input=given or b"", capture_output=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        raise NoHistory("git cannot be run here", hint="--blame needs git and the project's history") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace")
        if "does not have any commits" in said:
            return b""
        raise NoHistory(
            "git knows nothing of this project's handlers",
            hint="--blame needs a git repository with the handlers in it",
        )
    return done.stdout
