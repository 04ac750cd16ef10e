"""Map stack traces of deployed handlers to their local files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import newlines
from ckfunc.bundle.source_map import StackMapper
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import function_of, handler_of, same_script, version_of
from ckfunc.logs.entries import LogEntry

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.model.application import FunctionVersion
    from ckfunc.model.project import Project, Script

_INIT_SCRIPT = "initialization-script.ts"
"""The name of the init script in stack frames of an emulator. Handlers are called TYPE@VERSION.ts."""


class Stacks:
    """Maps the stacks of runs to local files. Only calls the API if there is something to map.

    `project` returns the current project. `fresh` says that the runs happen now, and therefore use the current init
    script.
    """

    def __init__(self, client: Client, project: Callable[[], Project], *, fresh: bool = False) -> None:
        self._client = client
        self._project = project
        self._fresh = fresh
        self._versions: dict[tuple[str, int], FunctionVersion] = {}

    def mapped(self, entry: LogEntry) -> LogEntry:
        """Return the entry with positions of local files in its stack and console output, where these are known."""
        row = entry.invocation
        name = f"{entry.type}@{row.version_number}.ts"
        text = _text_of(entry)
        try:
            if name in text and (script := self._handler(entry.type, row.version_number)):
                entry = _mapped(entry, name, script)
            if self._fresh and _INIT_SCRIPT in text and (script := self._initialization_script()):
                entry = _mapped(entry, _INIT_SCRIPT, script)
        except CkfuncError:
            pass  # no connection, or an invalid project: positions in the deployed script are correct too
        return entry

    def _handler(self, trigger_type: str, number: int) -> Script | None:
        """Return the local script if it equals that version."""
        script = handler_of(self._project(), trigger_type)
        if script is None or not same_script(self._version(trigger_type, number), script.text):
            return None
        return script

    def _version(self, trigger_type: str, number: int) -> FunctionVersion:
        version = self._versions.get((trigger_type, number))
        if version is None:
            function, cache = function_of(self._client, trigger_type), VersionCache(self._project().root)
            version = self._versions[trigger_type, number] = version_of(self._client, function, number, cache)
        return version

    def _initialization_script(self) -> Script | None:
        script = self._project().runtime.initialization_script
        if script is None:
            return None
        return script if newlines(self._client.runtime().initialization_script or "") == newlines(script.text) else None


def _text_of(entry: LogEntry) -> str:
    """Return all text of a run that may contain positions."""
    error = entry.invocation.result.get("error")
    texts = [text for text in error.values() if isinstance(text, str)] if isinstance(error, Mapping) else []
    return "\n".join([*texts, *(line.text for line in (entry.detail.console if entry.detail else ()))])


def _mapped(entry: LogEntry, name: str, script: Script) -> LogEntry:
    mapper = StackMapper(name, script.path, script.source_map)
    detail = None if entry.detail is None else mapper.detail(entry.detail)
    return replace(entry, invocation=mapper.invocation(entry.invocation), detail=detail)
