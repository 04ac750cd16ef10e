"""Requirements of scripts: available modules and a `handleEvent`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from bundle.sources import Make

from ckfunc.bundle.project import Bundler
from ckfunc.bundle.requirements import MissingRequirements, Requirements, package_of
from ckfunc.runtime.compiler import CompilerProcess

START = "handlers/start.ts"
FUNCTION = "\nfunction handleEvent() {}\n"
Missing = Callable[..., MissingRequirements]


@pytest.fixture(scope="module")
def compiler() -> Iterator[CompilerProcess]:
    with CompilerProcess() as compiler:
        yield compiler


@pytest.fixture
def missing(make: Make, compiler: CompilerProcess, bundler: Bundler) -> Missing:
    """Return a function that checks the scripts of a project that has these files and packages."""

    def check(
        files: Mapping[str, str], *packages: str, init: str | None = None, complete: bool = True
    ) -> MissingRequirements:
        project = bundler.project(make(files, init=init))
        first = project.runtime.initialization_script
        scripts = [*([first] if first else []), *(function.handler for function in project.functions or ())]
        return Requirements(project.root, packages, complete=complete).missing(scripts, compiler.compile, first)

    return check


def errors(found: MissingRequirements) -> list[str]:
    return [str(error) for error in found.errors]


def test_declared_packages_and_their_modules_are_not_missing(missing: Missing) -> None:
    text = "import a from 'ms';\nimport 'ms/deep/er.js';\nimport b from '@scope/pkg/sub';\na(b, require('@scope/pkg'));"
    found = missing({START: text + FUNCTION}, "ms", "@scope/pkg")
    assert (found.errors, found.warnings) == ((), ())
    places = [(path, wanted.name, wanted.line, wanted.column) for path, wanted in found.imports]
    assert places == [
        (START, "ms", 1, 15),
        (START, "ms/deep/er.js", 2, 8),
        (START, "@scope/pkg/sub", 3, 15),
        (START, "@scope/pkg", 4, 14),
    ]


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("import a from 'left-pad';\na();", "1:15", "left-pad is not in runtime.dependencies (add `left-pad: latest`"),
        ("const a = require('left-pad/x');\na();", "1:19", "left-pad is not in runtime.dependencies"),
        ("const a = () => import('@scope/pkg/sub');\na();", "1:24", "@scope/pkg is not in runtime.dependencies"),
        ("export * from 'left-pad';", "1:15", "left-pad is not in runtime.dependencies"),
        ("import a = require('left-pad');\na();", "1:20", "left-pad is not in runtime.dependencies"),
        ("import a from 'lodahs';\na();", "1:15", "lodahs is not in runtime.dependencies (did you mean lodash?)"),
        (
            "import a from 'node:cripto';\na();",
            "1:15",
            "there is no module node:cripto (did you mean node:crypto?)",
        ),
        ("import a from 'test';\na();", "1:15", "test is not in runtime.dependencies (write node:test for"),
        ("import a from 'node:sqlite';\na();", "1:15", "node:sqlite is not available to handlers"),
        ("import a from 'node:sqlit';\na();", "1:15", "there is no module node:sqlit (did you mean node:sqlite?)"),
        ("import a from '#lib/words';\na();", "1:15", '"#lib/words" is not an npm package (`imports` of package.json'),
        ("import a from '@/lib/words';\na();", "1:15", '"@/lib/words" is not an npm package (`paths` of'),
        ("import a from '~/lib/words';\na();", "1:15", 'do not apply to bundles: write "../lib/words")'),
        ("import a from 'lib/words';\na();", "1:15", 'lib is not in runtime.dependencies (write "../lib/words" for'),
        ("import a from 'npm:left-pad';\na();", "1:15", '"npm:left-pad" cannot be imported'),
        (
            "import { readfile } from 'node:fs';\nreadfile();",
            "1:26",
            "node:fs has no export readfile (did you mean readFile?)",
        ),
        ("import { readall } from 'fs';\nreadall();", "1:25", "fs has no export readall"),
        (
            "import os from 'node:os' with { type: 'json' };\nos();",
            "1:16",
            "node:os is not JSON, but has the import attribute for it (remove `with { type: … }`)",
        ),
        (
            "const os = () => import('os', { with: { mode: 'x' } });\nos();",
            "1:25",
            'Node does not support (the only supported one is `with { type: "json" }`, for JSON)',
        ),
        (
            "const load = createRequire(__filename);\nload('left-pad');",
            "2:6",
            "left-pad is not in runtime.dependencies",
        ),
        ("import a from 'https://esm.sh/left-pad';\na();", "1:15", '"https://esm.sh/left-pad" cannot be imported'),
    ],
)
def test_a_missing_module_is_reported_at_its_import(missing: Missing, text: str, place: str, said: str) -> None:
    (found,) = errors(missing({START: text + FUNCTION, "lib/words.ts": "export default 1;\n"}, "lodash", "ms"))
    assert found.startswith(f"{START}:{place}: ")
    assert said in found


@pytest.mark.parametrize(
    ("alias", "settings"),
    [
        ("@lib/words", '{"compilerOptions": {"paths": {"@lib/*": ["./lib/*"]}}}'),
        ("words", '{"compilerOptions": {"paths": {"words": ["./lib/words.ts"]}}} // exactly'),
        ("@lib/words", '{"compilerOptions": {"baseUrl": "./lib", "paths": {"@lib/*": ["*"],}}}'),
        ("@lib/words", '{"extends": "./base"}'),
    ],
)
def test_an_alias_of_tsconfig_is_named_with_the_path_to_write(missing: Missing, alias: str, settings: str) -> None:
    base = '{"compilerOptions": {"paths": {"@lib/*": ["./lib/*"]}}}'
    files = {"tsconfig.json": settings, "base.json": base, "lib/words.ts": "export default 1;\n"}
    (found,) = errors(missing({START: f"import a from '{alias}';\na();{FUNCTION}", **files}, "ms"))
    assert "`paths` of tsconfig.json do not apply to bundles: write " in found
    assert '"../lib/words' in found


def test_a_name_below_base_url_of_tsconfig_is_named_with_the_path_to_write(missing: Missing) -> None:
    settings = '{"compilerOptions": {"baseUrl": "./lib"}}'
    files = {"tsconfig.json": settings, "lib/words.ts": "export default 1;\n"}
    (found,) = errors(missing({START: f"import a from 'words';\na();{FUNCTION}", **files}))
    assert '(write "../lib/words" for the local file)' in found


def test_a_package_that_is_only_installed_locally_is_missing(missing: Missing, tmp_path: Path) -> None:
    place = tmp_path / "project" / "node_modules"
    (place / "left-pad").mkdir(parents=True)
    (place / "left-pad" / "package.json").write_text(json.dumps({"version": "1.3.0"}))
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "package.json").write_text(json.dumps({"version": "0.1.0"}))
    (place / "ours").symlink_to(tmp_path / "workspace", target_is_directory=True)
    installed, linked = errors(missing({START: f"require('left-pad');\nrequire('ours');{FUNCTION}"}))
    assert "(add `left-pad: ^1.3.0` under runtime.dependencies in functions.yaml)" in installed
    assert "ours is not in runtime.dependencies (it is only linked locally: publish it" in linked


def test_positions_are_in_the_local_file_with_the_import(missing: Missing) -> None:
    files = {
        START: 'import { pad } from "../lib/pad";\n\nfunction handleEvent() {\n  return pad;\n}\n',
        "lib/pad.ts": 'import { other } from "./other";\nimport a from "left-pad";\n\nexport const pad = [a, other];\n',
        "lib/other.ts": '// "left-pad"\nexport const other = () => {\n  return require("right-pad");\n};\n',
    }
    found = missing(files, "ms")
    assert sorted(str(error).partition(" ")[0] for error in found.errors) == ["lib/other.ts:3:18:", "lib/pad.ts:2:15:"]


def test_imports_of_types_need_no_packages(missing: Missing) -> None:
    files = {
        START: "import type { A } from 'left-pad';\nimport { B } from 'right-pad';\nimport { C } from '../lib/types';\n"
        "function handleEvent(a: A, b: B, c: C) {}\n",
        "lib/types.ts": "import { D } from 'left-pad';\nexport type C = D;\n",
    }
    assert missing(files, "ms") == MissingRequirements()


def test_local_files_in_computed_names_are_missing_unless_they_are_bundled(missing: Missing) -> None:
    source = (
        "export const load = (name) => [\n  import(name ? '../lib/a' : '../lib/b'),\n  import(name ?? '../lib/a'),\n"
        "  import(name),\n];\nfunction handleEvent() {}\n"
    )
    found = errors(missing({START: source, "lib/a.ts": "export const a = 1;\n", "lib/b.ts": "export const b = 1;\n"}))
    hint = "(use `import` or `require` with a literal relative path)"
    assert found == [f'{START}:3:18: "../lib/a" is not in the bundle {hint}']


def test_a_guarded_import_is_a_warning(missing: Missing) -> None:
    found = missing({START: f"let fast;\ntry {{\n  fast = require('fast');\n}} catch {{}}{FUNCTION}"})
    assert found.errors == ()
    (warning,) = map(str, found.warnings)
    assert warning.startswith(f"{START}:3:18: fast is not in runtime.dependencies (the script handles this error")


def test_packages_that_the_manifest_leaves_to_the_application_are_a_warning(missing: Missing) -> None:
    text = f"import a from 'left-pad';\nimport b from 'node:nothing';\nimport c from '@lib/x';\na(b, c);{FUNCTION}"
    settings = '{"compilerOptions": {"paths": {"@lib/*": ["./lib/*"]}}}'
    found = missing({START: text, "tsconfig.json": settings}, "axios", complete=False)
    assert [str(error).split(" ")[0] for error in found.errors] == [f"{START}:2:15:", f"{START}:3:15:"]
    assert str(found.warnings[0]).startswith(f"{START}:1:15: left-pad must be installed in the application")


def test_an_init_script_needs_packages_but_no_handler(missing: Missing) -> None:
    files = {
        START: "const handleEvent = 5;\n",
        "handlers/sent.ts": 'import "../lib/a";\nexport default function* handleEvent() {}\n',
        "lib/a.ts": "console.log(1);\n",
        "init.ts": "import leftPad from 'left-pad';\nexport const pad = leftPad;\n",
    }
    assert sorted(errors(missing(files, init="init.ts"))) == [
        "handlers/sent.ts:2:8: handleEvent is a generator, so that a call would not run its body: declare it as an "
        "async function",
        "handlers/start.ts:1:7: handleEvent is not a function",
        "init.ts:1:21: left-pad is not in runtime.dependencies (add `left-pad: latest` under runtime.dependencies in "
        "functions.yaml)",
    ]


def test_the_package_of_a_module_is_the_start_of_its_name() -> None:
    assert [package_of(specifier) for specifier in ("a", "a/b/c", "@a/b", "@a/b/c", "@a")] == [
        "a",
        "a",
        "@a/b",
        "@a/b",
        "@a",
    ]
