"""Loader of a project: its manifest for one target, and functions.lock."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import ckfunc.manifest.targets as targeting
from ckfunc.base.documents import InvalidJson, read_document
from ckfunc.base.errors import CkfuncError, InvalidManifest, LockOutdated, NoProject, Problem
from ckfunc.base.text import did_you_mean
from ckfunc.manifest.definition import MANIFEST, MANIFEST_NAME
from ckfunc.manifest.sources import Complaint, Spelling, read_text, without_bom
from ckfunc.manifest.tree import parse, refused
from ckfunc.manifest.validation import Branch, Leaf, validate
from ckfunc.manifest.variables import env_files, references
from ckfunc.model.application import PLATFORM_RANGES
from ckfunc.model.lock import LOCK_NAME, InvalidLock, PackageLock
from ckfunc.model.project import Hooks, ManifestRuntime, Project, Target
from ckfunc.model.triggers import BY_TYPE

_MAX_WARNINGS = 20
_CONFLICT = "<<<<<<<"
_LOCK = "run `ckfunc lock`"
_RESTORE = "restore it from git, or replace it with `ckfunc lock --upgrade`"


def find_root(start: Path) -> Path:
    """Return the nearest directory at or above `start` that contains `functions.yaml`. Raises NoProject."""
    start = start.resolve()
    for directory in (start, *start.parents):
        with contextlib.suppress(OSError):  # a directory without permissions cannot be the user's project
            if (directory / MANIFEST_NAME).exists():
                return directory
    hint = "run `ckfunc init` to create a project, or name its directory with -C"
    if (start / "functions.yml").exists():
        hint = f"rename functions.yml to {MANIFEST_NAME}"
    raise NoProject(f"there is no {MANIFEST_NAME} in {start} or above it", hint)


def load(
    root: Path, target: str | None, environ: Mapping[str, str], *, lenient: bool = False, drifted: bool = False
) -> Project:
    """Return the desired state of the target `target` of the project at `root`.

    With `target` None, it is `default_target` or the only target. `environ` is the process's environment. Scripts have
    `\\n` newlines and no byte order mark. Raises InvalidManifest with all errors, NoProject if there is no manifest,
    NoSuchTarget or TargetNeeded if no target can be selected.

    `lenient` is for commands that do not deploy: a variable without a value is a warning and stays unresolved, and the
    default is the first target.

    Raises LockOutdated if functions.lock does not fit the manifest; with `drifted`, such a lock is ignored.
    """
    root = root.resolve()
    manifest, mistakes = _read(root)
    lock, differences = _lock(root, manifest)
    if drifted:
        lock, differences = None if differences else lock, ()
    problems = [*mistakes, *targeting.problems(manifest), *_nothing_managed(manifest)]
    scripts = targeting.ScriptReader(root, problems)
    functions = targeting.functions_of(manifest, scripts)
    initialization = targeting.script_of(manifest.branch("runtime"), "initialization_script", scripts)
    try:
        name = targeting.choose(manifest, target, first=lenient)
    except CkfuncError:
        if problems:
            raise refused(*problems) from None
        raise
    values, unresolvable = targeting.resolve(manifest, name, root, environ, lenient=lenient)
    problems += unresolvable
    if problems:
        raise refused(*dict.fromkeys(problems))
    if differences:
        raise LockOutdated(differences)
    runtime = ManifestRuntime(
        _dependencies(manifest),
        values.environment,
        initialization,
        values.literals,
        values.unknown,
        _allowed_scripts(manifest),
        lock,
    )
    bound_target = targeting.target_of(manifest, name, values.application)
    warnings = (*_warnings(manifest), *dict.fromkeys(values.unresolved))
    section = manifest.branch("targets", name)
    gates = _gates(section, manifest)
    watched = _watched(root, manifest, name)
    switches = targeting.settings_of(manifest, name)
    watch = targeting.watch_policy(section)
    return Project(root, bound_target, runtime, functions, warnings, gates, watched, _hooks(manifest), switches, watch)


def emulator_target(root: Path, environ: Mapping[str, str]) -> str | None:
    """Return the name of the project's emulator target; None if it is the default, or if there is none."""
    try:
        for name in (None, *targets(root)):
            try:
                if find_target(root, name, environ)[0].emulator:
                    return name
            except CkfuncError:  # no default target, or a mistake in this one
                continue
    except CkfuncError:  # an invalid manifest, perhaps while it is being edited
        pass
    return None


