"""Requirements reported for a compiled script, compared with a run in the host."""

from __future__ import annotations

import json

import pytest

from ckfunc.model.execution import Compiled

RUN = [
    "async function handleEvent() { return 1; }",
    "const handleEvent = async () => 1;",
    "const handleEvent = function () { return 1; };",
    "let handleEvent;\nhandleEvent = () => 1;",
    "const one = () => 1;\nconst handleEvent = one;",
    "const wrap = (inner) => () => inner();\nconst handleEvent = wrap(() => 1);",
    "const { handleEvent } = { handleEvent: () => 1 };",
    "if (true) {\n  function handleEvent() { return 1; }\n}",
    "handleEvent = () => 1;",
    "globalThis.handleEvent = () => 1;",
    "exports.handleEvent = async () => 1;",
    "module.exports = { async handleEvent() { return 1; } };",
    "const all = { handleEvent: () => 1 };\nmodule.exports = all;",
    "Object.defineProperty(exports, 'handleEvent', { enumerable: true, get: () => () => 1 });",
    "module.exports = new (class { handleEvent() { return 1; } })();",
    "export const handleEvent = () => 1;",
    "export default function handleEvent() { return 1; }",
    "export default { handleEvent: () => 1 };",
    "const one = () => 1;\nexport { one as handleEvent };",
    "const handleEvent = (function (one) { return one; })(() => 1);",
    "const handleEvent = ((one) => () => one)(1);",
    "const { handleEvent } = await import('data:text/javascript,export const handleEvent = () => 1');",
    "import 'node:os';\nif (typeof module !== 'undefined') module.exports = {};\nconst handleEvent = () => 1;",
    "import 'node:os';\nlet at = 1;\ntry { at = __dirname; } catch {}\nconst handleEvent = () => at;",
    "import 'node:os';\nconst __filename = import.meta.filename;\nconst handleEvent = () => +!!{ module: __filename };",
    "import 'node:os';\nconst run = (exports) => exports.module;\nconst handleEvent = () => run({ module: 1 });",
    "export * as module from 'node:os';\nconst handleEvent = () => 1;",
    "export { exports } from 'data:text/javascript,export const exports = 1';\nconst handleEvent = () => 1;",
    "const handleEvent = () => (__dirname + module.id ? 1 : 0);",
]

REFUSED = {
    "// handleEvent is to come\nfunction handle() {}": (1, 1, "there is no top-level function named handleEvent"),
    "console.log('handleEvent');": (1, 1, "there is no top-level function named handleEvent"),
    "type handleEvent = () => void;\nlet a: handleEvent;": (1, 1, "there is no top-level function named handleEvent"),
    "declare function handleEvent(): void;": (1, 1, "there is no top-level function named handleEvent"),
    "'use strict';\n[].map(() => { handleEvent = () => 1; });": (1, 1, "there is no top-level function named"),
    "function outer() {\n  async function handleEvent() {}\n}": (2, 18, "handleEvent is not at the top level"),
    "'use strict';\n{\n  function handleEvent() {}\n}": (3, 12, "handleEvent is not at the top level"),
    "class Handlers {\n  async handleEvent() {}\n}": (2, 9, "handleEvent is not at the top level"),
    "const all = {\n  handleEvent() {},\n};": (2, 3, "handleEvent is not at the top level"),
    "export default async function () {}": (1, 1, "the default export is not called: name the function handleEvent"),
    "const handleEvent = 5;": (1, 7, "handleEvent is not a function"),
    "let handleEvent;": (1, 5, "handleEvent is not a function"),
    "enum handleEvent { A = 1 }": (1, 6, "handleEvent is not a function"),
    "export enum handleEvent { A = 'a' }": (1, 13, "handleEvent is not a function"),
    "const one = 'text';\nconst handleEvent = one;": (2, 7, "handleEvent is not a function"),
    "class handleEvent {}": (1, 7, "handleEvent is a class, not a function"),
    "function* handleEvent() {}": (1, 11, "handleEvent is a generator"),
    "const handleEvent = async function* () {};": (1, 7, "handleEvent is a generator"),
    "exports.handleEvent = { a: 1 };": (1, 1, "handleEvent is not a function"),
    "module.exports = { handleEvent: 1 };": (1, 20, "handleEvent is not a function"),
    "import * as handleEvent from 'node:path';\nhandleEvent.sep;": (1, 13, "handleEvent is not a function"),
}

FAILING = {
    "import 'node:os';\nmodule.exports = { handleEvent: () => 1 };": (2, 1, "module does not exist in ES modules"),
    "import 'node:os';\nexports.handleEvent = () => 1;": (2, 1, "exports does not exist in ES modules"),
    "const { sep } = await import('path');\nconst at = __filename + sep, handleEvent = () => at;": (
        *(2, 12, "__filename does not exist in ES modules"),
    ),
    "const all = { module };\nexport const handleEvent = () => all;": (1, 15, "module does not exist"),
}
"""Scripts that cannot be loaded."""

