"""`ckfunc check` on the command line, with the real compiler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from ckfunc.base.files import cache_dir
from ckfunc.cli.app import App

Ckfunc = Callable[..., Any]

WRONG = """\
async function handleEvent(event: UserAttemptedStartSessionEvent, context: Context) {
  await context.ChatKitty.Users.nobody();
  return event.user;
}
"""
EXAMPLE = Path(__file__).parent.parent.parent / "example-project"


def test_a_valid_project_has_no_errors(ckfunc: Ckfunc, project: Path) -> None:
    ran = ckfunc("-C", project, "check")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("no errors; checked 1 script  (")
    assert "unchanged" in ckfunc("-C", project, "check").err
    assert ckfunc("-C", project, "-q", "check").err == ""
    assert ckfunc("-C", project, "--json", "check").out == "[]\n"


def test_errors_are_listed_with_their_locations_and_counted(ckfunc: Ckfunc, project: Path) -> None:
    (project / "handlers/start.ts").write_text(WRONG)
    ran = ckfunc("-C", project, "check")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "handlers/start.ts:2:33: Property 'nobody' does not exist on type 'UsersApi'. (TS2339)",
        "handlers/start.ts:3:16: Property 'user' does not exist on type 'UserAttemptedStartSessionEvent'. (TS2339)",
    ]
    assert ran.err.startswith("2 errors in 1 file; checked 1 script  (")
    data = ckfunc("-C", project, "check", "--json")
    assert data.code == 1
    assert json.loads(data.out)[0] == {
        "path": "handlers/start.ts",
        "line": 2,
        "column": 33,
        "code": "TS2339",
        "message": "Property 'nobody' does not exist on type 'UsersApi'.",
    }


def test_manifest_errors_are_reported_before_scripts_are_checked(ckfunc: Ckfunc, project: Path) -> None:
    (project / "functions.yaml").write_text("version: 2\nfunctions:\n  user.sent.message: {handlr: a.ts, name: 1}\n")
    ran = ckfunc("-C", project, "check", "--json")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert {finding["code"] for finding in found} == {"manifest"}
    assert len(found) == 4
    assert (
        "4 errors in 1 file; scripts are not checked until functions.yaml is valid"
        in ckfunc("-C", project, "check").err
    )


def test_allowed_guest_users_are_a_warning_with_a_location(ckfunc: Ckfunc, project: Path) -> None:
    with (project / "functions.yaml").open("a") as manifest:
        manifest.write("settings: {guest_users: true}\n")
    ran = ckfunc("-C", project, "check")
    assert ran.code == 0 and ran.err.startswith(
        "warning: functions.yaml:9:25: on remote, guest users are allowed: anyone can start a session unless "
        "user.attempted.start_session refuses it (write `guest_users: false`)\n"
    )


def test_a_broken_script_does_not_hide_errors_in_other_scripts(ckfunc: Ckfunc, project: Path) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("targets:", "  user.sent.message: {handler: b.ts}\ntargets:"))
    (project / "b.ts").write_text("function handleEvent( {\n")
    (project / "handlers/start.ts").write_text(WRONG)
    ran = ckfunc("-C", project, "check")
    assert [line.partition(": ")[0] for line in ran.out.splitlines()] == [
        "b.ts:2:1",
        "handlers/start.ts:2:33",
        "handlers/start.ts:3:16",
    ]
    ran = ckfunc("-C", project, "check", "user.sent.message")
    assert len(ran.out.splitlines()) == 1
    wrong = ckfunc("-C", project, "check", "user.sent.mesage")
    assert wrong.code == 2
    assert "did you mean user.sent.message?" in wrong.err


def test_a_merge_conflict_is_one_error_at_its_first_line(ckfunc: Ckfunc, project: Path) -> None:
    conflict = "<<<<<<< ours\n  return 1;\n=======\n  return 2;\n>>>>>>> theirs\n"
    (project / "lib.ts").write_text(conflict)
    for text in (f"function handleEvent() {{\n{conflict}}}\n", 'import "../lib";\nfunction handleEvent() {}\n'):
        (project / "handlers/start.ts").write_text(text)
        ran = ckfunc("-C", project, "check", "--json")
        place = ("lib.ts", 1) if "import" in text else ("handlers/start.ts", 2)
        assert [(each["path"], each["line"], each["code"]) for each in json.loads(ran.out)] == [(*place, "conflict")]


def test_a_check_needs_neither_credentials_nor_variable_values(ckfunc: Ckfunc, project: Path) -> None:
    manifest = project / "functions.yaml"
    text = manifest.read_text().replace("default_target: remote", "")
    manifest.write_text(
        text.replace("remote: {}", "remote: {application: '${APP}'}")
        + 'runtime:\n  environment: {SECRET: "${NOT_HERE}", HOUSE: "5"}\n'
    )
    (project / "handlers/start.ts").write_text(
        "function handleEvent() {\n  const house: string = process.env.HOUSE;\n"
        "  const secret: string = process.env.SECRET;\n  const other: string = process.env.OTHER;\n"
        "  return house + secret + other;\n}\n"
    )
    ran = ckfunc("-C", project, "check", "--target", "remote")
    assert ran.code == 1
    assert [line.partition(": ")[0] for line in ran.out.splitlines()] == ["handlers/start.ts:4:9"]
    assert ran.err.count("warning: ") == 2
    assert "${NOT_HERE} has no value" in ran.err
    assert ckfunc("-C", project, "check").code == 1  # no target is selected, and none is needed


def test_init_script_exports_are_typed_and_its_errors_reported(ckfunc: Ckfunc, project: Path) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(f"{manifest.read_text()}runtime: {{initialization_script: lib/init.ts}}\n")
    (project / "lib").mkdir()
    (project / "lib/init.ts").write_text("export const limit = 3;\nconst wrong: string = limit;\n")
    (project / "handlers/start.ts").write_text("function handleEvent() {\n  const a: string = limit;\n  return a;\n}\n")
    ran = ckfunc("-C", project, "check")
    assert [line.partition(": ")[0] for line in ran.out.splitlines()] == ["handlers/start.ts:2:9", "lib/init.ts:2:7"]


def test_an_init_script_may_export_all_names_of_other_files(ckfunc: Ckfunc, project: Path) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(f"{manifest.read_text()}runtime: {{initialization_script: init.ts}}\n")
    (project / "lib").mkdir()
    (project / "lib/a.ts").write_text("export const limit = 3;\n")
    (project / "init.ts").write_text('export * from "./lib/a";\nexport * as all from "./lib/a";\n')
    (project / "handlers/start.ts").write_text("function handleEvent() {\n  return limit + all.limit;\n}\n")
    assert (ran := ckfunc("-C", project, "check")).code == 0, ran.out
    (project / "lib/a.ts").write_text("export const none = 3;\n")
    assert [line.partition(": ")[0] for line in ckfunc("-C", project, "check").out.splitlines()] == [
        "handlers/start.ts:2:10",
        "handlers/start.ts:2:22",
    ]


def test_local_modules_are_checked_and_unbundleable_imports_reported(ckfunc: Ckfunc, project: Path) -> None:
    (project / "lib").mkdir()
    (project / "lib/format.ts").write_text("export const bold = (text: string): number => `*${text}*`;\n")
    (project.parent / "outside.ts").write_text("export const far = 1;\n")
    (project / "handlers/start.ts").write_text(
        'import { bold } from "../lib/format";\nimport { far } from "../../outside";\n'
        "function handleEvent() { return bold('x') + far; }\n"
    )
    ran = ckfunc("-C", project, "check")
    assert ran.out.splitlines() == [
        'handlers/start.ts:2:21: "../../outside" is outside the project'
        " (move the file into the project; links out of it are not followed) (bundle)",
        "lib/format.ts:1:47: Type 'string' is not assignable to type 'number'. (TS2322)",
    ]
    (project / "handlers/start.ts").write_text('import { no } from "../lib/nothing";\nfunction handleEvent() { no; }\n')
    ran = ckfunc("-C", project, "check")
    assert ran.out.splitlines()[0].startswith("handlers/start.ts:1:20: Cannot find module '../lib/nothing'")
    assert len(ran.out.splitlines()) == 1


def test_a_handler_may_import_its_function_from_a_local_module(ckfunc: Ckfunc, project: Path) -> None:
    (project / "lib").mkdir()
    (project / "lib/start.ts").write_text("export const handleEvent = async (event: { username: string }) => event;\n")
    for source, code in (('import { handleEvent } from "../lib/start";\n', 0), ('import "../lib/start";\n', 1)):
        (project / "handlers/start.ts").write_text(source)
        ran = ckfunc("-C", project, "check")
        assert ran.code == code, ran.out
    assert ran.out.startswith("handlers/start.ts:1:1: there is no top-level function named handleEvent (")


def test_the_summary_mentions_projects_without_typescript_or_functions(ckfunc: Ckfunc, project: Path) -> None:
    (project / "functions.yaml").write_text("version: 1\nruntime: {environment: {}}\n")
    ran = ckfunc("-C", project, "check")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("no errors in functions.yaml, which has no scripts")
    (project / "functions.yaml").write_text("version: 1\nfunctions: {user.sent.message: {handler: a.js}}\n")
    (project / "a.js").write_text("function handleEvent() { return 1; }\n")
    ran = ckfunc("-C", project, "check")
    assert ran.code == 0
    assert "checked the syntax of 1 script; JavaScript has no types to check" in ran.err


def test_the_example_project_and_its_packages_are_checked(ckfunc: Ckfunc, tmp_path: Path) -> None:
    for path in (*EXAMPLE.glob("*.ts"), *EXAMPLE.glob("*/*.ts"), *EXAMPLE.glob("*.json"), *EXAMPLE.glob("*.yaml")):
        (tmp_path / path.relative_to(EXAMPLE)).parent.mkdir(exist_ok=True)
        (tmp_path / path.relative_to(EXAMPLE)).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    ran = ckfunc("-C", tmp_path, "check")
    assert (ran.code, ran.out) == (0, "")
    handler = tmp_path / "handlers/answer-message.ts"
    handler.write_text(handler.read_text(encoding="utf-8").replace("{ long: true }", "{ long: 1 }"), encoding="utf-8")
    assert "is not assignable to type 'boolean'" in ckfunc("-C", tmp_path, "check").out


def test_a_missing_module_of_an_installed_package_is_refused(ckfunc: Ckfunc, project: Path) -> None:
    handler = project / "handlers/start.ts"
    handler.write_text(
        'import none from "qs/none";\nimport parse from "qs/lib/parse";\n'
        'import closed from "axios/unsafe/none.js";\nimport qs from "qs";\n'
        "function handleEvent() {\n"
        '  try { require("qs/optional"); } catch {}\n'
        '  return [none, parse, closed, qs, require("qs/lib/parse"), require("qs/lib/nothing")];\n}\n'
    )
    ran = ckfunc("-C", project, "check")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "handlers/start.ts:1:18: the package qs has no module qs/none "
        "(see `exports` and the files of the package) (runtime)",
        'handlers/start.ts:2:19: the package qs has no module qs/lib/parse (write "qs/lib/parse.js") (runtime)',
        "handlers/start.ts:3:20: the package axios has no module axios/unsafe/none.js "
        "(see `exports` and the files of the package) (runtime)",
        "handlers/start.ts:7:69: the package qs has no module qs/lib/nothing "
        "(see `exports` and the files of the package) (runtime)",
    ]
    assert ckfunc("-C", project, "check").out == ran.out  # from the cache
    handler.write_text('import parse from "qs/lib/parse.js";\nfunction handleEvent() { return parse; }\n')
    assert (checked := ckfunc("-C", project, "check")).code == 0, checked.out


def test_a_name_that_a_package_does_not_export_is_refused(ckfunc: Ckfunc, project: Path) -> None:
    handler = project / "handlers/start.ts"
    handler.write_text(
        'import { stringify, nothing } from "qs";\nfunction handleEvent() { return [stringify, nothing]; }\n'
    )
    refused = ckfunc("-C", project, "check").out
    assert "handlers/start.ts:1:36: qs has no export nothing that Node can import by name" in refused
    assert '(write `import name from "qs"`, and use `name.nothing`) (runtime)' in refused
    handler.write_text(
        'import { stringify } from "qs";\nimport axios from "axios";\n'
        "function handleEvent() { return [stringify, axios]; }\n"
    )
    assert (checked := ckfunc("-C", project, "check")).code == 0, checked.out


def test_an_import_that_needs_another_attribute_or_file_is_refused(ckfunc: Ckfunc, project: Path) -> None:
    handler = project / "handlers/start.ts"
    handler.write_text(
        'import data from "qs/package.json";\nimport qs from "qs" with { type: "json" };\n'
        'import lib from "axios/lib";\nconst late = () => import("qs/package.json");\n'
        "function handleEvent() { return [data, qs, lib, late]; }\n"
    )
    assert ckfunc("-C", project, "check").out.splitlines() == [
        "handlers/start.ts:1:18: qs/package.json is JSON, which needs an import attribute "
        '(add `with { type: "json" }`) (runtime)',
        "handlers/start.ts:2:16: qs is not JSON, but has the import attribute for it "
        "(remove `with { type: … }`) (runtime)",
        "handlers/start.ts:3:17: the package axios has no module axios/lib "
        "(see `exports` and the files of the package) (runtime)",
        "handlers/start.ts:4:27: qs/package.json is JSON, which needs an import attribute "
        '(add `with { type: "json" }`) (runtime)',
    ]
    handler.write_text(
        'import data from "qs/package.json" with { type: "json" };\n'
        'const more = [require("qs/package.json"), import.meta.resolve("qs/package.json")];\n'
        'const late = () => import("qs/package.json", { with: { type: "json" } });\n'
        "function handleEvent() { return [data, more, late]; }\n"
    )
    assert (checked := ckfunc("-C", project, "check")).code == 0, checked.out


def test_messages_of_the_compiler_name_modules_without_a_directory(ckfunc: Ckfunc, project: Path) -> None:
    (project / "lib").mkdir()
    (project / "lib/two.ts").write_text("export const two = 1;\n")
    (project / "handlers/start.ts").write_text(
        'import two from "../lib/two";\nimport isAxiosError from "axios";\nimport { nothing } from "axios";\n'
        "function handleEvent() { return [two, isAxiosError, nothing]; }\n"
    )
    out = ckfunc("-C", project, "check").out
    assert out.splitlines()[0] == (
        """handlers/start.ts:1:8: Module '"lib/two"' has no default export. """
        "Did you mean to use 'import { two }' instead? (TS2613)"
    )
    assert "no exported member 'nothing'" in out
    assert str(project) not in out and os.environ["CKFUNC_CACHE_DIR"] not in out


def test_a_check_called_as_a_function_prints_nothing(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "handlers/start.ts").write_text(WRONG)
    app = App(os.environ)
    app.settings.directory = project
    with app:
        checked = app.check()
    assert not checked.ok
    assert len(checked.problems) == 2
    assert checked.summary == "2 errors in 1 file; checked 1 script"
    assert capfd.readouterr() == ("", "")


def offline(project: Path, cache: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a check without a network: npm's registry is a port that nothing listens on."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().startswith(("npm_config", "http"))}
    environ = {
        **kept,
        "CKFUNC_CACHE_DIR": str(cache),
        "HOME": str(project),
        "npm_config_registry": "http://127.0.0.1:9",
        "npm_config_cache": str(project / ".npm"),
        "npm_config_fetch_retries": "0",
    }
    command = [sys.executable, "-m", "ckfunc", "-C", str(project), "check", *args]
    return subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.slow
def test_an_offline_check_works_with_a_filled_cache_and_explains_an_empty_one(
    ckfunc: Ckfunc, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project / "handlers/start.ts").write_text(WRONG)
    assert ckfunc("-C", project, "check").code == 1
    known = offline(project, cache_dir())
    assert known.returncode == 1
    assert len(known.stdout.splitlines()) == 2
    empty = tmp_path_factory.mktemp("cache")
    assert offline(project, empty).stdout == known.stdout  # nothing changed: no compiler is needed at all
    (project / "handlers/start.ts").write_text(f"{WRONG}// more\n")
    ran = offline(project, empty)
    assert ran.returncode == 1
    assert "error: types cannot be checked without TypeScript" in ran.stderr
    assert "hint: it is downloaded once" in ran.stderr
    assert len(offline(project, cache_dir()).stdout.splitlines()) == 2


@pytest.mark.slow
def test_unavailable_packages_are_a_warning_and_checked_later(
    ckfunc: Ckfunc, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert ckfunc("-C", project, "check").code == 0
    empty = tmp_path_factory.mktemp("cache")
    for name in ("typescript-*", "node-types-*"):  # the locations of the compiler and of Node's declarations
        [note] = [path for path in cache_dir().glob(name) if path.is_file()]
        (empty / note.name).write_text(note.read_text())
    (project / "handlers/start.ts").write_text(
        'import axios from "axios";\nfunction handleEvent() { return axios.nothing; }\n'
    )
    for _ in range(2):
        ran = offline(project, empty)
        assert (ran.returncode, ran.stdout) == (0, "")
        assert "the types of packages were not checked" in ran.stderr
    assert "handlers/start.ts:2:39: Property 'nothing'" in ckfunc("-C", project, "check").out


EVERYDAY = """\
import { AsyncLocalStorage } from "async_hooks";
import { promises as dns } from "node:dns";
import { performance } from "perf_hooks";
import tls from "node:tls";

