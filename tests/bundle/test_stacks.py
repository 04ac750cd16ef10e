"""Translation of positions in bundles to local files."""

from __future__ import annotations

import json

import pytest
from bundle.sources import FORMAT, HANDLER, Make, handler

from ckfunc.bundle.project import Bundler
from ckfunc.bundle.source_map import SourceMap, StackMapper, map_stack

NAME = "user.attempted.start_session@3.ts"


@pytest.fixture
def source_map(make: Make, bundler: Bundler) -> str:
    found = handler(bundler.project(make({"handlers/start.ts": HANDLER, "lib/format.ts": FORMAT}))).source_map
    assert found is not None
    return found


def test_frames_name_the_local_files(source_map: str) -> None:
    stack = (
        "Error: nobody is there\n"
        f"    at greeting ({NAME}:8:11)\n"
        f"    at async handleEvent ({NAME}:15:10)\n"
        f"    at {NAME}:8:5\n"
        "    at ms (node_modules/ms/index.js:8:11)"
    )
    assert map_stack(stack, NAME, source_map) == (
        "Error: nobody is there\n"
        "    at greeting (lib/format.ts:6:11)\n"
        "    at async handleEvent (handlers/start.ts:4:10)\n"
        "    at lib/format.ts:6:5\n"
        "    at ms (node_modules/ms/index.js:8:11)"
    )


def test_frames_name_files_as_they_are_spelled_on_disk(make: Make, bundler: Bundler) -> None:
    names = ["é", "a'b", "c#d", "100%25", "[id]", "two words"]
    files = {
        f"lib/{name}.ts": f"export const f{number} = () => {{\n  throw 1;\n}};\n" for number, name in enumerate(names)
    }
    lines = [f'import {{ f{number} }} from "../lib/{name}";\n' for number, name in enumerate(names)]
    calls = "; ".join(f"f{number}()" for number in range(len(names)))
    files["handlers/start.ts"] = "".join(lines) + f"export function handleEvent() {{ {calls}; }}\n"
    script = handler(bundler.project(make(files)))
    assert script.source_map is not None
    thrown = [at for at, line in enumerate(script.text.splitlines(), 1) if "throw 1" in line]
    frames = "\n".join(f"at ({NAME}:{line}:3)" for line in thrown)
    assert map_stack(frames, NAME, script.source_map) == "\n".join(f"at (lib/{name}.ts:2:3)" for name in names)


def test_other_versions_and_longer_names_are_unchanged(source_map: str) -> None:
    for stack in (
        "at handleEvent (user.attempted.start_session@4.ts:8:11)",
        f"at handleEvent (some.{NAME}:8:11)",
        f"at handleEvent (some/{NAME}:8:11)",
        f"at handleEvent ({NAME})",
        f"at handleEvent ({NAME}:8)",
        "no stack at all",
        "",
    ):
        assert map_stack(stack, NAME, source_map) == stack


def test_a_position_without_a_source_is_unchanged(source_map: str) -> None:
    for place in ("1:1", "3:1", "999:1", "0:0"):
        assert map_stack(f"at ({NAME}:{place})", NAME, source_map) == f"at ({NAME}:{place})"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"sources": [], "mappings": "é"}', '{"sources": 1, "mappings": ""}']
)
def test_with_an_invalid_source_map_everything_is_unchanged(text: str) -> None:
    assert map_stack(f"at ({NAME}:8:11)", NAME, text) == f"at ({NAME}:8:11)"


def test_the_cached_source_map_has_no_paths_of_this_machine(source_map: str) -> None:
    document = json.loads(source_map)
    assert document["sources"] == ["lib/format.ts", "handlers/start.ts"]
    assert set(document) == {"version", "sources", "names", "mappings"}


def test_source_maps_are_read_according_to_their_standard() -> None:
    # Two sources; a segment without a source; a negative delta; a value of two digits.
    known = SourceMap('{"sources": ["a.ts", "b.ts"], "mappings": "AAAA,IAAI,E;;AACgBC,CCDhB"}')
    assert known.original(1, 1) == ("a.ts", 1, 1)
    assert known.original(1, 6) == ("a.ts", 1, 5)
    assert known.original(2, 1) is None
    assert known.original(3, 1) == ("a.ts", 2, 21)
    assert known.original(3, 9) == ("b.ts", 1, 5)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"at f ({NAME}:4:2)", "at f (handlers/start.ts:4:2)"),
        (f"{NAME} does not define it", "handlers/start.ts does not define it"),
        (f"at f (some.{NAME}:4:2)", f"at f (some.{NAME}:4:2)"),
        (f"at f ({NAME}x:4:2)", f"at f ({NAME}x:4:2)"),
    ],
)
def test_the_name_of_an_unbundled_script_becomes_its_path(text: str, shown: str) -> None:
    assert StackMapper(NAME, "handlers/start.ts", None).text(text) == shown


def test_the_name_of_a_bundle_without_a_position_becomes_its_path(source_map: str) -> None:
    text = f"{NAME} does not define it\n    at f ({NAME}:8:11)\n    at g ({NAME}:1:1)"
    assert StackMapper(NAME, "handlers/start.ts", source_map).text(text) == (
        f"handlers/start.ts does not define it\n    at f (lib/format.ts:6:11)\n    at g ({NAME}:1:1)"
    )
