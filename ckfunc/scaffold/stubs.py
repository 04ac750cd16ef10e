"""Type stubs for handlers, and the manifest's schema, for editors and `tsc`."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from ckfunc import __version__
from ckfunc.base.files import read_file
from ckfunc.base.frozen import frozen
from ckfunc.manifest.definition import PLATFORM_PACKAGES
from ckfunc.model.project import Project, Script
from ckfunc.model.triggers import BY_TYPE, TRIGGERS, Trigger, event_type
from ckfunc.runtime.tools import own_node_types
from ckfunc.scaffold.platform import families, request_declarations, resource_declarations
from ckfunc.scaffold.templates import render
from ckfunc.scaffold.writing import Written, write_all

TYPES_DIR = ".ckfunc/types"
SCHEMA_FILE = ".ckfunc/functions.schema.json"
TESTS_SCHEMA_FILE = ".ckfunc/tests.schema.json"

# The platform sets these in every runtime. Source: the platform's documentation.
PLATFORM_VARIABLES = ("CHATKITTY_APPLICATION_ID", "CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET")

_BASIC_MODULES = (
    *("assert", "buffer", "child_process", "crypto", "events", "fs", "http", "https", "module", "net", "node:", "os"),
    *("path", "querystring", "readline", "stream", "string_decoder", "timers", "url", "util", "zlib"),
)

# Comments, strings and templates (without nested ones in `${}`), which may contain the word `export`.
_NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`""",
    re.DOTALL | re.VERBOSE,
)
_NAME = r"[A-Za-z_$][\w$]*"
_DECLARED = re.compile(
    rf"\bexport\s+(?:declare\s+)?(?:(?:abstract\s+)?class|(?:async\s+)?function\s*\*?|const\s+enum|const|let|var|enum|namespace)\s+({_NAME})"
)
_NAMESPACE_BODY = re.compile(
    rf"(?<=\bnamespace)(\s+{_NAME})[\s.\w$]*\{{(?:[^{{}}]|\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}})*\}}"
)
_NAMESPACE = re.compile(rf"\bexport\s*\*\s*as\s+({_NAME})\s+from\b")
_DESTRUCTURED = re.compile(r"\bexport\s+(?:const|let|var)\s*([{\[])([^{}\[\]=]*(?:=[^{}\[\]]*)?)[}\]]\s*(?::[^=]*)?=")
_LISTED = re.compile(r"\bexport\s*(type\s*)?\{([^}]*)\}")
_ITEM = re.compile(rf"^(type )?(?:({_NAME}) as )?({_NAME})$")
# Without types with parameters, because these cannot be used without their parameters.
_TYPE = re.compile(
    rf"\b(export\s+)?(?:declare\s+)?(?:interface|type|(?:abstract\s+)?class|const\s+enum|enum)\s+({_NAME})(?=\s*(?:[{{=]|extends\b|implements\b))"
)


class NodeStub(Enum):
    """Source of the declarations of Node.

    BASIC are ckfunc's own, INSTALLED is an @types/node that TypeScript finds from the project, CONFIGURED one that the
    compiler's settings name.
    """

    BASIC = "basic"
    INSTALLED = "installed"
    CONFIGURED = "configured"


def node_stub(root: Path) -> NodeStub:
    """Return the source of the declarations of Node for an editor in the project at `root`."""
    return NodeStub.BASIC if own_node_types(root) is None else NodeStub.INSTALLED


@frozen
class Schemas:
    """The JSON schemas of functions.yaml and of test files, as text. If `tests` is empty, its file is not changed."""

    manifest: str
    tests: str = ""


@frozen
class Scope:
    """Names that a project adds to the scope of its handlers.

    These are unknown trigger types, packages, environment variables and the exports of the init script.
    """

    types: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    initialization_script: Script | None = None


def scope_of(project: Project) -> Scope:
    """Return the names that `project` adds to the scope of its handlers, without values of variables."""
    return Scope(
        types=project.types,
        packages=tuple(project.runtime.dependencies or ()),
        variables=tuple(project.runtime.environment or ()),
        initialization_script=project.runtime.initialization_script,
    )


def write_stubs(root: Path, schemas: Schemas, scope: Scope | None = None) -> tuple[Written, ...]:
    """Write the `.d.ts` files and the JSON schemas below `.ckfunc/`; return the result for each.

    Existing files are replaced without confirmation. Equal files are not written, so that file watchers do not react.
    """
    return write_all(root, stub_files(schemas, scope, node=node_stub(root)), force=True)


def stale_stubs(root: Path, schemas: Schemas, scope: Scope | None = None) -> dict[str, str]:
    """Return the files that `write_stubs` would write, each with the reason."""
    stale = {}
    for name, text in stub_files(schemas, scope, node=node_stub(root)).items():
        try:
            if read_file(root / name) != text.encode("utf-8"):
                stale[name] = "out of date"
        except FileNotFoundError:
            stale[name] = "missing"
        except OSError as error:
            stale[name] = f"cannot be read: {error.strerror}"
    return stale


