"""The house rules: violations are found, with their locations."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.house import complaints

GOOD = '"""A module of the test."""\n'


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"a.py": GOOD}, []),
        ({"a.py": "import os\n"}, ["ckfunc/a.py:1: the module has no docstring"]),
        ({"a.py": '"""How a deploy begins."""\n'}, ["ckfunc/a.py:1: a module's docstring is a noun phrase or"]),
        ({"a.py": f'"""{"word " * 13}."""\n'}, ["ckfunc/a.py:1: the docstring's first sentence has 14 words"]),
        ({"a.py": GOOD + 'A = r"[^\\n]*+x"\n'}, ["ckfunc/a.py:2: Python 3.11.2 matches possessive quantifiers"]),
        ({"a.py": GOOD + 'A = r"(?>a|b)c"\n'}, ["ckfunc/a.py:2: Python 3.11.2 matches possessive quantifiers"]),
        ({"a.py": GOOD + "@dataclass(frozen=True, slots=True)\nclass A: ...\n"}, ["ckfunc/a.py:2: use `@frozen`"]),
        (
            {"a.py": GOOD + "class One: ...\n", "b/c.py": GOOD + "\nclass One: ...\n"},
            ["ckfunc/b/c.py:3: the class name One is taken by ckfunc/a.py:2"],
        ),
        (
            {
                "a.py": GOOD + "def f():\n    from ckfunc.b import g\n",
                "b.py": GOOD + "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ckfunc import a\n",
            },
            ["import circle: "],
        ),
    ],
)
def test_violations_of_the_house_rules_are_found(tmp_path: Path, files: dict[str, str], found: list[str]) -> None:
    for name, text in files.items():
        file = tmp_path / "ckfunc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    seen = list(complaints(tmp_path))
    assert len(seen) == len(found)
    assert all(line.startswith(begin) for line, begin in zip(seen, found, strict=True)), seen


def test_names_that_tests_and_scripts_use_must_exist(tmp_path: Path) -> None:
    files = {
        "ckfunc/a.py": GOOD
        + "import os\nfrom json import dumps as write\nif os.sep:\n    ONE = 1\ndef two(): three = 3\n",
        "ckfunc/b/__init__.py": GOOD + "class Four: ...\n",
        "ckfunc/__init__.py": GOOD,
        "tests/support/c.py": "from ckfunc import a, b\nfrom ckfunc.a import os, write\na.two(), b.Four, a.__doc__",
        "tests/d.py": "from support.c import os, other\nfrom support import c\nc.a, c.other\nimport packaging.tags",
        "website/e.py": "from ckfunc.a import three\nfrom ckfunc.a.x import y\nfrom ckfunc import b as d\nd.five",
        "example-project/f.py": "from ckfunc.b import Four\nfrom ckfunc import a, z\nfor a in (): a.x",
        "bench/g.py": "from bench.h import one\nfrom ckfunc import a\ndef f(a): a.x\nfrom ..ckfunc import x",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert list(complaints(tmp_path)) == [
        "bench/g.py:1: there is no module bench.h",
        "example-project/f.py:2: ckfunc has no z",
        "tests/d.py:1: support.c has no other",
        "tests/d.py:3: support.c has no other",
        "website/e.py:1: ckfunc.a has no three",
        "website/e.py:2: there is no module ckfunc.a.x",
        "website/e.py:4: ckfunc.b has no five",
    ]
