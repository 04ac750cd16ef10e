"""Bundles of handlers with the local files that they import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bundle.sources import FORMAT, HANDLER, Make, handler

from ckfunc.base.files import read_checked
from ckfunc.bundle import esbuild
from ckfunc.bundle.build import build
from ckfunc.bundle.cache import BundleInput
from ckfunc.bundle.graph import Tree, reader_of
from ckfunc.bundle.project import Bundler
from ckfunc.model.execution import Compiled
from ckfunc.model.project import Script
from ckfunc.runtime.compiler import CompilerProcess

SOURCES = {"handlers/start.ts": HANDLER, "lib/format.ts": FORMAT}
BUNDLE = """\
// Bundled by ckfunc from the files named below: change those, not this.
"use strict";

// lib/format.ts
import ms from "ms";
function greeting(name) {
  if (!name) {
    throw new Error("nobody is there");
  }
  return `hello ${name}, within ${ms(1e3)}`;
}

// handlers/start.ts
async function handleEvent(event, context) {
  return greeting(event.username);
}
"""


def test_a_handler_and_what_it_imports_become_one_readable_script(make: Make, bundler: Bundler) -> None:
    written = make(SOURCES)
    project = bundler.project(written)
    script = handler(project)
    assert script.text == BUNDLE
    assert script.path == "handlers/start.ts"
    assert script.source == HANDLER
    assert script.modules == ("handlers/start.ts", "lib/format.ts")
    assert {project.root / module for module in script.modules} <= set(project.watched)


def test_a_handler_without_local_imports_is_unchanged_and_nothing_is_installed(make: Make, tmp_path: Path) -> None:
    source = 'import ms from "ms";\n\n// a comment\nasync function handleEvent() { return ms(1); }\n'
    written = make({"handlers/start.ts": source, "init.ts": "export const a = 1;\n"}, init="init.ts")
    nothing = tmp_path / "empty"
    assert Bundler(nothing).project(written) is written
    assert not nothing.exists()


@pytest.mark.parametrize(
    "source",
    [
        'import { Name } from "../lib/types";\nfunction handleEvent(event: { name: Name }) { return event; }\n',
        'import type { Name } from "../lib/types";\nfunction handleEvent(event: { name: Name }) { return event; }\n',
        'function handleEvent(event: import("../lib/types").Name) { return event; }\n',
        'function handleEvent() { return 1; } // it was: import { a } from "../lib/nowhere"\n',
    ],
)
def test_a_script_that_imports_only_types_is_not_bundled(make: Make, bundler: Bundler, source: str) -> None:
    written = make({"handlers/start.ts": source, "lib/types.ts": "export type Name = string;\n"})
    for _ in range(2):  # without and with a cached result
        assert handler(bundler.project(written)) == Script("handlers/start.ts", source)


def test_the_same_sources_give_the_same_bytes_in_every_directory(make: Make, cache: Path, tmp_path: Path) -> None:
    told = {**SOURCES, "handlers/other.ts": HANDLER.replace("greeting(", "greeting('x' + ")}
    first = make(told, at="one")
    second = make({path: f"\ufeff{text}".replace("\n", "\r\n") for path, text in told.items()}, at="two/below")
    # Settings of other bundlers must not apply, whether they are above the project or in it.
    for place in (tmp_path / "two", second.root, second.root / "lib"):
        (place / "package.json").write_text('{"sideEffects": false, "type": "commonjs", "imports": {"ms": "./x.ts"}}')
        (place / "tsconfig.json").write_text('{"compilerOptions": {"target": "ES5", "paths": {"ms": ["./x.ts"]}}}')
    made = []
    for number, project in enumerate((first, second)):
        mine = tmp_path / f"cache{number}"
        mine.mkdir()
        (mine / "runtimes").symlink_to(cache / "runtimes")
        made.append(Bundler(mine).project(project))
    left, right = made
    for name in ("start", "other"):
        assert handler(left, name) == handler(right, name).__class__(
            handler(right, name).path,
            handler(right, name).text,
            handler(right, name).modules,
            handler(left, name).written,
            handler(right, name).source_map,
        )
    kept = [sorted(path.read_bytes() for path in (tmp_path / f"cache{number}/bundles").iterdir()) for number in (0, 1)]
    assert kept[0] == kept[1]
    assert str(tmp_path).encode() not in b"".join(kept[0])


def test_every_version_of_python_gives_the_same_bytes(make: Make, bundler: Bundler, tmp_path: Path) -> None:
    others = [path for name in ("python3.11", "python3.12", "python3.13") if (path := _python(name))]
    if not others:
        pytest.skip("there is no other Python here")
    project = make(SOURCES)
    expected = handler(bundler.project(project)).text
    program = esbuild.executable(bundler.cache)
    script = tmp_path / "bundle.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from ckfunc.bundle.build import build\nfrom ckfunc.bundle.cache import BundleInput\n"
        "from ckfunc.bundle.graph import Tree, reader_of\n"
        "root, program = map(Path, sys.argv[1:])\n"
        "source = (root / 'handlers/start.ts').read_text()\n"
        "graph = Tree(reader_of(root)).graph('handlers/start.ts', source)\n"
        "(made,) = build(program, [BundleInput('handlers/start.ts', source, True, graph)])\n"
        "sys.stdout.buffer.write(made.text.encode())\n"
    )
    # Python packages without compiled parts are the same for every version.
    paths = [str(Path(__file__).parents[2]), *(path for path in sys.path if "site-packages" in path)]
    for python in others:
        done = subprocess.run(
            [python, script, project.root, program],
            env={"PYTHONPATH": os.pathsep.join(paths), "PATH": os.environ["PATH"]},
            capture_output=True,
            check=False,
        )
        if b"ModuleNotFoundError" in done.stderr or b"ImportError" in done.stderr:
            pytest.skip(f"{python} cannot use the packages of this one")
        assert done.stdout.decode() == expected, done.stderr.decode()


def _python(name: str) -> Path | None:
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(versions.glob(f"{name.removeprefix('python')}.*/bin/{name}"))
    if found:
        return found[-1]
    there = shutil.which(name)
    if there is None or subprocess.run([there, "-V"], capture_output=True, check=False).returncode:
        return None
    return Path(there)


def test_a_bundle_does_not_depend_on_the_others(make: Make, bundler: Bundler) -> None:
    files = {
        **SOURCES,
        "handlers/all.ts": 'import * as start from "./start";\n'
        "async function handleEvent() { return Object.keys(start); }\n",
        "handlers/again.js": 'import { handleEvent as other } from "./all";\nfunction handleEvent() { return 2; }\n',
        "handlers/common.js": 'const { greeting } = require("../lib/format");\n'
        "function handleEvent(event) { return greeting(event.username); }\n",
        "handlers/data.ts": 'import { version } from "../package.json";\nfunction handleEvent() { return version; }\n',
        "package.json": '{"version": "1.2.3", "sideEffects": false}',
    }
    project = make(files)
    together = bundler.project(project)
    program = esbuild.executable(bundler.cache)
    tree = Tree(reader_of(project.root))
    assert len(together.functions or ()) == 5
    for function in together.functions or ():
        path = function.handler.path
        (alone,) = build(program, [BundleInput(path, files[path], True, tree.graph(path, files[path]))])
        assert not isinstance(alone, tuple)
        assert function.handler.text == alone.text, path
        assert "ckfunc_kept" not in function.handler.text


def test_javascript_with_require_keeps_its_handler_at_the_top(make: Make, bundler: Bundler) -> None:
    source = (
        'const { greeting } = require("../lib/format");\nconst ms = require("ms");\n'
        "async function handleEvent(event) {\n  return greeting(event.username) + ms(1);\n}\n"
    )
    text = handler(bundler.project(make({"handlers/start.js": source, "lib/format.ts": FORMAT}))).text
    assert "\nasync function handleEvent(event) {\n" in text
    assert 'require("ms");\nasync' in text
    assert '"use strict"' not in text


def test_exports_of_an_init_script_are_preserved(make: Make, bundler: Bundler) -> None:
    files = {
        "handlers/start.ts": "function handleEvent() { return desk; }\n",
        "init.ts": 'import { greeting } from "./lib/format";\nexport const desk = greeting("desk");\n'
        'export { greeting as hello } from "./lib/format";\n',
        "lib/format.ts": FORMAT,
    }
    script = bundler.project(make(files, init="init.ts")).runtime.initialization_script
    assert script is not None
    assert script.modules == ("init.ts", "lib/format.ts")
    assert script.text.endswith("\nexport {\n  desk,\n  greeting as hello\n};\n")


def test_exports_of_a_handler_are_preserved(make: Make, bundler: Bundler) -> None:
    source = HANDLER.replace("async function", "export async function") + "export const Zero = 0;\n"
    text = handler(bundler.project(make({**SOURCES, "handlers/start.ts": source}))).text
    assert text.endswith("\nexport {\n  Zero,\n  handleEvent\n};\n")


def test_a_handler_may_be_a_constant_or_come_from_another_file(make: Make, bundler: Bundler) -> None:
    files = {
        "handlers/constant.ts": 'import { both } from "../lib/both";\nconst handleEvent = both;\n',
        "handlers/imported.ts": 'import { handleEvent } from "../lib/event";\nvoid handleEvent;\n',
        "lib/both.ts": "export const both = async (event: any) => event;\n",
        "lib/event.ts": "export async function handleEvent(event: any) { return event; }\n",
    }
    project = bundler.project(make(files))
    assert "\nvar handleEvent = both;\n" in handler(project, "constant").text
    assert "\nasync function handleEvent(event) {\n" in handler(project, "imported").text


EXPORTED = {
    "export { handleEvent } from '../lib/event';": "async function handleEvent(",
    "export * from '../lib/event';": "async function handleEvent(",
    "export { run as handleEvent } from '../lib/event';": "run as handleEvent",
    "import { run } from '../lib/event';\nexport default { handleEvent: run };": "= { handleEvent: run };",
    "import { run } from '../lib/event';\nconst handlers = { handleEvent: run };\nexport { handlers as default };": (
        "handlers as default"
    ),
    "export { default } from '../lib/event';": "event_default as default",
}


@pytest.mark.parametrize("source", EXPORTED)
def test_a_handler_may_only_be_exported(make: Make, bundler: Bundler, source: str) -> None:
    library = (
        "export const run = async () => 1;\nexport async function handleEvent() { return 1; }\n"
        "export default { handleEvent: run };\n"
    )
    if "default" in source or "run" in source:  # a second function of that name would be called instead
        library = library.replace("export async function handleEvent", "export async function other")
    script = handler(bundler.project(make({"handlers/start.ts": source, "lib/event.ts": library})))
    assert EXPORTED[source] in script.text
    with CompilerProcess() as compiler:
        (compiled,) = compiler.compile([(script.path, script.text)])
    assert isinstance(compiled, Compiled)
    assert compiled.no_handler is None


def test_an_export_assignment_makes_a_script_of_common_js(make: Make, bundler: Bundler) -> None:
    source = 'import { a } from "../lib/a";\nfunction handleEvent() { return a; }\nexport = { handleEvent };\n'
    text = handler(bundler.project(make({"handlers/start.ts": source, "lib/a.ts": "export const a = 1;\n"}))).text
    assert text.endswith("\nmodule.exports = { handleEvent };\n")


def test_equal_names_in_several_files_are_distinguished(make: Make, bundler: Bundler) -> None:
    source = 'import { a } from "../lib/a";\nconst format = 1;\nfunction handleEvent() { return a() + format; }\n'
    library = "const format = 2;\nexport const a = () => format;\nfunction handleEvent() {}\n"
    text = handler(bundler.project(make({"handlers/start.ts": source, "lib/a.ts": library}))).text
    assert ("var format = 2;" in text, "var format2 = 1;" in text) == (True, True)
    assert text.count("function handleEvent(") == 1


def test_files_may_import_each_other(make: Make, bundler: Bundler) -> None:
    files = {
        "handlers/start.ts": 'import { even } from "../lib/even";\nexport const limit = 9;\n'
        "function handleEvent(event: any) { return even(event.n); }\n",
        "lib/even.ts": 'import { odd } from "./odd";\nimport { limit } from "../handlers/start";\n'
        "export const even = (n: number): boolean => n === 0 || (n < limit && odd(n - 1));\n",
        "lib/odd.ts": 'import { even } from "./even";\nexport const odd = (n: number): boolean => even(n - 1);\n',
    }
    script = handler(bundler.project(make(files)))
    assert script.modules == ("handlers/start.ts", "lib/even.ts", "lib/odd.ts")
    assert "\nfunction handleEvent(event) {\n" in script.text


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../lib/a", "lib/a.ts"),
        ("../lib/a.ts", "lib/a.ts"),
        ("../lib/a.js", "lib/a.ts"),
        ("../lib/a", "lib/a.mjs"),
        ("../lib/a.mjs", "lib/a.mts"),
        ("../lib", "lib/index.ts"),
        ("../lib/", "lib/index.js"),
        ("..", "index.ts"),
        ("../lib/a.b", "lib/a.b.ts"),
        ("../lib/../lib/ä b", "lib/ä b.ts"),
    ],
)
def test_imports_resolve_as_in_typescript(make: Make, bundler: Bundler, name: str, file: str) -> None:
    source = f'import {{ a }} from "{name}";\nfunction handleEvent() {{ return a; }}\n'
    script = handler(bundler.project(make({"handlers/start.ts": source, file: "export const a = 42;\n"})))
    assert script.modules == tuple(sorted(("handlers/start.ts", file)))
    assert "var a = 42;" in script.text


def test_json_files_are_bundled(make: Make, bundler: Bundler) -> None:
    files = {
        "handlers/start.ts": 'import words from "../shared/words.json";\n'
        'import no from "../shared/words.json" with { type: "json" };\n'
        "function handleEvent() { return [words, no]; }\n",
        "shared/words.json": '{"yes": "ja → ✓", "no": 1}',
    }
    text = handler(bundler.project(make(files))).text
    assert '"ja → ✓"' in text


def test_recent_syntax_is_not_transpiled(make: Make, bundler: Bundler) -> None:
    files = {
        "handlers/start.ts": 'import { open } from "../lib/open";\nconst first = await open();\n'
        "async function handleEvent() { using file = first; return file?.name ?? 1_000n; }\n",
        "lib/open.ts": "export const open = async () => ({ name: 1, [Symbol.dispose]() {} });\n",
    }
    text = handler(bundler.project(make(files))).text
    for part in ("var first = await open();", "using file = first;", "file?.name ?? 1000n"):
        assert part in text


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_a_cached_bundle_needs_no_esbuild(make: Make, bundler: Bundler) -> None:
    written = make(SOURCES)
    first = bundler.project(written)
    (bundler.cache / "runtimes").unlink()
    with CompilerProcess() as compiler:
        again = Bundler(bundler.cache, lambda scripts: compiler.compile(scripts) and [])
        assert again.project(written) == first
        assert compiler._process is None


def test_a_change_of_any_file_changes_the_bundle(make: Make, bundler: Bundler) -> None:
    texts = {handler(bundler.project(make(SOURCES))).text}
    changes = {
        "lib/format.ts": FORMAT.replace("hello", "bye"),
        "handlers/start.ts": HANDLER.replace("event.username", "event.name"),
        "lib/format.mts": "nobody asks for this one",
    }
    for path, text in changes.items():
        texts.add(handler(bundler.project(make({**SOURCES, path: text}))).text)
    assert len(texts) == 3
    assert len(list((bundler.cache / "bundles").iterdir())) == 4


def test_an_unused_change_does_not_change_the_bundle(make: Make, bundler: Bundler) -> None:
    first = handler(bundler.project(make(SOURCES)))
    more = f"{FORMAT}\nexport function another() {{ return 1; }} // and a comment\n"
    assert handler(bundler.project(make({**SOURCES, "lib/format.ts": more}))).text == first.text


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"text": 1}', '{"text": null}'])
def test_a_damaged_bundle_is_built_again(make: Make, bundler: Bundler, damage: str) -> None:
    written = make(SOURCES)
    first = bundler.project(written)
    (kept,) = (bundler.cache / "bundles").iterdir()
    kept.write_text(damage)
    assert bundler.project(written) == first
    assert read_checked(kept)["text"] == BUNDLE


def test_bundles_that_were_not_used_for_a_month_are_removed(make: Make, bundler: Bundler) -> None:
    bundler.project(make(SOURCES))
    (old,) = (bundler.cache / "bundles").iterdir()
    os.utime(old, (1, 1))
    bundler.project(make({**SOURCES, "lib/format.ts": FORMAT + "export {};\n"}))
    (left,) = (bundler.cache / "bundles").iterdir()
    assert left != old


def test_a_read_only_cache_is_not_an_error(make: Make, bundler: Bundler) -> None:
    (bundler.cache / "bundles").write_text("in the way")
    assert handler(bundler.project(make(SOURCES))).text == BUNDLE


@pytest.mark.parametrize(
    ("system", "processor", "name"),
    [
        ("linux", "x86_64", "@esbuild/linux-x64"),
        ("linux", "aarch64", "@esbuild/linux-arm64"),
        ("darwin", "arm64", "@esbuild/darwin-arm64"),
        ("win32", "AMD64", "@esbuild/win32-x64"),
    ],
)
def test_each_machine_has_its_own_esbuild(system: str, processor: str, name: str) -> None:
    assert esbuild.package(system, processor) == name


def test_an_unsupported_machine_is_reported() -> None:
    with pytest.raises(esbuild.NoBundler, match="does not support plan9 vax"):
        esbuild.package("plan9", "vax")


def test_a_failure_to_run_esbuild_is_reported(tmp_path: Path) -> None:
    with pytest.raises(esbuild.NoBundler, match="cannot be run"):
        esbuild.run(tmp_path / "nothing", [], tmp_path)