def targets(root: Path) -> tuple[str, ...]:
    """Return the valid values of --target, in the manifest's order.

    Raises NoProject, or InvalidManifest if the manifest is not YAML; ignores other errors in it.
    """
    return targeting.target_names(_manifest(root))


def find_target(root: Path, target: str | None, environ: Mapping[str, str]) -> tuple[Target, tuple[Problem, ...]]:
    """Return the target that `load` would select, and the errors in the manifest that do not affect it.

    For commands that neither deploy nor run functions: no script is read, and environment variables need no values.
    Raises NoProject, NoSuchTarget, TargetNeeded, and InvalidManifest if the manifest is not YAML or an error affects
    the target.
    """
    root = root.resolve()
    manifest, problems = _read(root)
    problems = (*problems, *targeting.problems(manifest))
    try:
        name = targeting.choose(manifest, target)
    except CkfuncError:
        if problems:
            raise refused(*problems) from None
        raise
    application, unknown = targeting.resolve_application(manifest, name, root, environ)
    if serious := (*targeting.concerning(manifest, name, problems, chosen=target is not None), *unknown):
        raise refused(*serious)
    return targeting.target_of(manifest, name, application), problems


def function_types(root: Path) -> tuple[str, ...]:
    """Return the trigger types in the manifest, in its order.

    Raises NoProject, or InvalidManifest if the manifest is not YAML; ignores other errors in it.
    """
    section = _manifest(root).branch("functions")
    return tuple(section.keys) if section else ()


def dependency_places(root: Path) -> dict[str, tuple[int, int]]:
    """Return line and column of each entry of `runtime.dependencies`; the key "" has those of the section.

    Raises NoProject, or InvalidManifest if the manifest is not YAML.
    """
    manifest = _manifest(root)
    runtime = manifest.branch("runtime")
    section = manifest.branch("runtime", "dependencies")
    key = runtime.keys.get("dependencies") if runtime else None
    places = {"": (key.line, key.column) if key else (1, 1)}
    return places | {name: (key.line, key.column) for name, key in (section.keys if section else {}).items()}


def managed_packages(root: Path) -> ManifestRuntime:
    """Return the runtime with the valid entries of `runtime.dependencies` and `runtime.allow_scripts`, and the lock.

    The lock may be one of other dependencies; None if it is invalid. Raises NoProject, or InvalidManifest if the
    manifest is not YAML; ignores other errors.
    """
    manifest = _manifest(root)
    lock = None
    with contextlib.suppress(InvalidManifest):
        lock = read_lock(root)
    return ManifestRuntime(_dependencies(manifest), allow_scripts=_allowed_scripts(manifest), lock=lock)


def lock_problems(root: Path) -> tuple[Problem, ...]:
    """Return the errors in functions.lock and its differences from the manifest.

    Raises NoProject, or InvalidManifest if the manifest is invalid.
    """
    root = root.resolve()
    manifest, problems = _read(root)
    if problems:
        raise refused(*problems)
    return _lock(root, manifest)[1]


def environment_texts(root: Path, target: str) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    """Return the environment of all targets and that of `target`, with unresolved references.

    A missing section is None. Raises NoProject, or InvalidManifest if the manifest is not YAML.
    """
    manifest = _manifest(root)
    runtime, own = manifest.branch("runtime", "environment"), manifest.branch("targets", target, "environment")
    return _texts(runtime), _texts(own)


def setting_paths(root: Path, target: str) -> dict[str, tuple[str, ...]]:
    """Return the path in the manifest of each setting of `target`. Raises the same errors as `environment_texts`."""
    return targeting.setting_places(_manifest(root), target)


def guests_allowed(root: Path) -> tuple[Problem, ...]:
    """Return warnings about guest users. Raises the same errors as `environment_texts`."""
    return tuple(targeting.guest_warnings(_manifest(root)))


def referenced_variables(root: Path, target: str) -> tuple[str, ...]:
    """Return the variables that the manifest refers to for `target`, sorted; the target need not exist yet.

    Raises NoProject, or InvalidManifest if the manifest is not YAML.
    """
    runtime, own = environment_texts(root, target)
    section = _manifest(root).branch("targets", target)
    application = section.text("application") if section else None
    texts = [*{**(runtime or {}), **(own or {})}.values(), application or ""]
    return tuple(sorted({name for text in texts for name, _ in references(text)}))


