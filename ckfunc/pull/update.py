"""Merge an application's changes into an existing project. Local edits stay, conflicts are marked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import field

from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.deploy.apply.report import WRONG, DeployReport, Ending, ItemState
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.manifest.edit import ManifestChange, scalar_text
from ckfunc.manifest.variables import whole_reference
from ckfunc.model.lock import LOCK_NAME
from ckfunc.model.project import ManifestRuntime, Project, Script
from ckfunc.pull.merge import Base, Merged, merge, store_base
from ckfunc.pull.remote import (
    JAVASCRIPT_SUFFIXES,
    IsJavaScript,
    RemoteFunction,
    RemoteProject,
    file_text,
    handler_paths,
    is_bundle,
    reference_names,
)

DeployedBefore = Callable[[str, str], bool]
"""Returns whether a function (by type) ever had a script (with plain newlines)."""


@frozen
class ManifestSections:
    """The environment in the manifest, for all targets and for this one; None if a section is missing.

    `setting_paths` are the paths of the target's settings, by name.
    """

    runtime: Mapping[str, str] | None = field(default=None, repr=False)
    target: Mapping[str, str] | None = field(default=None, repr=False)
    setting_paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def texts(self) -> Mapping[str, str] | None:
        """The environment of the target, with unresolved references; None if it is not managed."""
        if self.runtime is None and self.target is None:
            return None
        return {**(self.runtime or {}), **(self.target or {})}

    def place(self, project: Project) -> tuple[str, ...]:
        """Return the path of the manifest's section for new variables."""
        if self.runtime is None and self.target is not None:
            return ("targets", project.target.name, "environment")
        return ("runtime", "environment")


@frozen
class FileChange:
    """A changed script; `before` is None for a new one. `merged` says that it has both local and remote edits."""

    path: str
    before: str | None = field(repr=False)
    after: str = field(repr=False)
    conflicts: int = 0
    merged: bool = False


@frozen
class Update:
    """The changes of a pull.

    `unmarked_conflicts` are descriptions of conflicts that cannot be marked in a file; `notes` need no attention.
    `values` maps names of references in the manifest to their values.
    """

    files: tuple[FileChange, ...]
    manifest: tuple[ManifestChange, ...]
    unmarked_conflicts: tuple[str, ...]
    notes: tuple[str, ...]
    values: Mapping[str, Secret]

    @property
    def is_empty(self) -> bool:
        """Whether no file of the project changes."""
        return not self.files and not self.manifest

    @property
    def conflicts(self) -> int:
        """The number of conflicts to resolve."""
        return len(self.unmarked_conflicts) + sum(change.conflicts for change in self.files)


def update(
    project: Project,
    sections: ManifestSections,
    remote: RemoteProject,
    base: Base,
    deployed_before: DeployedBefore,
    environ: Mapping[str, str],
    taken: Collection[str] = (),
    *,
    is_javascript: IsJavaScript,
) -> Update:
    """Return the changes that pulling `remote` makes to `project`.

    Sections that are missing in the manifest are not added, because they are not managed.
    """
    merger = _Merger(remote, base, deployed_before)
    merger.functions(project, taken, is_javascript)
    merger.initialization_script(project)
    merger.dependencies(project.runtime)
    merger.settings(project.settings or {}, sections.setting_paths)
    values = merger.environment(sections, project, environ)
    return Update(
        tuple(merger.files),
        tuple(merger.manifest),
        tuple(merger.unmarked_conflicts),
        (*remote.notes, *merger.notes),
        values,
    )


