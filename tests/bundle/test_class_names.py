"""Names of classes and functions in bundles."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bundle.sources import FORMAT, HANDLER, Make, handler

from ckfunc.bundle.build import renames, with_class_names
from ckfunc.bundle.project import Bundler
from ckfunc.bundle.source_map import SourceMap, map_stack
from ckfunc.runtime.node import bare_environment, node_executable

ERRORS = """\
export class NotFound extends Error {
  static made = 0;
  static of(what: string) { NotFound.made += 1; return new NotFound(`no ${what}`); }
  constructor(message: string) { super(message); this.name = this.constructor.name; }
  isLike(other: unknown) { return other instanceof NotFound && other !== this; }
  fail(): never { throw this; }
}
"""


def run(text: str, tmp_path: Path) -> object:
    """Call a bundle's handleEvent in Node and return its result."""
    file = tmp_path / "bundle.mjs"
    file.write_text(f"{text}\nconsole.log(JSON.stringify(await handleEvent()));\n", "utf-8")
    done = subprocess.run(
        [node_executable(), file], env=bare_environment(), capture_output=True, check=True, encoding="utf-8"
    )
    return json.loads(done.stdout)


def test_a_class_that_refers_to_itself_keeps_its_name(make: Make, bundler: Bundler, tmp_path: Path) -> None:
    source = """\
import { NotFound } from "../lib/errors";

async function handleEvent() {
  const error = NotFound.of("x");
  try { error.fail(); } catch (thrown: any) {
    return [thrown.name, thrown.constructor.name, thrown.message, NotFound.made, thrown.isLike(NotFound.of("b")),
      /_Not[F]ound/.test(thrown.stack)];
  }
}
"""
    found = handler(bundler.project(make({"handlers/start.ts": source, "lib/errors.ts": ERRORS})))
    assert "class NotFound extends Error {" in found.text
    assert "__name" not in found.text
    assert run(found.text, tmp_path) == ["NotFound", "NotFound", "no x", 1, True, False]


def test_positions_in_lines_with_a_restored_name_are_translated(make: Make, bundler: Bundler) -> None:
    source = 'import { NotFound } from "../lib/errors";\n\nconst handleEvent = () => NotFound.of("x");\n'
    found = handler(bundler.project(make({"handlers/start.ts": source, "lib/errors.ts": ERRORS})))
    lines = found.text.split("\n")
    row = next(number for number, line in enumerate(lines) if "return new NotFound(" in line)
    column = lines[row].index("what")
    place = f"at f (x@1.ts:{row + 1}:{column + 1})"
    original = ERRORS.split("\n")[2].rindex("what") + 1
    assert map_stack(place, "x@1.ts", found.source_map or "") == f"at f (lib/errors.ts:3:{original})"


@pytest.mark.parametrize(
    "member",
    [
        'static text = "_NotFound";',
        "_NotFound = 1;",
        "static about() { return { _NotFound: this }; }",
        "static at = () => /_NotFound/;",
    ],
)
def test_similar_names_are_not_changed(make: Make, bundler: Bundler, tmp_path: Path, member: str) -> None:
    errors = ERRORS.replace("  static made", f"  {member}\n  static made")
    source = """\
import { NotFound } from "../lib/errors";

async function handleEvent() {
  const found = NotFound as any;
  const text = found.text ?? found.at?.().source ?? Object.keys(found.about?.() ?? new found("x"))[0];
  return [NotFound.of("x").name, text];
}
"""
    found = handler(bundler.project(make({"handlers/start.ts": source, "lib/errors.ts": errors})))
    assert run(found.text, tmp_path) == ["NotFound", "_NotFound"]


def test_static_blocks_and_nested_classes_see_the_name(make: Make, bundler: Bundler, tmp_path: Path) -> None:
    counter = """\
export class Counter {
  static seen: string[] = [];
  static { Counter.seen.push(Counter.name, this.name); }
  static Inner = class { owner = Counter.name; };
  static shadow() { const Counter = { name: "other" }; return Counter.name; }
}
"""
    source = """\
import { Counter } from "../lib/counter";

async function handleEvent() {
  return [...Counter.seen, new Counter.Inner().owner, Counter.shadow()];
}
"""
    found = handler(bundler.project(make({"handlers/start.ts": source, "lib/counter.ts": counter})))
    assert run(found.text, tmp_path) == ["Counter", "Counter", "Counter", "other"]


def test_functions_and_classes_that_share_a_name_keep_it(make: Make, bundler: Bundler, tmp_path: Path) -> None:
    module = """\
export function helper() { throw new Error("x"); }
export class Thing { static made() { return new Thing(); } }
export default function () { return 1; }
"""
    source = """\
import one, { helper as first, Thing as A } from "../lib/a";
import { helper as second, Thing as B } from "../lib/b";

async function handleEvent() {
  let frame = "";
  try { second(); } catch (error: any) { frame = error.stack.split("\\n")[1].trim().split(" ")[1]; }
  return [first.name, second.name, A.name, B.made().constructor.name, one.name, frame];
}
"""
    files = {"handlers/start.ts": source, "lib/a.ts": module, "lib/b.ts": module}
    found = handler(bundler.project(make(files)))
    assert run(found.text, tmp_path) == ["helper", "helper", "Thing", "Thing", "default", "helper"]


def test_a_bundle_without_a_renamed_function_or_class_has_no_code_for_names(make: Make, bundler: Bundler) -> None:
    found = handler(bundler.project(make({"handlers/start.ts": HANDLER, "lib/format.ts": FORMAT})))
    assert "__name" not in found.text
    assert not renames(found.text, [HANDLER, FORMAT])


def test_names_that_differ_from_the_files_are_found() -> None:
    assert renames("function helper2() {}", ["function helper() {}"])
    assert renames("const pick2 = async (a) => a;", ["const pick = async (a) => a;"])
    assert renames("var Thing2 = class _Thing {};", ["class Thing {}"])
    assert not renames("var words_default = { a: 1 };\nvar x = class extends Y {};", ["x"])


def test_columns_after_a_restored_name_are_adjusted() -> None:
    text = 'var A = class _A {\n  static x = ["😀", _A, 1];\n};\n'
    # Line 2: the bracket at column 13, the name at 20, the number at 24, in UTF-16.
    given = json.dumps({"version": 3, "sources": ["a.ts"], "names": [], "mappings": "AAAA;aAAa,OAAO,IAAI"})
    changed, source_map = with_class_names(text, given, ["class A {}"])
    assert changed == 'var A = class A {\n  static x = ["😀", A, 1];\n};\n'
    known = SourceMap(source_map)
    assert [known.original(2, column) for column in (14, 21, 24)] == [("a.ts", 1, at) for at in (14, 21, 25)]
