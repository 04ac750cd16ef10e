"""Advice on the tsconfig.json of an existing project."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckfunc.scaffold.project import init
from ckfunc.scaffold.stubs import Schemas
from ckfunc.scaffold.types import tsconfig_advice

GOOD = '"module": "ESNext", "moduleResolution": "bundler", "moduleDetection": "force"'


def told(root: Path, text: str | bytes) -> tuple[str, ...]:
    (root / "tsconfig.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return tsconfig_advice(root)


def test_a_new_project_needs_no_changes(tmp_path: Path) -> None:
    init(tmp_path, Schemas("{}"))
    assert tsconfig_advice(tmp_path) == ()


@pytest.mark.parametrize("include", [".ckfunc/types/*.d.ts", "./.ckfunc/types", ".ckfunc/**/*", ".ckfunc"])
def test_the_stubs_may_be_included_in_several_ways(tmp_path: Path, include: str) -> None:
    assert told(tmp_path, f'{{"compilerOptions": {{{GOOD}}}, "include": ["**/*.ts", "{include}"]}}') == ()


def test_comments_trailing_commas_and_a_byte_order_mark_are_allowed(tmp_path: Path) -> None:
    text = f"""\
    // the settings
    {{
      /* "include": [] */
      "compilerOptions": {{ {GOOD}, "paths": {{"//x": ["/*y"]}}, }}, // , ]
      "include": ["src", ".ckfunc/types/*.d.ts", /* last */ ],
    }}
    """
    assert told(tmp_path, b"\xef\xbb\xbf" + text.encode()) == ()


def test_all_missing_settings_are_reported_together(tmp_path: Path) -> None:
    include, detection, resolution = told(tmp_path, '{"compilerOptions": {"module": "CommonJS"}}')
    assert 'add ".ckfunc/types/*.d.ts" to "include"' in include
    assert '"moduleDetection": "force"' in detection
    assert '"moduleResolution": "Bundler"' in resolution


def test_settings_that_may_be_inherited_are_not_suggested(tmp_path: Path) -> None:
    assert told(tmp_path, '{"extends": "../tsconfig.base.json"}') == ()
    [include] = told(tmp_path, '{"extends": "../tsconfig.base.json", "include": ["src/**/*.ts", 7]}')
    assert '"include"' in include


@pytest.mark.parametrize("text", ["{", b"\xff\xfe\x00", "[1,]"])
def test_unreadable_settings_are_not_an_error(tmp_path: Path, text: str | bytes) -> None:
    assert len(told(tmp_path, text)) == (0 if text == "[1,]" else 1)


def test_a_project_without_settings_gets_a_suggestion(tmp_path: Path) -> None:
    [sentence] = tsconfig_advice(tmp_path)
    assert sentence.startswith("there is no tsconfig.json")
    (tmp_path / "tsconfig.json").mkdir()
    [sentence] = tsconfig_advice(tmp_path)
    assert "cannot be read" in sentence
