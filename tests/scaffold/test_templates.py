"""Templates, and sample events: one complete event per trigger type, consistent with the seed."""

from __future__ import annotations

import re
import shutil
from inspect import cleandoc
from pathlib import Path

import jinja2
import pytest
from testing.files import read

import ckfunc
from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.files import templates
from ckfunc.emulator.stored_data import read_seed_file
from ckfunc.model.triggers import TRIGGERS
from ckfunc.scaffold.stubs import Exports
from ckfunc.scaffold.templates import render, sample_event, sample_seed, sample_text


def test_the_templates_of_a_checkout_are_next_to_the_package() -> None:
    assert templates() == Path(ckfunc.__file__).resolve().parent.parent / "templates"


def test_the_templates_of_a_wheel_are_inside_the_package(tmp_path: Path) -> None:
    shutil.copytree(templates(), tmp_path / "ckfunc" / "_templates")
    assert templates(tmp_path / "ckfunc") == tmp_path / "ckfunc" / "_templates"


def test_missing_templates_are_reported(tmp_path: Path) -> None:
    with pytest.raises(CkfuncError, match="templates are missing"):
        templates(tmp_path / "ckfunc")


def test_the_samples_in_the_help_are_valid(tmp_path: Path) -> None:
    *_, cases = (templates() / "help" / "test.txt").read_text(encoding="utf-8").partition("tests/start.yaml:\n")
    assert len(read(tmp_path, cleandoc(cases))) == 3
    *_, lines = (templates() / "help" / "emulator-seed.txt").read_text(encoding="utf-8").partition("A seed, in YAML:\n")
    (tmp_path / "seed.yaml").write_text(cleandoc(lines))
    seed, _ = read_seed_file(tmp_path / "seed.yaml")
    assert [each.channel.name for each in seed.channels] == ["support"]


def test_a_missing_value_of_a_template_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="version"):
        render("types/node.d.ts")


def test_rendering_does_not_escape() -> None:
    text = render("types/project.d.ts", version="<&>", exports=Exports(), variables=(), modules=())
    assert "ckfunc <&>;" in text


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.type)
def test_every_trigger_type_has_a_sample_with_exactly_its_fields(trigger) -> None:
    event = sample_event(trigger.type)
    assert event
    if trigger.fields:
        assert list(event) == [field.name for field in trigger.fields]


def test_only_known_trigger_types_have_a_sample() -> None:
    names = {path.name for path in (templates() / "events").iterdir()}
    assert names == {f"{trigger.type}.json" for trigger in TRIGGERS}


def test_changing_a_sample_does_not_change_the_next() -> None:
    sample_event("user.sent.message")["message"]["body"] = "changed"
    assert sample_event("user.sent.message")["message"]["body"] != "changed"


def test_samples_have_short_lines_and_only_urls_of_the_platform() -> None:
    for trigger in TRIGGERS:
        text = sample_text(trigger.type)
        assert max(map(len, text.splitlines())) <= 120
        assert set(re.findall(r"https?://([^/\"]+)", text)) <= {"api.chatkitty.com"}


def test_an_unknown_type_is_refused_with_a_hint() -> None:
    with pytest.raises(UsageProblem) as failure:
        sample_event("user.sent.mesage")
    assert "user.sent.message" in str(failure.value.hint)


def test_the_seed_contains_the_users_of_the_samples() -> None:
    event = sample_event("user.read.message")
    seed = sample_seed()
    names = [user.name for user in seed.users]
    assert names.index(event["message"]["user"]["name"]) + 1 == event["message"]["user"]["id"]
    assert names.index(event["user"]["name"]) + 1 == event["user"]["id"]
    assert [message.body for message in seed.channels[0].messages] == [event["message"]["body"]]
