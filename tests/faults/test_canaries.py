"""No command leaks secrets into its output or files, whatever its outcome and verbosity.

Files in which users store secrets are excluded: `.env` files, emulator data and its exports, and the keyring.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import keyring
import pytest
from deploy.application import TOKEN as PLATFORM_TOKEN
from deploy.application import RemoteApplication
from faults.canaries import FILE, NUMBER, ONE, PEM, REMOTE, WRONG, leaking_files, leaks
from faults.proxy import CLIENT_ID, CLIENT_SECRET, TOKEN
from faults.world import Content, World, world
from support.keyring_file import TRUSTED, FileKeyring
from support.loopback import Reply, Request, serve

from ckfunc.base.files import cache_dir
from ckfunc.cli.main import COMMANDS, cli, run

SENT, START, READ = "user.sent.message", "user.attempted.start_session", "user.read.message"
VERBOSITIES: tuple[tuple[str, ...], ...] = (("-q",), (), ("-v",), ("--json",), ("-v", "--json"))


def verbosities(fast: str = "") -> pytest.MarkDecorator:
    """Parametrize by verbosity; all except `fast`, one of the two most verbose, are slow tests."""
    return pytest.mark.parametrize(
        "verbosity",
        [
            pytest.param(
                arguments, marks=() if arguments == (fast,) else pytest.mark.slow, id=" ".join(arguments) or "plain"
            )
            for arguments in VERBOSITIES
        ],
    )


MARK = "SECRET-STDIN"

# Every command with useful arguments, ordered so that later commands build on earlier ones.
CASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "init": (("fresh",), ("--ci", "github")),
    "types": ((), ("--check",), ("--no-install",)),
    "check": ((), (SENT,), ("no.such.type",)),
    "doctor": ((),),
    "whoami": ((),),
    "cache": (("info",), ("clean", "--older-than", "9999w"), ("clean", "--dry-run"), ("clean", "--older-than", "soon")),
    "diff": (
        (),
        ("--markdown",),
        ("--exit-code",),
        ("--out", "plan.json"),
        ("--only", "runtime"),
        (f"{SENT}@1", SENT),
        ("no.such.type@1", SENT),
    ),
    "deploy": (
        ("--dry-run",),
        (),
        ("--only", SENT, "--watch-for", "1s", "--min-runs", "1"),
        ("--plan", "plan.json", "--allow-removals"),
        ("--allow-removals", "--yes"),
        ("--resume",),
        ("--plan", "functions.yaml"),
    ),
    "invoke": (
        (SENT,),
        (SENT, "--event", "event.json"),
        (SENT, "--event", "functions.yaml"),
        (START, "--from-invocation", "1"),
    ),
    "test": (
        (),
        ("--junit", "junit.xml", "-j", "1"),
        ("--coverage", "--shard", "1/1", "--junit", "shard.xml"),
        ("merge", "shard.xml", "coverage/lcov.info", "--junit", "merged.xml", "--lcov", "merged.info"),
        ("no-such-file.yaml",),
        ("add", "--invocation", "1", "--yes"),
        ("add", "--channel", "1", "--yes"),
    ),
    "replay": ((SENT,), (SENT, "--failed", "--exit-code", "--last", "3"), ("no.such.type",)),
    "versions": ((SENT,), ("--blame", SENT)),
    "show": ((SENT,), (f"{SENT}@1",), (f"{SENT}@99",)),
    "undo": (("--dry-run",), ("--yes",), ("--env-file", "former.env", "--dry-run"), ("--keep-environment", "--yes")),
    "rollback": ((SENT, "--yes"), (SENT, "--to", "1", "--yes"), (SENT,)),
    "api": (
        ("GET", "/v1/runtimes/nodejs"),
        ("PUT", "/v1/runtimes/nodejs/environment-variables", "--data", "@body.json"),
        ("PUT", "/v1/runtimes/nodejs/environment-variables", "--data", "@broken.json"),
        ("GET", "/v1/runtimes/nodejs/functions", "--paginate"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/runtimes/nodejs", "--paginate"),
    ),
    "logs": ((), (SENT, "-n", "5"), ("no.such.type",)),
    "trigger": ((SENT, "--data", "{}"), (START, "--data", '{"username": "jane"}')),
    "login": (("--client-id", CLIENT_ID, "--secret-stdin", MARK),),
    "logout": ((),),
    "completion": (("bash",),),
    "help": ((), ("deploy",)),
    "pull": (("--yes",), ("-C", "pulled"), ("-C", "with-values", "--with-values"), ("--with-values", "--yes")),
    "new": ((READ,), (READ,)),
    "emulator": (
        ("export", "../export.db"),
        ("seed", "seed.yaml"),
        ("users",),
        ("channels",),
        ("messages", "--search", ONE),
        ("faults",),
        ("faults", "add", "listUsers", "--status", "503"),
        ("snapshots", "save", "one"),
        ("snapshots", "save", "one"),
        ("snapshots",),
        ("snapshots", "restore", "one", "--yes"),
        ("snapshots", "remove", "two", "--yes"),
        ("reset",),
        ("reset", "--yes"),
        ("import", "../export.db"),
        ("import", "../export.db", "--yes"),
        ("import", "functions.yaml"),
    ),
    "chat": (("--as", "jane"), ("--as", "jane", "--url", "http://127.0.0.1:9", "--param", f"token={ONE}")),
    "lock": ((), ("--check",)),
    "audit": ((),),
    "watch": (),
    "dev": (),
}
# Commands that run until Ctrl-C, with their output once they run.
LASTING: dict[str, tuple[tuple[str, ...], str]] = {
    "watch": (("--allow-removals",), "watching"),
    "dev": (("--port", "0"), "watching"),
    "check": (("--watch",), ""),
    "logs": (("--follow",), ""),
    "emulator": (("--port", "0"), "ready"),
}


LOCAL = (
    "init",
    "completion",
    "help",
    "new",
    "types",
    "check",
    "doctor",
    "cache",
    "emulator",
    "replay",
    "chat",
    "lock",
    "audit",
)
"""Commands that work without the platform, at least partly."""


def test_every_command_and_subcommand_has_a_case() -> None:
    assert [name for name in COMMANDS if name not in CASES] == []
    assert [name for name in CASES if name not in COMMANDS] == []
    assert [name for name, those in CASES.items() if not those and name not in LASTING] == []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        if isinstance(command, click.Group):
            assert [
                subcommand for subcommand in command.commands if subcommand not in {line[0] for line in CASES[name]}
            ] == []


def test_a_secret_is_detected_in_every_encoding() -> None:
    import base64
    from urllib.parse import quote

    for text in (ONE, PEM, CLIENT_SECRET, f"{CLIENT_ID}:{CLIENT_SECRET}", f"a{ONE}", f"ab{PEM}"):
        data = text.encode()
        shown = (data, base64.b64encode(data), data.hex().encode(), quote(text).encode(), json.dumps(text).encode())
        assert all(len(leaks(text)) == 1 for text in shown)
    assert leaks(b"nothing of it") == []


# -- the places ----------------------------------------------------------------------------------------------------

MANIFEST = """\
version: 1
default_target: remote
targets:
  remote: {}
  local: {emulator: true}
