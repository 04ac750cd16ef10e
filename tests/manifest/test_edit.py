"""Adding a function to a manifest: only its lines change, in any style."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest.projects import EXAMPLE, HANDLER, MINIMAL, project

from ckfunc.base.errors import CkfuncError, InvalidManifest, NoProject
from ckfunc.manifest.edit import CannotAdd, add_function, with_function
from ckfunc.manifest.project import load
from ckfunc.manifest.tree import parse

# The content of the file, and the lines that are added after the given line (from 1).
STYLES: dict[str, tuple[str, int, list[str]]] = {
    "the example": (EXAMPLE, 16, ["  call.ended:", "    handler: handlers/call-ended.ts"]),
    "no section": (
        "version: 1\n\n# what we share\nruntime:\n    environment: {}   # none\n\n# the end\n",
        5,
        ["", "functions:", "    call.ended:", "        handler: handlers/call-ended.ts"],
    ),
    "no section, no indentation": (
        "version: 1   # only\n# more\n",
        2,
        ["functions:", "  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "a section without a value": (
        "version: 1\nfunctions:   # none yet\n  # user.sent.message:\n  #   handler: a.ts\ntargets: {a: {}}\n",
        4,
        ["  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "comments at the end": (
        "version: 1\nfunctions:\n  a.b:\n    handler: 'a.ts'  # quoted\n    # name: A\n  # c.d:\n  #   handler: c.ts\n"
        "# end\n\n# x\n",
        7,
        ["  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "wide indentation": (
        "functions:\n     a.b:\n         handler:    a.ts\n\n\n\nversion:  1\n",
        3,
        ["     call.ended:", "         handler: handlers/call-ended.ts"],
    ),
    "entries with empty lines between": (
        "version: 1\nfunctions:\n  a.b:\n    handler: a.ts\n\n  # about c\n  c.d:\n    handler: c.ts\n"
        "\ntargets:\n  a: {}\n",
        8,
        ["", "  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "a folded description at the end": (
        "version: 1\nfunctions:\n  a.b:\n    handler: a.ts\n    description: >\n      long\n      text\n",
        7,
        ["  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "a text over several lines": (
        'version: 1\nfunctions:\n  a.b:\n    handler: a.ts\n    description: "long\n      text"  # so\n# end\n',
        6,
        ["  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "functions in braces": (
        "version: 1\nfunctions:\n  a.b: {handler: a.ts}   # one line\ntargets: {x: {}}\n",
        3,
        ["  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "document markers": (
        "%YAML 1.1\n---\nversion: 1\nruntime: {environment: {}}\n...\n",
        4,
        ["functions:", "  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "braces over several lines": (
        "version: 1\nfunctions: {\n    a.b: {handler: a.ts},  # first\n    c.d: {handler: a.ts},\n}\n",
        2,
        ["    call.ended: {handler: handlers/call-ended.ts},"],
    ),
    "comments alone": (
        "# a manifest to be\n",
        1,
        ["functions:", "  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
    "an anchor that is used": (
        "version: 1\nfunctions: &f\n  a.b: &x\n    handler: a.ts\n  c.d: *x\n# end",
        5,
        ["  call.ended:", "    handler: handlers/call-ended.ts"],
    ),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["plain", "bom"])
@pytest.mark.parametrize("style", STYLES)
def test_only_the_added_lines_change(tmp_path: Path, style: str, bom: str, newline: str) -> None:
    text, after, added = STYLES[style]
    root = project(tmp_path, (bom + text.replace("\n", newline)).encode())
    add_function(root, "call.ended", "handlers/call-ended.ts")
    lines = text.split("\n")
    want = bom + newline.join([*lines[:after], *added, *lines[after:]])
    assert (root / "functions.yaml").read_bytes() == want.encode()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("functions: {}\nversion: 1\n", "functions:\n  b.c:\n    handler: b.ts\nversion: 1\n"),
        ("functions: {}  # none\n", "functions:  # none\n  b.c:\n    handler: b.ts\n"),
        ("functions: {", None),
        ("functions: {a: {handler: a.ts}}\n", "functions: {b.c: {handler: b.ts}, a: {handler: a.ts}}\n"),
        ("functions: { a: { handler: a.ts } }\n", "functions: { b.c: {handler: b.ts}, a: { handler: a.ts } }\n"),
        ("{version: 1}\n", "{functions: {b.c: {handler: b.ts}}, version: 1}\n"),
        ('{"version":1,"functions":{}}', '{"version":1,"functions":{b.c: {handler: b.ts}}}'),
        ("{}", "{functions: {b.c: {handler: b.ts}}}"),
        ("version: 1", "version: 1\nfunctions:\n  b.c:\n    handler: b.ts\n"),
        ("", "functions:\n  b.c:\n    handler: b.ts\n"),
        (
            "functions:\n  a:\n    handler: a.ts\n    description: |+\n      x\n\n\nversion: 1\n",
            "functions:\n  a:\n    handler: a.ts\n    description: |+\n      x\n\n\n"
            "  b.c:\n    handler: b.ts\nversion: 1\n",
        ),
        (
            "functions:\n  a:\n    handler:\nversion: 1\n",
            "functions:\n  a:\n    handler:\n  b.c:\n    handler: b.ts\nversion: 1\n",
        ),
    ],
)
def test_the_style_of_the_file_is_continued(text: str, want: str | None) -> None:
    if want is None:
        with pytest.raises(InvalidManifest):
            with_function(text, "b.c", "b.ts")
    else:
        assert with_function(text, "b.c", "b.ts") == want


def test_an_added_function_can_be_loaded(tmp_path: Path) -> None:
    root = project(tmp_path, files={"handlers/ende [1].ts": HANDLER, "0x1.js": HANDLER})
    add_function(root, "call.ended", "handlers/ende [1].ts")
    add_function(root, "call.active", "0x1.js")
    functions = load(root, None, {}).functions
    assert functions is not None
    assert [(function.type, function.handler.path) for function in functions] == [
        ("user.sent.message", "a.ts"),
        ("call.ended", "handlers/ende [1].ts"),
        ("call.active", "0x1.js"),
    ]


@pytest.mark.parametrize(
    ("trigger_type", "handler", "said"),
    [
        ("user.sent.message", "b.ts", "already has user.sent.message (line 3)"),
        ("user sent", "b.ts", "trigger type 'user sent' is not a trigger type"),
        ("call.ended", "b.py", "handler 'b.py' is neither TypeScript nor JavaScript"),
        ("call.ended", "/b.ts", "handler '/b.ts' is an absolute path"),
    ],
)
def test_a_refused_addition_changes_nothing(tmp_path: Path, trigger_type: str, handler: str, said: str) -> None:
    root = project(tmp_path)
    with pytest.raises(CannotAdd) as caught:
        add_function(root, trigger_type, handler)
    assert said in caught.value.message
    assert (root / "functions.yaml").read_text() == MINIMAL


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("functions: [a]\n", InvalidManifest),
        ("functions: null\n", InvalidManifest),
        ("functions: text\n", InvalidManifest),
        ("- a\n", InvalidManifest),
        ("a: &x {}\nfunctions: *x\n", InvalidManifest),
        ("functions: &x\n  a: {handler: a.ts}\nother: *x\n", CannotAdd),
        ("? functions\n: a:\n    handler: a.ts\nfunctions: {}\n", CannotAdd),
    ],
)
def test_a_manifest_to_which_no_function_can_be_added_is_refused(
    tmp_path: Path, text: str, error: type[Exception]
) -> None:
    root = project(tmp_path, text)
    with pytest.raises(error):
        add_function(root, "call.ended", "b.ts")
    assert (root / "functions.yaml").read_text() == text


def test_a_function_cannot_be_added_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(NoProject):
        add_function(tmp_path, "call.ended", "b.ts")
    (tmp_path / "functions.yaml").mkdir()
    with pytest.raises(InvalidManifest):
        add_function(tmp_path, "call.ended", "b.ts")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_links_and_permissions_of_the_manifest_are_preserved(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "functions.yaml").rename(root / "real.yaml")
    (root / "real.yaml").chmod(0o640)
    (root / "functions.yaml").symlink_to("real.yaml")
    add_function(root, "call.ended", "b.ts")
    assert (root / "functions.yaml").is_symlink()
    assert (root / "real.yaml").stat().st_mode & 0o777 == 0o640
    assert "call.ended" in (root / "real.yaml").read_text()


_KEYS = st.text("ab.", min_size=1, max_size=3)
_COMMENTS = st.sampled_from(["", "  # c", "\n", "\n# c\n", "\n    # c\n"])
_VALUES = st.sampled_from(
    ["x", "'x'", "|\n        x\n", "{a: b}", "{}", "", "[x]", "\n      handler: a.ts", "&a\n      b: c", "*a"]
)


@given(
    st.lists(st.tuples(_KEYS, _VALUES, _COMMENTS), max_size=4), st.sampled_from(["", "version: 1\n", "z:\n    - 1\n"])
)
def test_adding_never_changes_existing_lines(entries: list[tuple[str, str, str]], tail: str) -> None:
    text = "functions:\n" + "".join(f"    {key}: {value}{comment}\n" for key, value, comment in entries) + tail
    try:
        parse(text, "functions.yaml")
        added = with_function(text, "call.ended", "b.ts")
    except CkfuncError:
        return
    changes = [line for line in difflib.ndiff(text.splitlines(), added.splitlines()) if line.startswith("- ")]
    assert changes == []
