"""Parsing YAML with and without libyaml."""

from __future__ import annotations

import pytest
import yaml
from manifest.projects import EXAMPLE, MINIMAL

from ckfunc.base.errors import InvalidManifest
from ckfunc.manifest.tree import Mapping, Node, Scalar, parse, position

TEXTS = [
    EXAMPLE,
    MINIMAL.replace("\n", "\r\n"),
    "a: |\n  text\n\n\n# c\nb: >-\n  x\n  y\nc:\nd: 'x\n  y'\n",
    '{"a": [1, {b: &x "☃"}], c: *x}',
    "? a\n: - b\n  - &y {}\n---\n"[:-4],
]


def scalars(node: Node | None) -> list[tuple[object, ...]]:
    if isinstance(node, Scalar):
        # The parsers only differ in the positions of empty values.
        place = (node.line, node.column, node.start, node.end) if node.text else ()
        return [(node.text, node.plain, node.block, *place)]
    if node is None:
        return []
    parts = [part for pair in node.entries for part in pair] if isinstance(node, Mapping) else node.items
    return [(type(node).__name__, node.line, node.column), *(scalar for part in parts for scalar in scalars(part))]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="there is but one parser here")
@pytest.mark.parametrize("text", TEXTS)
def test_both_parsers_give_the_same_tree(text: str) -> None:
    assert scalars(parse(text, "f", loader=yaml.CSafeLoader)) == scalars(parse(text, "f", loader=yaml.SafeLoader))


@pytest.mark.parametrize(
    "text", ["a: {", "a: 'x", "\ta", "a: >=1", "a: *b", "a: b: c", "a: @b", "}", "&", "[" * 50, "!!x y"]
)
def test_both_parsers_refuse_the_same_documents(text: str) -> None:
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        with pytest.raises(InvalidManifest) as caught:
            parse(text, "f", loader=loader)
        assert len(caught.value.problems) == 1


def test_texts_keep_their_characters_and_positions() -> None:
    tree = parse('a: 0042\nb: "1\\n2"\n', "f")
    assert isinstance(tree, Mapping)
    first, second = (value for _, value in tree.entries)
    assert first == Scalar("0042", True, 1, 4, 3, 7)
    assert second == Scalar("1\n2", False, 2, 4, 11, 17)


def test_values_are_not_in_the_repr_of_a_tree() -> None:
    assert "hunter2" not in repr(parse("a: [hunter2]\n", "f"))


def test_offsets_become_lines_and_columns() -> None:
    assert [position("a\r\nbc\rd\ne", offset) for offset in (0, 3, 4, 6, 8)] == [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1)]