runtime:
  dependencies: {ms: 2.1.3}
  environment:
    ONE: ${ONE}
    PEM: ${PEM}
    FILE: ${FILE}
    NUMBER: ${NUMBER}
    PARTLY: a literal and ${NUMBER}
    GREETING: a literal
  initialization_script: init.ts
functions:
  user.sent.message: {handler: handlers/sent.ts}
  user.attempted.start_session: {handler: handlers/start.ts}
"""
HANDLER = "async function handleEvent(event: any, context: any) {\n  return 'Hello ' + event.username;\n}\n"
CASE = """\
type: user.sent.message
cases:
  - name: says hello
    event: {username: jane}
    expect: {result: Hello jane}
  - name: fails
    event: {username: john}
    expect: {result: Hello jane}
"""
FAILING = "async function handleEvent(event: any, context: any) {\n  throw new Error('no such luck');\n}\n"
THEIRS = Content(
    {"gone": "1.0.0"},
    {"ONE": REMOTE, "GONE": f"{REMOTE} too", "GREETING": f"{REMOTE} hello"},
    "const old = 1;\n",
    scripts={SENT: ("// v1\n" + HANDLER,), START: ("// v1\n" + HANDLER, "// v2\n" + HANDLER)},
)
MANIFEST_MISTAKES = (
    ("    NUMBER: ${NUMBER}", f"    NUMBER: {NUMBER}"),
    ("    ONE: ${ONE}", f"    ONE: {{nested: {FILE}}}"),
    ("    PEM: ${PEM}", f"    PEM: [{FILE}, {NUMBER}]"),
    ("    FILE: ${FILE}", f"    FILE: {FILE}${{\n"),
    ("    FILE: ${FILE}", f"    FILE: {FILE}\n    FILE: {FILE}"),
    ("    FILE: ${FILE}", f"    FILE: '{FILE}${{MISSING}}'"),
    ("    FILE: ${FILE}", f"    FILE: &{FILE} {FILE}\n    OTHER: *nothing{FILE}"),
    ("    FILE: ${FILE}", f"   FILE: {FILE}"),
    ("  dependencies:", f"  environmant: {{FILE: {FILE}}}\n  dependencies:"),
    ("  remote: {}", f"  remote: {{environment: {{NUMBER: {NUMBER}, OTHER: [{FILE}]}}}}"),
    ("version: 1", f'version: 1\nenvironment: {{FILE: "{FILE}}}'),
)


@dataclass
class Place:
    """A project with secrets, and all files that commands write, below `top`."""

    top: Path
    cache: Path
    environ: dict[str, str]
    leaked: list[str] = field(default_factory=list)
    ran: int = 0

    @property
    def root(self) -> Path:
        return self.top / "project"

    def judge(self, line: tuple[str, ...], out: str, err: str) -> None:
        self.ran += 1
        for stream, text in (("stdout", out), ("stderr", err)):
            self.leaked += [f"{' '.join(line)}: {leak} on {stream}: {text[:600]}" for leak in leaks(text.encode())]
        assert "this is a bug in ckfunc" not in err, (line, err)

    def judge_files(self) -> None:
        """Search every file except those that may contain secrets."""
        data = ("emulator/emulator.db*", "emulator/snapshots/*.db", "export.db")
        but = (".env*", "former.env", "body.json", "broken.json", "keyring.json", *data)
        self.leaked += [file for directory in (self.top, self.cache) for file in leaking_files(directory, but=but)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A separate cache, with the packages that other tests have already installed."""
    made = tmp_path_factory.mktemp("cache")
    if (packages := cache_dir() / "runtimes").exists():
        shutil.copytree(packages, made / "runtimes", copy_function=os.link, symlinks=True)
    return made