FAILING_WHEN_CALLED = {
    "export const handleEvent = () => ({ at: [__dirname] });": (1, 42, "__dirname does not exist in ES modules"),
    "export const handleEvent = () => { const exports = { module }; return exports; };": (
        1,
        54,
        "module does not exist",
    ),
}

FAILING_IN_SOME_CASES = {
    "export class At { static one = 1; at = __dirname; }": 40,
    "import 'os'; if (process.env.NEVER && module) console.log(1);": 39,
    "import 'os'; for (const name of []) exports[name] = 1;": 37,
    "import 'os'; const a = process.env.NEVER ? module : 1;": 44,
    "import 'os'; try { 1; } catch { module; }": 33,
}
"""ES modules that read variables of CommonJS under a condition that is not met, each with the column."""

NEVER_FAILING = [
    "import 'os'; globalThis.__dirname = '/'; const a = __dirname;",
    "import 'os'; if (typeof module === 'object') module.exports = 1;",
]


UNSUPPORTED = "has an import attribute that Node does not support"
JSON = "data:application/json,1"
SCRIPT = "data:text/javascript,export default 1"
ATTRIBUTES = {
    "import 'node:os' with { type: 'json' };": "node:os is not JSON",
    "export { default } from 'os' with { 'type': 'json' };": "os is not JSON",
    "import 'node:os' with { type: '' };": f"node:os {UNSUPPORTED}",
    "import 'node:os' with { type: 'css' };": f"node:os {UNSUPPORTED}",
    "import 'node:os' with { type: 'json', mode: 'x' };": f"node:os {UNSUPPORTED}",
    "export * from 'ms' with { mode: 'x' };": f"ms {UNSUPPORTED}",
    f"import '{JSON}';": f"{JSON} is JSON, which needs",
    f"import '{SCRIPT}' with {{ type: 'json' }};": f"{SCRIPT} is not JSON",
    "await import('node:os', { with: { type: 'json' } });": "node:os is not JSON",
    "await import('node:os', { with: { 'mode': `x` } });": f"node:os {UNSUPPORTED}",
    f"await import('{JSON}', {{ assert: {{ type: 'json' }} }});": f"{JSON} is JSON, which needs",
    f"import '{JSON}' with {{ type: 'json' }};": None,
    f"import '{SCRIPT}' with {{}};": None,
    f"await import('{SCRIPT}', {{ with: {{}} }});": None,
    "await import('node:os', {});": None,
    "const type = 'js' + 'on';\nawait import('node:os', { with: { type } }).catch(() => {});": None,
    "try { await import('node:os', { with: { type: 'json' } }); } catch {}": None,
}
"""Imports, each with its problem."""


def test_the_host_fails_with_exactly_the_reported_import_attributes(play, compiler):
    sources = [f"{source}\nexport const handleEvent = () => 1;" for source in ATTRIBUTES]

    async def scenario(bench):
        return [await bench.run(source, number=number) for number, source in enumerate(sources)]

    for source, expected, outcome in zip(sources, ATTRIBUTES.values(), play(scenario), strict=True):
        (result,) = compiler.compile([("handlers/a.ts", source)])
        reported = [f"{imported.name} {imported.problem}" for imported in result.imports if imported.problem]
        assert [problem[: len(expected or "")] for problem in reported] == ([expected] if expected else []), source
        assert (outcome.payload_json == "1") is (expected is None), (source, outcome)


def test_the_host_runs_exactly_the_valid_handlers(play):
    async def scenario(bench):
        # In three processes, because a script's global variables are visible to the next script.
        return [
            [await bench.run(source, number=number, key=key) for number, source in enumerate(sources)]
            for key, sources in (("run", RUN), ("refused", REFUSED), ("failing", FAILING | FAILING_WHEN_CALLED))
        ]

    run, refused, failing = play(scenario)
    assert [outcome.payload_json for outcome in run] == ["1"] * len(RUN)
    for source, outcome in zip(REFUSED, refused, strict=True):
        assert outcome.error is not None and outcome.error.name == "HandlerMissing", (source, outcome)
    for source, outcome in zip(FAILING | FAILING_WHEN_CALLED, failing, strict=True):
        assert outcome.error is not None and outcome.error.name == "ReferenceError", (source, outcome)


def compiled_handler(compiler, source):
    """Return a compiled handler, or the reason why it cannot run."""
    (result,) = compiler.compile([("handlers/a.ts", source)])
    return result.failure or result.no_handler or result if isinstance(result, Compiled) else result


