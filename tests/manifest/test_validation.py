"""Errors in a manifest: all at once, each with position, problem and hint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from manifest.projects import EXAMPLE, HANDLER, MINIMAL, problems, project

from ckfunc.base.errors import InvalidManifest
from ckfunc.manifest.definition import json_schema
from ckfunc.manifest.project import load
from ckfunc.manifest.tree import MAX_PROBLEMS

FUNCTIONS = "functions: {user.sent.message: {handler: a.ts}}\n"


def runtime(section: str) -> str:
    return f"version: 1\nruntime: {section}\n"


def function(entry: str) -> str:
    return f"version: 1\nfunctions:\n  user.sent.message: {entry}\n"


def targets(section: str) -> str:
    return f"version: 1\n{FUNCTIONS}targets: {section}\n"


# The manifest, and the start of its only error message.
IN_SCHEMA = {
    "the version is missing": (FUNCTIONS, "1:1: the file has no `version` (add `version: 1`)"),
    "another version": ("version: 2\n" + FUNCTIONS, "1:10: version is not supported by this ckfunc"),
    "a quoted version": ("version: '1'\n" + FUNCTIONS, "1:10: version must be the number 1, without quotes"),
    "a list as version": ("version: [1]\n" + FUNCTIONS, "1:10: version must be the number 1, not a list"),
    "a list as file": ("- version: 1\n", "1:1: the file must be a mapping, not a list (keys: version, default_target,"),
    "a text as file": ("version\n", "1:1: the file must be a mapping, not a single value"),
    "an unknown key": (
        MINIMAL + "funtions: {}\n",
        "4:1: unknown key 'funtions' in the file (did you mean functions?)",
    ),
    "an abbreviated key": (runtime("{env: {}}"), "2:11: unknown key 'env' in runtime (did you mean environment?)"),
    "a camelCase key": (
        runtime("{initializationScript: a.ts}"),
        "2:11: unknown key 'initializationScript' in runtime (did",
    ),
    "a key unlike any other": (runtime("{zzz: a.ts}"), "2:11: unknown key 'zzz' in runtime (known: dependencies, env"),
    "functions without a value": (
        "version: 1\nfunctions:\n",
        "2:1: functions is empty (list at least one function, or",
    ),
    "empty functions": (
        "version: 1\nfunctions: {}\n",
        "2:1: functions is empty (list at least one function, or remove",
    ),
    "runtime without a value": (
        "version: 1\nruntime:\n" + FUNCTIONS,
        "2:1: runtime has no value (write `runtime: {}`,",
    ),
    "a null section": (runtime("{environment: null}"), "2:11: environment has no value (write `environment: {}`, or"),
    "functions as a list": (
        "version: 1\nfunctions: [a]\n",
        "2:12: functions must be a mapping, not a list (keys: one f",
    ),
    "a function without a value": (function(""), "3:3: user.sent.message has no value (write `user.sent.message: {"),
    "a function without a handler": (
        function("{name: x}"),
        "3:3: user.sent.message has no `handler` (add `handler: …`",
    ),
    "a trigger type with a space": (
        "version: 1\nfunctions: {user sent: {handler: a.ts}}\n",
        "2:13: this is not a trig",
    ),
    "a trigger type with two dots": ("version: 1\nfunctions: {a..b: {handler: a.ts}}\n", "2:13: 'a..b' is not a trig"),
    "an absolute handler": (function("{handler: /etc/a.ts}"), "3:32: handler is an absolute path (write it relative"),
    "a handler on a drive": (function("{handler: 'C:/a.ts'}"), "3:32: handler is an absolute path (write it relative"),
    "a handler with backslashes": (function(r"{handler: x\a.ts}"), "3:32: handler uses backslashes (write paths with"),
    "a handler that is no script": (function("{handler: a.py}"), "3:32: handler is neither TypeScript nor JavaScript"),
    "a declaration file": (function("{handler: a.d.ts}"), "3:32: handler is a declaration file, not a script"),
    "a blank handler": (function("{handler: ''}"), "3:32: handler is blank (give it a value)"),
    "a very long handler": (
        function(f"{{handler: {'x/' * 600}a.ts}}"),
        "3:32: handler is too long (a path may have at m",
    ),
    "a handler without a value": (
        function("{handler: }"),
        "3:23: handler has no value (add a value, or remove the key)",
    ),
    "a control character": (function(r'{handler: a.ts, name: "a\nb"}'), "3:44: name contains a control character"),
    "a number as description": (
        function("{handler: a.ts, description: 0042}"),
        '3:51: description is a number, and must be a string (quote it: `description: "0042"`)',
    ),
    "yes as a name": (
        function("{handler: a.ts, name: yes}"),
        "3:44: name is a boolean, and must be a string (quote it: `",
    ),
    "a quoted boolean": (
        function("{handler: a.ts, initialize_asynchronously: 'true'}"),
        "3:65: initialize_asynchronously must be true or false (write true, unquoted)",
    ),
    "something else for a boolean": (
        targets("{a: {protected: maybe}}"),
        "3:26: protected must be true or false (write t",
    ),
    "a mapping for a boolean": (
        targets("{a: {protected: {}}}"),
        "3:26: protected must be true or false, not a mapping",
    ),
    "a platform package": (
        runtime("{dependencies: {axios: '1'}}"),
        "2:26: 'axios' is installed by the platform itself",
    ),
    "no package name": (runtime("{dependencies: {a b: '1'}}"), "2:26: this is not an npm package name"),
    "a number as version range": (
        runtime("{dependencies: {firebase: 9}}"),
        '2:36: firebase is a number, and must be a string (quote it: `firebase: "9"`)',
    ),
    "no version range": (runtime("{dependencies: {a: 'nine point eight'}}"), "2:29: a is not a version range (such as"),
    "a blank version range": (runtime("{dependencies: {a: ' '}}"), "2:29: a is blank (give it a value)"),
    "a platform variable": (runtime("{environment: {CHATKITTY_X: x}}"), "2:25: 'CHATKITTY_X' belongs to the platform"),
    "no variable name": (runtime("{environment: {A-B: x}}"), "2:25: this is not a name for an environment variable"),
    "a number as variable": (
        runtime("{environment: {A: 42}}"),
        '2:28: A is a number, and must be a string (quote it: `A: "',
    ),
    "a list as variable": (
        runtime("{environment: {A: [x]}}"),
        "2:28: A must be a string, not a list (quote it if it starts",
    ),
    "a variable without a value": (
        runtime("{environment: {A: }}"),
        '2:25: A has no value (an empty string is `A: ""`)',
    ),
    "a package with a name that npm does not allow": (
        runtime('{dependencies: {node_modules: "1"}}'),
        "2:26: 'node_modules' is a name that npm does not allow (remove it)",
    ),
    "a variable with a NUL character": (
        runtime('{environment: {A: "a\\0b"}}'),
        "2:28: A contains a NUL character (environment variables cannot contain one)",
    ),
    "an open reference": (
        runtime("{environment: {A: '${B'}}"),
        "2:28: A has a ${ that is not followed by a name and }",
    ),
    "a reference with a default": (
        runtime("{environment: {A: '${B:-c}'}}"),
        "2:28: A has a ${ that is not followed by",
    ),
    "empty targets": (targets("{}"), "3:1: targets is empty (list at least one target, or remove the section)"),
    "a target without a value": (targets("{a: }"), "3:11: a has no value (write `a: {}`, or remove the key)"),
    "a target with a slash": (targets("{a/b: {}}"), "3:11: 'a/b' is not a name for a target (use at most 64 letters"),
    "a target called example": (targets("{example: {}}"), "3:11: 'example' cannot be a target's name (its variables"),
    "an application by name": (
        targets("{a: {application: staging}}"),
        "3:28: application is neither an application's id",
    ),
    "a boolean application": (
        targets("{a: {application: true}}"),
        "3:28: application is a boolean, and must be a string",
    ),
    "an override of the platform's": (
        targets("{a: {environment: {CHATKITTY_X: x}}}"),
        "3:29: 'CHATKITTY_X' belongs to",
    ),
}

BEYOND_SCHEMA = {
    "a number other YAML readers see": (
        runtime("{environment: {A: 1e3}}"),
        "2:28: A is a number, and must be a string",
    ),
    "a boolean other YAML readers see": (
        targets("{a: {protected: yes}}"),
        "3:26: protected must be true or false (writ",
    ),
    "a date": (
        function("{handler: a.ts, name: 2024-01-01}"),
        "3:44: name is a date, and must be a string (quote it: `name",
    ),
    "an octal application": (
        targets("{a: {application: 0042}}"),
        "3:28: application is neither an application's id nor",
    ),
    "a merge key": (
        runtime("{environment: {<<: x}}"),
        "2:25: this is not a name for an environment variable (merge keys",
    ),
    "a merge key among known ones": (
        runtime("{<<: {}}"),
        "2:11: unknown key in runtime (merge keys are not supported; ",
    ),
    "nothing to manage": (
        "version: 1\nruntime: {}\n",
        "1:1: there is nothing to deploy (list at least one function un",
    ),
    "a duplicate key": (MINIMAL + "version: 1\n", "4:1: duplicate key 'version', first at line 1, column 1 (keep one)"),
    "a list as key": (
        "version: 1\n? [a]\n: b\n" + FUNCTIONS,
        "2:3: a key must be a single text (quote it if it starts",
    ),
    "a default target that is none": (
        "default_target: prod\nversion: 1\n" + FUNCTIONS + "targets: {production: {}}\n",
        "1:17: default_target 'prod' is not a target (did you mean production?)",
    ),
    "an emulator with an application": (
        targets("{a: {emulator: true, application: 4}}"),
        "3:31: target 'a' is an emulator",
    ),
    "a missing handler": (
        function("{handler: b.ts}"),
        "3:32: handler 'b.ts' does not exist (create it, or fix the path)",
    ),
    "a handler outside": (
        function("{handler: ../b.ts}"),
        "3:32: handler '../b.ts' is outside the project (move the file",
    ),
    "a directory as handler": (
        function("{handler: dir.ts}"),
        "3:32: handler 'dir.ts' is a directory (use a text file",
    ),
    "a file as directory": (
        function("{handler: a.ts/b.ts}"),
        "3:32: handler 'a.ts/b.ts' cannot be read: Not a directory",
    ),
    "an empty handler": (
        function("{handler: empty.ts}"),
        "3:32: handler 'empty.ts' is empty (a handler needs a top-level",
    ),
    "a missing init script": (
        runtime("{initialization_script: b.ts}"),
        "2:34: initialization_script 'b.ts' does not exist",
    ),
    "an unresolved variable": (
        runtime("{environment: {A: 'x${B}'}}"),
        "2:30: ${B} has no value (set B in the shell, in .env.default or in .env)",
    ),
}


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    root = project(tmp_path / "project", MINIMAL, {"empty.ts": " \n", "dir.ts/x": ""})
    (tmp_path / "b.ts").write_text(HANDLER)
    return root


@pytest.mark.parametrize("name", [*IN_SCHEMA, *BEYOND_SCHEMA])
def test_an_error_has_a_position_a_message_and_a_hint(prepared: Path, name: str) -> None:
    text, start = {**IN_SCHEMA, **BEYOND_SCHEMA}[name]
    project(prepared, text)
    found = problems(prepared)
    assert len(found) == 1, found
    assert found[0].startswith(f"functions.yaml:{start}"), found[0]
    assert found[0].endswith(")")


def test_the_editor_schema_is_valid_and_accepts_the_example() -> None:
    Draft7Validator.check_schema(json_schema())
    validator = Draft7Validator(json_schema())
    for text in (EXAMPLE, MINIMAL, targets("{a: {application: '42'}, b: {application: '${APP}'}}")):
        assert list(validator.iter_errors(as_editors_read(text))) == []


@pytest.mark.parametrize("name", IN_SCHEMA)
def test_the_editor_schema_refuses_manifests_that_load_refuses(name: str) -> None:
    assert list(Draft7Validator(json_schema()).iter_errors(as_editors_read(IN_SCHEMA[name][0])))


def test_the_editor_schema_suggests_trigger_types_and_explains_every_key() -> None:
    schema = json_schema()
    functions = schema["properties"]["functions"]
    assert "a client connects" in functions["properties"]["user.attempted.start_session"]["description"]
    assert functions["additionalProperties"] == {"$ref": "#/definitions/function"}
    unknown = "version: 1\nfunctions: {some.new.event: {handler: a.ts}}\n"
    assert list(Draft7Validator(schema).iter_errors(as_editors_read(unknown))) == []
    records = [schema, *schema["definitions"].values()]
    assert all("description" in field for record in records for field in record["properties"].values())


def as_editors_read(text: str) -> object:
    import yaml

    return yaml.safe_load(text)


def test_all_errors_are_reported_together_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
version: 3
functions:
  user.sent.message: {handler: nowhere.ts, nme: x}
  call.ended: {handler: a.ts}
  call.ended: {handler: a.ts}
runtime:
  environment: {A: '${MISSING}', B: 7, C: "${ALSO}"}
targets: {x: {protected: 1}}
"""
    found = problems(project(tmp_path, text))
    assert [problem.split(": ")[0].removeprefix("functions.yaml:") for problem in found] == [
        "1:10", "3:32", "3:44", "5:3", "7:21", "7:37", "7:44", "8:26",
    ]  # fmt: skip
    with pytest.raises(InvalidManifest, match=r"^functions.yaml has 8 mistakes$"):
        load(tmp_path, None, {})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: b\n\tc: d\n", "2:1: a tab cannot indent YAML (use spaces)"),
        ("a:\n  b: 'x\n", "2:6: this quoted string does not end properly"),
        ('a: "\\q"\n', "1:4: this quoted string does not end properly"),
        ("a: >=1\n", "1:4: a string may not start with > or |"),
        ("@types/node: x\n", "1:1: a string may not start with @, ` or %"),
        ("a: {b: ${C}}\n", '1:8: this reference needs quotes (write "${NAME}" with quotes inside { } and [ ])'),
        ("a: b: c\n", "1:5: a colon is not allowed here"),
        ("a: 1\nb\nc: 2\n", "2:1: a colon is missing"),
        ("a: {b: c\n", "1:4: this { or [ is not closed, or a comma is missing in it"),
        ("a: *nowhere\n", "1:4: this alias refers to an anchor that is not defined above it"),
        ("a: &b [*b]\n", "1:8: this alias is part of its own anchor"),
        ("a: &b\n  c: {d: *b}\n", "2:10: this alias is part of its own anchor"),
        ("a: &\n", "1:5: this alias or anchor has no name"),
        ("a: !secret x\n", "1:4: tags are not supported"),
        ("a: !un!known x\n", "1:4: tags are not supported"),
        ("a: !!int '7'\n", "1:4: tags are not supported"),
        ("a:\n    b: c\n  d: e\n", "3:3: this does not match the text before it"),
        (
            "a:\r\n<<<<<<< ours\r\n  b: c\r\n=======\r\n  b: d\r\n>>>>>>> theirs\r\n",
            "2:1: unresolved merge conflict (edit",
        ),
        ("<<<<<<< a\nb: c\n", "2:2: a colon is not allowed here"),
        ("a: b\n---\nc: d\n", "2:1: a second document starts here (a file must have only one document)"),
        ("a: b\x07\n", "1:5: the character U+0007 is not allowed in YAML"),
        ("ä: ö\nü: \x00\n", "2:4: the character U+0000 is not allowed in YAML"),
        ("", "1:1: the file is empty (start with `version: 1`)"),
        ("# only a comment\n", "1:1: the file is empty"),
        ("---\n", "1:1: the file is empty"),
        ("a: " + "[" * 40, "1:36: this is nested too deeply (at most 32 levels)"),
        ("[" * 100_000, "1:34: this is nested too deeply"),
        ("a:\t" + "[{a: \t" * 1_000, "1:96: this is nested too deeply"),
        ("- " * 3_000 + "x\n", "1:67: this is nested too deeply"),
        ("[" * 20 + "'" + "[" * 2_000 + "\n", "1:21: this quoted string does not end properly"),
    ],
)
def test_yaml_errors_are_explained(tmp_path: Path, text: str, where: str) -> None:
    found = problems(project(tmp_path, text))
    assert len(found) == 1
    assert found[0].startswith(f"functions.yaml:{where}")