def furnish(top: Path, cache: Path) -> Place:
    """Make a project, a home, and a directory for temporary files."""
    root = top / "project"
    for directory in ("project/handlers", "project/tests", "home", "tmp", "project/pulled", "project/with-values"):
        (top / directory).mkdir(parents=True)
    texts = {
        "functions.yaml": MANIFEST,
        "init.ts": "const greeting = 'hello';\n",
        "handlers/sent.ts": HANDLER,
        "handlers/start.ts": HANDLER,
        ".env": f"FILE={FILE}\n",
        "former.env": f"ONE={REMOTE}\nGONE={REMOTE}\n",
        "body.json": json.dumps({"ONE": ONE, "PEM": PEM, "GONE": REMOTE}),
        "broken.json": json.dumps({"ONE": ONE, "PEM": PEM})[:-1],
        "tests/sent.yaml": CASE,
        "event.json": '{"username": "jane"}',
        "seed.yaml": "users:\n  - name: jane@example.com\n",
    }
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHATKITTY_", "XDG_"))}
    for name in ("CKFUNC_NODE", "FORCE_COLOR", "CKFUNC_CACHE_DIR"):
        kept.pop(name, None)
    environ = {
        **kept,
        "HOME": str(top / "home"),
        "TMPDIR": str(top / "tmp"),
        "CKFUNC_CACHE_DIR": str(cache),
        "CKFUNC_TEST_KEYRING": str(top / "keyring.json"),
        "CKFUNC_KEYRING": TRUSTED,
        "CHATKITTY_CLIENT_ID": CLIENT_ID,
        "CHATKITTY_CLIENT_SECRET": CLIENT_SECRET,
        "ONE": ONE,
        "PEM": PEM,
        "NUMBER": NUMBER,
    }
    return Place(top, cache, environ)


def address(url: str) -> dict[str, str]:
    return {"CHATKITTY_API_URL": url, "CHATKITTY_AUTHORIZATION_URL": f"{url}/oauth/token"}


# -- running -------------------------------------------------------------------------------------------------------

