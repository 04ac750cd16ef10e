"""Schema of test files, for validation and completion in editors."""

from __future__ import annotations

from ckfunc.manifest.definition import ENVIRONMENT, FUNCTION_TYPE
from ckfunc.manifest.kinds import Data, Entries, Field, Flag, Items, Rule, Section, Text, Whole
from ckfunc.model.chat import ChannelType
from ckfunc.model.function import Status
from ckfunc.model.triggers import TRIGGERS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
STATUSES = (Status.SUCCEEDED.value, Status.FAILED.value)

_NOT_BLANK = Rule(r"[\s\S]*\S[\s\S]*", "is blank", "give it a value")
_ONE_LINE = Rule(r"[^\x00-\x1f\x7f]*", "contains a control character", "keep it to one line of plain text")
_NAME = Text((_NOT_BLANK, _ONE_LINE))
_TYPE = Text(FUNCTION_TYPE, suggestions=tuple(trigger.type for trigger in TRIGGERS))
_ID = Whole(1)

_USER = Section(
    "user",
    (
        Field("name", _NAME, "The name, which is unique.", required=True),
        Field("id", _ID, "Default: the next free one."),
        Field("display_name", _NAME, "Default: the name.", also="displayName"),
        Field("is_guest", Flag(), "Default: false.", also="isGuest"),
        Field("properties", Data(mapping=True), "Default: none."),
    ),
)

_MESSAGE = Section(
    "message",
    (
        Field("id", _ID, "Default: the next free one."),
        Field("user", _NAME, "The name of the user who sent it. Without one it is the system's."),
        Field("body", Text(), "What it says."),
        Field("file", Data(mapping=True), "A file instead of a body."),
        Field("group_tag", _NAME, "A tag that messages have in common.", also="groupTag"),
        Field("properties", Data(mapping=True), "Default: none."),
    ),
)

_CHANNEL = Section(
    "channel",
    (
        Field("name", _NAME, "The name; direct channels have none."),
        Field("id", _ID, "Default: the next free one."),
        Field("type", Text(choices=tuple(one.value for one in ChannelType)), "Default: PUBLIC."),
        Field("display_name", _NAME, "Default: the name.", also="displayName"),
        Field("creator", _NAME, "The name of the user who made it."),
        Field("members", Items("a user's name", _NAME), "The names of its members."),
        Field("properties", Data(mapping=True), "Default: none."),
        Field("messages", Items("a message", _MESSAGE), "What was said in it, the oldest first."),
    ),
)

_DATA = Section(
    "data",
    (
        Field("users", Items("a user", _USER), "Who there is."),
        Field("channels", Items("a channel", _CHANNEL), "Which channels there are."),
    ),
)

_CALL = Section(
    "call",
    (
        Field("method", Text(choices=METHODS), "The HTTP method. Default: any."),
        Field(
            "path",
            Text((Rule(r"/[^\s]*", "is not a path of the API", "such as /channels/1/messages; * is any one segment"),)),
            "The path, without host and version; `*` is any one segment. Without a `?`, any query.",
        ),
        Field("body", Data(), "What the body holds; mappings may hold more."),
        Field("status", Whole(100, 599), "The status of the answer."),
    ),
)

_EXPECT = Section(
    "expect",
    (
        Field("status", Text(choices=STATUSES), "How the run ends. Default: SUCCEEDED, or FAILED with `error`."),
        Field("result", Data(), "What the handler returns, exactly; null for nothing."),
        Field("result_includes", Data(), "What the handler returns; mappings may hold more."),
        Field("error", Text((_NOT_BLANK,)), "A part of the message that the handler throws."),
        Field("error_matches", Text((_NOT_BLANK,)), "A regular expression, found in the message that it throws."),
        Field(
            "console",
            Items("a text", Text((_NOT_BLANK,)), single=True),
            "Parts of the lines that the handler prints, in this order.",
        ),
        Field(
            "calls",
            Items("a call", _CALL),
            "Calls that the handler makes to the platform, in this order; others may be among them. `[]`: none at all.",
        ),
        Field("other_calls", Flag(True), "Whether it may make calls that `calls` does not list. Default: true."),
    ),
)

_ENVIRONMENT = Field(
    "environment",
    # As they stand: a case that needed a variable of whoever runs it would not be the same everywhere.
    Entries(ENVIRONMENT.entry, ENVIRONMENT.key_rules, Text()),
    "Environment variables, as they stand; they override those of functions.yaml.",
)

_NOW = Field(
    "now",
    Text(
        (
            Rule(
                r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[-+][0-9]{2}:[0-9]{2})",
                "is not a time",
                'such as "2026-01-15T09:30:00Z", in quotes',
            ),
        )
    ),
    "The time that the handler's clock shows; it stands still but for its timers. Default: 2026-01-15T09:30:00Z.",
)
_NETWORK = Field("network", Flag(), "Whether handlers reach other servers than the platform. Default: false.")

_CASE = Section(
    "case",
    (
        Field("name", _NAME, "What is tested, in words. Unique in its file.", required=True),
        Field("type", _TYPE, "The trigger type of the function. Default: that of the file."),
        Field("event", Data(mapping=True), "The event; with `sample` or `file`, what differs from that."),
        Field("sample", Flag(), "Whether to begin with the sample event of the type."),
        Field("file", Text((_NOT_BLANK,)), "A JSON file with the event, relative to this one."),
        Field("data", _DATA, "Users and channels; added to those of the file."),
        _ENVIRONMENT,
        _NOW,
        _NETWORK,
        Field("expect", _EXPECT, "What must come of it. Default: it succeeds."),
        Field("skip", Data(), "Why the case is not run, or true."),
        Field("only", Data(), "true, or why: while any case has it, the others are left out."),
    ),
)

CASES = Section(
    "tests",
    (
        Field("type", _TYPE, "The trigger type of all cases that name no other."),
        Field("data", _DATA, "Users and channels that every case begins with."),
        _ENVIRONMENT,
        _NOW,
        _NETWORK,
        Field(
            "cases",
            Items("a case", _CASE, when_empty=("cases is empty", "list at least one case, or remove the file")),
            "What is tried, each on an emulator of its own.",
            required=True,
        ),
    ),
)