@pytest.mark.parametrize("source", RUN)
def test_a_script_with_a_valid_handler_compiles(compiler, source):
    result = compiled_handler(compiler, source)
    assert isinstance(result, Compiled), result


@pytest.mark.parametrize(("source", "expected"), (REFUSED | FAILING).items())
def test_a_script_that_cannot_run_as_a_handler_is_refused_with_the_position(compiler, source, expected):
    problem = compiled_handler(compiler, source)
    assert (problem.line, problem.column) == expected[:2], problem
    assert problem.message.startswith(expected[2])


@pytest.mark.parametrize(("source", "expected"), FAILING_WHEN_CALLED.items())
def test_a_function_that_fails_when_it_is_called_is_a_warning(compiler, source, expected):
    result = compiled_handler(compiler, source)
    assert isinstance(result, Compiled) and result.warning is not None
    assert (result.warning.line, result.warning.column) == expected[:2]
    assert result.warning.message.startswith(expected[2])


def imports(compiler, source, name="handlers/a.ts"):
    (result,) = compiler.compile([(name, source)])
    assert isinstance(result, Compiled), result
    return [(imported.name, imported.how, imported.line, imported.column) for imported in result.imports]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import { a } from 'one';\na();", [("one", "import", 1, 19)]),
        ("import 'one/sub';", [("one/sub", "import", 1, 8)]),
        ("type T = 1;\nexport * from '@two/one';", [("@two/one", "import", 2, 15)]),
        ("export { a } from 'one';", [("one", "import", 1, 19)]),
        ("const a: any = 1,\n  b = require('one');", [("one", "require", 2, 15)]),
        ("import one = require('one');\none();", [("one", "require", 1, 22)]),
        ("const a = async () => await import(`one`);", [("one", "import", 1, 36)]),
        ("require.resolve('one');", [("one", "require", 1, 17)]),
        ("module.require('one');", [("one", "require", 1, 16)]),
        ("import.meta.resolve('one');", [("one", "import", 1, 21)]),
        (
            "import m from 'module';\nconst load = m.createRequire(import.meta.url);\nload('one');",
            [("one", "require", 3, 6)],
        ),
        (
            "const { createRequire } = require('module');\ncreateRequire(__filename).resolve('one');",
            [("one", "require", 2, 35)],
        ),
        ("const load = createRequire(__filename);\nfunction f(load: any) { load('one'); }", []),
        (
            "import { createRequire as r } from 'node:module';\nconst require = r(import.meta.url);\nrequire('one');",
            [],
        ),
        ("import {\n  a,\n  b,\n} from 'one';\na(b);", [("one", "import", 4, 8)]),
        ("import type { A } from 'one';\nimport { B } from 'two';\nlet a: A, b: B;", []),
        ("import fs from 'fs';\nimport 'node:test';\nrequire('path/posix');\nfs;", []),
        ("import a from 'node:nothing';\na;", [("node:nothing", "import", 1, 15)]),
        ("import a from 'test';\na;", [("test", "import", 1, 15)]),
        ("// require('one')\nconst a = 'import(\"two\")', b = a;\nrequire(a + b);", []),
        ("(function (require) { require('./inside'); })(() => 1);", []),
        ("function load() { const require = (name) => name; return require('inside'); }", []),
    ],
)
def test_imports_are_found_with_their_positions(compiler, source, expected):
    assert imports(compiler, source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import { readfile } from 'node:fs';\nreadfile();", ("node:fs", 1, 26, "readfile", "readFile")),
        ("import fs, { existsSync, nope as b } from 'fs';\nb(fs, existsSync);", ("fs", 1, 43, "nope", None)),
        ("export { promisifyy } from 'node:util';", ("node:util", 1, 28, "promisifyy", None)),
    ],
)
def test_a_name_missing_from_a_node_module_is_found(compiler, source, expected):
    (result,) = compiler.compile([("handlers/a.ts", source)])
    (found,) = result.imports
    assert (found.name, found.line, found.column, found.missing.name, found.missing.instead) == expected


def test_names_exported_by_node_modules_are_not_listed(compiler):
    source = (
        "import fs, { default as same, readFile, type Stats, Dirent } from 'node:fs';\nimport * as path from 'path';\n"
        "import { setTimeout as wait } from 'node:timers/promises';\nimport { type Nope } from 'node:os';\n"
        "export { sep } from 'node:path';\nexport * from 'node:url';\n"
        "let d: Dirent, s: Stats, n: Nope; wait(fs, same, readFile, path);"
    )
    (result,) = compiler.compile([("handlers/a.ts", source)])
    assert result.imports == ()


