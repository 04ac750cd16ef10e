"""The scripts that a manifest refers to."""

from __future__ import annotations

from pathlib import Path

from ckfunc.base.errors import Problem
from ckfunc.manifest.checked import Branch, Leaf
from ckfunc.manifest.definition import MANIFEST_NAME
from ckfunc.manifest.sources import Complaint, Spelling, normal_path, read_script, same_letters
from ckfunc.model.project import Script, WantedFunction
from ckfunc.model.triggers import display_name


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


def functions_of(manifest: Branch, scripts: ScriptReader) -> tuple[WantedFunction, ...] | None:
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
            functions.append(WantedFunction(trigger_type, handler, name, entry.text("description"), asynchronously))
    return tuple(functions)
