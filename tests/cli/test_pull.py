"""`ckfunc pull` with the emulator: new projects, and changes merged into existing ones."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.emulators import cold_emulator

from ckfunc.api import Client, Connection
from ckfunc.base.secrets import Secret, secret_values
from ckfunc.emulator.store import application
from ckfunc.emulator.store.database import connect
from ckfunc.model.application import ApplicationSettings, NewFunction

START, SENT = "user.attempted.start_session", "user.sent.message"
SECRET = "canary-0xC0FFEE"


@dataclass
class Remote:
    client: Client
    data: Path

    def hold_dependencies(self, dependencies: Mapping[str, str]) -> None:
        """Store packages unchanged, including those that only the emulator's API refuses."""
        database = connect(self.data / "emulator.db")
        try:
            with database.transaction():
                application.set_dependencies(database, dependencies)
        finally:
            database.close()

    def create(self, trigger_type: str, *scripts: str, name: str | None = None, description: str | None = None) -> int:
        made = self.client.create_function(NewFunction(trigger_type, name or trigger_type, description))
        for script in scripts:
            self.client.create_version(made.id, script)
        return made.id

    def edit(self, trigger_type: str, script: str) -> None:
        (found,) = [function for function in self.client.functions() if function.type == trigger_type]
        self.client.create_version(found.id, script)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """An application on its own platform, with its credentials in the environment."""
    data = tmp_path_factory.mktemp("platform")
    emulator = cold_emulator(data)
    url = emulator.start()
    try:
        monkeypatch.setenv("CHATKITTY_API_URL", url)
        monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"{url}/oauth/token")
        monkeypatch.setenv("CHATKITTY_CLIENT_ID", "emulator")
        monkeypatch.setenv("CHATKITTY_CLIENT_SECRET", "emulator")
        with Client(Connection(url, f"{url}/oauth/token", "emulator", Secret("emulator"))) as client:
            yield Remote(client, data)
    finally:
        emulator.stop()


def lines(*changed: tuple[int, str], count: int = 9) -> str:
    """Return a handler of `count` numbered lines, some of them changed."""
    texts = {number: f"  // line {number}" for number in range(1, count + 1)} | dict(changed)
    return "function handleEvent(event: any) {\n" + "".join(f"{text}\n" for text in texts.values()) + "}\n"


def furnished(remote: Remote) -> None:
    remote.client.update_dependencies({"ms": "^2.1.3", "@scope/pkg": ">=1 <2"})
    remote.client.update_environment(
        secret_values({"PLAIN": "702", "TRICKY": f"a'b\"c\\ #{SECRET} $HOME ${{X}}\nnext\\"})
    )
    remote.client.update_initialization_script("export const shared = 1;\n")
    remote.create(START, lines(), name="User Attempted Start Session")
    remote.create(
        SENT, "// old\n", "function handleEvent() {}\r\n// ünïcode 😀", name="Mine: \u2028 #1", description="a\nb"
    )
    remote.create("own.kind", "function handleEvent() {}\n")
    remote.create("user.read.message")


@pytest.fixture
def pulled(ckfunc: Callable[..., Any], remote: Remote, tmp_path: Path) -> Path:
    """A project pulled from an application with data, with values from the environment."""
    furnished(remote)
    root = tmp_path / "project"
    root.mkdir()
    ran = ckfunc("-C", root, "pull", "--with-values")
    assert ran.code == 0, ran.err
    return root


