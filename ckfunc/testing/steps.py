"""Read the steps and the expected outcomes of cases from test files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from mimetypes import MimeTypes
from typing import Protocol, TypeVar

from ckfunc.base.clock import duration_s
from ckfunc.base.text import did_you_mean
from ckfunc.manifest.tree import Node
from ckfunc.manifest.validation import Branch, Given, Leaf, one_of
from ckfunc.model.application import Status
from ckfunc.sandbox.acts import Act, UploadedFile, Verb
from ckfunc.testing.case import (
    Expectation,
    ExpectedCall,
    ExpectedMessage,
    ExpectedNotification,
    ExpectedRun,
    ExpectedText,
    ExpectedValue,
    Step,
    StepExpectation,
)

T = TypeVar("T")

_LONGEST_WAIT_S = 10 * 366 * 86400.0
_IN_CHANNEL = frozenset(Verb) - {Verb.CONNECTS, Verb.DISCONNECTS, Verb.WAITS}
NAMES_CHANNEL = (
    *(Verb.OPENS, Verb.CLOSES, Verb.JOINS, Verb.LEAVES, Verb.READS),
    *(Verb.STARTS_TYPING, Verb.STOPS_TYPING),
)
"""The acts whose value is the channel."""
_WITHOUT_TEXT = (*NAMES_CHANNEL, Verb.CONNECTS, Verb.DISCONNECTS, Verb.DELETES)
_WITHOUT_USER = (Verb.SENDS, Verb.WAITS)
_MAY_BE_SYSTEM = (*_WITHOUT_USER, Verb.TRIGGERS)
_TAKES: Mapping[str, tuple[Verb, ...]] = {
    "message": (Verb.REPLIES, Verb.EDITS, Verb.DELETES, Verb.REACTS, Verb.READS),
    "properties": (Verb.SAYS, Verb.UPLOADS, Verb.REPLIES, Verb.SENDS, Verb.TRIGGERS),
    "content": (Verb.UPLOADS,),
    "content_type": (Verb.UPLOADS,),
    "size": (Verb.UPLOADS,),
}
"""The acts that each additional key is for."""


class Report(Protocol):
    """Reports a mistake at a place in a test file."""

    def __call__(self, node: Node, message: str, hint: str | None = None, /) -> None:
        """Report a mistake."""


def read_expectation(expect: Branch | None, report: Report) -> Expectation:
    """Return the expected outcome of a run; without `expect`, success."""
    if expect is None:
        return Expectation()
    fails = "error" in expect.keys or "error_matches" in expect.keys
    status = Status(expect.text("status") or (Status.FAILED if fails else Status.SUCCEEDED))
    _check_consistency(expect, status, report, fails=fails)
    return Expectation(
        status=status,
        result=_expected_result(expect),
        error=expect.text("error"),
        error_matches=read_pattern(expect.leaf("error_matches"), "error_matches", "error", report),
        console=tuple(leaf.text for leaf in expect.items("console") or () if isinstance(leaf, Leaf)),
        calls=_each(expect, "calls", _call),
        other_calls=expect.flag("other_calls", default=True),
    )


def _each(branch: Branch, name: str, read: Callable[[Branch], T]) -> tuple[T, ...] | None:
    """Return the mappings in the list under `name`, each read by `read`; None if there is no list."""
    items = branch.items(name)
    return None if items is None else tuple(read(item) for item in items if isinstance(item, Branch))


def read_text(branch: Branch, name: str, report: Report) -> ExpectedText:
    """Return the expected text under `name`, `name_includes` and `name_matches`."""
    matches = f"{name}_matches"
    if name in branch.keys and (key := branch.keys.get(f"{name}_includes") or branch.keys.get(matches)):
        report(key, f"`{name}` and `{key.text}` can't be used together", "remove one of them")
    pattern = read_pattern(branch.leaf(matches), matches, f"{name}_includes", report)
    return ExpectedText(branch.text(name), branch.text(f"{name}_includes"), pattern)


def read_pattern(leaf: Leaf | None, name: str, plain: str, report: Report) -> str | None:
    """Return a regular expression. `plain` is the key that takes plain text instead."""
    if leaf is None:
        return None
    try:
        re.compile(leaf.text)
    except (re.error, RecursionError, OverflowError) as error:
        report(leaf.node, f"{name} is not a regular expression: {error}", f"`{plain}` takes plain text")
    return leaf.text


def check_others(expect: Branch, name: str, report: Report) -> None:
    """Report `other_NAME` without `NAME`."""
    key = f"other_{name}"
    if key in expect.keys and name not in expect.keys:
        report(expect.keys[key], f"`{key}` needs `{name}`", f"add `{name}: []`")


def _check_consistency(expect: Branch, status: Status, report: Report, *, fails: bool) -> None:
    wrong = ("error", "error_matches") if status is Status.SUCCEEDED else ("result", "result_includes")
    for name in wrong:
        if key := expect.keys.get(name):
            hint = "remove it, or change `status`" if "status" in expect.keys or not fails else "remove one of them"
            report(key, f"a {status.value} run has no {name.partition('_')[0]}", hint)
    if "result" in expect.keys and (key := expect.keys.get("result_includes")):
        report(key, "`result` and `result_includes` can't be used together", "remove one of them")
    check_others(expect, "calls", report)


def _expected_result(expect: Branch) -> ExpectedValue | None:
    if exact := expect.given("result"):
        return ExpectedValue(exact.data)
    part = expect.given("result_includes")
    return ExpectedValue(part.data, subset=True) if part else None


def _call(entry: Branch) -> ExpectedCall:
    body, status = entry.given("body"), entry.leaf("status")
    return ExpectedCall(
        method=entry.text("method"),
        path=entry.text("path"),
        body=ExpectedValue(body.data, subset=True) if body else None,
        status=int(status.text) if status else None,
    )


@dataclass
class StepReader:
    """Reads the steps of a conversation. `types` are the trigger types of the project."""

    report: Report
    types: Collection[str]
    _channel: str | None = None
    _connected: set[str] = field(default_factory=set)

    def steps(self, entries: Collection[object]) -> Iterator[Step]:
        """Yield the valid steps."""
        for entry in entries:
            if isinstance(entry, Branch) and (step := self._step(entry)) is not None:
                yield step

    def _step(self, entry: Branch) -> Step | None:
        verbs = [verb for verb in Verb if verb in entry.keys]
        if not verbs and len(entry.node.entries) > len(entry.keys):
            return None  # an unknown key, which was reported
        if len(verbs) != 1:
            names = ", ".join(verbs)
            hint = one_of(Verb) if not verbs else "make it several steps"
            self.report(entry.node, f"a step does several things: {names}" if verbs else "the step does nothing", hint)
            return None
        (verb,) = verbs
        expect = self._expectation(entry.branch("expect"))
        self._check_keys(entry, verb)
        self._check_user(entry, verb, refused=expect.refusal is not None)
        value = entry.values.get(verb)
        if value is None:
            return None
        channel = self._channel_of(entry, verb, value)
        data = value if isinstance(value, Given) else entry.given("properties")
        act = Act(
            verb,
            user=entry.text("user"),
            channel=channel,
            about=entry.text("message"),
            text=value.text if isinstance(value, Leaf) and verb not in _WITHOUT_TEXT else "",
            data=data.data if data is not None else {},
            wait_s=self._wait_s(value) if verb is Verb.WAITS and isinstance(value, Leaf) else 0.0,
            file=self._file(entry, value.text) if verb is Verb.UPLOADS and isinstance(value, Leaf) else None,
        )
        return Step(entry.node.line, act, expect)

    def _check_keys(self, entry: Branch, verb: Verb) -> None:
        for name, verbs in _TAKES.items():
            if name in entry.keys and verb not in verbs:
                self.report(entry.keys[name], f"a step that {verb} has no `{name}`", f"only for: {', '.join(verbs)}")
        for flag in (Verb.DISCONNECTS, Verb.DELETES):
            if verb is flag and flag in entry.values and not entry.flag(flag):
                self.report(entry.keys[flag], f"{flag} can only be true", "remove the step")
        if verb not in _IN_CHANNEL and (key := entry.keys.get("channel")):
            self.report(key, f"a step that {verb} has no channel", "remove it")

    def _check_user(self, entry: Branch, verb: Verb, *, refused: bool) -> None:
        key, name = entry.keys.get("user"), entry.text("user")
        if key is not None and verb in _WITHOUT_USER:
            hint = "`says` is for users" if verb is Verb.SENDS else "remove the user"
            self.report(key, f"a step that {verb} has no user", hint)
        elif key is None and verb not in _MAY_BE_SYSTEM:
            self.report(entry.keys[verb], f"a step that {verb} needs a user", "add `user: NAME`")
        elif name is not None and verb is Verb.CONNECTS:
            self._connected |= set() if refused else {name}
        elif name is not None and key is not None and name not in self._connected and not refused:
            hint = did_you_mean(name, self._connected) or f"before this step, add `- {{user: {name}, connects: {{}}}}`"
            self.report(key, f"user {name!r} has not connected", hint)
        elif name is not None and verb is Verb.DISCONNECTS:
            self._connected.discard(name)

    def _channel_of(self, entry: Branch, verb: Verb, value: object) -> str | None:
        """Return the channel of a step; by default, that of the previous one."""
        if verb not in _IN_CHANNEL:
            return None
        if verb in NAMES_CHANNEL:
            if key := entry.keys.get("channel"):
                self.report(key, f"`{verb}` already names the channel", "remove one of them")
            self._channel = value.text if isinstance(value, Leaf) else self._channel
        else:
            self._channel = entry.text("channel") or self._channel
        if self._channel is None and "channel" not in entry.keys:
            self.report(entry.keys[verb], "the step has no channel", "add `channel: NAME`")
        return self._channel

    def _file(self, entry: Branch, name: str) -> UploadedFile:
        content, size = entry.text("content"), entry.leaf("size")
        if content is not None and (key := entry.keys.get("size")):
            self.report(key, "`content` and `size` can't be used together", "remove one of them")
        if content == "":
            self.report(entry.keys["content"], "content is empty", "files have at least one byte")
        # Python's own table, because that of the machine is another one on each system.
        guessed = MimeTypes().guess_type(name)[0] or "application/octet-stream"
        data = bytes(int(size.text)) if size is not None else (name if content is None else content).encode()
        return UploadedFile(entry.text("content_type") or guessed, data)

    def _wait_s(self, leaf: Leaf) -> float:
        seconds = duration_s(leaf.text)
        if seconds is None or seconds > _LONGEST_WAIT_S:
            self.report(leaf.node, "waits is not a duration of at most ten years", "such as 10m, 2h or 1h30m")
        return seconds or 0.0

    # Expected consequences

    def _expectation(self, expect: Branch | None) -> StepExpectation:
        if expect is None:
            return StepExpectation()
        for name in ("messages", "functions", "notifications"):
            check_others(expect, name, self.report)
        presence, typing = expect.branch("presence"), expect.items("typing")
        return StepExpectation(
            refusal=self._refusal(expect),
            messages=_each(expect, "messages", self._message),
            other_messages=expect.flag("other_messages", default=True),
            functions=_each(expect, "functions", self._function),
            other_functions=expect.flag("other_functions", default=True),
            notifications=_each(expect, "notifications", self._notification),
            other_notifications=expect.flag("other_notifications", default=True),
            typing=None if typing is None else tuple(name.text for name in typing if isinstance(name, Leaf)),
            online={} if presence is None else {n: item.text == "online" for n, item in presence.leaves().items()},
        )

    def _refusal(self, expect: Branch) -> ExpectedText | None:
        part = expect.text("error")
        pattern = read_pattern(expect.leaf("error_matches"), "error_matches", "error", self.report)
        return None if part is None and pattern is None else ExpectedText(None, part, pattern)

    def _message(self, entry: Branch) -> ExpectedMessage:
        if "user" in entry.keys and (key := entry.keys.get("system")) and entry.flag("system"):
            self.report(key, "a message of the system has no user", "remove one of them")
        properties = entry.given("properties")
        return ExpectedMessage(
            user=entry.text("user"),
            system=entry.flag("system") if "system" in entry.values else None,
            channel=entry.text("channel"),
            body=read_text(entry, "body", self.report),
            file=entry.text("file"),
            properties=ExpectedValue(properties.data, subset=True) if properties else None,
            changed=entry.flag("changed") if "changed" in entry.values else None,
            deleted=entry.flag("deleted"),
        )

    def _function(self, entry: Branch) -> ExpectedRun:
        leaf = entry.leaf("type")
        if leaf is not None and leaf.text not in self.types:
            hint = did_you_mean(leaf.text, self.types) or one_of(sorted(self.types))
            self.report(leaf.node, f"functions.yaml has no function of type {leaf.text!r}", hint)
        return ExpectedRun(entry.text("type") or "", read_expectation(entry, self.report))

    def _notification(self, entry: Branch) -> ExpectedNotification:
        return ExpectedNotification(
            user=entry.text("user"),
            channel=entry.text("channel"),
            title=read_text(entry, "title", self.report),
            body=read_text(entry, "body", self.report),
        )
