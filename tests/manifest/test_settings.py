"""Settings of an application in the manifest."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from manifest.projects import MINIMAL, problems, project

from ckfunc.manifest.definition import json_schema
from ckfunc.manifest.project import guests_allowed, load, setting_paths

BOTH = "settings: {guest_users: false, user_created_channels: true}\n"
START = "functions:\n  user.attempted.start_session: {handler: a.ts}\n"
TARGETS = """\
version: 1
settings:
  guest_users: true
targets:
  live: {}
  staging: {settings: {guest_users: false}}
  trial: {emulator: true, settings: {guest_users: true}}
  partner:
    settings:
      guest_users: true
      user_created_channels: false
"""


def test_settings_are_read_and_absent_ones_are_unmanaged(tmp_path: Path) -> None:
    assert load(project(tmp_path, MINIMAL + BOTH), None, {}).settings == {
        "guest_users": False,
        "user_created_channels": True,
    }
    assert load(project(tmp_path), None, {}).settings is None
    assert load(project(tmp_path, MINIMAL + "settings: {}\n"), None, {}).settings is None
    alone = load(project(tmp_path, "version: 1\nsettings: {guest_users: true}\n"), None, {})
    assert alone.settings == {"guest_users": True} and alone.functions is None


def test_a_target_overrides_single_settings(tmp_path: Path) -> None:
    root = project(tmp_path, TARGETS)
    assert load(root, "live", {}).settings == {"guest_users": True}
    assert load(root, "staging", {}).settings == {"guest_users": False}
    assert load(root, "partner", {}).settings == {"guest_users": True, "user_created_channels": False}
    assert setting_paths(root, "live") == {"guest_users": ("settings", "guest_users")}
    assert setting_paths(root, "partner") == {
        "guest_users": ("targets", "partner", "settings", "guest_users"),
        "user_created_channels": ("targets", "partner", "settings", "user_created_channels"),
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("settings: {guest_users: DISABLED}\n", "guest_users must be true or false (write true or false, unquoted)"),
        ("settings: {guests: false}\n", "unknown key 'guests' in settings"),
        ("settings:\n", "settings has no value"),
        (
            "targets: {live: {settings: [guest_users]}}\n",
            "settings must be a mapping, not a list (keys: guest_users, user_",
        ),
    ],
)
def test_an_invalid_setting_is_an_error_with_its_position(tmp_path: Path, text: str, error: str) -> None:
    (found,) = problems(project(tmp_path, MINIMAL + text))
    assert found.startswith("functions.yaml:4:") and error in found


def test_the_editor_schema_validates_settings_and_suggests_no_defaults() -> None:
    schema = json_schema()
    for text in (MINIMAL + BOTH, TARGETS):
        jsonschema.validate(yaml.safe_load(text), schema, cls=jsonschema.Draft7Validator)
    for wrong in ("settings: {guest_users: 'no'}", "settings: {guests: true}"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(f"version: 1\n{wrong}\n"), schema, cls=jsonschema.Draft7Validator)
    assert all("default" not in setting for setting in schema["definitions"]["settings"]["properties"].values())


def test_guest_users_cause_a_warning_if_a_function_decides_about_sessions(tmp_path: Path) -> None:
    root = project(tmp_path, TARGETS + START)
    assert [(problem.line, problem.column, problem.message.partition(",")[0]) for problem in guests_allowed(root)] == [
        (3, 16, "on live"),
        (10, 20, "on partner"),
    ]
    assert guests_allowed(project(tmp_path, TARGETS + "functions:\n  call.ended: {handler: a.ts}\n")) == ()
    assert guests_allowed(project(tmp_path, f"version: 1\n{START}{BOTH}")) == ()
    assert guests_allowed(project(tmp_path, f"version: 1\n{START}")) == ()
