"""What one target of a project wants: its manifest read and checked, with every file read and variable resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ckfunc.base.errors import CkfuncError, InvalidManifest, NoProject, Problem
from ckfunc.manifest import targets as targeting
from ckfunc.manifest.definition import APPLICATION_ID, MANIFEST, MANIFEST_NAME
from ckfunc.manifest.interpolation import expand, references
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.sources import Complaint, read_script, read_text, without_bom
from ckfunc.manifest.tree import Scalar, parse, refused
from ckfunc.manifest.validation import Branch, Leaf, did_you_mean, validate
from ckfunc.manifest.variables import env_files, lookup
from ckfunc.model.project import Project, Script, WantedFunction, WantedRuntime
from ckfunc.model.triggers import BY_TYPE, display_name

_LITERAL_APPLICATION = Rule(
    APPLICATION_ID, "does not become an application's id or key", "an id is a number, a key a UUID"
)


def find_root(start: Path) -> Path:
    """Return the nearest directory at or above `start` that holds `functions.yaml`. Raises NoProject."""
    start = start.resolve()
    for directory in (start, *start.parents):
        if (directory / MANIFEST_NAME).exists():
            return directory
    hint = "run `ckfunc init` to make a project, or name its directory with -C"
    if (start / "functions.yml").exists():
        hint = f"rename functions.yml to {MANIFEST_NAME}"
    raise NoProject(f"there is no {MANIFEST_NAME} in {start} or above it", hint)


def load(root: Path, target: str | None, environ: Mapping[str, str]) -> Project:
    """Return everything that the target `target` of the project at `root` wants.

    `target` None takes `default_target`, else the only target. `environ` is the process's environment. Scripts come
    with `\\n` newlines and without a byte order mark. Raises InvalidManifest with every mistake at once, NoProject when
    there is no manifest, NoSuchTarget or TargetNeeded when no one target is meant.
    """
    root = root.resolve()
    manifest, found = _read(root)
    if manifest is None:
        raise refused(*found)
    problems = [*found, *targeting.problems(manifest), *_nothing_managed(manifest)]
    scripts = _Scripts(root, problems)
    functions = _functions(manifest, scripts)
    initialization = _script(manifest.branch("runtime"), "initialization_script", scripts)
    try:
        name = targeting.choose(manifest, target)
    except CkfuncError:
        if problems:
            raise refused(*problems) from None
        raise
    values = _resolved(manifest, name, root, environ, problems)
    if problems:
        raise refused(*dict.fromkeys(problems))
    runtime = WantedRuntime(_dependencies(manifest), values.environment, initialization)
    where = targeting.target(manifest, name, values.application)
    return Project(root, where, runtime, functions, _warnings(manifest), _watched(root, manifest, name))


def targets(root: Path) -> tuple[str, ...]:
    """Return the names that --target takes, in the manifest's order. Raises NoProject, or InvalidManifest when the
    manifest is not YAML; other mistakes in it do not matter here."""
    manifest, found = _read(root.resolve())
    if manifest is None:
        raise refused(*found)
    return targeting.target_names(manifest)


def watched_files(root: Path, target: str | None) -> tuple[Path, ...]:
    """Return every file that `load` depends on, existing or not, as absolute paths.

    Never raises for a broken manifest: what can be made out of it counts.
    """
    root = root.resolve()
    try:
        manifest, _ = _read(root)
    except (InvalidManifest, NoProject):
        manifest = None
    if manifest is None:
        return _watched(root, None, target)
    try:
        return _watched(root, manifest, targeting.choose(manifest, target))
    except CkfuncError:
        return _watched(root, manifest, None)


def _read(root: Path) -> tuple[Branch | None, tuple[Problem, ...]]:
    text = read_text(root / MANIFEST_NAME, MANIFEST_NAME)
    if isinstance(text, Complaint):
        if not (root / MANIFEST_NAME).is_symlink() and not (root / MANIFEST_NAME).exists():
            raise NoProject(f"there is no {MANIFEST_NAME} in {root}", "run `ckfunc init` to make a project")
        return None, (Problem(MANIFEST_NAME, text.line, text.column, text.message, text.hint),)
    tree = parse(without_bom(text), MANIFEST_NAME)
    if tree is None:
        return None, (Problem(MANIFEST_NAME, 1, 1, "the file is empty", "start with `version: 1`"),)
    return validate(MANIFEST, tree)


def _nothing_managed(manifest: Branch) -> Iterator[Problem]:
    runtime = manifest.branch("runtime")
    if "functions" in manifest.keys or ("runtime" in manifest.keys and (runtime is None or runtime.keys)):
        return
    hint = "list at least one function under `functions`, or manage a part of `runtime`"
    yield Problem(MANIFEST_NAME, manifest.node.line, manifest.node.column, "there is nothing to deploy", hint)


class _Scripts:
    """Reads each script once, however many functions use it."""

    def __init__(self, root: Path, problems: list[Problem]) -> None:
        self._root = root
        self._problems = problems
        self._read: dict[str, str | Complaint] = {}

    def script(self, key: str, leaf: Leaf) -> Script | None:
        path = str(PurePosixPath(leaf.text))
        if path not in self._read:
            self._read[path] = read_script(self._root, path)
        text = self._read[path]
        # An empty init script is how one that exists remotely is taken out of use.
        if isinstance(text, str) and not text.strip() and key == "handler":
            text = Complaint(f"{path!r} is empty", "a handler exports a function by default")
        if isinstance(text, str):
            return Script(path, text)
        file, line, column = (
            (path, text.line, text.column) if text.line else (MANIFEST_NAME, leaf.node.line, leaf.node.column)
        )
        self._problems.append(Problem(file, line, column, f"{key} {text.message}", text.hint))
        return None


def _script(section: Branch | None, key: str, scripts: _Scripts) -> Script | None:
    leaf = section.leaf(key) if section else None
    return scripts.script(key, leaf) if leaf else None


def _functions(manifest: Branch, scripts: _Scripts) -> tuple[WantedFunction, ...] | None:
    section = manifest.branch("functions")
    if section is None:
        return None
    found = []
    for trigger_type, said in section.branches():
        handler = _script(said, "handler", scripts)
        if handler:
            name = said.text("name") or display_name(trigger_type)
            asynchronously = said.flag("initialize_asynchronously")
            found.append(WantedFunction(trigger_type, handler, name, said.text("description"), asynchronously))
    return tuple(found)


def _dependencies(manifest: Branch) -> dict[str, str] | None:
    runtime = manifest.branch("runtime")
    section = runtime.branch("dependencies") if runtime else None
    return {name: leaf.text for name, leaf in _leaves(section)} if section else None


@dataclass(frozen=True, slots=True)
class _Resolved:
    environment: dict[str, str] | None
    application: str | None


def _resolved(
    manifest: Branch, name: str, root: Path, environ: Mapping[str, str], problems: list[Problem]
) -> _Resolved:
    """Return the values that count for the target `name`, with variables put in; report those without a value."""
    said = targeting.section(manifest, name)
    environment = _environment(manifest, said)
    application = said.leaf("application") if said else None
    leaves = [*(environment or {}).values(), *([application] if application else [])]
    values, wrong = lookup((one for leaf in leaves for one, _ in references(leaf.text)), root, name, environ)
    problems += wrong
    problems += [problem for leaf in leaves for problem in _unresolved(leaf, values, name)]
    if any(one not in values for leaf in leaves for one, _ in references(leaf.text)):
        return _Resolved(None, None)
    key = expand(application.text, values) if application else None
    if application and key is not None and not _LITERAL_APPLICATION.allows(key):
        message = f"application {_LITERAL_APPLICATION.wrong}"
        node = application.node
        problems.append(Problem(MANIFEST_NAME, node.line, node.column, message, _LITERAL_APPLICATION.hint))
    if environment is None:
        return _Resolved(None, key)
    return _Resolved({one: expand(leaf.text, values) for one, leaf in environment.items()}, key)


def _environment(manifest: Branch, target: Branch | None) -> dict[str, Leaf] | None:
    runtime = manifest.branch("runtime")
    base = runtime.branch("environment") if runtime else None
    override = target.branch("environment") if target else None
    if base is None and override is None:
        return None
    return {**dict(_leaves(base)), **dict(_leaves(override))}


def _leaves(section: Branch | None) -> Iterator[tuple[str, Leaf]]:
    for name, value in section.values.items() if section else ():
        if isinstance(value, Leaf):
            yield name, value


def _unresolved(leaf: Leaf, values: Mapping[str, str], target: str) -> Iterator[Problem]:
    for name, offset in references(leaf.text):
        if name not in values:
            column = leaf.node.column + _shift(leaf.node, offset)
            hint = f"define {name} in the process's environment, in .env.{target} or in .env"
            yield Problem(MANIFEST_NAME, leaf.node.line, column, f"${{{name}}} has no value", hint)


def _shift(node: Scalar, offset: int) -> int:
    """Return how far into a scalar's source the character at `offset` of its text stands; 0 when it cannot be told."""
    extra = node.end - node.start - len(node.text)
    return offset + extra // 2 if extra in (0, 2) and not node.block and "\n" not in node.text else 0