async function handleEvent(event: UserAttemptedStartSessionEvent) {
  const key: Buffer = Buffer.from(event.username);
  console.time("work");
  console.table([{ bytes: key.length }]);
  const form = new FormData();
  form.append("file", new Blob([atob(btoa("x"))]));
  const timer: NodeJS.Timeout = setTimeout(() => {}, 1);
  clearTimeout(timer);
  const answer = await fetch(new URL("http://127.0.0.1"), { method: "POST", body: form });
  const { data } = await answer.json();
  const place = [__dirname, import.meta.dirname, typeof global, typeof module, typeof exports];
  const machine = { rss: process.memoryUsage().rss, os: process.platform };
  return { machine, data, place, dns, tls, performance, AsyncLocalStorage };
}
"""


def test_node_globals_are_known_and_browser_globals_are_not(ckfunc: Ckfunc, project: Path) -> None:
    (project / "handlers/start.ts").write_text(EVERYDAY)
    ran = ckfunc("-C", project, "check")
    assert (ran.code, ran.out) == (0, "")
    wrong = "\nexport const a = document, b = window, c: number = Buffer.from('x');\nprocess.nothing;\n"
    (project / "handlers/start.ts").write_text(EVERYDAY + wrong)
    found = ckfunc("-C", project, "check").out
    for said in ("'document'", "'window'", "'nothing'", "is not assignable to type 'number'"):
        assert said in found


def test_types_of_node_are_complete_once_packages_are_linked(ckfunc: Ckfunc, project: Path) -> None:
    (project / "handlers/start.ts").write_text(
        'import qs from "qs";\nasync function handleEvent() {\n'
        "  return (await fetch(`?${qs.stringify({})}`)).status;\n}\n"
    )
    ran = ckfunc("-C", project, "check")
    assert (project / "node_modules/@types/node").is_dir()
    assert (ran.code, ran.out) == (0, "")


def test_node_types_installed_by_the_user_take_precedence(ckfunc: Ckfunc, project: Path) -> None:
    place = project / "node_modules/@types/node"
    place.mkdir(parents=True)
    (place / "package.json").write_text('{"name": "@types/node", "version": "1.0.0", "types": "index.d.ts"}')
    (place / "index.d.ts").write_text("declare var console: { mine(text: string): void };\ninterface Response {}\n")
    (project / "handlers/start.ts").write_text("function handleEvent() {\n  console.mine('a');\n  console.log(1);\n}\n")
    ran = ckfunc("-C", project, "check")
    assert ran.out.splitlines() == [
        "handlers/start.ts:3:11: Property 'log' does not exist on type '{ mine(text: string): void; }'. (TS2339)"
    ]


@contextmanager
def watching(project: Path, *args: str) -> Iterator[tuple[subprocess.Popen[str], Queue[str]]]:
    command = [sys.executable, "-m", "ckfunc", "-C", str(project), *args, "check", "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
    lines: Queue[str] = Queue()
    assert process.stdout is not None
    stream = process.stdout

    def read() -> None:
        for line in stream:
            lines.put(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        stream.close()


def until(lines: Queue[str], wanted: str) -> list[str]:
    """Return the lines up to the first that contains `wanted`."""
    seen: list[str] = []
    while not seen or wanted not in seen[-1]:
        try:
            seen.append(lines.get(timeout=30))
        except Empty:
            pytest.fail(f"{wanted!r} did not come, but {seen}")
    return seen


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_a_watch_checks_after_every_save_until_ctrl_c(project: Path) -> None:
    handler = project / "handlers/start.ts"
    good = handler.read_text()
    with watching(project) as (process, lines):
        until(lines, "no errors; checked 1 script")
        handler.write_text(WRONG)
        assert [line.partition(": ")[0] for line in until(lines, "2 errors")[:2]] == [
            "handlers/start.ts:2:33",
            "handlers/start.ts:3:16",
        ]
        handler.write_text(f'import {{ bold }} from "../lib/bold";\nbold;\n{good}')
        until(lines, "1 error in 1 file")
        (project / "lib").mkdir()
        (project / "lib/bold.ts").write_text("export const bold: string = 1;\n")
        assert "lib/bold.ts:1:14" in until(lines, "1 error in 1 file")[0]
        (project / "lib/bold.ts").write_text("export const bold = '1';\n")
        until(lines, "no errors; checked 1 script and 1 module")
        (project / "functions.yaml").rename(project / "functions.yml")
        until(lines, "error: there is no functions.yaml")
        (project / "functions.yml").rename(project / "functions.yaml")
        until(lines, "no errors")
        (project / "tsconfig.json").write_text('{"compilerOptions": {"noUnusedParameters": true}}')
        until(lines, "'context' is declared")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert "Traceback" not in "".join(lines.queue)


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signal of Ctrl-C")
def test_a_watch_prints_one_json_list_per_check(project: Path) -> None:
    with watching(project, "--json") as (process, lines):
        assert until(lines, "[]")[-1] == "[]"
        (project / "handlers/start.ts").write_text(WRONG)
        assert [finding["line"] for finding in json.loads(until(lines, "[{")[-1])] == [2, 3]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