def is_protected(root: Path, target: str) -> bool:
    """Return whether the manifest protects `target`. Raises the same errors as `referenced_variables`."""
    section = _manifest(root).branch("targets", target)
    return section is not None and section.flag("protected")


def watched_files(root: Path, target: str | None) -> tuple[Path, ...]:
    """Return every file that `load` depends on, existing or not, as absolute paths.

    Does not raise for an invalid manifest, but uses its valid parts.
    """
    root = root.resolve()
    try:
        manifest, _ = _read(root)
    except (InvalidManifest, NoProject):
        return _watched(root, None, target)
    try:
        return _watched(root, manifest, targeting.choose(manifest, target))
    except CkfuncError:
        return _watched(root, manifest, None)


def _manifest(root: Path) -> Branch:
    """Return the manifest, which may have errors. Raises NoProject, or InvalidManifest if it is not YAML."""
    return _read(root.resolve())[0]


def _read(root: Path) -> tuple[Branch, tuple[Problem, ...]]:
    """Return the manifest, and the errors in it. Raises NoProject, or InvalidManifest if it is not YAML."""
    text = read_text(root / MANIFEST_NAME, MANIFEST_NAME)
    if isinstance(text, Complaint):
        if not (root / MANIFEST_NAME).is_symlink() and not (root / MANIFEST_NAME).exists():
            raise NoProject(f"there is no {MANIFEST_NAME} in {root}", "run `ckfunc init` to create a project")
        raise refused(text.problem(MANIFEST_NAME))
    tree = parse(without_bom(text), MANIFEST_NAME)
    if tree is None:
        raise refused(Problem(MANIFEST_NAME, 1, 1, "the file is empty", "start with `version: 1`"))
    manifest, problems = validate(MANIFEST, tree)
    if manifest is None:
        raise refused(*problems)
    return manifest, problems


def _lock(root: Path, manifest: Branch) -> tuple[PackageLock | None, tuple[Problem, ...]]:
    """Return the lock, and the errors in it or its differences from the manifest."""
    try:
        lock = read_lock(root)
    except InvalidManifest as problem:
        return None, problem.problems
    return lock, () if lock is None else tuple(_drift(manifest, _dependencies(manifest), lock))


def _gates(target: Branch | None, manifest: Branch) -> tuple[str, ...]:
    """Return the gates of a target: its own, or else the manifest's."""
    own = target.items("gates") if target else None
    gates = own if own is not None else manifest.items("gates") or ()
    return tuple(dict.fromkeys(gate.text for gate in gates if isinstance(gate, Leaf)))


def _hooks(manifest: Branch) -> Hooks:
    section = manifest.branch("hooks")
    return Hooks() if section is None else Hooks(section.text("before_deploy"), section.text("after_deploy"))


def _nothing_managed(manifest: Branch) -> Iterator[Problem]:
    sections = {name: manifest.branch(name) for name in ("runtime", "settings") if name in manifest.keys}
    if "functions" in manifest.keys or any(section is None or section.node.entries for section in sections.values()):
        return
    hint = "list at least one function under `functions`, or manage a part of `runtime`"
    yield Problem(MANIFEST_NAME, manifest.node.line, manifest.node.column, "there is nothing to deploy", hint)


def _dependencies(manifest: Branch) -> dict[str, str] | None:
    return _texts(manifest.branch("runtime", "dependencies"))


def _texts(section: Branch | None) -> dict[str, str] | None:
    """Return the valid entries of a section as texts; None without a section."""
    return {name: leaf.text for name, leaf in section.leaves().items()} if section else None


def _allowed_scripts(manifest: Branch) -> tuple[str, ...]:
    runtime = manifest.branch("runtime")
    packages = runtime.items("allow_scripts") if runtime else None
    return tuple(dict.fromkeys(package.text for package in packages or () if isinstance(package, Leaf)))


def _warnings(manifest: Branch) -> tuple[Problem, ...]:
    functions = manifest.branch("functions")
    unknown = [entry for entry in functions.keys.items() if entry[0] not in BY_TYPE] if functions else []
    warnings = []
    for trigger_type, key in unknown[:_MAX_WARNINGS]:
        hint = did_you_mean(trigger_type, BY_TYPE) or "ckfunc does not know this type, but the platform may"
        message = f"unknown trigger type {trigger_type!r}"
        warnings.append(Problem(MANIFEST_NAME, key.line, key.column, message, hint))
    if more := len(unknown) - len(warnings):
        warnings.append(Problem(MANIFEST_NAME, 0, 0, f"{more} more unknown trigger types"))
    return tuple(warnings)


