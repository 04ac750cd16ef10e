"""Errors in scripts and imported files: reported in the user's files, all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from bundle.sources import FORMAT, HANDLER, Make, handler

from ckfunc.base.errors import CkfuncError
from ckfunc.bundle.build import build
from ckfunc.bundle.cache import BundleInput
from ckfunc.bundle.graph import Graph
from ckfunc.bundle.project import Bundler, InvalidModules
from ckfunc.model.execution import SyntaxProblem
from ckfunc.runtime.compiler import CompilerProcess

NODE = "function handleEvent() { return 1; }\n"


def mistakes(bundler: Bundler, make: Make, files: Mapping[str, str], init: str | None = None) -> list[str]:
    with pytest.raises(InvalidModules) as raised:
        bundler.project(make(files, init=init))
    assert raised.value.exit_code == 1
    return [str(problem) for problem in raised.value.problems]


def importing(name: str, use: str = "a") -> str:
    return f'import {{ a }} from "{name}";\nfunction handleEvent() {{ return {use}; }}\n'


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../lib/nowhere", "there is no file lib/nowhere.ts, or with another extension"),
        ("../lib/nowhere.ts", "there is no file lib/nowhere.ts (create it, or fix the path)"),
        ("../../elsewhere/a", '"../../elsewhere/a" is outside the project'),
        ("../lib/notes.txt", 'no file that can be imported matches "../lib/notes.txt" (files with these extensions'),
        ("../lib/latin", "'lib/latin.ts' is not UTF-8 text (save the file as UTF-8)"),
        ("../lib/link", "'lib/link.ts' is outside the project"),
        ("/nowhere/at/all", '"/nowhere/at/all" is outside the project'),
        ("../lib/format", 'no matching export in "lib/format.ts" for import "a"'),
    ],
)
def test_an_unusable_file_is_reported_at_its_import(
    make: Make, bundler: Bundler, tmp_path: Path, name: str, said: str
) -> None:
    project = make({"handlers/start.ts": NODE, "lib/notes.txt": "a", "lib/format.ts": FORMAT}).root
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.ts").write_text("export const a = 1;\n")
    (project / "lib/latin.ts").write_bytes("export const a = 'é';".encode("latin-1"))
    (project / "lib/link.ts").symlink_to(tmp_path / "elsewhere/a.ts")
    (found,) = mistakes(bundler, make, {"handlers/start.ts": importing(name)})
    column = 10 if "export" in said else 19
    assert found.lower().startswith(f"handlers/start.ts:1:{column}: {said}".lower())


def test_an_absolute_path_is_refused_even_if_the_file_exists(make: Make, bundler: Bundler, tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("export const a = 1;\n")
    name = (tmp_path / "a").as_posix()
    (found,) = mistakes(bundler, make, {"handlers/start.ts": importing(name)})
    assert found.startswith(f'handlers/start.ts:1:19: "{name}" is outside the project')
    (tmp_path / "notes.txt").write_text("a")
    text = f"const a = require('{tmp_path.as_posix()}/notes.txt');\nfunction handleEvent() {{ return a; }}\n"
    (found,) = mistakes(bundler, make, {"handlers/start.ts": text})
    assert found.startswith(f'handlers/start.ts:1:19: "{tmp_path.as_posix()}/notes.txt" is outside the project')


def test_the_content_of_an_absolute_path_is_never_shown(make: Make, bundler: Bundler, tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("root:x:0:0\n")
    (tmp_path / "a.ts").write_text(f'import "{(tmp_path / "secrets").as_posix()}";\nexport const a = 1;\n')
    for name in ((tmp_path / "secrets").as_posix(), (tmp_path / "a").as_posix()):
        (found,) = mistakes(bundler, make, {"handlers/start.ts": importing(name)})
        assert found.startswith(f'handlers/start.ts:1:19: "{name}" is outside the project')


def test_a_handler_imported_under_another_name_is_refused(make: Make, bundler: Bundler) -> None:
    start = 'import { a as handleEvent } from "../lib/a";\n'
    for source in (start, start + "export { handleEvent };\n"):
        files = {"handlers/start.ts": source, "lib/a.ts": "export function a() { return 1; }\n"}
        (found,) = mistakes(bundler, make, files)
        assert found.startswith("handlers/start.ts:1:1: the script's function would be named a, not handleEvent (")


def test_a_computed_path_is_refused(make: Make, bundler: Bundler) -> None:
    source = (
        "const load = (name: string) => import(`../lib/${name}.ts`);\nfunction handleEvent() { return load('a'); }\n"
    )
    fixed = 'import { a } from "../lib/a";\n' + source + "export { a };\n"
    for number, text in enumerate((source, fixed), start=1):
        (found,) = mistakes(bundler, make, {"handlers/start.ts": text, "lib/a.ts": "export const a = 1;\n"})
        assert found.startswith(f"handlers/start.ts:{number}:39: an import with a computed path cannot be bundled")


def test_a_syntax_error_of_an_imported_file_is_shown_in_that_file(make: Make, bundler: Bundler) -> None:
    broken = 'export const é = "ü";\nexport const a = é + ;\n'
    found = mistakes(bundler, make, {"handlers/start.ts": importing("../lib/a"), "lib/a.ts": broken})
    assert found == ['lib/a.ts:2:22: unexpected ";"']


MARKED = "<<<<<<< ours\n1\n||||||| base\n=======\n2\n>>>>>>> theirs\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (MARKED, [1]),
        (f"/*\n{MARKED}*/\nconst text = `\n{MARKED}`;\n", [2, 10]),
        (f"<<<<<<< half\n{MARKED}", [2]),
        ("/*\n<<<<<<< no end\n=======\n*/", []),
        ("/*\n=======\n>>>>>>> no start\n*/", []),
        ("// <<<<<<< a\n=======\n>>>>>>> b\n".replace("\n", "\n// "), []),
    ],
)
def test_merge_conflicts_are_refused_even_where_they_parse(
    make: Make, bundler: Bundler, text: str, lines: list[int]
) -> None:
    files = {"handlers/start.ts": text, "handlers/second.ts": importing("../lib/a"), "lib/a.ts": text}
    files["lib/a.ts"] += "export const a = 1;\n"
    if not lines:
        bundler.project(make(files))
        return
    found = mistakes(bundler, make, files)
    places = [f"{path}:{line}:1" for path in ("handlers/start.ts", "lib/a.ts") for line in lines]
    assert [problem.partition(": unresolved merge conflict (")[0] for problem in found] == places


def test_all_errors_are_reported_together(make: Make, bundler: Bundler) -> None:
    files = {
        "handlers/first.ts": importing("../lib/a"),
        "handlers/second.ts": 'import { b } from "./nowhere";\n' + importing("../lib/a", "[a, b]"),
        "handlers/third.ts": importing("../lib/missing").replace("../lib/missing", "../lib/mjs"),
        "handlers/good.ts": importing("../lib/fine"),
        "lib/a.ts": "export const a = ;\nimport './none';\n",
        "lib/fine.ts": "export const a = 1;\n",
        "init.ts": 'import { x } from "./lib/fine";\nexport const y = x;\n',
    }
    found = mistakes(bundler, make, files, init="init.ts")
    places = [message.partition(": ")[0] for message in found]
    assert places == [
        "handlers/second.ts:1:19",
        "handlers/third.ts:1:19",
        "init.ts:1:10",
        "lib/a.ts:1:18",
    ]


def test_valid_scripts_are_bundled_even_if_others_are_broken(make: Make, bundler: Bundler) -> None:
    files = {
        "handlers/good.ts": importing("../lib/fine"),
        "handlers/bad.ts": importing("../lib/later"),
        "lib/fine.ts": "export const a = 1;\n",
    }
    with pytest.raises(InvalidModules) as raised:
        bundler.project(make(files))
    project = raised.value.project
    assert raised.value.broken == {"handlers/bad.ts"}
    assert handler(project, "good").modules == ("handlers/good.ts", "lib/fine.ts")
    assert handler(project, "bad").modules == ()
    # All candidate paths of the missing file are watched.
    assert {project.root / "lib/later.ts", project.root / "lib/later.json", project.root / "lib/later/index.js"} <= set(
        project.watched
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("export const b = a;\n", "1:1: there is no top-level function named handleEvent"),
        ("const other = { a };\nexport default other;\n", ""),
        ("export { a as other };\n", "1:1: there is no top-level function named"),
        ("function handleEvent() {\n  return [a;\n}\n", '3:12: expected "]" but found ";"'),
        ("function handleEvent() {\n  return a;\n\n", "3:12: the file ends too early"),
        ("function handleEvent() {\n  return `${a}\n}\n", "4:2: unterminated string literal"),
        ("function handleEvent() {} // and no newline", ""),
        ("let b = 1;\nlet b = 2;\nfunction handleEvent() {}", '3:5: the symbol "b" has already been declared'),
    ],
)
@pytest.mark.parametrize("ending", ["ts", "js"])
def test_a_handler_with_imports_must_parse_and_define_its_function(
    make: Make, bundler: Bundler, source: str, said: str, ending: str
) -> None:
    files = {f"handlers/start.{ending}": f'import {{ a }} from "../lib/a";\n{source}', "lib/a.ts": "export let a = 1;"}
    if not said:
        bundler.project(make(files))
        return
    (found,) = mistakes(bundler, make, files)
    assert found.startswith(f"handlers/start.{ending}:{said}")


def test_two_functions_named_like_the_handler_are_an_error(make: Make, bundler: Bundler) -> None:
    library = "export function handleEvent() { return 1; }\n"
    source = 'import { handleEvent as other } from "../lib/a";\nfunction handleEvent() { return other(); }\n'
    (found,) = mistakes(bundler, make, {"handlers/start.ts": source, "lib/a.ts": library})
    assert "two functions named handleEvent, the other from lib/a.ts" in found
    common = 'const other = require("../lib/a");\nfunction handleEvent() { return other.handleEvent(); }\n'
    (found,) = mistakes(bundler, make, {"handlers/start.js": common, "lib/a.ts": library})
    assert found.startswith("handlers/start.js:1:1: the script would have two functions named handleEvent")


def test_syntax_that_only_node_refuses_is_reported_in_the_local_file(make: Make, cache: Path, tmp_path: Path) -> None:
    with CompilerProcess() as compiler:

        def check(scripts: Sequence[tuple[str, str]]) -> list[SyntaxProblem]:
            return [result for result in compiler.compile(scripts) if isinstance(result, SyntaxProblem)]

        (tmp_path / "cache").mkdir()
        (tmp_path / "cache/runtimes").symlink_to(cache / "runtimes")
        bundler = Bundler(tmp_path / "cache", check)
        library = "// first\nexport function greeting(name: string) {\n  return /(/.test(name);\n}\n"
        (found,) = mistakes(bundler, make, {"handlers/start.ts": HANDLER, "lib/format.ts": library})
        assert found.startswith("lib/format.ts:3:")
        assert "nvalid regular expression" in found
        assert not (tmp_path / "cache/bundles").exists()


def test_a_failure_of_esbuild_without_a_reason_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "esbuild"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    entry = BundleInput("start.ts", "import './a'", True, Graph({"start.ts": "import './a'"}, {}, frozenset()))
    with pytest.raises(CkfuncError, match=r"esbuild failed on start\.ts: esbuild exited with code 3"):
        build(program, [entry])
