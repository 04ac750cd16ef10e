"""Effect of the project's tsconfig.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
from check.conftest import GOOD, World

LAX = "function handleEvent(message) { const unused = 1; return message; }\n"


def settings(world: World, text: str | dict[str, Any]) -> None:
    world.write("tsconfig.json", text if isinstance(text, str) else json.dumps({"compilerOptions": text}))


def test_strictness_is_set_by_the_project(world: World) -> None:
    world.write("handlers/a.ts", LAX)
    assert world.places() == ["handlers/a.ts:1:22 TS7006"]
    settings(world, {"strict": False})
    assert world.places() == []
    settings(world, {"strict": True, "noUnusedLocals": True})
    assert world.places() == ["handlers/a.ts:1:22 TS7006", "handlers/a.ts:1:39 TS6133"]
    settings(world, '// one\n{"extends": "./strict.json", /* two */ "compilerOptions": {"strict": false,},}\n')
    world.write("strict.json", '{"compilerOptions": {"noUnusedLocals": true}}')
    assert world.places() == ["handlers/a.ts:1:39 TS6133"]


@pytest.mark.parametrize(
    "options",
    [
        {"rootDir": "src", "outDir": "out", "declarationDir": "out", "declaration": True},
        pytest.param({"composite": True, "incremental": True, "tsBuildInfoFile": "out/info"}, marks=pytest.mark.slow),
        pytest.param({"isolatedDeclarations": True, "declaration": True}, marks=pytest.mark.slow),
        {"baseUrl": ".", "downlevelIteration": True},
        pytest.param({"module": "NodeNext", "moduleResolution": "NodeNext"}, marks=pytest.mark.slow),
        pytest.param({"module": "CommonJS", "moduleResolution": "node"}, marks=pytest.mark.slow),
        {"moduleDetection": "legacy"},
        pytest.param(
            {
                "noEmit": False,
                "sourceMap": True,
                "inlineSources": True,
                "emitDeclarationOnly": True,
                "declaration": True,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param({"noCheck": True}, marks=pytest.mark.slow),
        {"skipLibCheck": False},
    ],
)
def test_options_about_output_are_ignored(world: World, options: dict[str, Any]) -> None:
    settings(world, {"strict": True, **options})
    world.write("handlers/a.ts", f"{GOOD}const wrong: string = 1;\n")
    world.write("handlers/b.ts", GOOD)
    assert world.places() == ["handlers/a.ts:2:7 TS2322"]
    assert not (world.root / "out").exists()


def test_settings_for_the_editor_are_ignored(world: World) -> None:
    settings(world, '{"include": ["elsewhere"], "exclude": ["handlers"], "files": [], "references": [{"path": "x"}]}')
    world.write("handlers/a.ts", LAX)
    world.write("elsewhere/b.ts", "const wrong: string = 1;\n")
    settings(world, '{"include": ["elsewhere"], "exclude": ["handlers"], "compilerOptions": {"strict": true}}')
    assert world.places() == ["handlers/a.ts:1:22 TS7006"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "compilerOptions": {\n    "strrict": true\n  }\n}', "tsconfig.json:3:5 TS5023"),
        ('{\n  "compilerOptions": {\n    "target": "ES5"\n  }\n}', "tsconfig.json:3:5 TS5108"),
        ('{\n  "compilerOptions": {\n    "types": ["nope"]\n  }\n}', "tsconfig.json TS2688"),
        ('{"extends": "./missing.json"}', "tsconfig.json TS5083"),
    ],
)
def test_invalid_settings_are_reported_at_their_position(world: World, text: str, place: str) -> None:
    settings(world, text)
    world.write("handlers/a.ts", GOOD)
    assert place in world.places()


def test_imports_may_name_typescript_files(world: World) -> None:
    world.write("lib/a.ts", "export const a = 1;\n")
    for name, module in (("a", "../lib/a.ts"), ("b", "../lib/a.js"), ("c", "../lib/a")):
        world.write(f"handlers/{name}.ts", f'import {{ a }} from "{module}";\nconst b: string = a;\n{GOOD}b;\n')
    assert world.places() == [f"handlers/{name}.ts:2:7 TS2322" for name in "abc"]
