"""Compiled TypeScript, and positions of syntax errors."""

from __future__ import annotations

import json
import threading

import pytest

from ckfunc.model.execution import Compiled, SyntaxProblem
from ckfunc.runtime.compiler import CompilerProcess


def compiled(compiler, source, name="handlers/handler.ts"):
    (result,) = compiler.compile([(name, source)])
    return result


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("const a: number = ;\n", 1, 19, "Expression expected"),
        ("type A = {\n  b: string;\n};\nfoo(a, b c);", 4, 10, "Expected ',', got a name"),
        ("function f() {\n  return 1;\n", 2, 13, "Expected '}', but the file ends"),
        ("type A = ;", 1, 10, "Unexpected token `;`: a type is expected"),
        ("const o = { a: 1, b 2 };", 1, 21, "Unexpected token `numeric literal`"),
        ("const a = 1;\r\nconst b: = 2;\r\n", 2, 10, "Unexpected token `=`: a type is expected"),
        ("const ä = 'öß', b = ;", 1, 21, "Expression expected"),
        ("const a = `abc\n", 1, 11, "Unterminated template"),
        ("interface A {\n  a: string;\n}\nlet x = 1;\n  let x = 2;", 5, 7, "Identifier 'x' has already been declared"),
        ("import a from 'x';\n\n  const b = a, b = 2;", 3, 16, "Identifier 'b' has already been declared"),
        ("type T = 1;\nconst a = /(/;", 2, 11, "Invalid regular expression: /(/: Unterminated group"),
        ("function f() {\n  await 3;\n}", 2, 3, "await isn't allowed in non-async function"),
        ("return 3;", 1, 1, "Return statement is not allowed here"),
        ("function d(x: any) {}\nclass A { @d m() {} }", 2, 11, "decorators are not supported by Node"),
        (
            *("type T = 1;\nclass A { static accessor a = 1; }", 2, 27),
            "accessor fields are not supported by Node: write a getter and a setter",
        ),
        ("module Foo { export const a = 1; }", 1, 1, "`module` keyword is not supported. Use `namespace` instead."),
        ("const a = <div>x</div>;", 1, 18, "Expression expected"),
    ],
)
def test_a_syntax_error_is_reported_at_its_position_in_the_source(compiler, source, line, column, message):
    problem = compiled(compiler, source)
    assert isinstance(problem, SyntaxProblem)
    assert (problem.name, problem.line, problem.column) == ("handlers/handler.ts", line, column)
    assert problem.message.startswith(message)
    assert "\n" not in problem.message


def test_types_are_removed_and_enums_are_compiled(compiler):
    result = compiled(
        compiler, "enum E { A = 3 }\nconst a: number = <number>E.A;\nnamespace N { export const b = a; }\n"
    )
    assert isinstance(result, Compiled)
    assert "number" not in result.javascript
    assert "E" in result.javascript
    assert json.loads(result.source_map)["sources"] == ["handlers/handler.ts"]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("function handleEvent() {}", "cjs"),
        ("const x = require('x');", "cjs"),
        ("import x = require('x');\nexport = x;", "cjs"),
        ("import x from 'x';\nx();", "mjs"),
        ("export const x = 1;", "mjs"),
        ("await 1;", "mjs"),
        ("import 'side-effect';", "mjs"),
        ("", "cjs"),
        ("\ufeff// only a comment", "cjs"),
    ],
)
def test_the_module_kind_is_the_one_that_node_would_choose(compiler, source, kind):
    assert compiled(compiler, source).module_kind == kind


def test_imports_used_only_as_types_are_dropped(compiler):
    source = (
        "import { User, find } from 'users';\nimport { Only, Types } from 'types';\nimport Default from 'default';\n"
        "import type { T } from 't';\nimport * as all from 'all';\nimport 'kept';\n"
        "const u: User = find('Only');\nlet d: Default; let a: all.A; // Types\n"
        "const text = `${/import {Types} from/}`;\n"
    )
    javascript = compiled(compiler, source).javascript
    imports = [line.replace("'", '"') for line in javascript.splitlines() if line.startswith("import")]
    assert imports == ['import { find } from "users";', 'import "kept";']


def test_a_script_whose_imports_are_all_dropped_is_commonjs(compiler):
    result = compiled(
        compiler, "import { Only } from 'types';\nconst ms = require('ms');\nfunction handleEvent(o: Only) {}"
    )
    assert result.module_kind == "cjs"


def test_imports_of_a_javascript_file_are_never_dropped(compiler):
    assert "unused" in compiled(compiler, "import { unused } from 'x';\n", "handlers/a.mjs").javascript


def test_a_missing_handle_event_is_a_problem_only_for_handlers(compiler):
    result = compiled(compiler, "export const x = 1;")
    assert isinstance(result, Compiled)
    assert result.no_handler == SyntaxProblem(
        "handlers/handler.ts", 1, 1, "there is no top-level function named handleEvent"
    )
    assert compiled(compiler, "exports.handleEvent = () => 1;").no_handler is None


def test_results_are_in_the_order_of_the_batch(compiler):
    scripts = [(f"{n}.ts", f"const a{n} = {n};" if n % 3 else "const = 1;") for n in range(60)]
    results = compiler.compile(scripts)
    assert [result.name for result in results] == [name for name, _ in scripts]
    assert [isinstance(result, SyntaxProblem) for result in results] == [n % 3 == 0 for n in range(60)]


def test_large_sources_and_unusual_characters_are_compiled(compiler):
    source = "const text = '😀ü';\n" + "text.at(0);\n" * 60_000
    assert "😀ü" in compiled(compiler, source).javascript
    assert isinstance(compiled(compiler, "const a = '\ud800';"), Compiled)


def test_a_source_that_crashes_node_does_not_affect_the_others(compiler):
    bad, good = compiler.compile([("deep.ts", "(" * 50_000), ("good.ts", "const a = 1;")])
    assert isinstance(bad, SyntaxProblem)
    assert bad.message.startswith("Node could not compile this: it ")
    assert isinstance(good, Compiled)


def test_a_compiler_can_be_used_after_close_and_from_several_threads():
    with CompilerProcess() as compiler:
        compiled(compiler, "const a = 1;")
        compiler.close()
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(compiled(compiler, "let a: number;"))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [result.javascript.strip() for result in results] == ["let a;"] * 4


def test_without_node_internals_the_compiler_uses_public_functions():
    with CompilerProcess(internals=False) as compiler:
        typescript = compiled(compiler, "type A = 1;\nconst a: number = ;")
        javascript = compiled(compiler, "type A = 1;\nlet a;\n  let a;")
        module = compiled(compiler, "import a from 'x';\nlet a;")
        fine = compiled(compiler, "enum E { A }\nexport const e: E = E.A;")
    assert (typescript.line, typescript.column, typescript.message) == (2, 19, "Expression expected")
    assert (javascript.line, javascript.column) == (3, 7)
    assert (module.line, module.message) == (1, "Identifier 'a' has already been declared")
    assert fine.module_kind == "mjs"
    assert json.loads(fine.source_map)["mappings"]


def test_the_compiler_process_starts_with_the_first_source():
    with CompilerProcess() as compiler:
        assert compiler.compile([]) == ()
        assert compiler._process is None