def test_every_name_that_node_modules_export_to_handlers_is_known(compiler, run):
    outcome = run(
        "import { builtinModules } from 'node:module';\nexport async function handleEvent() {\n  const names = {};\n"
        "  for (const name of builtinModules.filter((each) => !/^(_|sys$|node:sqlite$)/.test(each))) {\n"
        "    names[name] = Object.keys(await import(name)).filter((each) => each !== 'default');\n"
        "  }\n  return names;\n}"
    )
    assert outcome.error is None, outcome.error
    exported = json.loads(outcome.payload_json)
    assert "permission" in exported["process"]
    scripts = [
        (f"{name}.ts", f"export {{ {', '.join(names)} }} from 'node:{name.removeprefix('node:')}';")
        for name, names in exported.items()
    ]
    assert [result.imports for result in compiler.compile(scripts)] == [()] * len(scripts)


def test_a_name_of_a_node_module_that_handlers_do_not_have_is_found(compiler):
    (result,) = compiler.compile([("a.ts", "import { SourceTextModule } from 'node:vm';\nSourceTextModule;")])
    assert result.imports[0].missing.name == "SourceTextModule"


def test_an_import_with_error_handling_is_guarded(compiler):
    source = (
        "try { require('a'); } catch {}\ntry { require('b'); } finally {}\nimport('c').catch(() => 1);\n"
        "import('d').then(() => 1, () => 2);\nimport('e').then(() => 1);\n"
        "try { setTimeout(() => require('f')); } catch {}\ntry {} catch { require('g'); }\n"
        "Promise.allSettled([import('h')]);\n"
    )
    (result,) = compiler.compile([("a.ts", source)])
    assert [imported.name for imported in result.imports if imported.guarded] == ["a", "c", "d", "h"]
    assert [imported.name for imported in result.imports if not imported.guarded] == ["b", "e", "f", "g"]


def test_relative_paths_that_are_no_part_of_a_computed_name_are_not_imported(compiler):
    source = (
        "const load = (a) => [import(a.replace('./', '')), require({ './': a }[a])];\n"
        "import(String(a).startsWith('./') ? 'x' : a);\n"
        "import(a === './a' && './b'); import([, './c' + a][1] || { d: './d' }.d); import(`./${a}`);"
    )
    (result,) = compiler.compile([("a.ts", source)])
    assert [imported.name for imported in result.imports] == ["./b", "./c", "./d"]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("const p = './a';\nexport const b = () => import(p);", ["./a"]),
        ("const p = './a', q = () => require(p);", ["./a"]),
        ("let p = './a';\np = 'ms';\nexport const b = () => import(p);", []),
        ("const p = './a';\nexport const b = (p) => import(p);", []),
        ("let p = './a';\n[p] = ['ms'];\nexport const b = () => import(p);", []),
        ("const p = 'ms';\nexport const b = () => import(p);", []),
        ("const p = './a';\nexport const b = () => import(p).catch(() => 1);", ["./a"]),
    ],
)
def test_a_path_in_a_constant_is_an_import(compiler, source, names):
    (result,) = compiler.compile([("handlers/a.ts", source)])
    assert [each.name for each in result.imports] == names
    assert [each.guarded for each in result.imports] == ["catch" in source for _ in names]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("read(new URL('./a.json', import.meta.url));", "./a.json does not exist where the script runs"),
        ("read(new URL('./', import.meta.url)); read(new URL('../..', import.meta.url));", None),
        ("try { read(new URL('./a.json', import.meta.url)); } catch {}", None),
        ("read(new URL('https://x.example', import.meta.url), new URL('./a', base));", None),
    ],
)
def test_the_url_of_a_file_next_to_the_script_is_a_warning(compiler, source, message):
    (result,) = compiler.compile([("handlers/a.ts", f"import {{ readFileSync as read }} from 'node:fs';\n{source}")])
    assert (result.warning is None) is (message is None)
    assert message is None or (message in result.warning.message and result.warning.line == 2)


def test_long_expressions_are_compiled(compiler):
    result = compiled_handler(compiler, f"const a = 1{' + 1' * 3000};\nfunction handleEvent() {{}}")
    assert isinstance(result, Compiled)
    assert result.imports == ()


def test_a_variable_of_commonjs_under_a_condition_is_a_warning(play, compiler):
    sources = [f"{each}\nexport const handleEvent = () => 1;" for each in [*FAILING_IN_SOME_CASES, *NEVER_FAILING]]

    async def scenario(bench):
        return [await bench.run(source, number=number) for number, source in enumerate(sources)]

    assert [outcome.payload_json for outcome in play(scenario)] == ["1"] * len(sources)
    compiled = compiler.compile([("handlers/a.ts", source) for source in sources])
    assert [result.failure for result in compiled] == [None] * len(sources)
    columns = [result.warning and result.warning.column for result in compiled]
    assert columns == [*FAILING_IN_SOME_CASES.values(), *[None] * len(NEVER_FAILING)]