def _watched(root: Path, manifest: Branch | None, target: str | None) -> tuple[Path, ...]:
    scripts: list[str] = []
    if manifest:
        runtime, functions = manifest.branch("runtime"), manifest.branch("functions")
        scripts = [
            path for _, section in (functions.branches() if functions else ()) if (path := section.text("handler"))
        ]
        scripts += [path] if runtime and (path := runtime.text("initialization_script")) else []
    paths = [root / MANIFEST_NAME, root / LOCK_NAME]
    spelling = Spelling(root)
    paths += [actual for path in scripts for actual in _locations(root, spelling.of(path))]
    # Only for a valid name of a target, because other names could lead out of the project.
    paths += (
        env_files(root, target) if target and target.replace("-", "").replace("_", "").isalnum() else [root / ".env"]
    )
    return tuple(dict.fromkeys(paths))


def _locations(root: Path, path: str) -> Iterator[Path]:
    """Yield the path of a script and, if it is a link, its target inside the project."""
    yield root / path
    try:
        actual = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):
        return
    if actual.is_relative_to(root):
        yield actual


def read_lock(root: Path) -> PackageLock | None:
    """Return the lock of a project, or None if it has no functions.lock. Raises InvalidManifest."""
    path = root / LOCK_NAME
    if not path.is_symlink() and not path.exists():
        return None
    text = read_text(path, LOCK_NAME)
    if isinstance(text, Complaint):
        raise refused(Problem(LOCK_NAME, text.line, text.column, text.message, _RESTORE))
    try:
        return PackageLock.of(read_document(without_bom(text)))
    except InvalidJson as error:
        if _CONFLICT in text:
            hint = f"take one side (`git checkout --ours {LOCK_NAME}`) and {_LOCK}"
            raise refused(Problem(LOCK_NAME, 0, 0, "the file has merge conflicts", hint)) from None
        raise refused(Problem(LOCK_NAME, error.line, error.column, "the file is not JSON", _RESTORE)) from None
    except InvalidLock as error:
        raise refused(Problem(LOCK_NAME, 0, 0, f"the file {error}", _RESTORE)) from None
    except ValueError:
        raise refused(Problem(LOCK_NAME, 0, 0, "the file is not a lock", _RESTORE)) from None


def lock_text(lock: PackageLock) -> str:
    """Return the content of functions.lock."""
    return json.dumps(lock.to_json(), indent=2, ensure_ascii=False) + "\n"


def _drift(manifest: Branch, dependencies: Mapping[str, str] | None, lock: PackageLock) -> Iterator[Problem]:
    """Yield a problem for each dependency of the manifest that the lock was not made for, and the reverse."""
    runtime = manifest.branch("runtime")
    section = manifest.branch("runtime", "dependencies")
    keys = section.keys if section else {}
    heading = (runtime.keys.get("dependencies") if runtime else None) or manifest.node
    if dependencies is None:
        hint = f"add `dependencies` under `runtime`, or remove {LOCK_NAME}"
        message = f"the project has a {LOCK_NAME}, but {MANIFEST_NAME} does not manage its packages"
        yield Problem(MANIFEST_NAME, heading.line, heading.column, message, hint)
        return
    for name, version in dependencies.items():
        locked, place = lock.dependencies.get(name), keys.get(name, heading)
        if locked != version:
            message = f"{name} {version} is not in {LOCK_NAME}" + (f", which has {locked}" if locked else "")
            yield Problem(MANIFEST_NAME, place.line, place.column, message, _LOCK)
    for name in sorted(lock.dependencies.keys() - dependencies.keys() - PLATFORM_RANGES.keys()):
        message = f"{LOCK_NAME} has {name}, which is not a dependency any more"
        yield Problem(MANIFEST_NAME, heading.line, heading.column, message, _LOCK)
    for name, version in PLATFORM_RANGES.items():
        if lock.dependencies.get(name) != version:
            yield Problem(LOCK_NAME, 0, 0, f"it has no {name} {version}, which the platform installs", _LOCK)
