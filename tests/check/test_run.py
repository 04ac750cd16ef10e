"""Results of a check, and their cache."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from check.conftest import GOOD, STUBS, WRONG, World

from ckfunc.base.files import cache_dir, read_checked
from ckfunc.check.findings import Finding
from ckfunc.check.run import CachedCheck, ResultCache
from ckfunc.check.subject import list_files
from ckfunc.check.typescript import CompilerBroke, compiler, run


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".ckfunc" not in path.parts
    }


def test_type_errors_are_found_with_line_and_column(world: World) -> None:
    world.write("handlers/good.ts", GOOD)
    world.write("handlers/wrong.ts", WRONG)
    result = world.check()
    [found] = result.findings
    assert (found.path, found.line, found.column, found.code, found.length) == ("handlers/wrong.ts", 2, 18, "TS2339", 4)
    assert found.message == "Property 'size' does not exist on type 'Message'."
    assert result.files == ("handlers/good.ts", "handlers/wrong.ts")


def test_errors_of_all_kinds_are_reported_together(world: World) -> None:
    world.write("handlers/broken.ts", "function handleEvent( {\n")
    world.write("handlers/broken.js", "function handleEvent( {\n")
    world.write("handlers/wrong.ts", WRONG)
    codes = {(finding.path, finding.code) for finding in world.check().findings}
    assert codes == {
        ("handlers/broken.ts", "TS1005"),
        ("handlers/broken.js", "syntax"),
        ("handlers/wrong.ts", "TS2339"),
    }


def test_only_imported_local_modules_are_checked(world: World) -> None:
    world.write("lib/format.ts", "export const wide: string = 1;\n")
    world.write("lib/unused.ts", "const never: string = 1;\n")
    world.write("handlers/a.ts", f'import {{ wide }} from "../lib/format";\n{GOOD}wide;\n')
    result = world.check()
    assert [finding.place for finding in result.findings] == ["lib/format.ts:1:14"]
    assert result.files == ("handlers/a.ts", "lib/format.ts")


def test_a_broken_module_is_found_for_every_form_of_import(world: World) -> None:
    world.write("lib/broken.ts", "export const = 1;\n")
    world.write("handlers/a.ts", f'import "../lib/broken";\n{GOOD}')
    world.write("handlers/b.ts", WRONG)
    assert "lib/broken.ts" in {finding.path for finding in world.check().findings}


def test_errors_in_stubs_and_packages_are_not_reported(world: World) -> None:
    world.stubs["wrong.d.ts"] = "declare const a: Missing;\n"
    world.write("node_modules/pizza/index.ts", "export const a: string = 1;\n")
    world.write("node_modules/pizza/package.json", '{"name": "pizza", "types": "index.ts"}')
    world.write("handlers/a.ts", f'import {{ a }} from "pizza";\na.length;\n{GOOD}')
    assert world.places() == []


def test_the_declarations_of_the_project_apply(world: World) -> None:
    world.write("types/own.d.ts", "interface Message { size: number }\n")
    world.write("handlers/a.ts", WRONG)
    assert world.places() == []


def test_an_error_is_reported_once(world: World) -> None:
    world.write("handlers/a.ts", f"const a = 1;\nconst a = 2;\n{GOOD}")
    assert world.places() == ["handlers/a.ts:1:7 TS2451", "handlers/a.ts:2:7 TS2451"]


def test_files_outside_the_check_directory_are_unchanged(world: World) -> None:
    world.write("handlers/a.ts", WRONG)
    world.write("tsconfig.json", '{"compilerOptions": {"outDir": "out", "composite": true, "sourceMap": true}}')
    before = snapshot(world.root)
    assert world.check().findings
    assert snapshot(world.root) == before
    assert [path.name for path in (world.root / ".ckfunc").iterdir() if path.is_dir()] == ["check"]


def test_an_unchanged_project_runs_no_tools(world: World) -> None:
    world.write("handlers/a.ts", WRONG)
    world.write("handlers/b.js", "function handleEvent( {\n")
    first = world.check()
    assert sorted(world.asked) == ["handlers/a.ts", "handlers/b.js", "stubs", "tsc"]
    second = world.check()
    assert world.asked == []
    assert second.from_cache
    assert not first.from_cache
    assert (second.findings, second.files) == (first.findings, first.files)


def test_only_changed_scripts_are_parsed_again_and_stubs_are_generated_once(world: World) -> None:
    world.write("handlers/a.ts", WRONG)
    world.write("handlers/b.ts", GOOD)
    world.check()
    world.write("handlers/b.ts", f"{WRONG}// more\n")
    assert len(world.places()) == 2
    assert sorted(world.asked) == ["handlers/b.ts", "tsc"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lib/format.ts", "export const wide = 1;\n"),
        pytest.param("lib/format/index.ts", "export const wide = 2;\n", marks=pytest.mark.slow),
        pytest.param("types/new.d.ts", "interface Message { size: number }\n", marks=pytest.mark.slow),
        pytest.param("tsconfig.json", '{"compilerOptions": {"strict": true}}', marks=pytest.mark.slow),
        ("base.json", '{"compilerOptions": {"strict": false}}'),
        pytest.param("node_modules/pizza/package.json", "{}", marks=pytest.mark.slow),
        ("node_modules/@scope/pizza/package.json", "{}"),
        ("package.json", '{"imports": {}}'),
    ],
)
def test_a_change_of_any_input_is_detected(world: World, name: str, text: str) -> None:
    world.write("tsconfig.json", '{"extends": "./base"}')
    world.write("base.json", '{"compilerOptions": {"strict": true}}')
    world.write("lib/format.ts", "export const wide = '1';\n")
    world.write("handlers/a.ts", f'import {{ wide }} from "../lib/format";\nwide;\n{GOOD}')
    world.check()
    assert world.check().from_cache
    world.write(name, text)
    assert not world.check().from_cache


def test_changed_stubs_change_the_result(world: World) -> None:
    world.write("handlers/a.ts", WRONG)
    assert world.check().findings
    world.identity, world.stubs = "2", {"stubs.d.ts": STUBS["stubs.d.ts"].replace("body", "size")}
    assert not world.check().findings
    (world.root / ".ckfunc/check/stubs.d.ts").unlink()
    world.write("handlers/a.ts", WRONG + "\n")
    assert not world.check().findings


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        *(pytest.param(text, marks=pytest.mark.slow) for text in ("", "{}", '{"format": 1}')),
        '{"format": 1, "results": [], "syntax": 3}',
    ],
)
def test_a_damaged_cache_is_ignored(world: World, text: str) -> None:
    world.write("handlers/a.ts", WRONG)
    world.check()
    world.write(".ckfunc/check/results.json", text)
    world.write(".ckfunc/check/stubs.json", text)
    assert world.places() == ["handlers/a.ts:2:18 TS2339"]
    assert world.check().from_cache


def test_the_newest_results_are_cached(world: World) -> None:
    world.write("handlers/a.ts", GOOD)
    for number in range(10):
        world.write(f"more{number}.ts", "")
        world.check()
    kept = read_checked(world.root / ".ckfunc/check/results.json")
    assert len(kept["results"]) == 8
    assert len(kept["syntax"]) == 1


def test_a_project_with_very_many_files_is_checked_again_each_time(world: World) -> None:
    world.write("handlers/a.ts", GOOD)
    world.write("handlers/b.ts", GOOD)
    assert list_files(world.root, max_files=2).digest
    assert list_files(world.root, max_files=1).digest is None
    cache = ResultCache()
    cache.store(None, CachedCheck((), {}))
    assert cache.lookup(None, world.root) is None


def test_a_project_without_scripts_has_no_findings_and_writes_no_files(world: World) -> None:
    (world.root / "handlers").mkdir()
    assert world.check().findings == ()
    assert not (world.root / ".ckfunc").exists()


def test_javascript_alone_needs_no_compiler_unless_the_settings_enable_it(world: World) -> None:
    world.write("handlers/a.js", "function handleEvent() { return Math.size; }\n")
    assert world.check().files == ()
    assert world.asked == ["handlers/a.js"]
    world.write("tsconfig.json", '{"compilerOptions": {"checkJs": true}}')
    assert world.places() == ["handlers/a.js:1:38 TS2339"]


def test_an_init_script_is_checked_but_needs_no_handle_event(world: World) -> None:
    world.write("init.ts", "export const limit: string = 3;\n")
    world.write("handlers/a.ts", GOOD)
    assert world.places() == ["init.ts:1:14 TS2322"]


def test_columns_are_counted_as_in_editors(world: World) -> None:
    world.write("handlers/a.ts", f'/* 😀 */ const a: number = "";\r\n\tconst é: number = "";\n{GOOD}')
    assert world.places() == ["handlers/a.ts:1:16 TS2322", "handlers/a.ts:2:8 TS2322"]


def test_a_failure_of_the_compiler_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CompilerBroke):
        run(tmp_path / "missing", tmp_path, ())
    program = tmp_path / "tsc"
    program.write_text("#!/bin/sh\necho 'panic: out of luck'\nexit 2\n")
    program.chmod(0o755)
    with pytest.raises(CompilerBroke, match="out of luck"):
        run(program, tmp_path, ())


def test_the_path_of_the_compiler_is_cached(tmp_path: Path) -> None:
    program = compiler(cache_dir())
    [note] = cache_dir().glob("typescript-*")
    directory = next(directory for directory in program.parents if directory.parent.name == "runtimes")
    copy = tmp_path / "elsewhere"
    shutil.copytree(directory, copy, symlinks=True)
    (tmp_path / note.name).write_text(str(copy / program.relative_to(directory)))
    assert compiler(tmp_path) == copy / program.relative_to(directory)
    assert not (tmp_path / "runtimes").exists()


def test_a_result_without_packages_is_not_cached(world: World) -> None:
    world.write("handlers/a.ts", WRONG)
    world.complete = False
    assert not world.check().from_cache
    assert not world.check().from_cache
    world.complete = True
    world.check()
    assert world.check().from_cache


def test_two_concurrent_checks_have_the_same_result(world: World) -> None:
    world.write("handlers/a.ts", WRONG)
    other = World(world.root, world.parser)
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(World.check, (world, other)))
    assert [len(result.findings) for result in results] == [1, 1]


def test_bundling_errors_are_found_each_time_and_reported_once(world: World) -> None:
    world.write("handlers/a.ts", WRONG)
    world.unbundled = (
        Finding("handlers/a.ts", 2, 1, "bundle", "the same line"),
        Finding("lib/b.js", 1, 1, "bundle", "not closed"),
        Finding("lib/b.js", 1, 1, "bundle", "not closed, said another script"),
    )
    for _ in range(2):
        assert world.places() == ["handlers/a.ts:2:18 TS2339", "lib/b.js:1:1 bundle"]


def test_a_damaged_installation_is_replaced(tmp_path: Path) -> None:
    known = compiler(cache_dir())
    directory = next(directory for directory in known.parents if directory.parent.name == "runtimes")
    copy = tmp_path / "runtimes" / directory.name
    shutil.copytree(directory, copy, symlinks=True)
    program = copy / known.relative_to(directory)
    program.write_bytes(b"\x7fELF")
    with pytest.raises(CompilerBroke) as broke:
        run(program, tmp_path, ["-p", "tsconfig.json"])
    assert "run the command again" in (broke.value.hint or "")
    assert compiler(tmp_path) == program
    assert program.stat().st_size == known.stat().st_size
    program.chmod(0o644)  # as in a cache that was copied without permissions
    assert compiler(tmp_path) == program
    assert os.access(program, os.X_OK)