def _warnings(manifest: Branch) -> tuple[str, ...]:
    functions = manifest.branch("functions")
    found = []
    for trigger_type, key in functions.keys.items() if functions else ():
        if trigger_type not in BY_TYPE:
            hint = did_you_mean(trigger_type, BY_TYPE) or "the platform may know it, ckfunc does not"
            message = f"unknown trigger type {trigger_type!r}"
            found.append(str(Problem(MANIFEST_NAME, key.line, key.column, message, hint)))
    return tuple(found)


def _watched(root: Path, manifest: Branch | None, target: str | None) -> tuple[Path, ...]:
    scripts: list[str] = []
    if manifest:
        runtime, functions = manifest.branch("runtime"), manifest.branch("functions")
        scripts = [path for _, said in (functions.branches() if functions else ()) if (path := said.text("handler"))]
        scripts += [path] if runtime and (path := runtime.text("initialization_script")) else []
    paths = [root / MANIFEST_NAME]
    paths += [actual for path in scripts for actual in _places(root, path)]
    # A target's name that is not one might lead anywhere.
    paths += (
        env_files(root, target) if target and target.replace("-", "").replace("_", "").isalnum() else [root / ".env"]
    )
    return tuple(dict.fromkeys(paths))


def _places(root: Path, path: str) -> Iterator[Path]:
    """Yield where a script stands, and where a link there leads, if that is inside the project."""
    yield root / path
    try:
        actual = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):
        return
    if actual.is_relative_to(root):
        yield actual
