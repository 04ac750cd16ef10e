"""Handlers with shared local files: deployed, run, watched, pulled, and traced to their sources."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Ckfunc, Ran, start, written
from support.commands import Command
from support.emulators import cold_emulator

from ckfunc.api import Client, Connection
from ckfunc.base.files import cache_dir
from ckfunc.base.secrets import Secret

TYPE, SENT = "user.attempted.start_session", "user.sent.message"
MANIFEST = f"""\
version: 1
runtime:
  dependencies: {{ms: 2.1.3}}
  initialization_script: init.ts
functions:
  {TYPE}: {{handler: handlers/start.ts}}
  {SENT}: {{handler: handlers/sent.ts}}
targets:
  local: {{emulator: true}}
"""
FILES = {
    "functions.yaml": MANIFEST,
    "init.ts": 'import { shout } from "./lib/words";\n\nexport const desk = (name: string) => shout(name);\n',
    "handlers/start.ts": """\
import words from "../lib/words.json";
import { greeting } from "../lib/greeting";
import type { Person } from "../lib/types";

async function handleEvent(event: Person & { username: string }, context: Context) {
  return `${greeting(event.username)} ${words.end} ${desk(event.username)}`;
}
""",
    "handlers/sent.ts": "function handleEvent(event: any) {\n  return 'as written'; // with this comment\n}\n",
    "lib/greeting.ts": """\
import ms from "ms";

/** Says hello to somebody. */
export function greeting(name: string): string {
  if (name === "nobody") {
    console.error(new Error("seen"));
    throw new Error("nobody is there");
  }
  return `hello ${name} within ${ms(60_000)}`;
}
""",
    "lib/words.ts": """\
export function shout(word: string): string {
  if (word === "mute") throw new Error("no voice");
  return word.toUpperCase();
}
""",
    "lib/words.json": '{"end": "→ 👋"}',
    "lib/types.ts": "export interface Person { name: string }\n",
}


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A project whose start handler and init script import local files."""
    return written(tmp_path / "shared", FILES)


def test_a_bundled_handler_can_import_an_npm_package(ckfunc: Ckfunc, shared: Path) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    ran = start(ckfunc, shared, "jane")
    assert ran.code == 0, ran.out + ran.err
    assert '"hello jane within 1m → 👋 JANE"' in ran.out
    assert ckfunc("-C", shared, "diff", "--exit-code").code == 0
    deployed = ckfunc("-C", shared, "show", TYPE).out
    assert 'import ms from "ms";' in deployed
    assert "async function handleEvent(event, context) {" in deployed
    assert str(shared) not in deployed
    assert ckfunc("-C", shared, "show", SENT).out == FILES["handlers/sent.ts"]
    assert "deployed, local" in ckfunc("-C", shared, "versions", TYPE).out


def test_stack_traces_of_a_bundled_handler_point_to_the_local_files(ckfunc: Ckfunc, shared: Path) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    ran = start(ckfunc, shared, "nobody")
    assert ran.code == 1
    logged = ckfunc("-C", shared, "logs", "--status", "failed")
    for text in (ran.out, logged.out):
        assert "at greeting (lib/greeting.ts:6:19)" in text  # what it printed
        assert "at greeting (lib/greeting.ts:7:11)" in text  # what it threw
        assert "at handleEvent (handlers/start.ts:6:13)" in text
        assert f"{TYPE}@1.ts" not in text
    # JSON output has the platform's stack trace.
    (entry,) = map(json.loads, ckfunc("-C", shared, "logs", "--json").out.splitlines())
    assert f"at greeting ({TYPE}@1.ts:" in entry["result"]["error"]["stack"]


def test_stack_traces_point_to_init_script_files_only_in_the_run_itself(ckfunc: Ckfunc, shared: Path) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    ran = start(ckfunc, shared, "mute")
    assert "at shout (lib/words.ts:2:30)" in ran.out
    assert "at desk (init.ts:3:" in ran.out
    # For older invocations, it is unknown which init script ran.
    assert "initialization-script.ts:" in ckfunc("-C", shared, "logs").out


def test_stack_traces_point_to_the_deployed_script_after_local_changes(ckfunc: Ckfunc, shared: Path) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    library = shared / "lib/greeting.ts"
    library.write_text("// one more line\n" + library.read_text().replace("hello", "goodbye"))
    for ran in (start(ckfunc, shared, "nobody"), ckfunc("-C", shared, "logs")):
        assert f"at greeting ({TYPE}@1.ts:" in ran.out
    # Logs can be read even if the files cannot be bundled.
    library.write_text("export const = 1;\n")
    assert f"at greeting ({TYPE}@1.ts:" in ckfunc("-C", shared, "logs").out
    assert start(ckfunc, shared, "jane").code == 0


