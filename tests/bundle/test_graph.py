"""Detection of the local files that a source imports."""

from __future__ import annotations

import pytest

from ckfunc.bundle.graph import is_module, specifiers


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ('import { a } from "./lib/a";', "./lib/a"),
        ("import './setup.js'", "./setup.js"),
        ('import a, { b } from "../a"', "../a"),
        ('import * as a from ".."', ".."),
        ('export * from "./a"', "./a"),
        ('export { a } from "./a.json"', "./a.json"),
        ('const a = require("./a")', "./a"),
        ('import a = require("./a");', "./a"),
        ("const a = await import(`./a`)", "./a"),
        ('import{a}from"./a"', "./a"),
        ('import {\n  a,\n  b,\n} from "./a";', "./a"),
        ('import { a } from /* where: */ "./a"', "./a"),
        ('import { a } from // where\n  "./a"', "./a"),
        ('import(/* lazily */ "./a")', "./a"),
        ('import type a, { b } from "./a"', "./a"),
        ('import type from "./a"', "./a"),
        ('import { type A, b } from "./a"', "./a"),
        ('import a from "/home/jane/a"', "/home/jane/a"),
        ('import a from "C:/jane/a"', "C:/jane/a"),
        ('import a from "file:///home/jane/a"', "file:///home/jane/a"),
    ],
)
def test_a_local_import_is_found(source: str, path: str) -> None:
    (found,) = specifiers(source)
    assert found.path == path
    assert not found.computed
    assert found.absolute is not path.startswith(".")


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ('await import(event ? "./a" : "../b.ts")', ["./a", "../b.ts"]),
        ("require((/* b */'./b'))", ["./b"]),
        ('import(/* one of: */ (first ? "./a" : name)); import("./c")', ["./a", "./c"]),
        ('const path = "./a"; import("ms"); require()', []),
    ],
)
def test_literals_are_found_if_a_call_has_an_expression(source: str, paths: list[str]) -> None:
    assert [specifier.path for specifier in specifiers(source)] == paths


@pytest.mark.parametrize(
    "source",
    [
        'import axios from "axios";',
        'import a from "@scope/a/lib/b.js"',
        'const a = require("node:fs")',
        'import type { A } from "./a"',
        "import type A from './a'",
        'import type * as A from "./a"',
        'export type { A } from "./a"',
        'export type * from "./a"',
        'fetch("./a"); read("../b");',
        'Array.from("./a")',
        'const text = "imports from ./a";',
        "import(`${name}`); import(name)",
        "function handleEvent() { return 1; }",
        "",
    ],
)
def test_other_imports_are_not_found(source: str) -> None:
    assert specifiers(source) == ()


def test_the_position_of_an_import_is_its_opening_quote() -> None:
    first, second = specifiers('// é\nimport a from "./a";\n\n  const b = require(\n    "./b");\n')
    assert (first.line, first.column) == (2, 15)
    assert (second.line, second.column) == (5, 5)


def test_a_computed_path_is_marked() -> None:
    (found,) = specifiers("const load = (name) => import(`./plugins/${name}.ts`);")
    assert (found.path, found.computed) == ("./plugins/", True)


@pytest.mark.parametrize(
    ("source", "number"),
    [
        pytest.param("import " + " " * 300_000 + "x" + "/*" * 200_000 + " from " * 50_000, 0, id="spaces"),
        pytest.param("import /* " * 100_000, 0, id="not closed"),  # each keyword in the comment of the one before
        pytest.param("import /* " * 100_000 + "*/ './a'", 1, id="closed"),
        pytest.param("import( // " * 100_000 + "\n './a'", 1, id="in a line"),
        pytest.param("import /* import /* */ " * 50_000 + "'./a'", 1, id="in many comments"),
        pytest.param("from './a'" * 100_000, 100_000, id="on one line"),
    ],
)
def test_a_long_source_takes_time_in_proportion_to_its_length(source: str, number: int) -> None:
    assert len(specifiers(source)) == number  # in about a second; if each keyword read the rest, in hours


@pytest.mark.parametrize("gap", ["/**/", "/***/", "/* * / */", "// a\n", "\n\t/* a */ // b\n ", "/*\n// a\n*/"])
def test_comments_between_keyword_and_path_are_skipped(gap: str) -> None:
    for source in (f"import{gap}'./a'", f"import{gap}({gap}'./a'{gap})", f"/* import {gap}'./b'\nfrom {gap}'./a'"):
        assert specifiers(source)[-1].path == "./a"
    assert [each.path for each in specifiers(f"from{gap}('./a')")] == []


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ('import a from "a"', True),
        ("  export const a = 1", True),
        ("// first\nexport default {}", True),
        ('import a from "a";\nexport = a', False),
        ('const a = require("./a")', False),
        ('  import("./a")', False),
        ("import.meta.url", False),
        ("const important = 1; exported()", False),
    ],
)
def test_statements_tell_whether_a_source_is_a_module(source: str, module: bool) -> None:
    assert is_module(source) is module