def test_a_pulled_project_has_no_differences_from_its_application(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    ran = ckfunc("-C", pulled, "diff", "--exit-code")
    assert ran.code == 0, ran.out + ran.err
    assert "No changes." in ran.out
    assert "never deployed" not in ran.out
    manifest = (pulled / "functions.yaml").read_text(encoding="utf-8")
    assert "PLAIN: ${PLAIN}\n" in manifest
    assert "production: {application: 1, protected: true}" in manifest
    assert (pulled / "handlers/user-attempted-start-session.ts").read_text() == lines()
    assert (pulled / "init.js").read_text() == "export const shared = 1;\n"
    example = (pulled / ".env.example").read_text()
    assert "PLAIN=\n" in example and "TRICKY=\n" in example
    assert (pulled / ".ckfunc/types/chatkitty.d.ts").is_file()


def test_values_are_written_only_to_an_env_file_with_private_permissions(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path, tmp_path: Path
) -> None:
    holders = [path.name for path in pulled.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert holders == [".env"]
    if sys.platform != "win32":
        assert stat.S_IMODE((pulled / ".env").stat().st_mode) == 0o600
    assert ".env\n" in (pulled / ".gitignore").read_text()
    other = tmp_path / "other"
    other.mkdir()
    ran = ckfunc("-C", other, "-v", "pull")
    assert ran.code == 0
    assert SECRET not in ran.out + ran.err
    assert not (other / ".env").exists()
    assert "PLAIN" in ran.err and "TRICKY" in ran.err
    unset = ckfunc("-C", other, "diff")
    assert unset.code == 0
    assert "variable PLAIN has no value, so it is not compared" in unset.out
    assert "${PLAIN} has no value" in unset.err
    assert ckfunc("-C", other, "diff", "--exit-code").code == 1


def test_values_a_manifest_cannot_represent_are_omitted_with_a_warning(
    ckfunc: Callable[..., Any], remote: Remote, tmp_path: Path
) -> None:
    remote.hold_dependencies({"ms": "^2.1.3", "mine": "git+https://example.com/mine.git"})
    remote.create("user.read.message")
    remote.create(SENT, "   \n")
    remote.create(START, lines())
    ran = ckfunc("-C", tmp_path, "pull")
    assert ran.code == 0
    for said in ("'mine'", "'user.read.message' was left out: it was never deployed", f"'{SENT}' was left out"):
        assert said in ran.err
    assert ckfunc("-C", tmp_path, "diff", "--exit-code").code == 0


def test_an_empty_application_can_be_pulled(ckfunc: Callable[..., Any], remote: Remote, tmp_path: Path) -> None:
    assert ckfunc("-C", tmp_path, "pull", "--target", "staging").code == 0
    assert "default_target: staging\n" in (tmp_path / "functions.yaml").read_text()
    assert ckfunc("-C", tmp_path, "diff", "--exit-code").code == 0


def test_a_variable_that_conflicts_with_the_shell_is_renamed(
    ckfunc: Callable[..., Any], remote: Remote, tmp_path: Path
) -> None:
    remote.client.update_environment(secret_values({"PATH": "/app/bin"}))
    remote.create(START, lines())
    assert ckfunc("-C", tmp_path, "pull", "--with-values").code == 0
    assert "PATH: ${APP_PATH}\n" in (tmp_path / "functions.yaml").read_text()
    assert ckfunc("-C", tmp_path, "diff", "--exit-code").code == 0


def test_existing_files_are_not_overwritten(ckfunc: Callable[..., Any], remote: Remote, tmp_path: Path) -> None:
    remote.client.update_initialization_script("export const shared = 1;\n")
    (tmp_path / "init.js").write_text("mine\n")
    (tmp_path / ".gitignore").write_text("mine\n")
    ran = ckfunc("-C", tmp_path, "pull")
    assert ran.code == 1
    assert "init.js already exists" in ran.err
    assert "-C DIR" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [".gitignore", "init.js"]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["pull", "--application", "7"], 1, "bound to application 7"),
        (["pull", "--application", "19b458d0-2b50-491c-8f13-65ec12f3978e"], 1, "bound to application 19b458d0"),
        (["pull", "--target", "local"], 2, "--target NAME"),
    ],
)
def test_a_pull_from_another_application_is_refused(
    ckfunc: Callable[..., Any], remote: Remote, tmp_path: Path, line: list[str], code: int, said: str
) -> None:
    ran = ckfunc("-C", tmp_path, *line)
    assert ran.code == code
    assert said in ran.err
    assert not (tmp_path / "functions.yaml").exists()


def test_a_pull_without_changes_modifies_no_files(ckfunc: Callable[..., Any], pulled: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in pulled.rglob("*") if ".ckfunc" not in path.parts}
    ran = ckfunc("-C", pulled, "pull", "--with-values")
    assert ran.code == 0, ran.err
    assert "nothing to pull" in ran.err
    assert {path: path.stat().st_mtime_ns for path in pulled.rglob("*") if ".ckfunc" not in path.parts} == before
    assert ckfunc("-C", pulled, "pull", "--application", "1").code == 2


