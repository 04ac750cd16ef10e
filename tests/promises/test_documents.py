"""Promises of README.md and docs/: examples work, every command, key, exit code and trigger type is documented."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.emulators import cold_emulator
from support.typescript import tsc

from ckfunc.base.errors import EXIT_CODES
from ckfunc.base.secrets import revealed
from ckfunc.cli.main import COMMANDS
from ckfunc.manifest.definition import MANIFEST, PLATFORM_PACKAGES
from ckfunc.manifest.kinds import Entries, Section
from ckfunc.manifest.project import load, targets
from ckfunc.manifest.variables import CONNECTION_NAMES
from ckfunc.model.triggers import TRIGGERS
from ckfunc.scaffold.project import init
from ckfunc.scaffold.stubs import TYPES_DIR, Schemas

ROOT = Path(__file__).parent.parent.parent
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
README_LINES = 120


def block(page: str, language: str, start: str) -> str:
    """Return the code block of a page that begins with `start`."""
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)
    return next(text for text in blocks if text.startswith(start))


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= README_LINES


def test_every_document_is_in_the_navigation_of_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    assert [name for name in PAGES if name != "README.md" and f": {name}\n" not in navigation] == []


def test_images_are_small_and_svg_files_load_nothing() -> None:
    pictures = list((ROOT / "docs/images").iterdir())
    shown = re.findall(r"\((?:docs/)?images/([^)]+)\)", "".join(PAGES.values()))
    assert {path.name for path in pictures} == set(shown)
    assert [path.name for path in pictures if path.stat().st_size > 300_000] == []
    for path in pictures:
        if path.suffix == ".svg":
            names = {element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()}
            assert names <= {"svg", "style", "rect", "g", "text", "path"}


def test_links_between_documents_are_valid() -> None:
    documents = {path.name: path for path in (ROOT / "docs").glob("*.md")}
    documents |= {name: ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")}
    dead = []
    for path in documents.values():
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text(encoding="utf-8")):
            file, _, anchor = link.partition("#")
            place = path.parent / file if file else path
            if not place.exists() or (anchor and anchor not in _anchors(place)):
                dead.append(f"{path.name}: {link}")
    assert dead == []


def test_the_layers_in_contributing_match_import_linter() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| rooms, from top to bottom | subject |")[2].partition("\n\n")[0]
    drawn = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines() if row.startswith("| `")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["layers"][0] == "ckfunc.cli")
    assert drawn == [{room.strip().removeprefix("ckfunc.") for room in layer.split("|")} for layer in layers]
    modules = {path.stem for path in (ROOT / "ckfunc").glob("[!_]*.py")}
    rooms = {path.parent.name for path in (ROOT / "ckfunc").glob("*/__init__.py")} | modules
    assert rooms == set().union(*drawn)


def test_files_and_names_mentioned_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A new command")[0]
    named = re.findall(r"`((?:ckfunc|templates|tests|docs)/[\w./-]+)`", text)
    assert [path for path in named if not re.search(r"TYPE|FAMILY", path) and not (ROOT / path).exists()] == []
    places = re.findall(r"`(\w+)`(?: in| of) `(ckfunc/[a-z_/]+\.py)`", text)
    assert [place for place in places if place[0] not in (ROOT / place[1]).read_text(encoding="utf-8")] == []
    assert len(places) > 5


def test_the_example_manifest_in_the_documentation_is_valid(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").write_text(block("manifest.md", "yaml", "# yaml-language-server"), encoding="utf-8")
    for name in ("init.ts", "handlers/start-session.ts"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("// more\n", encoding="utf-8")
    assert targets(tmp_path) == ("local", "staging", "production")
    project = load(tmp_path, "production", {"OPENAI_API_KEY": "x"})
    assert revealed(project.runtime.environment) == {"SUPPORT_CHANNEL": "9", "OPENAI_API_KEY": "x"}
    assert project.target.protected


def test_the_readme_handler_type_checks_in_a_new_project(tmp_path: Path) -> None:
    init(tmp_path, Schemas("{}"))
    (tmp_path / "handlers" / "readme.ts").write_text(
        block("README.md", "ts", "async function handleEvent"), encoding="utf-8"
    )
    assert tsc(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="its lines are a POSIX shell's")
def test_the_first_readme_session_prints_the_documented_output(tmp_path: Path) -> None:
    _compare(tmp_path, _session(block("README.md", "console", "$ ckfunc init")))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="its lines are a POSIX shell's")
def test_the_tutorial_works_from_zero_to_production(tmp_path: Path) -> None:
    text = re.sub(r"(application:?) 42", r"\1 1", PAGES["tutorial.md"])
    text = re.sub(r"YOUR_CLIENT_(ID|SECRET)", "emulator", text)
    session: list[tuple[str, str]] = []
    for paragraph, language, content in re.findall(r"([^\n]+)\n\n```(\w+)\n(.*?)```", text, re.DOTALL):
        if language == "console":
            session += _session(content)
        else:
            file = re.findall(r"`([\w./-]+\.\w+)`", paragraph)[0]
            session.append((f"cat {'>>' if 'to the end of' in paragraph else '>'} {file} <<'@'\n{content}@", ""))
    with cold_emulator(None) as production:
        url = production.url
        addresses = f"export CHATKITTY_API_URL={url} CHATKITTY_AUTHORIZATION_URL={url}/oauth/token"
        _compare(tmp_path, [(addresses, ""), *session])
    assert len(session) > 12


@pytest.mark.skipif(sys.platform == "win32", reason="its lines are a POSIX shell's")
def test_the_readme_failure_is_logged_as_documented(tmp_path: Path) -> None:
    handler = block("README.md", "ts", "async function handleEvent").splitlines()
    handler.insert(2, "  const topic = event.channel.properties.topic;")
    source = "\n".join(handler)
    event = block("debugging.md", "console", "$ ckfunc trigger user.sent.message").removeprefix("$ ").strip()
    lines = ["ckfunc init .", "ckfunc new user.sent.message", f"cat > handlers/user-sent-message.ts <<'@'\n{source}\n@"]
    lines += ["ckfunc deploy", f"{event} || true", f"{event} || true"]
    [(logs, shown)] = _session(block("README.md", "console", "$ ckfunc logs --status failed"))
    *_, logged, added, tested = _in_a_shell(
        tmp_path, [*lines, logs, "ckfunc test add --invocation 2 --yes", "ckfunc test"]
    )
    expected, actual = (re.sub(r"\d{4}-\d\d-\d\d", "DATE", _without_times(text)) for text in (shown, logged))
    assert expected in actual
    assert "written to tests/user-sent-message.yaml" in added
    assert "✓ invocation 2" in tested


@pytest.mark.skipif(sys.platform == "win32", reason="its lines are a POSIX shell's")
def test_the_documented_trigger_command_works(tmp_path: Path) -> None:
    line = block("debugging.md", "console", "$ ckfunc trigger user.sent.message").removeprefix("$ ").strip()
    lines = ["ckfunc init .", "ckfunc new user.sent.message", "ckfunc deploy", line]
    assert "user.sent.message v1 SUCCEEDED" in _in_a_shell(tmp_path, lines)[-1]


def test_documents_do_not_repeat_sentences_of_other_documents() -> None:
    places: dict[str, set[str]] = {}
    for name, text in PAGES.items():
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for paragraph in re.split(r"\n\n|\n *(?:-|\d\.) |\|", prose):
            for sentence in re.split(r"(?<=[.:;])\s", " ".join(paragraph.split())):
                places.setdefault(sentence, set()).add(name)
    assert {text: names for text, names in places.items() if len(names) > 1 and len(text) > 80} == {}


def test_documents_contain_no_merge_conflict_markers() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    marks = re.compile(r"^(<{7} |>{7} |={7}$)", re.MULTILINE)
    assert [path.name for path in documents if marks.search(path.read_text(encoding="utf-8"))] == []


def test_tests_mentioned_in_the_documents_exist() -> None:
    named = re.findall(r"`(tests/\w+/\w+\.py)`", "".join(PAGES.values()))
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_speed_page_shows_the_figures_of_its_benchmark_run() -> None:
    run = json.loads((ROOT / "website" / "speed.json").read_text(encoding="utf-8"))
    charts = runpy.run_path(str(ROOT / "website" / "charts.py"))
    assert charts["table"](run) in PAGES["speed.md"]
    assert charts["drawn"](run) == (ROOT / "docs" / "images" / "speed.svg").read_text(encoding="utf-8")
    assert run["date"] in PAGES["speed.md"]


def test_commands_in_the_documents_exist() -> None:
    shown = set(re.findall(r"(?:^\$|`)\s*ckfunc ([a-z]+)", "\n".join(PAGES.values()), re.MULTILINE))
    assert shown <= set(COMMANDS)


def test_the_documents_explain_every_command() -> None:
    table = PAGES["commands.md"].partition("| command | description |")[2].partition("\n\n")[0]
    rows = set(re.findall(r"^\| `([a-z]+)(?: [^`]*)?` \|", table, re.MULTILINE))
    assert rows == set(COMMANDS)


def test_the_documents_explain_every_key_of_the_manifest() -> None:
    assert [path for path in _keys(MANIFEST, "") if f"`{path}`" not in PAGES["manifest.md"]] == []


def test_the_documents_explain_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGES["commands.md"], re.MULTILINE)
    assert rows == [(str(code), meaning) for code, meaning in EXIT_CODES.items()]


def test_the_documents_explain_every_ckfunc_environment_variable() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ckfunc").rglob("*.py"))
    read = set(re.findall(r"\"(CKFUNC_[A-Z_]+|NO_COLOR|FORCE_COLOR|CI)\"", source)) | set(CONNECTION_NAMES)
    assert len(read) > 8
    assert [name for name in sorted(read) if f"`{name}`" not in PAGES["configuration.md"]] == []


def test_the_documents_list_every_trigger_type_and_platform_package() -> None:
    assert [
        trigger.type for trigger in TRIGGERS if f"| `{trigger.type}` | {trigger.when} |" not in PAGES["handlers.md"]
    ] == []
    assert [name for name in PLATFORM_PACKAGES if f"`{name}`" not in PAGES["manifest.md"]] == []
    assert f"`{TYPES_DIR}/*.d.ts`" in PAGES["handlers.md"]


def _session(text: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with its documented output."""
    commands = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    return list(zip(commands, re.split(r"^\$ .*\n", text, flags=re.MULTILINE)[1:], strict=True))


