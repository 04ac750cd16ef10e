"""Sample events: one complete event per trigger type, consistent with the seed."""

from __future__ import annotations

import re

import pytest

from ckfunc.base.errors import UsageProblem
from ckfunc.model.triggers import TRIGGERS
from ckfunc.scaffold.render import templates
from ckfunc.scaffold.samples import sample_event, sample_seed, sample_text


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.type)
def test_every_trigger_type_has_a_sample_with_exactly_its_fields(trigger) -> None:
    event = sample_event(trigger.type)
    assert event
    if trigger.fields:
        assert list(event) == [field.name for field in trigger.fields]


def test_there_is_no_sample_of_anything_else() -> None:
    names = {path.name for path in (templates() / "events").iterdir()}
    assert names == {f"{trigger.type}.json" for trigger in TRIGGERS}


def test_changing_a_sample_does_not_change_the_next() -> None:
    sample_event("user.sent.message")["message"]["body"] = "changed"
    assert sample_event("user.sent.message")["message"]["body"] != "changed"


def test_samples_are_readable_and_name_no_machine() -> None:
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
