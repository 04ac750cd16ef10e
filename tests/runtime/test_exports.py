"""Names that packages export, as a check finds them, compared with Node."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ckfunc.model.execution import Compiled
from ckfunc.runtime.compiler import CompilerProcess
from ckfunc.runtime.node import bare_environment, node_executable

PACKAGES = {
    "common/package.json": '{"main": "main.js"}',
    "common/main.js": "// import exports\nexports.one = 1;\nObject.assign(exports, { hidden: 2 });\n",
    "marked/package.json": "{}",
    "marked/index.js": "\ufeffexports.one = 1;\n",
    "again/package.json": "{}",
    "again/index.js": "module.exports = require('common');\n",
    "unclear/package.json": "{}",
    "unclear/index.js": "module.exports = require('./value.json');\n",
    "unclear/value.json": '{"one": 1}',
    "modern/package.json": '{"type": "module", "exports": {".": "./main.js", "./common": "./common.cjs"}}',
    "modern/main.js": "export const one = 1, two = 2;\nexport function three() {}\nexport * from './more.js';\n",
    "modern/more.js": "export { one as four, one as 'f i v e' } from './main.js';\nexport default class {}\n",
    "modern/common.cjs": "const one = 1;\nmodule.exports = { one };\n",
    "detected/package.json": '{"main": "main"}',
    "detected/main.js": "export default 1;\nexport * as all from 'common';\n",
    "pattern/package.json": "{}",
    "pattern/index.mjs": "export const { one } = { one: 1 };\n",
}
FINE = [
    "import common, { one, default as same } from 'common'",
    "import * as names from 'common'",
    "import { one } from 'marked'",
    "export { one } from 'again'",
    "import { one, two, three } from 'modern'",
    "import common, { one } from 'modern/common'",
    "import detected, { all } from 'detected'",
    "import { one } from 'pattern/index.mjs'",
]
REFUSED = {
    "import { one, hidden } from 'common'": ("hidden", True),
    "export { hidden } from 'again'": ("hidden", True),
    "import { five } from 'modern/common'": ("five", True),
    "import { six } from 'detected'": ("six", False),
    "import { nine } from 'modern'": ("nine", False),
    "import detected, { default as same, seven } from 'detected'": ("seven", False),
}
UNKNOWN = ["import { one } from 'unclear'", "import { two } from 'pattern/index.mjs'"]
"""Imports that fail in Node, and are not refused."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("installed")
    for name, text in PACKAGES.items():
        file = directory / "node_modules" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


def test_imports_are_refused_if_node_refuses_them(directory: Path) -> None:
    sources = [*FINE, *REFUSED, *UNKNOWN]
    with CompilerProcess() as compiler:
        compiled = compiler.compile([("handlers/a.js", source) for source in sources])
        imports = [result.imports[0] for result in compiled if isinstance(result, Compiled)]
        missing = [resolution.missing for resolution in compiler.resolve(directory, imports)]
    refused = {source: (each.name, each.commonjs) for source, each in zip(sources, missing, strict=True) if each}
    assert refused == REFUSED
    for source in sources:
        (directory / "a.mjs").write_text(source)
        ran = subprocess.run(
            [node_executable(), "a.mjs"], cwd=directory, env=bare_environment(), capture_output=True, check=False
        )
        assert (ran.returncode == 0) is (source in FINE), (source, ran.stderr)
