"""Exports of init scripts, and the scope of stubs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckfunc.model.project import ManifestRuntime, Project, Target
from ckfunc.scaffold.stubs import Scope, exports, scope_of


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("const firebase = 1;\nexport { firebase };", ("firebase",)),
        ("export { a, b as c, type D, e as default };", ("a", "c")),
        ("export {\n  a,\n  b,\n};", ("a", "b")),
        ("export const a = 1; export let $b = 2; export var _c = 3;", ("$b", "_c", "a")),
        ("export async function a() {}\nexport function* b() {}\nexport function c() {}", ("a", "b", "c")),
        (
            "export class A {}\nexport abstract class B {}\nexport enum C { X }\nexport const enum D { Y }",
            ("A", "B", "C", "D"),
        ),
        ("export type A = 1; export interface B {} export default 3;", ()),
        ("export type { A };", ()),
        ("// export const a = 1;\n/* export { b } */ const s = 'export const c = 1';", ()),
        ("const t = `\nexport const a = 1;\n`;\nexport const b = 'it\\'s';", ("b",)),
        ("export * from 'x';", ()),
        ("export * as a from 'x'; export namespace B.C { export function d() { if (1) {} } }", ("B", "a")),
        ("export const { a, b: c, d = 1, ...e } = f();", ("a", "c", "d", "e")),
        ("export const [g, , h]: number[] = [1, 2, 3];", ("g", "h")),
        ("const notThis = 1;\nexport let { i } = f(), j = { k: 1 };", ("i",)),
        ("interface A {}\nclass B {}\nexport { A, B };", ("B",)),
        ("var foo = 8;", ()),
        ("", ()),
    ],
)
def test_exports_of_an_init_script_are_found(source: str, names: tuple[str, ...]) -> None:
    assert exports(source).values == names


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("export type A = 1; export interface B {} export class C extends D {} export enum E { X }", "ABCE"),
        ("interface A { b: 1 }\nclass B implements A {}\nexport { A as C, B };", "BC"),
        ("import type { A } from 'a';\nexport type { A, B as C };\nexport { type D, e };", "ACD"),
        ("export type A<T> = T; export interface B<T> { t: T } class C {} // export class D {}", ""),
    ],
)
def test_types_that_an_init_script_exports_are_found(source: str, names: str) -> None:
    assert exports(source).types == tuple(names)


def test_an_unmanaged_project_adds_nothing_to_the_scope() -> None:
    project = Project(Path(), Target("local"), ManifestRuntime(), functions=None)
    assert scope_of(project) == Scope()
