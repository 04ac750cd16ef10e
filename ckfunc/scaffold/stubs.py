"""Type stubs of handlers and the manifest's schema, for editors and `tsc`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ckfunc import __version__
from ckfunc.base.files import read_file
from ckfunc.manifest.definition import PLATFORM_PACKAGES
from ckfunc.model.project import Project, Script
from ckfunc.model.triggers import BY_TYPE, TRIGGERS, EventField, Trigger
from ckfunc.runtime.tools import own_node_types
from ckfunc.scaffold.exports import Exports, exports
from ckfunc.scaffold.platform import families, request_declarations, resource_declarations
from ckfunc.scaffold.render import render
from ckfunc.scaffold.writing import Written, write_all

TYPES_DIR = ".ckfunc/types"
SCHEMA_FILE = ".ckfunc/functions.schema.json"
TESTS_SCHEMA_FILE = ".ckfunc/tests.schema.json"

# Source: the platform's documents; the runtime always has them.
PLATFORM_VARIABLES = ("CHATKITTY_APPLICATION_ID", "CHATKITTY_CLIENT_ID", "CHATKITTY_CLIENT_SECRET")

_BASIC_MODULES = (
    *("assert", "buffer", "child_process", "crypto", "events", "fs", "http", "https", "module", "net", "node:", "os"),
    *("path", "querystring", "readline", "stream", "string_decoder", "timers", "url", "util", "zlib"),
)


class NodeStub(Enum):
    """Where the declarations of Node come from: our own few, an @types/node that TypeScript finds from the project, or
    one that the compiler is told of."""

    BASIC = "basic"
    FOUND = "found"
    GIVEN = "given"


def node_stub(root: Path) -> NodeStub:
    """Return where the declarations of Node come from for an editor in the project at `root`."""
    return NodeStub.BASIC if own_node_types(root) is None else NodeStub.FOUND


@dataclass(frozen=True, slots=True)
class Schemas:
    """The JSON schemas of functions.yaml and of test files, as text. Without that of test files, its file stays."""

    manifest: str
    tests: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a project adds to the scope of its handlers: unknown trigger types, packages, names of environment
    variables, an init script."""

    types: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    initialization_script: Script | None = None


def scope_of(project: Project) -> Scope:
    """Return what `project` adds to the scope of its handlers. No value of a variable is in it."""
    return Scope(
        types=tuple(one.type for one in project.functions or ()),
        packages=tuple(project.runtime.dependencies or ()),
        variables=tuple(project.runtime.environment or ()),
        initialization_script=project.runtime.initialization_script,
    )


def write_stubs(root: Path, schemas: Schemas, scope: Scope | None = None) -> tuple[Written, ...]:
    """Write the `.d.ts` files and the JSON schemas below `.ckfunc/`, and return what was done about each.

    Older files are replaced without asking; equal ones are left alone, so that nothing that watches them wakes up.
    """
    return write_all(root, stub_files(schemas, scope, node=node_stub(root)), force=True)


def stale_stubs(root: Path, schemas: Schemas, scope: Scope | None = None) -> dict[str, str]:
    """Return the files that `write_stubs` would write, each with what is wrong with the one that is there."""
    found = {}
    for name, text in stub_files(schemas, scope, node=node_stub(root)).items():
        try:
            if read_file(root / name) != text.encode("utf-8"):
                found[name] = "out of date"
        except FileNotFoundError:
            found[name] = "missing"
        except OSError as error:
            found[name] = f"cannot be read: {error.strerror}"
    return found


def stub_files(schemas: Schemas, scope: Scope | None = None, *, node: NodeStub = NodeStub.BASIC) -> dict[str, str]:
    """Return the files that `write_stubs` writes: path below the project to text."""
    scope = scope or Scope()
    basic = node is NodeStub.BASIC
    return {
        # The directory holds what can be made again: git need not be told by the user's own .gitignore.
        ".ckfunc/.gitignore": "*\n",
        SCHEMA_FILE: schemas.manifest.removesuffix("\n") + "\n",
        **({TESTS_SCHEMA_FILE: schemas.tests + "\n"} if schemas.tests else {}),
        f"{TYPES_DIR}/chatkitty.d.ts": render(
            "types/chatkitty.d.ts",
            version=__version__,
            events=[_event(one) for one in _triggers(scope.types)],
            resources=resource_declarations(),
            requests=request_declarations(),
            families=families(),
        ),
        f"{TYPES_DIR}/node.d.ts": render("types/node-basic.d.ts", version=__version__)
        if basic
        else render("types/node.d.ts", version=__version__, reference=node is NodeStub.FOUND),
        f"{TYPES_DIR}/project.d.ts": _project_types(scope, _BASIC_MODULES if basic else ()),
    }


def _triggers(types: Iterable[str]) -> list[Trigger]:
    unknown = sorted({one for one in types if one not in BY_TYPE})
    return [*TRIGGERS, *(Trigger(one, "a type that ckfunc does not know") for one in unknown)]


def _event(trigger: Trigger) -> dict[str, object]:
    fields: tuple[EventField, ...] = trigger.fields
    doc = f"`{trigger.type}`: {trigger.when}."
    return {"name": trigger.event_type, "doc": doc, "fields": fields}


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
    """Return what an init script exports: what is deployed tells all values, and the file itself the types."""
    written = exports(script.source)
    return Exports(tuple(sorted({*exports(script.text).values, *written.values})), written.types)


def _import_of(path: str) -> str | None:
    """Return what the types import an init script by, None for one in JavaScript: its exports can be anything."""
    for suffix, imported in ((".mts", ".mjs"), (".cts", ".cjs"), (".ts", "")):
        if path.endswith(suffix):
            return posixpath.relpath(path.removesuffix(suffix) + imported, TYPES_DIR)
    return None