def test_mistakes_in_local_files_are_reported_together_and_nothing_is_sent(ckfunc: Ckfunc, shared: Path) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    (shared / "lib/greeting.ts").write_text("export function greeting(name: string) {\n  return name +;\n}\n")
    (shared / "handlers/sent.ts").write_text('import { a } from "../lib/a";\nfunction handleEvent() { return a; }\n')
    for command in ("deploy", "diff"):
        ran = ckfunc("-C", shared, command)
        assert ran.code == 1
        assert "lib/greeting.ts:2:16: unexpected" in ran.err
        assert "handlers/sent.ts:1:19: there is no file lib/a.ts" in ran.err
    # Deployed versions are still available.
    ran = ckfunc("-C", shared, "versions", TYPE)
    assert (ran.code, len(ran.out.splitlines())) == (0, 2)  # the header, and one version
    assert "the working copy is not compared" in ran.err
    assert ckfunc("-C", shared, "show", TYPE).code == 0
    assert ckfunc("-C", shared, "rollback", TYPE, "--to", "1", "--yes").code == 0


def test_a_syntax_error_from_node_points_to_the_local_file(ckfunc: Ckfunc, shared: Path) -> None:
    library = shared / "lib/greeting.ts"
    library.write_text(library.read_text().replace('name === "nobody"', "/(/.test(name)"))
    ran = ckfunc("-C", shared, "deploy")
    assert ran.code == 1
    assert "lib/greeting.ts:5:" in ran.err
    assert "nvalid regular expression" in ran.err


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
@pytest.mark.slow
def test_watch_deploys_the_handlers_that_import_a_saved_file(ckfunc: Ckfunc, shared: Path) -> None:
    library = shared / "lib/greeting.ts"
    good = library.read_text()
    with ExitStack() as commands:
        commands.enter_context(Command("-C", shared, "emulator", "--port", "0")).until("ready http://127.0.0.1:")
        library.write_text("export const = 1;\n")
        watch = commands.enter_context(Command("-C", shared, "watch"))
        watch.until("lib/greeting.ts:1:")
        assert SENT in watch.until("v1 ")
        library.write_text(good)
        assert TYPE in watch.until("v1 ")
        library.write_text(good.replace("hello", "good day"))
        assert TYPE in watch.until("v1 → v2")
        # A broken file is not deployed, and does not stop the deploy of other functions.
        library.write_text("export const greeting = ;\n")
        watch.until("lib/greeting.ts:1:25: ")
        (shared / "handlers/sent.ts").write_text("function handleEvent() { return 'anew'; }\n")
        assert SENT in watch.until("v1 → v2")
        # An import of a missing file, in a missing directory, is resolved once the file exists.
        library.write_text(good.replace('"ms"', '"./more/time"'))
        watch.until("lib/greeting.ts:1:16: there is no file lib/more/time.ts")
        (shared / "lib/more").mkdir()
        (shared / "lib/more/time.ts").write_text("export default (n: number) => `${n} ticks`;\n")
        assert TYPE in watch.until("v2 → v3")
        assert "hello jane within 60000 ticks" in start(ckfunc, shared, "jane").out
        start(ckfunc, shared, "nobody")
        watch.until("at greeting (lib/greeting.ts:7:11)")
        assert watch.interrupt() == 130


def say(root: Path, word: str) -> None:
    (root / "lib/greeting.ts").write_text(FILES["lib/greeting.ts"].replace("hello", word))


@pytest.fixture
def offline(ckfunc: Ckfunc, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Ckfunc:
    """Return a function that runs a command line with a cache directory and without a network."""

    def call(cache: Path, *args: str) -> Ran:
        environ = {
            "CKFUNC_CACHE_DIR": str(cache),
            "npm_config_cache": str(shared / "npm"),
            "npm_config_fetch_retries": "0",
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
            **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1"),
        }
        with monkeypatch.context() as patched:
            for name, value in environ.items():
                patched.setenv(name, value)
            return ckfunc("-C", shared, *args)

    return call


@pytest.mark.slow
def test_an_installed_bundler_needs_no_network(ckfunc: Ckfunc, offline: Ckfunc, shared: Path) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0  # installs missing packages
    assert start(ckfunc, shared, "jane").code == 0
    say(shared, f"welcome to {shared}")  # never bundled before
    assert (told := offline(cache_dir(), "deploy")).code == 0, told.err
    told = offline(cache_dir(), "trigger", TYPE, "--data", '{"username": "jane"}')
    assert f"welcome to {shared} jane within 1m" in told.out, told.err


@pytest.mark.skipif(os.name != "posix", reason="the cache is made of a link")
@pytest.mark.slow
def test_a_cached_bundle_does_not_need_esbuild(ckfunc: Ckfunc, offline: Ckfunc, shared: Path, tmp_path: Path) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "runtimes").symlink_to(cache_dir() / "runtimes")
    assert "No changes." in (told := offline(cache, "diff")).out, told.err
    (cache / "runtimes").unlink()
    assert "No changes." in (told := offline(cache, "diff")).out, told.err
    say(shared, "again")
    told = offline(cache, "diff")
    assert (told.code, "could not reach its registry" in told.err) == (1, True)
    # Commands that don't need bundles still work.
    assert offline(cache, "logs").code == 0


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, shared: Path) -> Any:
    """A client of the platform of the project's remote target."""
    manifest = shared / "functions.yaml"
    manifest.write_text(manifest.read_text() + "  remote: {}\ndefault_target: remote\n")
    emulator = cold_emulator(None)
    url = emulator.start()
    try:
        monkeypatch.setenv("CHATKITTY_API_URL", url)
        monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"{url}/oauth/token")
        monkeypatch.setenv("CHATKITTY_CLIENT_ID", "emulator")
        monkeypatch.setenv("CHATKITTY_CLIENT_SECRET", "emulator")
        with Client(Connection(url, f"{url}/oauth/token", "emulator", Secret("emulator"))) as client:
            yield client
    finally:
        emulator.stop()