def stub_files(schemas: Schemas, scope: Scope | None = None, *, node: NodeStub = NodeStub.BASIC) -> dict[str, str]:
    """Return the files of `write_stubs`, as a mapping of path below the project to text."""
    scope = scope or Scope()
    basic = node is NodeStub.BASIC
    return {
        # The directory only contains generated files, so it excludes itself from git.
        ".ckfunc/.gitignore": "*\n",
        SCHEMA_FILE: schemas.manifest.removesuffix("\n") + "\n",
        **({TESTS_SCHEMA_FILE: schemas.tests + "\n"} if schemas.tests else {}),
        f"{TYPES_DIR}/chatkitty.d.ts": render(
            "types/chatkitty.d.ts",
            version=__version__,
            events=[_event(trigger) for trigger in _triggers(scope.types)],
            resources=resource_declarations(),
            requests=request_declarations(),
            families=families(),
        ),
        f"{TYPES_DIR}/node.d.ts": render("types/node-basic.d.ts", version=__version__)
        if basic
        else render("types/node.d.ts", version=__version__, reference=node is NodeStub.INSTALLED),
        f"{TYPES_DIR}/project.d.ts": _project_types(scope, _BASIC_MODULES if basic else ()),
    }


@frozen
class Exports:
    """Names of values and of types, each sorted; a class is both."""

    values: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


def exports(source: str) -> Exports:
    """Return the names that `source`, in TypeScript, exports, except `default`.

    Not included are names from `export * from …` (a bundle lists them), from nested destructuring, and of types with
    parameters. A listed name that is declared in another file counts as a value.
    """
    text = _NAMESPACE_BODY.sub(r"\1 {}", _NOISE.sub(" ", source))
    values = {*_DECLARED.findall(text), *_NAMESPACE.findall(text), *_destructured(text)}
    declared = {name for _, name in _TYPE.findall(text)}
    types = {name for exported, name in _TYPE.findall(text) if exported}
    for as_type, name, exported in _listed(text):
        is_value = not as_type and (name not in declared or re.search(rf"\b(class|enum)\s+{re.escape(name)}\b", text))
        if is_value:
            values.add(exported)
        if as_type or name in declared:
            types.add(exported)
    return Exports(tuple(sorted(values - {"default"})), tuple(sorted(types - {"default"})))


def _triggers(types: Iterable[str]) -> list[Trigger]:
    unknown = sorted(set(types) - BY_TYPE.keys())
    return [*TRIGGERS, *(Trigger(name, "a type that ckfunc does not know") for name in unknown)]


def _event(trigger: Trigger) -> dict[str, object]:
    doc = f"`{trigger.type}`: {trigger.when}."
    return {"name": event_type(trigger.type), "doc": doc, "fields": trigger.fields}


def _project_types(scope: Scope, modules: Iterable[str]) -> str:
    script = scope.initialization_script
    path = script.path if script else ""
    return render(
        "types/project.d.ts",
        version=__version__,
        exports=_exports(script) if script else Exports(),
        initialization_script=path,
        initialization_import=_import_of(path),
        variables=sorted({*PLATFORM_VARIABLES, *scope.variables}),
        modules=sorted({*PLATFORM_PACKAGES, *modules, *scope.packages}),
    )


def _exports(script: Script) -> Exports:
    """Return the exports of an init script: values from the deployed text, types from the file itself."""
    written = exports(script.source)
    return Exports(tuple(sorted({*exports(script.text).values, *written.values})), written.types)


def _import_of(path: str) -> str | None:
    """Return the path by which the stubs import an init script; None for JavaScript, whose exports have no types."""
    for suffix, imported in ((".mts", ".mjs"), (".cts", ".cjs"), (".ts", "")):
        if path.endswith(suffix):
            return posixpath.relpath(path.removesuffix(suffix) + imported, TYPES_DIR)
    return None


def _listed(text: str) -> Iterator[tuple[bool, str, str]]:
    """Yield the items of `export { … }`: whether it is marked as a type, its name in the source, its exported name."""
    for all_types, body in _LISTED.findall(text):
        for item in body.split(","):
            if match := _ITEM.match(" ".join(item.split())):
                yield bool(all_types or match[1]), match[2] or match[3], match[3]


def _destructured(text: str) -> Iterator[str]:
    """Yield the names in `export const { a, b: c = 1, ...d } = …`."""
    for _, body in _DESTRUCTURED.findall(text):
        for item in body.split(","):
            name = item.partition("=")[0].rpartition(":")[2].strip().removeprefix("...")
            if re.fullmatch(_NAME, name):
                yield name
