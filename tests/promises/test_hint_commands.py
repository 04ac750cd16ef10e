"""Commands and options in messages and hints exist for the commands that print them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest

import ckfunc as package
from ckfunc.base.errors import completed
from ckfunc.base.files import templates
from ckfunc.cli.commands.help import contexts
from ckfunc.cli.main import COMMAND_FILES, COMMANDS, cli
from ckfunc.cli.options import examples
from ckfunc.model.command_outputs import OUTPUTS

ROOT = Path(package.__file__).parent

RAISED_BY = {
    "base/documents.py": ["api", "trigger"],
    "base/errors.py": ["diff", "replay"],
    "testing/case.py": ["test"],
    "testing/recording.py": ["test add"],
    "chat/client.py": ["chat"],
    "logs/entries.py": ["logs"],
    "chat/lines.py": ["emulator users", "emulator channels"],
    "cli/chat_session.py": ["chat"],
    "chat/connection.py": ["chat"],
    "cli/emulator_data.py": ["emulator import", "emulator reset"],
    "testing/reports.py": ["test merge"],
    "cli/options.py": ["check", "test", "diff"],
    "model/project.py": ["deploy"],
    "cli/output.py": ["api", "deploy", "rollback", "undo", "emulator import", "emulator reset"],
    "api/requests.py": ["api"],
    "deploy/blame.py": ["versions"],
    "dev/watcher.py": ["watch", "dev"],
    "deploy/gates.py": ["deploy"],
    "deploy/plan/checks.py": ["deploy", "watch"],
    "deploy/plan/saved.py": ["deploy"],
    "deploy/apply/recovery.py": ["undo"],
    "pull/project.py": ["pull"],
    "emulator/emulator.py": ["emulator", "dev"],
    "manifest/definition.py": ["deploy", "rollback", "undo", "watch"],
    "replay/report.py": ["replay"],
    "sandbox/sandbox.py": ["invoke"],
    "sandbox/scripts.py": ["invoke"],
    "scaffold/ci.py": ["init"],
    "scaffold/writing.py": ["init", "new"],
}
"""The commands that print messages with an option but no command, by module."""

_QUOTED = re.compile(r"`([^`]*)`")
_OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")
_OTHERS = ("git ", "pip ", "npm ", "node ", "cargo ", "ssh ")


def messages() -> Iterator[tuple[str, int, str]]:
    """Yield module, line and text of every literal with words, except docstrings."""
    for file in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        skipped: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):
                skipped.add(id(node.value))  # docstrings, also of constants
            elif isinstance(node, ast.JoinedStr) and id(node) not in skipped:
                skipped |= {id(child) for child in ast.walk(node) if child is not node}
        for node in ast.walk(tree):
            if id(node) in skipped:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            elif isinstance(node, ast.JoinedStr):
                text = "".join(str(value.value) if isinstance(value, ast.Constant) else "{}" for value in node.values)
            else:
                continue
            if " " in text.strip():
                yield file.relative_to(ROOT).as_posix(), node.lineno, text


def help_examples() -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of the examples that end the help of commands."""
    for file in sorted((templates() / "help").iterdir()):
        yield file.name, 1, file.read_text(encoding="utf-8")


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command at the start of a line and the remaining words; fail if there is none."""
    assert words[0] in COMMANDS, f"there is no command {words[0]}"
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    rest = words[1:]
    inner = getattr(command, "commands", {})
    while rest and rest[0] in inner:
        command, rest = inner[rest[0]], rest[1:]
        inner = getattr(command, "commands", {})
    return command, rest


def every_command(roots: Iterable[str] = COMMANDS) -> Iterator[click.Command]:
    """Yield the commands of these names and everything below them."""
    waiting: list[click.Command] = [found([name])[0] for name in roots]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        yield command


def options(command: click.Command) -> set[str]:
    own = {
        name
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }
    return own | {"--help", "-h"}


_OF_OTHER_PROGRAMS = ("bundle/", "emulator/ui/requests.py")
"""Modules whose options are those of esbuild and curl."""


_DESCRIBING_OUTPUTS = ("model/outputs.py", "model/command_outputs.py")
"""Modules that describe the output of several commands with an option."""


def lines(text: str) -> Iterator[str]:
    """Yield the command lines in a message: quoted ones, and whole lines of help or hints."""
    for quoted in _QUOTED.findall(text):
        if quoted.startswith("ckfunc "):
            yield quoted
    for line in _QUOTED.sub("", text).split("\n"):
        if at := re.search(r"(?:^|\| |: )\s*(ckfunc ([a-z]+).*)", line):
            shown = re.split(r"\s{3,}|\s(?:&&|\|) ", at[1])[0]
            if at[2] in COMMANDS or "  ckfunc" in line:  # otherwise a sentence about ckfunc
                yield shown


def test_every_command_line_in_a_message_is_valid() -> None:
    seen = 0
    for module, number, text in (*messages(), *help_examples()):
        for line in lines(text):
            words = line.split()[1:]
            if not words or words[0].startswith(("{", "-", "=")) or not re.fullmatch("[a-z]+", words[0]):
                continue
            command, rest = found(words)
            for option in _OPTION.findall(" ".join(rest)):
                assert option in options(command), f"{module}:{number}: `ckfunc {words[0]}` has no option {option}"
            seen += 1
    assert seen > 80  # the search still finds them


def test_all_examples_belong_to_a_command() -> None:
    with_examples = [context for context in contexts(click.Context(cli, info_name="ckfunc")) if examples(context)]
    assert len(with_examples) == len([*help_examples()])


def test_every_option_in_a_message_exists_for_the_commands_that_print_it() -> None:
    common = options(found(["doctor"])[0])
    for module, number, text in messages():
        plain = _QUOTED.sub(lambda quoted: "" if quoted[1].startswith(("ckfunc ", *_OTHERS)) else quoted[1], text)
        if plain.lstrip().startswith(("ckfunc ", *_OTHERS)) or "ckfunc " in plain:
            continue  # a whole command line, which the other test checks
        for option in re.findall(r"(?<![\w-])(--[a-z][a-z-]++)(?![\w=:])", plain):
            if option in common or module.startswith(_OF_OTHER_PROGRAMS):
                continue
            if module.startswith("cli/commands/"):
                own = module.removeprefix("cli/commands/").removesuffix(".py")
                shared = [name for name, file in COMMAND_FILES.items() if file == own]
                roots = [own, *shared] if own in COMMANDS else shared
                assert any(option in options(command) for command in every_command(roots)), (
                    f"{module}:{number}: {option}"
                )
                continue
            if module in _DESCRIBING_OUTPUTS:
                assert any(option in options(command) for command in every_command()), f"{module}:{number}: {option}"
                continue
            commands = RAISED_BY.get(module, [])
            assert commands, f"{module}:{number}: name the commands that print {option}"
            for name in commands:
                assert option in options(found(name.split())[0]), f"{module}:{number}: `ckfunc {name}` has no {option}"


def test_output_conditions_name_existing_options_of_their_command() -> None:
    for output in OUTPUTS:
        for option in _OPTION.findall(output.condition):
            assert option in options(found(output.command.split())[0]), output.command


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("run `ckfunc deploy`", "run `ckfunc deploy --target staging`"),
        ("`ckfunc rollback a.b --to 3` brings it back", "`ckfunc rollback --target staging a.b --to 3` brings it back"),
        ("`ckfunc deploy --target x`", "`ckfunc deploy --target x`"),
        ("`ckfunc deploy --plan p.json`", "`ckfunc deploy --plan p.json`"),
        ("`ckfunc check`, then `ckfunc init`", "`ckfunc check`, then `ckfunc init`"),
        ("`ckfunc emulator reset`", "`ckfunc emulator reset --data-dir 'my data'`"),
        ("`ckfunc emulator import FILE`", "`ckfunc emulator import --data-dir 'my data' FILE`"),
    ],
)
def test_commands_in_hints_get_the_target_and_data_directory_in_use(hint: str, shown: str) -> None:
    assert completed(hint, "staging", Path("my data")) == shown
    assert completed(hint, None, None) == hint
