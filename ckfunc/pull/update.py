"""Merge an application's changes into an existing project. Local edits are kept, conflicts are marked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ckfunc.base.secrets import Secret
from ckfunc.deploy.apply.report import DeployReport, Ending
from ckfunc.manifest.edit import ManifestChange
from ckfunc.manifest.variables import whole_reference
from ckfunc.model.project import Project, Script
from ckfunc.pull.base import Base, keep_base
from ckfunc.pull.merge import Merged, merge
from ckfunc.pull.names import JAVASCRIPT_SUFFIXES, IsJavaScript, handler_paths, is_bundle
from ckfunc.pull.remote import RemoteFunction, RemoteProject, file_text
from ckfunc.pull.variables import reference_names

DeployedBefore = Callable[[str, str], bool]
"""Tells whether a function (by type) ever had a script (with plain newlines)."""


@dataclass(frozen=True, slots=True)
class Said:
    """The environment as the manifest writes it: of all targets, and of this one. None where it says nothing."""

    runtime: Mapping[str, str] | None = field(default=None, repr=False)
    target: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def texts(self) -> Mapping[str, str] | None:
        """What counts for the target, references not resolved; None when the environment is not managed."""
        if self.runtime is None and self.target is None:
            return None
        return {**(self.runtime or {}), **(self.target or {})}

    def place(self, project: Project) -> tuple[str, ...]:
        """Return where the manifest keeps variables that it does not have yet."""
        if self.runtime is None and self.target is not None:
            return ("targets", project.target.name, "environment")
        return ("runtime", "environment")


@dataclass(frozen=True, slots=True)
class FileChange:
    """A script that changes; `before` is None for a new one. `merged` holds local edits beside remote ones."""

    path: str
    before: str | None = field(repr=False)
    after: str = field(repr=False)
    conflicts: int = 0
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """What a pull changes. `quarrels` are conflicts that cannot be marked in a file; `notes` need no attention.

    `values` are the environment's, by the names that the manifest refers to.
    """

    files: tuple[FileChange, ...]
    manifest: tuple[ManifestChange, ...]
    quarrels: tuple[str, ...]
    notes: tuple[str, ...]
    values: Mapping[str, Secret]

    @property
    def is_empty(self) -> bool:
        """Whether no file of the project changes."""
        return not self.files and not self.manifest

    @property
    def conflicts(self) -> int:
        """How many places need somebody to decide."""
        return len(self.quarrels) + sum(one.conflicts for one in self.files)


def update(
    project: Project,
    said: Said,
    remote: RemoteProject,
    base: Base,
    deployed_before: DeployedBefore,
    environ: Mapping[str, str],
    taken: Collection[str] = (),
    *,
    is_javascript: IsJavaScript,
) -> Update:
    """Return what pulling `remote` means for `project`.

    Sections that the manifest leaves out stay out: they are not managed here.
    """
    work = _Merger(remote, base, deployed_before)
    work.functions(project, taken, is_javascript)
    work.initialization_script(project)
    work.dependencies(project.runtime.dependencies)
    values = work.environment(said, project, environ)
    return Update(tuple(work.files), tuple(work.manifest), tuple(work.quarrels), (*remote.notes, *work.notes), values)


class _Merger:
    """Collects what changes, section by section."""

    def __init__(self, remote: RemoteProject, base: Base, deployed_before: DeployedBefore) -> None:
        self._remote = remote
        self._base = base
        self._deployed_before = deployed_before
        self.files: list[FileChange] = []
        self.manifest: list[ManifestChange] = []
        self.quarrels: list[str] = []
        self.notes: list[str] = []
        self._taken: set[str] = set()

    def functions(self, project: Project, taken: Collection[str], is_javascript: IsJavaScript) -> None:
        if project.functions is None:
            if self._remote.functions:
                self.notes.append("functions are not managed by functions.yaml, and were left alone")
            return
        self._taken |= {*taken, *(one.handler.path for one in project.functions)}
        remote = {one.type: one for one in self._remote.functions}
        by_path: dict[str, list[RemoteFunction]] = {}
        scripts = {one.handler.path: one.handler for one in project.functions}
        for wanted in project.functions:
            if wanted.type in remote:
                by_path.setdefault(wanted.handler.path, []).append(remote[wanted.type])
        for path, found in by_path.items():
            self._handler(scripts[path], found)
        new = {name: one for name, one in remote.items() if name not in {own.type for own in project.functions}}
        texts = {name: one.script for name, one in new.items()}
        for name, path in handler_paths(texts, self._taken, is_javascript).items():
            entry = {"handler": path, "name": new[name].name, "description": new[name].description}
            value = {key: text for key, text in entry.items() if text is not None}
            self.manifest.append(ManifestChange(("functions", name), value))
            self.files.append(FileChange(path, None, file_text(new[name].script)))

    def _handler(self, script: Script, found: list[RemoteFunction]) -> None:
        if len({one.script for one in found}) > 1:
            types = ", ".join(one.type for one in found)
            self.quarrels.append(f"{script.path} is the handler of {types}, which differ in the application")
            return
        one = found[0]
        base = self._base.scripts.get(one.type)
        if script.modules:
            compare = f"`ckfunc diff {one.type}@{one.version}` shows how"
            self._bundle(script, base, one.script, f"v{one.version} of {one.type}", compare)
            return
        if base is None and one.script != script.text and self._deployed_before(one.type, script.text):
            base = script.text
        if is_bundle(one.script) and not is_bundle(script.text) and not script.path.endswith(JAVASCRIPT_SUFFIXES):
            self._to_javascript(script, base, found)
            return
        self._merge(script, base, one.script, f"v{one.version} of {one.type}")

    def _to_javascript(self, script: Script, base: str | None, found: list[RemoteFunction]) -> None:
        """Take a bundle in place of a TypeScript file: into a file of its own, unless the other was edited here."""
        one = found[0]
        if base is None or script.text != base:
            self.quarrels.append(
                f"v{one.version} of {one.type} is a bundle made by ckfunc and cannot be merged into {script.path}, "
                "which was left alone"
            )
            return
        (path,) = handler_paths({one.type: one.script}, self._taken, lambda _: True).values()
        self.files.append(FileChange(path, None, file_text(one.script)))
        self.manifest += (ManifestChange(("functions", function.type, "handler"), path) for function in found)
        self.notes.append(f"{script.path} is not used any more: {one.type} is a bundle made by ckfunc, now in {path}")

    def initialization_script(self, project: Project) -> None:
        script, there = project.runtime.initialization_script, self._remote.initialization_script
        if there is None:
            return
        if script is not None and script.modules:
            self._bundle(
                script, self._base.initialization_script, there, "the deployed init script", "see `ckfunc diff`"
            )
        elif script is not None:
            self._merge(script, self._base.initialization_script, there, "deployed init script")
        elif there:
            self.notes.append("the init script is not managed by functions.yaml, and was left alone")

    def _bundle(self, script: Script, base: str | None, there: str, remote_name: str, compare: str) -> None:
        """A bundle cannot be taken apart again: what was changed in it must be brought home by hand."""
        if there not in (script.text, base):
            self.quarrels.append(
                f"{remote_name} is not what {', '.join(script.modules)} make, and cannot be put back into these files; "
                f"they were left alone ({compare})"
            )

    def _merge(self, script: Script, base: str | None, there: str, remote_name: str) -> None:
        merged: Merged = merge(base, script.text, there, local_name=script.path, remote_name=remote_name)
        if merged.text != script.text:
            both = merged.text != there
            self.files.append(FileChange(script.path, script.text, file_text(merged.text), merged.conflicts, both))

    def dependencies(self, ours: Mapping[str, str] | None) -> None:
        theirs, base = self._remote.dependencies, self._base.dependencies
        if theirs is None:
            return
        if ours is None:
            if theirs:
                self.notes.append("`runtime.dependencies` is not managed by functions.yaml, and was left alone")
            return
        for name in sorted({*ours, *theirs}):
            here, there = ours.get(name), theirs.get(name)
            known = (base or {}).get(name)
            if here == there or (base is not None and known == there):
                continue
            if here == known:
                self.manifest.append(ManifestChange(("runtime", "dependencies", name), there))
            elif there is not None or (base is not None and name in base):
                gone = "gone" if there is None else there
                self.quarrels.append(
                    f"dependency {name} is {here} here and {gone} in the application; kept as it is here"
                )

    def environment(self, said: Said, project: Project, environ: Mapping[str, str]) -> dict[str, Secret]:
        """Add and remove names, and return the values of those that the manifest only refers to."""
        theirs, base = self._remote.environment, self._base.variables
        if theirs is None:
            return {}
        texts, place = said.texts, said.place(project)
        if texts is None:
            if theirs:
                self.notes.append("`runtime.environment` is not managed by functions.yaml, and was left alone")
            return {}
        ours = project.runtime.environment or {}
        references = reference_names({name: one for name, one in theirs.items() if name not in texts}, environ)
        values: dict[str, Secret] = {}
        for name in sorted({*texts, *theirs}):
            if name not in texts:
                if base is None or name not in base:
                    self.manifest.append(ManifestChange((*place, name), f"${{{references[name]}}}"))
                    values[references[name]] = theirs[name]
            elif name not in theirs:
                if base is not None and name in base:
                    self._remove(name, said, place)
            elif refers_to := whole_reference(texts[name]):
                values[refers_to] = theirs[name]
            elif ours.get(name) != theirs[name] and name not in project.runtime.unknown:
                self.notes.append(f"{name} has another value in the application; functions.yaml keeps its own")
        return values

    def _remove(self, name: str, said: Said, place: tuple[str, ...]) -> None:
        if name in ((said.runtime if place[0] == "runtime" else said.target) or {}):
            self.manifest.append(ManifestChange((*place, name), None))
        else:
            self.notes.append(f"{name} is gone from the application; the target's own `environment` keeps it")


def agreed(project: Project, remote: RemoteProject) -> Base:
    """Return what a project and its application agree on once `remote` was pulled into it.

    Of bundles only those that are the same: others could not be pulled.
    """
    functions = {one.type: one.script for one in remote.functions}
    script, there = project.runtime.initialization_script, remote.initialization_script
    return Base(
        scripts={
            one.type: functions[one.type]
            for one in project.functions or ()
            if one.type in functions and _pulled(one.handler, functions[one.type])
        },
        initialization_script=there if script is None or there is None or _pulled(script, there) else None,
        dependencies=remote.dependencies,
        variables=None if remote.environment is None else tuple(sorted(remote.environment)),
    )


def _pulled(script: Script, there: str) -> bool:
    return not script.modules or script.text == there


def deployed(project: Project, types: Collection[str], kinds: Collection[str]) -> Base:
    """Return what a project and its application agree on after a deploy.

    `types` are the functions that were deployed or found unchanged, `kinds` the parts of the runtime that were.
    """
    runtime = project.runtime
    script = runtime.initialization_script
    return Base(
        scripts=dict(_scripts(project, types)),
        initialization_script=script.text if script is not None and "initialization_script" in kinds else None,
        dependencies=dict(runtime.dependencies)
        if runtime.dependencies is not None and "dependencies" in kinds
        else None,
        variables=tuple(sorted(runtime.environment))
        if runtime.environment is not None and "environment" in kinds
        else None,
    )


def _scripts(project: Project, types: Collection[str]) -> Iterator[tuple[str, str]]:
    for one in project.functions or ():
        if one.type in types:
            yield one.type, one.handler.text


def remember_deployed(project: Project, identity: str | None, report: DeployReport) -> None:
    """Store what the project and the application agree on after a deploy: the base of later pulls."""
    if report.ending is Ending.DECLINED:
        return
    good = {"created", "updated", "removed", "unchanged"}
    results = {(one.kind, one.name): one.result.value for one in report.items}
    types = {name for (kind, name), result in results.items() if kind == "functions" and result in good}
    kinds = {"dependencies", "environment", "initialization_script"}
    kinds -= {kind for (kind, _), result in results.items() if result not in good}
    keep_base(project.root, project.target.name, identity, deployed(project, types, kinds))
