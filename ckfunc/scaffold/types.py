"""Files that `ckfunc types` updates: stubs, schemas, links to packages, `.env.example`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.documents import read_jsonc
from ckfunc.base.errors import CkfuncError, DependenciesFailed, InvalidManifest
from ckfunc.base.files import cache_dir, read_file
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line
from ckfunc.manifest.project import referenced_variables, targets
from ckfunc.model.project import Project
from ckfunc.runtime.install import runtime_directory
from ckfunc.runtime.policy import InstallPolicy
from ckfunc.runtime.tools import known_node_types, node_types
from ckfunc.scaffold.packages import (
    NODE_MODULES,
    Packages,
    all_packages,
    has_links,
    installed_packages,
    known_packages,
    link_packages,
    stale_links,
    with_node_types,
)
from ckfunc.scaffold.stubs import TYPES_DIR, Schemas, scope_of, stale_stubs, write_stubs
from ckfunc.scaffold.writing import Written, write_all

if TYPE_CHECKING:
    from ckfunc.model.outputs import StaleFileJson, StaleTypesJson

EXAMPLE_NAME = ".env.example"
_HEADER = "# Copy this file to .env (for all targets) or .env.TARGET (for one target). Do not commit those files.\n"

TSCONFIG = "tsconfig.json"

_STUBS = f"{TYPES_DIR}/*.d.ts"
_READS_EXPORTS = {"bundler", "node16", "node18", "node20", "nodenext", "preserve"}


@frozen
class Progress:
    """Callbacks that show progress: a long step, a detail, a warning."""

    step: Callable[[str], AbstractContextManager[object]]
    detail: Callable[[str], None]
    warn: Callable[[str], None]


def update_example(root: Path) -> tuple[Written, ...]:
    """Add missing variables to `.env.example`; do nothing if the manifest is not YAML."""
    with suppress(InvalidManifest):
        if (text := missing_example(root)) is not None:
            return write_all(root, {EXAMPLE_NAME: text}, force=True)
    return ()


def refresh_types(project: Project, schemas: Schemas) -> None:
    """Update the stubs of a project that has stubs, without output, and link packages that are installed.

    Write errors are ignored; `ckfunc types` reports them.
    """
    if not (project.root / TYPES_DIR).is_dir():
        return
    with suppress(OSError):
        if dependencies := project.runtime.dependencies:
            packages = known_packages(dependencies, cache_dir(), policy_of(project))
            if packages is not None:
                link_packages(project.root, with_node_types(packages, known_node_types(cache_dir())))
        write_stubs(project.root, schemas, scope_of(project))


def write_types(
    root: Path, load: Callable[[], Project], schemas: Schemas, progress: Progress, *, install: bool
) -> tuple[tuple[Written, ...], tuple[Written, ...]]:
    """Write stubs and schemas and link packages; return the written files, and the links.

    If the manifest that `load` reads is invalid, the parts that depend on it are left out, with a warning.
    """
    scope = None
    links: tuple[Written, ...] = ()
    try:
        project = load()
        scope = scope_of(project)
        # Links come first: whether they lead to the declarations of Node decides what the stubs say of it.
        links = link_types(project, progress, install=install)
    except InvalidManifest as problem:
        progress.warn(f"{problem.message}: types of its packages, variables and init script are left out")
    return write_stubs(root, schemas, scope) + update_example(root), links


def link_types(project: Project, progress: Progress, *, install: bool) -> tuple[Written, ...]:
    """Link packages for their types; with `install`, install missing ones first. Return the links."""
    dependencies = project.runtime.dependencies or {}
    node = _node_types(policy_of(project), progress) if install else known_node_types(cache_dir())
    if install and dependencies:
        with progress.step("installing packages for their types"):
            packages = installed_packages(dependencies, cache_dir(), progress.detail, policy_of(project))
        if (missing := packages.missing) is not None:
            progress.warn(f"{missing.message}: packages without types are `any` in the editor")
        return link_packages(project.root, with_node_types(packages, node))
    # The platform's own packages alone are not installed for this: they are linked once handlers have run here.
    linkable = known_packages(dependencies, cache_dir(), policy_of(project))
    if linkable is None and dependencies:
        progress.warn("packages are not installed: they are `any` in the editor until you run `ckfunc types`")
    unknown = Packages({}, DependenciesFailed("packages are not installed"))
    return link_packages(project.root, with_node_types(linkable or unknown, node))


@frozen
class StaleTypes:
    """The files that `ckfunc types` would write, each with the reason."""

    reasons: Mapping[str, str]

    def to_json(self) -> StaleTypesJson:
        """Return the files for `--json`."""
        stale: list[StaleFileJson] = [{"path": name, "reason": reason} for name, reason in self.reasons.items()]
        return {"current": not stale, "stale": stale}

    def lines(self) -> list[Line]:
        """Return a line for each file."""
        return [((name, "plain"), (f"  ({reason})", "muted")) for name, reason in self.reasons.items()]

    def summary_line(self) -> Line:
        """Return the result in one line."""
        if self.reasons:
            return [("the types are not up to date", "failure"), (": run `ckfunc types`", "plain")]
        return [("the types are up to date", "success")]


def stale_types(project: Project, schemas: Schemas) -> StaleTypes:
    """Return the files of a project that `ckfunc types` would write."""
    stale = stale_stubs(project.root, schemas, scope_of(project))
    if missing_example(project.root) is not None:
        stale[EXAMPLE_NAME] = "does not list all variables of functions.yaml"
    dependencies = project.runtime.dependencies or {}
    if dependencies or has_links(project.root):
        packages = known_packages(dependencies, cache_dir(), policy_of(project))
        linked = with_node_types(packages, known_node_types(cache_dir())) if packages else None
        links = stale_links(project.root, linked) if linked else ()
        stale |= {link.relative_to(project.root).as_posix(): "does not lead to the package" for link in links}
        if packages is None or (packages.missing and dependencies):
            stale[NODE_MODULES] = (
                packages.missing.message if packages and packages.missing else "packages are not installed"
            )
    return StaleTypes(stale)


def policy_of(project: Project) -> InstallPolicy:
    """Return the install policy of a loaded project."""
    runtime = project.runtime
    return InstallPolicy(project.root, runtime.dependencies or {}, runtime.allow_scripts, runtime.lock)


def packages_directory(project: Project) -> Path:
    """Return the directory of the packages that handlers run with. Raises NodeMissing and NpmrcProblem."""
    return runtime_directory(all_packages(project.runtime.dependencies or {}), cache_dir(), policy_of(project))


def missing_example(root: Path) -> str | None:
    """Return `.env.example` with all variables of the manifest added; None if it has all of them.

    Also None if the file cannot be read as text, so that it is not replaced. Raises the same errors as
    `targets`.
    """
    names = sorted({name for target in targets(root) for name in referenced_variables(root, target)})
    text: str | None = None
    try:
        text = read_file(root / EXAMPLE_NAME).decode()
    except FileNotFoundError:
        if not names:
            return None
    except (OSError, UnicodeDecodeError):
        return None
    updated = example_text(text, names)
    return updated if updated != text else None


def example_text(text: str | None, names: Iterable[str]) -> str:
    """Return `.env.example` with all `names` added, without values; `text` is its current content, None for no file.

    A name in a comment counts as present.
    """
    current = _HEADER if text is None else text
    lines = [line.lstrip("\ufeff# \t").removeprefix("export ") for line in current.splitlines()]
    present = {line.partition("=")[0].strip() for line in lines}
    missing = [name for name in names if name not in present]
    if not missing and text is not None:
        return text
    newline = "\r\n" if "\r\n" in current else "\n"
    ended = current if not current or current.endswith("\n") else f"{current}{newline}"
    return ended + "".join(f"{name}={newline}" for name in missing)


def tsconfig_advice(root: Path) -> tuple[str, ...]:
    """Return the changes after which an editor sees the project as handlers run, each as a sentence."""
    try:
        text = read_file(root / TSCONFIG).decode("utf-8-sig")
    except FileNotFoundError:
        return (f"there is no {TSCONFIG}: create one that includes {_STUBS}; `ckfunc init` writes an example",)
    except (OSError, UnicodeDecodeError):
        return (f"{TSCONFIG} cannot be read: make sure that it includes {_STUBS}",)
    try:
        settings = read_jsonc(text)
    except ValueError:
        return (f"{TSCONFIG} is not JSON with comments: make sure that it includes {_STUBS}",)
    return tuple(_advice(settings)) if isinstance(settings, dict) else ()


def _node_types(policy: InstallPolicy, progress: Progress) -> Path | None:
    """Return the directory of the declarations of Node, installed if needed; None if that fails."""
    try:
        with progress.step("installing the types of Node"):
            return node_types(cache_dir(), progress.detail, policy)
    except CkfuncError as problem:
        progress.warn(
            f"{problem.message}: the editor knows only a part of Node until `ckfunc types` can install its types"
        )
        return None


def _advice(settings: Mapping[str, Any]) -> Iterator[str]:
    inherits = "extends" in settings  # missing settings may be in the extended file
    included = settings.get("include"), settings.get("files")
    if not _includes_stubs(included) and not (inherits and included == (None, None)):
        yield f'{TSCONFIG}: add "{_STUBS}" to "include", because ** skips directories with a leading dot'
    options = settings.get("compilerOptions")
    options = options if isinstance(options, dict) else {}
    if options.get("moduleDetection") != "force" and not inherits:
        yield (
            f'{TSCONFIG}: add "moduleDetection": "force" to "compilerOptions", because every handler declares its own '
            "`handleEvent`"
        )
    module, resolution = (str(options.get(name, "")).lower() for name in ("module", "moduleResolution"))
    if not {module, resolution} & _READS_EXPORTS and not inherits:
        yield (
            f'{TSCONFIG}: add "moduleResolution": "Bundler" (with "module": "ESNext") to "compilerOptions", because '
            "the current one ignores the `exports` of packages"
        )


def _includes_stubs(included: tuple[Any, Any]) -> bool:
    texts = [text for value in included if isinstance(value, list) for text in value if isinstance(text, str)]
    patterns = [text.removeprefix("./") for text in texts]
    stub = f"{TYPES_DIR}/chatkitty.d.ts"
    return any(each.startswith(".ckfunc") and (stub.startswith(each) or fnmatchcase(stub, each)) for each in patterns)