def _compare(directory: Path, session: list[tuple[str, str]]) -> None:
    """Run the commands of a session in one shell, and compare their output with the documented output."""
    printed = _in_a_shell(directory, [command for command, _ in session])
    for (command, expected), actual in zip(session, printed, strict=True):
        pattern = re.escape(_without_times(expected)).replace("…\\\n", "(?:.*\\n)*")
        assert re.fullmatch(pattern, _without_times(actual)), f"$ {command}\n{actual}"


def _in_a_shell(directory: Path, lines: list[str]) -> list[str]:
    """Run lines in one POSIX shell and return the output of each."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATKITTY_")}
    done = subprocess.run(
        ["/bin/sh", "-c", "set -e\n" + "\necho @@@\n".join(lines)],
        cwd=directory,
        env={**environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split("@@@\n")


def _without_times(text: str) -> str:
    """Return output with times of day and durations replaced by placeholders."""
    text = re.sub(r"\d\d:\d\d:\d\d\.\d+", "TIME", re.sub(r"(\S+ \S+ ago|just now) \(\d\d:\d\d\)|just now", "AGO", text))
    return re.sub(r"\d+(\.\d+)? m?s\b", "DURATION", text).rstrip() + "\n"


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _keys(record: Section, prefix: str) -> list[str]:
    """Return the dotted names of all keys of a record, including nested ones."""
    found = []
    for field in record.fields:
        kind, name = field.kind, prefix + field.name
        if isinstance(kind, Section):
            found += _keys(kind, f"{name}.")
        elif isinstance(kind, Entries) and isinstance(kind.kind, Section):
            found += _keys(kind.kind, f"{name}.{'TYPE' if field.name == 'functions' else 'NAME'}.")
        else:
            found.append(name)
    return found


def test_the_renovate_preset_finds_exactly_the_dependencies(tmp_path: Path) -> None:
    preset = json.loads(block("locked-packages.md", "json", '{\n  "$schema": "https://docs.renovatebot.com'))
    (manager,) = preset["customManagers"]
    outer, inner = (re.sub(r"\(\?<(?=[a-z])", "(?P<", pattern) for pattern in manager["matchStrings"])
    (pattern,) = manager["managerFilePatterns"]
    assert re.search(pattern.strip("/"), "chat/functions.yaml")
    dependencies = {
        "ms": "^2.1.3",
        "@acme/x.y": ">=1.2 <2",
        "zod": "3.x || 4.x",
        "qs-like": "1.0.0-rc.1",
        "dayjs": "latest",
    }
    lines = ["version: 1", "runtime:", "  dependencies:  # of all functions", *["    ms: ^2.1.3  # small", ""]]
    lines += [
        '    "@acme/x.y": ">=1.2 <2"',
        "    # left-pad: 1.3.0",
        "    zod: '3.x || 4.x'",
        "    qs-like: 1.0.0-rc.1",
    ]
    lines += ["    dayjs: latest", "", "  environment:", '    LEVEL: "1"', "functions:", "  user.sent.message:"]
    lines += ["    handler: handlers/message.ts", "targets:", "  local: {emulator: true}", ""]
    (tmp_path / "functions.yaml").write_text("\n".join(lines))
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers/message.ts").write_text("function handleEvent() {}\n")
    text = (tmp_path / "functions.yaml").read_text()
    found = [entry.groupdict() for section in re.finditer(outer, text) for entry in re.finditer(inner, section[0])]
    assert {each["depName"]: each["currentValue"] for each in found} == dependencies
    assert len(found) == len(dependencies)
    assert load(tmp_path, "local", {}).runtime.dependencies == dependencies