def test_a_pull_does_not_change_the_files_of_a_bundle(ckfunc: Ckfunc, shared: Path, elsewhere: Client) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    before = {path: (shared / path).read_bytes() for path in FILES}
    ran = ckfunc("-C", shared, "pull", "--yes")
    assert (ran.code, "nothing to pull" in ran.err) == (0, True)
    assert ckfunc("-C", shared, "diff", "--exit-code").code == 0
    # Local changes alone are not a conflict.
    (shared / "lib/greeting.ts").write_text(FILES["lib/greeting.ts"].replace("hello", "bye"))
    assert ckfunc("-C", shared, "pull", "--yes").code == 0
    (shared / "lib/greeting.ts").write_bytes(before["lib/greeting.ts"])
    # Remote changes cannot be merged into a bundle, and are reported until they are resolved.
    (function,) = [function for function in elsewhere.functions() if function.type == TYPE]
    script = elsewhere.current_version(function.id).handler_script
    elsewhere.create_version(function.id, script.replace("hello", "hi there"))
    elsewhere.update_initialization_script("export const desk = () => 'desk';\n")
    for _ in range(2):
        ran = ckfunc("-C", shared, "pull", "--yes")
        assert ran.code == 1
        said = " ".join(ran.err.split())
        assert f"v2 of {TYPE} differs from the bundle of handlers/start.ts, lib/greeting.ts, lib/words.json" in said
        assert f"ckfunc diff {TYPE}@2" in said
        assert "the deployed init script differs from the bundle of init.ts, lib/words.ts" in said
    assert {path: (shared / path).read_bytes() for path in FILES} == before
    assert "hi there" in ckfunc("-C", shared, "diff", f"{TYPE}@2").out
    assert ckfunc("-C", shared, "deploy").code == 0
    assert ckfunc("-C", shared, "pull", "--yes").code == 0


def test_a_new_project_can_be_pulled_from_bundles(
    ckfunc: Ckfunc, shared: Path, elsewhere: Client, tmp_path: Path
) -> None:
    assert ckfunc("-C", shared, "deploy").code == 0
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert ckfunc("-C", fresh, "pull").code == 0
    assert ckfunc("-C", fresh, "diff", "--exit-code").code == 0
    assert (fresh / "handlers/user-attempted-start-session.js").read_text().startswith("// Bundled by ckfunc from")
    assert (fresh / "init.js").is_file()
    checked = ckfunc("-C", fresh, "check", "--target", "local")
    assert (checked.code, checked.out) == (0, ""), checked.out


def git(root: Path, *arguments: str, day: int = 1) -> str:
    when = f"2024-05-{day:02d}T12:00:00+00:00"
    environ = {**os.environ, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", "-c", "user.name=Jane", "-c", "user.email=jane@example.com", *arguments]
    return subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=True).stdout.strip()


def test_blame_finds_the_commit_whose_files_were_bundled_into_a_version(ckfunc: Ckfunc, shared: Path) -> None:
    git(shared.parent, "init", "-q")  # the project is a directory of its repository
    handler, ids = shared / "handlers/start.ts", []
    before = "function handleEvent() {\n  return 'before there were modules';\n}\n"
    stages = (
        (handler, before),
        (handler, FILES["handlers/start.ts"]),
        (shared / "lib/greeting.ts", FILES["lib/greeting.ts"].replace("hello", "welcome")),
        (shared / "lib/greeting.ts", "export const greeting = ;\n"),
        (shared / "lib/words.json", '{"end": "!"}'),
    )
    for day, (path, text) in enumerate(stages, 1):
        path.write_text(text)
        git(shared, "add", "functions.yaml", "init.ts", "handlers", "lib")
        git(shared, "commit", "-q", "-m", f"Stage {day}", day=day)
        if day != 4:
            if day == 5:
                say(shared, "never committed")
            assert ckfunc("-C", shared, "deploy").code == 0
            ids.append(git(shared, "rev-parse", "HEAD"))
    found = json.loads(ckfunc("-C", shared, "versions", TYPE, "--blame", "--json").out)
    # The last deployed state was never committed.
    assert [version.get("commit", {}).get("id") for version in found] == [None, *reversed(ids[:3])]
    assert "Jane: Stage 3" in ckfunc("-C", shared, "versions", TYPE, "--blame").out
