"""Project files at a git commit, to reproduce deployed bundles."""

from __future__ import annotations

from pathlib import Path

from ckfunc.base.git import GitMissing, GitRefused, git
from ckfunc.manifest.sources import MAX_FILE_BYTES, Complaint


class GitFiles:
    """The files in a project's git repository. Files that git cannot read count as missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, str] = {}

    def at(self, commit: str) -> CommitFiles:
        """Return the files at `commit`."""
        listed = self._git("ls-tree", "-r", "-z", commit, "--", ".").decode("utf-8", "replace")
        blobs: dict[str, str] = {}
        for entry in listed.split("\0"):
            head, _, path = entry.partition("\t")
            mode, _, rest = head.partition(" ")
            if path and mode.startswith("100"):  # a regular file, not a link or submodule
                blobs[path] = rest.split(" ")[1]
        return CommitFiles(self, blobs)

    def text(self, blob: str) -> str:
        """Return the text of a blob, decoded as in a deploy."""
        if blob not in self._texts:
            data = self._git("cat-file", "blob", blob)[: MAX_FILE_BYTES + 1]
            text = data.decode("utf-8", "replace").removeprefix("\ufeff")
            self._texts[blob] = text.replace("\r\n", "\n").replace("\r", "\n")
        return self._texts[blob]

    def _git(self, *arguments: str) -> bytes:
        try:
            return git(self._root, *arguments)
        except (GitMissing, GitRefused):
            return b""


class CommitFiles:
    """The files of a commit, as a `Reader`."""

    def __init__(self, git_files: GitFiles, blobs: dict[str, str]) -> None:
        self._git_files = git_files
        self._blobs = blobs

    def __call__(self, path: str) -> str | Complaint | None:
        """Return a file's text with `\\n` newlines; None if the commit has no file at `path`."""
        blob = self._blobs.get(path)
        return None if blob is None else self._git_files.text(blob)