class _Merger:
    """Collects the changes, section by section."""

    def __init__(self, remote: RemoteProject, base: Base, deployed_before: DeployedBefore) -> None:
        self._remote = remote
        self._base = base
        self._deployed_before = deployed_before
        self.files: list[FileChange] = []
        self.manifest: list[ManifestChange] = []
        self.unmarked_conflicts: list[str] = []
        self.notes: list[str] = []
        self._taken: set[str] = set()

    def functions(self, project: Project, taken: Collection[str], is_javascript: IsJavaScript) -> None:
        if project.functions is None:
            if self._remote.functions:
                self.notes.append("functions are not managed by functions.yaml and were left alone")
            return
        self._taken |= {*taken, *(function.handler.path for function in project.functions)}
        remote = {function.type: function for function in self._remote.functions}
        by_path: dict[str, list[RemoteFunction]] = {}
        scripts = {function.handler.path: function.handler for function in project.functions}
        for desired in project.functions:
            if desired.type in remote:
                by_path.setdefault(desired.handler.path, []).append(remote[desired.type])
        for path, remotes in by_path.items():
            self._handler(scripts[path], remotes)
        new = {
            name: function for name, function in remote.items() if name not in {own.type for own in project.functions}
        }
        texts = {name: function.script for name, function in new.items()}
        for name, path in handler_paths(texts, self._taken, is_javascript).items():
            entry = {"handler": path, "name": new[name].name, "description": new[name].description}
            value = {key: text for key, text in entry.items() if text is not None}
            self.manifest.append(ManifestChange(("functions", name), value))
            self.files.append(FileChange(path, None, file_text(new[name].script)))

    def _handler(self, script: Script, remotes: list[RemoteFunction]) -> None:
        if len({function.script for function in remotes}) > 1:
            types = ", ".join(function.type for function in remotes)
            self.unmarked_conflicts.append(f"{script.path} is the handler of {types}, which differ in the application")
            return
        first = remotes[0]
        base = self._base.scripts.get(first.type)
        if script.modules:
            compare = f"compare with `ckfunc diff {first.type}@{first.version}`"
            self._bundle(script, base, first.script, f"v{first.version} of {first.type}", compare)
            return
        if base is None and first.script != script.text and self._deployed_before(first.type, script.text):
            base = script.text
        if is_bundle(first.script) and not is_bundle(script.text) and not script.path.endswith(JAVASCRIPT_SUFFIXES):
            self._to_javascript(script, base, remotes)
            return
        self._merge(script, base, first.script, f"v{first.version} of {first.type}")

    def _to_javascript(self, script: Script, base: str | None, remotes: list[RemoteFunction]) -> None:
        """Write a bundle to a new file that replaces a TypeScript file, unless that has local edits."""
        first = remotes[0]
        if base is None or script.text != base:
            self.unmarked_conflicts.append(
                f"v{first.version} of {first.type} is a bundle made by ckfunc and cannot be merged into {script.path}, "
                "which was left alone"
            )
            return
        (path,) = handler_paths({first.type: first.script}, self._taken, lambda _: True).values()
        self.files.append(FileChange(path, None, file_text(first.script)))
        self.manifest += (ManifestChange(("functions", function.type, "handler"), path) for function in remotes)
        self.notes.append(f"{script.path} is no longer used: {first.type} is a bundle made by ckfunc, now in {path}")

    def initialization_script(self, project: Project) -> None:
        script, remote = project.runtime.initialization_script, self._remote.initialization_script
        if remote is None:
            return
        if script is not None and script.modules:
            self._bundle(
                script, self._base.initialization_script, remote, "the deployed init script", "see `ckfunc diff`"
            )
        elif script is not None:
            self._merge(script, self._base.initialization_script, remote, "deployed init script")
        elif remote:
            self.notes.append("the init script is not managed by functions.yaml and was left alone")

    def _bundle(self, script: Script, base: str | None, theirs: str, remote_name: str, compare: str) -> None:
        """Report a changed bundle: its changes must be copied to the local files by hand."""
        if theirs not in (script.text, base):
            self.unmarked_conflicts.append(
                f"{remote_name} differs from the bundle of {', '.join(script.modules)} and cannot be merged into these "
                f"files; they were left alone ({compare})"
            )

    def _merge(self, script: Script, base: str | None, theirs: str, remote_name: str) -> None:
        merged: Merged = merge(base, script.text, theirs, local_name=script.path, remote_name=remote_name)
        if merged.text != script.text:
            both = merged.text != theirs
            self.files.append(FileChange(script.path, script.text, file_text(merged.text), merged.conflicts, both))

    def dependencies(self, runtime: ManifestRuntime) -> None:
        ours, theirs, base = runtime.dependencies, self._remote.dependencies, self._base.dependencies
        if theirs is None:
            return
        if runtime.lock is not None:  # a deploy has sent the versions of the lock, but the manifest has ranges
            theirs, base = runtime.lock.ranges(theirs), None if base is None else runtime.lock.ranges(base)
        outdated = False
        if ours is None:
            if theirs:
                self.notes.append("`runtime.dependencies` is not managed by functions.yaml and was left alone")
            return
        for name in sorted({*ours, *theirs}):
            here, there = ours.get(name), theirs.get(name)
            base_version = (base or {}).get(name)
            if here == there or (base is not None and base_version == there):
                continue
            if here == base_version:
                self.manifest.append(ManifestChange(("runtime", "dependencies", name), there))
                outdated = runtime.lock is not None
            elif there is not None or (base is not None and name in base):
                deployed = "removed" if there is None else there
                self.unmarked_conflicts.append(
                    f"dependency {name} is {here} here and {deployed} in the application; the local version was kept"
                )
        if outdated:
            self.notes.append(f"{LOCK_NAME} does not fit the new dependencies: run `ckfunc lock`")

    def settings(self, ours: Mapping[str, bool], paths: Mapping[str, tuple[str, ...]]) -> None:
        theirs, base = self._remote.settings or {}, self._base.settings or {}
        for name in sorted(set(ours) & set(theirs)):
            here, there = ours[name], theirs[name]
            if there in (here, base.get(name)):
                continue
            if here == base.get(name):
                self.manifest.append(ManifestChange(paths[name], there))
            else:
                self.unmarked_conflicts.append(
                    f"setting {name} is {scalar_text(here)} here and {scalar_text(there)} in the application; "
                    "the local value was kept"
                )

    def environment(
        self, sections: ManifestSections, project: Project, environ: Mapping[str, str]
    ) -> dict[str, Secret]:
        """Add and remove variables, and return the values of references."""
        theirs, base = self._remote.environment, self._base.variables
        if theirs is None:
            return {}
        texts, place = sections.texts, sections.place(project)
        if texts is None:
            if theirs:
                self.notes.append("`runtime.environment` is not managed by functions.yaml and was left alone")
            return {}
        ours = project.runtime.environment or {}
        references = reference_names({name: value for name, value in theirs.items() if name not in texts}, environ)
        values: dict[str, Secret] = {}
        for name in sorted({*texts, *theirs}):
            if name not in texts:
                if base is None or name not in base:
                    self.manifest.append(ManifestChange((*place, name), f"${{{references[name]}}}"))
                    values[references[name]] = theirs[name]
            elif name not in theirs:
                if base is not None and name in base:
                    self._remove(name, sections, place)
            elif refers_to := whole_reference(texts[name]):
                values[refers_to] = theirs[name]
            elif ours.get(name) != theirs[name] and name not in project.runtime.unknown:
                self.notes.append(f"{name} has a different value in the application; functions.yaml keeps its own")
        return values

    def _remove(self, name: str, sections: ManifestSections, place: tuple[str, ...]) -> None:
        if name in ((sections.runtime if place[0] == "runtime" else sections.target) or {}):
            self.manifest.append(ManifestChange((*place, name), None))
        else:
            self.notes.append(f"{name} was removed from the application; the target's own `environment` keeps it")