def test_positions_count_characters_for_every_encoding_and_newline(tmp_path: Path) -> None:
    text = '\ufeff# ☃ 🐱\r\nversion: 1\r\nruntime: {environment: {A: "🐱🐱", B: 7}}\r\n'
    assert problems(project(tmp_path, text))[0].startswith("functions.yaml:3:37: B is a number")


def test_a_manifest_that_is_not_utf_8_is_refused_with_the_position(tmp_path: Path) -> None:
    assert problems(project(tmp_path, b"version: 1\r\n# caf\xe9\n")) == [
        "functions.yaml:2:6: functions.yaml is not UTF-8 text (save the file as UTF-8)"
    ]
    assert "UTF-16" in problems(project(tmp_path, MINIMAL.encode("utf-16")))[0]


def test_a_git_lfs_pointer_is_not_read_as_a_manifest(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    assert (
        "functions.yaml is a Git LFS pointer, not the file itself (run `git lfs pull`)"
        in problems(project(tmp_path, pointer))[0]
    )


def test_a_handler_that_is_not_utf_8_is_reported_in_the_handler(tmp_path: Path) -> None:
    root = project(tmp_path, files={"a.ts": b"\xef\xbb\xbfok\n//\xff\n"})
    assert problems(root) == ["a.ts:2:3: handler 'a.ts' is not UTF-8 text (save the file as UTF-8)"]


def test_a_file_may_have_at_most_one_mebibyte(tmp_path: Path) -> None:
    mebibyte = 1024 * 1024
    root = project(tmp_path, MINIMAL.ljust(mebibyte, "\n"), {"a.ts": "/".ljust(mebibyte, "/")})
    assert problems(root) == []
    project(root, MINIMAL, {"a.ts": "/" * (mebibyte + 1)})
    assert problems(root) == [
        "functions.yaml:3:32: handler 'a.ts' is too large: more than 1 MiB (a file may have at most 1 MiB)"
    ]
    project(root, MINIMAL.ljust(3 * mebibyte, "\n"))
    assert problems(root) == ["functions.yaml: functions.yaml is too large: 3.0 MiB (a file may have at most 1 MiB)"]


def test_aliases_that_expand_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    laughs = "a0: &a0 [ha, ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    found = problems(project(tmp_path, laughs))
    assert len(found) == 1
    assert re.match(r"functions.yaml:\d+:\d+: the aliases make this file too large", found[0])


def test_a_long_text_cannot_be_multiplied_by_aliases(tmp_path: Path) -> None:
    entries = "".join(f"    A{n}: *long\n" for n in range(100))
    text = f"version: 1\nruntime:\n  environment:\n    A: &long {'x' * 100_000}\n{entries}"
    assert "make this file too large" in problems(project(tmp_path, text))[0]


def test_links_out_of_the_project_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    project(outside, files={"b.ts": HANDLER})
    root = project(tmp_path / "project", function("{handler: link/b.ts}"))
    (root / "link").symlink_to(outside)
    assert "'link/b.ts' is outside the project" in problems(root)[0]
    (root / "link").unlink()
    (root / "link").symlink_to(root / "link")
    assert "link/b.ts" in problems(root)[0]


def test_a_project_may_be_a_link(tmp_path: Path) -> None:
    project(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert problems(tmp_path / "link") == []


def test_a_manifest_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").mkdir()
    assert problems(tmp_path) == ["functions.yaml: functions.yaml is a directory (use a text file)"]


def test_a_manifest_that_is_a_broken_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").symlink_to("nowhere")
    assert problems(tmp_path) == ["functions.yaml: functions.yaml does not exist (create it, or fix the path)"]


def test_a_named_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os = pytest.importorskip("os")
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    root = project(tmp_path, function("{handler: pipe.ts}"))
    os.mkfifo(root / "pipe.ts")
    assert "'pipe.ts' is a named pipe, not a regular file" in problems(root)[0]


def test_a_path_that_the_system_refuses_is_reported(tmp_path: Path) -> None:
    root = project(tmp_path, function(f"{{handler: {'x' * 1000}.ts}}"))
    assert re.search(r"cannot be (read|resolved)", problems(root)[0])


@pytest.mark.parametrize(
    "version",
    [
        "^9.8.2",
        "9.8.2",
        "~1.2",
        "1.x",
        "*",
        ">=1.2.3 <2",
        "1 || 2",
        "1.0 - 2.0",
        "latest",
        "v1.0.0-beta.1+x",
        ">= 1",
        "1-rc",
    ],
)
def test_ranges_and_tags_of_the_registry_are_versions(tmp_path: Path, version: str) -> None:
    assert problems(project(tmp_path, runtime(f"{{dependencies: {{'@a/b': '{version}'}}}}"))) == []


@pytest.mark.parametrize(
    "version",
    [
        "file:../x",
        "git+https://user:hunter2@host/x.git",
        "user/repo",
        "npm:other@1",
        "../x",
        "x.tgz",
        "https://host/x.tgz",
        "a#b",
    ],
)
def test_versions_that_are_not_from_the_registry_are_refused_and_not_shown(tmp_path: Path, version: str) -> None:
    found = problems(project(tmp_path, runtime(f"{{dependencies: {{x: '{version}'}}}}")))
    assert found[0].startswith("functions.yaml:2:29: x is not a version from the npm registry (only registry versions")
    assert version not in found[0]


@pytest.mark.parametrize(
    "text",
    [
        runtime("{environment: {A: 8675309}}"),
        runtime("{environment: {A: '${8675309'}}"),
        runtime("{environment: {A=8675309}}"),
        runtime("{environment: {A:8675309}}"),
        runtime("{environment: {8675309}}"),
        runtime("{environment: {A=8675309, A=8675309}}"),
        runtime("{environment: {A: *8675309}}"),
        runtime("{environment: {A: !8675309 x}}"),
        runtime("{environment: {A: !x!8675309 x}}"),
        runtime("{environment: {A: '8675309}}"),
        runtime('{environment: {A: "8675309\\q"}}'),
        runtime("{A=8675309}"),
        runtime("{environment: 8675309}"),
        runtime("{environment: [A=8675309]}"),
        runtime("\n  environment:\n    A: b\n    B 8675309\n    C: d"),
        targets("{a: {environment: {A: 8675309}, application: '8675309x'}}"),
    ],
)
def test_no_message_shows_possible_secrets(tmp_path: Path, text: str) -> None:
    found = problems(project(tmp_path, text))
    assert found
    assert not [line for line in found if "8675309" in line]


def test_the_number_of_shown_errors_is_limited(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest) as caught:
        load(project(tmp_path, MINIMAL + "".join(f"zz{n}: 1\n" for n in range(5000))), None, {})
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert "only the first 200 of 5000 mistakes" in str(caught.value.problems[0])


def test_the_number_of_shown_warnings_is_limited(tmp_path: Path) -> None:
    entries = "".join(f"  x{n}: {{handler: a.ts}}\n" for n in range(30))
    warnings = load(project(tmp_path, f"version: 1\nfunctions:\n{entries}"), None, {}).warnings
    assert len(warnings) == 21
    assert str(warnings[-1]) == "functions.yaml: 10 more unknown trigger types"