Runner = Callable[[Place, tuple[str, ...]], None]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Runner]:
    """Return a function that runs a command line in this process and checks its output for secrets."""
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    sleep = time.sleep

    def call(place: Place, line: tuple[str, ...]) -> None:
        with monkeypatch.context() as patched:
            for name in set(os.environ) - set(place.environ) - {"PYTEST_CURRENT_TEST"}:
                patched.delenv(name)
            for name, value in place.environ.items():
                patched.setenv(name, value)
            patched.setattr(tempfile, "tempdir", str(place.top / "tmp"))
            patched.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.002)))  # between tries
            patched.chdir(place.root)
            if MARK in line:
                line = tuple(word for word in line if word != MARK)
                patched.setattr(sys, "stdin", io.StringIO(f"{CLIENT_SECRET}\n"))
            capfd.readouterr()
            run(list(line))
        place.judge(line, *capfd.readouterr())

    yield call
    keyring.set_keyring(before)


def lines_of(verbosity: tuple[str, ...], *target: str, but: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, those in CASES.items():
        if name not in but:
            yield from ((name, *arguments, *target, *verbosity) for arguments in those)


def remote_lines_of(verbosity: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the command lines that need the platform."""
    for line in lines_of(verbosity, but=LOCAL):
        if line[0] not in ("invoke", "test") or {"add", "--from-invocation"} & set(line):
            yield line


# -- situations ----------------------------------------------------------------------------------------------------


@verbosities("-v")
def test_successful_commands_leak_no_secrets(
    tmp_path: Path,
    cache: Path,
    runs: Runner,
    verbosity: tuple[str, ...],
    record_property: Callable[[str, object], None],
) -> None:
    with world(tmp_path / "platform") as here:
        here.reset(THEIRS)
        place = furnish(tmp_path / "user", cache)
        place.environ.update(address(here.proxy.url))
        for line in lines_of(verbosity):
            runs(place, line)
        assert {request.method for request in here.proxy.requests} == {"GET", "PUT", "POST"}
        place.judge_files()
    record_property("command lines searched for secrets", place.ran)
    assert place.leaked == []


@verbosities("--json")
def test_no_secrets_leak_when_the_credentials_are_wrong(
    tmp_path: Path, cache: Path, runs: Runner, verbosity: tuple[str, ...]
) -> None:
    with world(tmp_path / "platform") as here:
        place = furnish(tmp_path / "user", cache)
        place.environ.update(address(here.proxy.url), CHATKITTY_CLIENT_SECRET=WRONG)
        for line in remote_lines_of(verbosity):
            runs(place, line)
        assert here.proxy.requests and not here.proxy.writes()
        place.judge_files()
    assert place.leaked == []


@verbosities("--json")
@pytest.mark.slow
def test_no_secrets_leak_on_the_emulator_or_when_handlers_fail(
    tmp_path: Path, cache: Path, runs: Runner, verbosity: tuple[str, ...]
) -> None:
    place = furnish(tmp_path, cache)
    local = (
        "deploy",
        "diff",
        "trigger",
        "logs",
        "versions",
        "api",
        "undo",
        "emulator",
        "doctor",
        "replay",
        "test",
        "invoke",
    )
    failing = ("deploy", "trigger", "logs", "replay", "test", "invoke")
    others = tuple(name for name in CASES if name not in local)
    for line in lines_of(verbosity, "--target", "local", but=others):
        runs(place, line)
    (place.root / "handlers/sent.ts").write_text(FAILING)
    (place.root / "handlers/start.ts").write_text("import nothing from 'no-such-package';\n" + HANDLER)
    for line in lines_of(verbosity, "--target", "local", but=tuple(name for name in CASES if name not in failing)):
        runs(place, line)
    place.judge_files()
    assert place.leaked == []


@verbosities()
def test_no_secrets_leak_when_the_manifest_is_invalid(
    tmp_path: Path, cache: Path, runs: Runner, verbosity: tuple[str, ...]
) -> None:
    place = furnish(tmp_path, cache)
    place.environ.update(address("http://127.0.0.1:9"))
    for before, after in MANIFEST_MISTAKES:
        assert before in MANIFEST
        (place.root / "functions.yaml").write_text(MANIFEST.replace(before, after), encoding="utf-8")
        for line in lines_of(
            verbosity, but=("init", "completion", "help", "api", "doctor", "whoami", "logout", "login")
        ):
            runs(place, line)
    (place.root / "functions.yaml").write_text(MANIFEST, encoding="utf-8")
    (place.root / ".env").write_text(f"FILE='{FILE}\nexport {FILE}\n={FILE}\n", encoding="utf-8")
    for line in lines_of(verbosity, but=("init", "completion", "help", "emulator")):
        runs(place, line)
    place.judge_files()
    assert place.leaked == []


@verbosities("--json")
def test_no_secrets_leak_when_the_network_is_down(
    tmp_path: Path, cache: Path, runs: Runner, verbosity: tuple[str, ...]
) -> None:
    place = furnish(tmp_path, cache)
    place.environ.update(address("http://127.0.0.1:9"))
    for line in remote_lines_of(verbosity):
        runs(place, line)
    place.judge_files()
    assert place.leaked == []


def quoting(style: str) -> Callable[[Request], Reply]:
    """Return a platform that rejects requests and quotes everything it received."""
    application = RemoteApplication(environment={"ONE": REMOTE, "GONE": REMOTE})
    application.add(SENT, "// v1\n" + HANDLER)
    asked_for = []

    def answer(request: Request) -> Reply:
        given = request.headers.get("authorization", "")
        quoted = f"{request.method} {request.path} {given} {request.body.decode()} {CLIENT_SECRET}"
        if request.path == "/oauth/token":
            asked_for.clear()  # another command begins
            if style != "a refused token":
                return Reply(body={"access_token": TOKEN, "expires_in": 3600})
            return Reply(401, {"error_description": quoted})
        quoted = " ".join((quoted, TOKEN, *asked_for))
        if request.method == "GET" and style != "everything":
            request.headers["authorization"] = f"Bearer {PLATFORM_TOKEN}"
            reply = application.answer(request)
            if request.path.endswith("/nodejs"):
                asked_for.append(REMOTE)
            return reply
        if style == "a long message":
            return Reply(400, {"message": "x" * 440 + quoted})
        if style == "a page":
            return Reply(200, quoted.encode(), {"content-type": f"text/plain; {given}"})
        return Reply(500 if style == "everything" else 400, {"message": quoted})

    return answer


STYLES = ("a message", "a long message", "a page", "a refused token", "everything")


@pytest.mark.parametrize(
    ("style", "verbosity", "step"),
    [
        *(
            pytest.param(style, VERBOSITIES[2 + number % 2], 5, marks=pytest.mark.slow if number % 2 else ())
            for number, style in enumerate(STYLES)
        ),
        *(pytest.param(style, verbosity, 1, marks=pytest.mark.slow) for style in STYLES for verbosity in VERBOSITIES),
    ],
    ids=lambda value: (" ".join(value) or "plain") if isinstance(value, tuple) else None,
)
def test_no_secrets_leak_when_the_platform_quotes_requests_in_its_errors(
    tmp_path: Path, cache: Path, runs: Runner, style: str, verbosity: tuple[str, ...], step: int
) -> None:
    place = furnish(tmp_path, cache)
    with serve(quoting(style)) as server:
        place.environ.update(address(server.url))
        # Each style gets different lines, so that every line is covered.
        for line in list(remote_lines_of(verbosity))[STYLES.index(style) % step :: step]:
            runs(place, line)
    place.judge_files()
    assert place.leaked == []


# -- long-running calls --------------------------------------------------------------------------------------------


def until_told(place: Place, line: tuple[str, ...], said: str) -> None:
    """Run a command until it has printed a text and continued for a moment; end it with Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ckfunc", *line],
        cwd=place.root,
        env=place.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    heard: list[bytes] = []
    told = threading.Event()

    def listen(stream: io.BufferedReader) -> None:
        for text in stream:
            heard.append(text)
            if said and said.encode() in text:
                told.set()

    assert process.stdout and process.stderr
    threads = [threading.Thread(target=listen, args=(stream,)) for stream in (process.stdout, process.stderr)]
    for thread in threads:
        thread.start()
    with process:
        # Without an expected text, wait long enough for something to happen.
        told.wait(20.0 if said and not {"-q", "--json"} & set(line) else 2.0)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        for thread in threads:
            thread.join()
    place.judge(line, b"".join(heard).decode(), "")


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.slow
def test_no_secrets_leak_from_commands_that_run_until_ctrl_c(
    tmp_path: Path, cache: Path, here: World, name: str
) -> None:
    here.reset(THEIRS)
    places, threads = [], []
    arguments, said = LASTING[name]
    for verbosity in VERBOSITIES:
        places.append(furnish(tmp_path / f"user-{len(places)}", cache))
        places[-1].environ.update(address(here.proxy.url))
        line = (name, *arguments, *verbosity)
        threads.append(threading.Thread(target=until_told, args=(places[-1], line, said)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place in places:
        place.judge_files()
    assert sum(place.ran for place in places) == len(threads)
    assert [file for place in places for file in place.leaked] == []