def shared_state(project: Project, remote: RemoteProject) -> Base:
    """Return the state that a project and its application share after `remote` was pulled into it.

    Bundles are only included if they are equal: others cannot be pulled.
    """
    functions = {function.type: function.script for function in remote.functions}
    script, theirs = project.runtime.initialization_script, remote.initialization_script
    return Base(
        scripts={
            function.type: functions[function.type]
            for function in project.functions or ()
            if function.type in functions and _can_be_pulled(function.handler, functions[function.type])
        },
        initialization_script=theirs if script is None or theirs is None or _can_be_pulled(script, theirs) else None,
        dependencies=remote.dependencies,
        variables=None if remote.environment is None else tuple(sorted(remote.environment)),
        settings=remote.settings,
    )


def _can_be_pulled(script: Script, theirs: str) -> bool:
    return not script.modules or script.text == theirs


def deployed(project: Project, types: Collection[str], kinds: Collection[str]) -> Base:
    """Return the state that a project and its application share after a deploy.

    `types` are the functions, and `kinds` the other resources, that were deployed or unchanged.
    """
    runtime = project.runtime
    script, exact, environment = runtime.initialization_script, runtime.exact_dependencies, runtime.environment
    return Base(
        scripts={each.type: each.handler.text for each in project.functions or () if each.type in types},
        initialization_script=script.text if script is not None and "initialization_script" in kinds else None,
        dependencies=dict(exact) if exact is not None and "dependencies" in kinds else None,
        variables=tuple(sorted(environment)) if environment is not None and "environment" in kinds else None,
        settings=project.settings if "settings" in kinds else None,
    )


def remember_deployed(project: Project, identity: str | None, report: DeployReport) -> None:
    """Store the state that the project and the application share after a deploy, as the base of later pulls."""
    if report.ending is Ending.DECLINED:
        return
    good = [item for item in report.items if item.result not in (*WRONG, ItemState.UNMANAGED)]
    types = {item.name for item in good if item.kind == FUNCTIONS}
    kinds = {item.kind for item in good} - {item.kind for item in report.items if item.result in WRONG}
    store_base(project.root, project.target.name, identity, deployed(project, types, kinds))