def test_a_pull_shows_its_changes_and_needs_confirmation_or_yes(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    handler = pulled / "handlers/user-attempted-start-session.ts"
    remote.edit(START, lines((2, "  theirs();")))
    refused = ckfunc("-C", pulled, "pull")
    assert refused.code == 2
    assert "+  theirs();" in refused.err
    assert "--yes" in refused.err
    assert handler.read_text() == lines()
    assert ckfunc("-C", pulled, "pull", "--yes").code == 0
    assert handler.read_text() == lines((2, "  theirs();"))
    assert ckfunc("-C", pulled, "diff", "--exit-code").code == 0


def test_a_file_saved_during_a_pull_is_not_overwritten(
    remote: Remote, pulled: Path, ckfunc: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, manifest = pulled / "handlers/user-attempted-start-session.ts", (pulled / "functions.yaml").read_text()
    remote.edit(START, lines((2, "  theirs();")))
    read = Client.current_version

    def save(*args: Any) -> Any:
        handler.write_text(lines((8, "  saved();")))
        return read(*args)

    with monkeypatch.context() as patched:
        patched.setattr(Client, "current_version", save)
        ran = ckfunc("-C", pulled, "pull", "--yes")
    assert ran.code == 1
    assert "handlers/user-attempted-start-session.ts was saved during the pull; nothing was written" in ran.err
    assert handler.read_text() == lines((8, "  saved();"))
    assert (pulled / "functions.yaml").read_text() == manifest
    assert ckfunc("-C", pulled, "pull", "--yes").code == 0
    assert handler.read_text() == lines((2, "  theirs();"), (8, "  saved();"))


def test_local_edits_are_merged_with_edits_in_the_dashboard(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    handler = pulled / "handlers/user-attempted-start-session.ts"
    handler.write_bytes(lines((8, "  ours();")).replace("\n", "\r\n").encode())
    remote.edit(START, lines((2, "  theirs();")))
    ran = ckfunc("-C", pulled, "pull", "--yes", "--json")
    assert (ran.code, json.loads(ran.out)["conflicts"]) == (0, 0)
    assert handler.read_bytes() == lines((2, "  theirs();"), (8, "  ours();")).replace("\n", "\r\n").encode()
    assert "nothing to pull" in ckfunc("-C", pulled, "pull").err


def test_lines_changed_on_both_sides_get_conflict_markers_and_exit_1(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    handler = pulled / "handlers/user-attempted-start-session.ts"
    handler.write_text(lines((5, "  ours();")))
    remote.edit(START, lines((5, "  theirs();")))
    ran = ckfunc("-C", pulled, "pull", "--yes")
    assert ran.code == 1
    assert "<<<<<<<" in ran.err
    marked = (
        f"<<<<<<< handlers/user-attempted-start-session.ts\n  ours();\n=======\n  theirs();\n>>>>>>> v2 of {START}\n"
    )
    assert marked in handler.read_text()
    place = "handlers/user-attempted-start-session.ts:6:1: unresolved merge conflict"
    for command in (["deploy", "--yes"], ["deploy", "--dry-run"], ["diff"], ["pull", "--json"]):
        refused = ckfunc("-C", pulled, *command)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.count(place) == 1
    assert place in ckfunc("-C", pulled, "check").out
    handler.write_text(lines((5, "  both();")))
    assert "nothing to pull" in ckfunc("-C", pulled, "pull").err


def test_a_deploy_is_the_merge_base_of_the_next_pull(ckfunc: Callable[..., Any], remote: Remote, pulled: Path) -> None:
    handler = pulled / "handlers/user-attempted-start-session.ts"
    handler.write_text(lines((1, "  deployed();")))
    assert ckfunc("-C", pulled, "deploy", "--yes").code == 0
    handler.write_text(lines((1, "  deployed();"), (9, "  not yet();")))
    remote.edit(START, lines((1, "  deployed();"), (4, "  theirs();")))
    assert ckfunc("-C", pulled, "pull", "--yes").code == 0
    assert handler.read_text() == lines((1, "  deployed();"), (4, "  theirs();"), (9, "  not yet();"))


def test_a_clone_without_a_merge_base_takes_newer_versions_or_marks_conflicts(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    handler = pulled / "handlers/user-attempted-start-session.ts"
    for kept in (pulled / ".ckfunc/base").glob("*.json"):
        kept.unlink()
    remote.edit(START, lines((2, "  theirs();")))
    assert ckfunc("-C", pulled, "pull", "--yes").code == 0
    assert handler.read_text() == lines((2, "  theirs();"))
    for kept in (pulled / ".ckfunc/base").glob("*.json"):
        kept.unlink()
    handler.write_text(lines((2, "  ours();")))
    assert ckfunc("-C", pulled, "pull", "--yes").code == 1
    assert handler.read_text().count("<<<<<<<") == 1


def test_new_functions_variables_and_packages_are_added_to_the_manifest(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    manifest = pulled / "functions.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "# the end\n", encoding="utf-8")
    remote.client.update_dependencies({"ms": "^2.1.4", "zod": "3.x"})
    remote.client.update_environment(secret_values({"PLAIN": "702", "NEWER": f"{SECRET}-2"}))
    remote.create("call.ended", "function handleEvent() {}\n", name="Bye", description="says so")
    remote.client.update_initialization_script("export const shared = 2;\n")
    ran = ckfunc("-C", pulled, "-v", "pull", "--with-values", "--yes")
    assert ran.code == 0, ran.err
    assert SECRET not in ran.out + ran.err
    text = manifest.read_text(encoding="utf-8")
    assert "    ms: ^2.1.4\n    zod: 3.x\n" in text
    assert "@scope/pkg" not in text and "TRICKY" not in text
    assert "    NEWER: ${NEWER}\n" in text
    assert '  call.ended:\n    handler: handlers/call-ended.js\n    name: Bye\n    description: "says so"\n' in text
    assert text.endswith("# the end\n")
    assert "NEWER=\n" in (pulled / ".env.example").read_text()
    ran = ckfunc("-C", pulled, "diff", "--exit-code")
    assert ran.code == 0, ran.out + ran.err


def test_settings_are_pulled_only_if_the_manifest_has_them(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    manifest = pulled / "functions.yaml"
    text = manifest.read_text(encoding="utf-8")
    assert "\nsettings:\n  guest_users: true\n  user_created_channels: true\n" in text
    remote.client.update_settings(ApplicationSettings(guest_users=False))
    ran = ckfunc("-C", pulled, "pull", "--yes")
    assert ran.code == 0 and "functions.yaml  settings.guest_users: false" in ran.err
    assert manifest.read_text(encoding="utf-8") == text.replace("guest_users: true", "guest_users: false")
    assert ckfunc("-C", pulled, "diff", "--exit-code").code == 0
    # Changed on both sides: the local value stays, and the next pull reports the conflict again.
    edited = text.replace("guest_users: true", "guest_users: false").replace("channels: true", "channels: false")
    manifest.write_text(edited, encoding="utf-8")
    (pulled / ".ckfunc/base/production.json").unlink()
    for _ in range(2):
        ran = ckfunc("-C", pulled, "pull")
        assert ran.code == 1
        assert "setting user_created_channels is false here and true in the application" in ran.err
    assert ckfunc("-C", pulled, "deploy", "--yes").code == 0
    remote.client.update_settings(ApplicationSettings(guest_users=False, user_created_channels=True))
    assert ckfunc("-C", pulled, "pull", "--yes").code == 0
    assert "user_created_channels: true" in manifest.read_text(encoding="utf-8")
    # Settings that are not in the manifest stay unmanaged.
    manifest.write_text(
        text.replace("  guest_users: true\n", "")
        .replace("  user_created_channels: true\n", "")
        .replace("\nsettings:\n", "\n"),
        encoding="utf-8",
    )
    remote.client.update_settings(ApplicationSettings())
    assert "nothing to pull" in ckfunc("-C", pulled, "pull").err


def test_manifest_values_changed_on_both_sides_are_not_changed_and_exit_1(
    ckfunc: Callable[..., Any], remote: Remote, pulled: Path
) -> None:
    manifest = pulled / "functions.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("ms: ^2.1.3", "ms: ^2.0.0"), encoding="utf-8")
    remote.client.update_dependencies({"ms": "^3.0.0", "@scope/pkg": ">=1 <2"})
    ran = ckfunc("-C", pulled, "pull")
    assert ran.code == 1
    assert "dependency ms is ^2.0.0 here and ^3.0.0 in the application" in ran.err
    assert "ms: ^2.0.0" in manifest.read_text(encoding="utf-8")
