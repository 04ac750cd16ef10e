"""Schema of test files, for validation and completion in editors."""

from __future__ import annotations

import json

from ckfunc.emulator.http.bodies import FILE_BYTES
from ckfunc.manifest.definition import ENVIRONMENT, FUNCTION_TYPE, json_schema
from ckfunc.manifest.kinds import Data, Entries, Field, Flag, Items, Rule, Section, Text, Whole, schema_of
from ckfunc.model.application import Status
from ckfunc.model.chat import ChannelType
from ckfunc.model.triggers import TRIGGERS
from ckfunc.scaffold.stubs import Schemas
from ckfunc.wire.faults import PERCENT

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
STATUSES = (Status.SUCCEEDED.value, Status.FAILED.value)

_NOT_BLANK = Rule(r"[\s\S]*\S[\s\S]*", "is blank", "give it a value")
_ONE_LINE = Rule(r"[^\x00-\x1f\x7f]*", "contains a control character", "keep it to one line of plain text")
_WITH_UNIT = Rule(r"[\s\S]*[A-Za-z]\s*", "is not a duration", "such as 500ms or 2s")
_PERCENT = Rule(PERCENT, "is not a percentage", "such as 20%")
_NAME = Text((_NOT_BLANK, _ONE_LINE))
_TYPE = Text(FUNCTION_TYPE, suggestions=tuple(trigger.type for trigger in TRIGGERS))
_ID = Whole(1)
_CHANNEL_NAME = Text((_NOT_BLANK, _ONE_LINE), whole_numbers=True)


def _text_fields(name: str, label: str) -> tuple[Field, ...]:
    """Return the fields for an expected text: the whole text, a part of it, or a regular expression."""
    return (
        Field(name, Text(), f"The exact {label}."),
        Field(f"{name}_includes", Text((_NOT_BLANK,)), f"A part of the {label}."),
        Field(f"{name}_matches", Text((_NOT_BLANK,)), f"A regular expression that matches a part of the {label}."),
    )


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
        Field("user", _NAME, "The name of the sender. Default: none, for a system message."),
        Field("body", Text(), "The text."),
        Field("file", Data(mapping=True), "A file instead of a body."),
        Field("group_tag", _NAME, "A tag that groups messages.", also="groupTag"),
        Field("properties", Data(mapping=True), "Default: none."),
    ),
)

_CHANNEL = Section(
    "channel",
    (
        Field("name", _NAME, "The name. Direct channels have none."),
        Field("id", _ID, "Default: the next free one."),
        Field("type", Text(choices=tuple(kind.value for kind in ChannelType)), "Default: PUBLIC."),
        Field("display_name", _NAME, "Default: the name.", also="displayName"),
        Field("creator", _NAME, "The name of the user who created it."),
        Field("members", Items("a user's name", _NAME), "The names of its members."),
        Field("properties", Data(mapping=True), "Default: none."),
        Field("messages", Items("a message", _MESSAGE), "Its messages, oldest first."),
    ),
)

_DATA = Section(
    "data",
    (
        Field("users", Items("a user", _USER), "The users."),
        Field("channels", Items("a channel", _CHANNEL), "The channels."),
    ),
)

_CALL = Section(
    "call",
    (
        Field("method", Text(choices=METHODS), "The HTTP method. Default: any."),
        Field(
            "path",
            Text((Rule(r"/[^\s]*", "is not a path of the API", "such as /channels/1/messages; * matches a segment"),)),
            "The path, without host and version. `*` matches a single segment; without a `?`, any query matches.",
        ),
        Field("body", Data(), "The body; mappings may have more keys."),
        Field("status", Whole(100, 599), "The status of the response."),
    ),
)

_OUTCOME = (
    Field("status", Text(choices=STATUSES), "The status of the run. Default: SUCCEEDED, or FAILED with `error`."),
    Field("result", Data(), "The exact return value of the handler; null for nothing."),
    Field("result_includes", Data(), "The return value of the handler; mappings may have more keys."),
    Field("error", Text((_NOT_BLANK,)), "A part of the error message."),
    Field("error_matches", Text((_NOT_BLANK,)), "A regular expression that matches a part of the error message."),
    Field(
        "console",
        Items("a string", Text((_NOT_BLANK,)), single=True),
        "Parts of the lines that the handler prints, in this order.",
    ),
    Field(
        "calls",
        Items("a call", _CALL),
        "Calls that the handler makes to the platform, in this order, possibly among others. `[]`: no calls.",
    ),
    Field("other_calls", Flag(True), "Whether the handler may make calls that are not in `calls`. Default: true."),
)

_EXPECT = Section("expect", _OUTCOME)

_MESSAGE_WANTED = Section(
    "expected message",
    (
        Field("user", _NAME, "The name of the sender."),
        Field("system", Flag(), "Whether the system sent it."),
        Field("channel", _CHANNEL_NAME, "The channel."),
        *_text_fields("body", "text"),
        Field("file", _NAME, "The name of its file."),
        Field("properties", Data(mapping=True), "Its properties; mappings may have more keys."),
        Field("changed", Flag(), "Whether it existed before and was changed."),
        Field("deleted", Flag(), "Whether it was deleted. Default: false."),
    ),
)

_NOTIFICATION = Section(
    "notification",
    (
        Field("user", _NAME, "The name of the user who receives it."),
        Field("channel", _CHANNEL_NAME, "The channel of its message."),
        *_text_fields("title", "title"),
        *_text_fields("body", "body"),
    ),
)

_FUNCTION = Section("function", (Field("type", _TYPE, "The trigger type.", required=True), *_OUTCOME))

_CONSEQUENCES = Section(
    "consequences",
    (
        Field("error", Text((_NOT_BLANK,)), "A part of the reason why the platform refuses the step."),
        Field("error_matches", Text((_NOT_BLANK,)), "A regular expression that matches a part of the reason."),
        Field(
            "messages",
            Items("a message", _MESSAGE_WANTED),
            "Messages that functions create, change or delete, in this order, possibly among others. `[]`: none.",
        ),
        Field("other_messages", Flag(True), "Whether there may be messages that are not in `messages`. Default: true."),
        Field(
            "functions",
            Items("a function", _FUNCTION),
            "Functions that run, in this order, possibly among others. `[]`: none.",
        ),
        Field("other_functions", Flag(True), "Whether functions that are not in `functions` may run. Default: true."),
        Field(
            "notifications",
            Items("a notification", _NOTIFICATION),
            "Notifications that users receive, in this order, possibly among others. `[]`: none.",
        ),
        Field(
            "other_notifications",
            Flag(True),
            "Whether there may be notifications that are not in `notifications`. Default: true.",
        ),
        Field(
            "presence",
            Entries("a user's name", (_NOT_BLANK,), Text(choices=("online", "offline"))),
            "Whether users are online after the step.",
        ),
        Field("typing", Items("a user's name", _NAME), "All users who are typing after the step. `[]`: nobody."),
    ),
)

_STEP = Section(
    "step",
    (
        Field("user", _NAME, "The name of the user who acts. Default: none, for the system."),
        Field("connects", Data(mapping=True), "The user connects, with these `authParams`."),
        Field("disconnects", Flag(), "true: the user disconnects."),
        Field("opens", _CHANNEL_NAME, "The user opens this channel: messages in it cause no notifications."),
        Field("closes", _CHANNEL_NAME, "The user closes this channel."),
        Field("joins", _CHANNEL_NAME, "The user becomes a member of this channel."),
        Field("leaves", _CHANNEL_NAME, "The user leaves this channel."),
        Field("invites", _NAME, "The user invites a user of this name to the channel."),
        Field("says", Text(), "The user sends this text."),
        Field("uploads", _NAME, "The user sends a file with this name."),
        Field("replies", Text(), "The user replies to a message with this text."),
        Field("edits", Text(), "The user changes a message to this text."),
        Field("deletes", Flag(), "true: the user deletes a message."),
        Field("reacts", Text((_NOT_BLANK,)), "The user reacts to a message with this emoji."),
        Field("reads", _CHANNEL_NAME, "The user reads all messages in this channel, or the one in `message`."),
        Field("starts_typing", _CHANNEL_NAME, "The user begins to type in this channel, for five seconds."),
        Field("stops_typing", _CHANNEL_NAME, "The user stops typing in this channel."),
        Field("triggers", _NAME, "The user, or without a user the system, triggers an event of this type."),
        Field("sends", Text(), "The system sends this text."),
        Field("waits", Text((_NOT_BLANK,)), "This duration passes on the clock of the conversation, such as 2h."),
        Field("channel", _CHANNEL_NAME, "The name or id of the channel. Default: that of the previous step."),
        Field(
            "message",
            Text((_NOT_BLANK,)),
            "A part of the text of the message that the step is about. Default: the newest message in the channel;"
            " for `edits` and `deletes`, the user's own newest message.",
        ),
        Field("properties", Data(mapping=True), "Properties of the message or event. Default: none."),
        Field("content", Text(), "The text in the file. Default: its name."),
        Field("content_type", _NAME, "The media type of the file. Default: by its name."),
        Field("size", Whole(1, FILE_BYTES), "The size of the file in bytes, instead of its content."),
        Field("expect", _CONSEQUENCES, "The expected consequences. Default: functions that run succeed."),
    ),
)

_ENVIRONMENT = Field(
    "environment",
    # Values are literal: a case that depended on the user's environment would not be reproducible.
    Entries(ENVIRONMENT.entry, ENVIRONMENT.key_rules, Text()),
    "Literal environment variables, which override those of functions.yaml.",
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
    "The time of the handler's clock, which only advances with timers. Default: 2026-01-15T09:30:00Z.",
)
_NETWORK = Field("network", Flag(), "Whether handlers can reach servers other than the platform. Default: false.")

_FAULT = Section(
    "fault",
    (
        Field("operation", Text((_NOT_BLANK,)), "The id of an operation of the Platform API. Default: all operations."),
        Field("status", Whole(429, 599), "Refuse requests with this status: 429, or 500 to 599."),
        Field("retry_after", Whole(0), "The header Retry-After of the response, in seconds. Default for 429: 1."),
        Field("delay", Text((_WITH_UNIT,)), "Delay requests, for example by 500ms. It takes real time."),
        Field("lost", Flag(), "Whether requests are carried out, but get no response. Default: false."),
        Field("rate", Text((_PERCENT,)), "Only affect this percentage of the requests, for example 20%."),
        Field("first", Whole(1), "Only affect the first requests, up to this number."),
        Field("seed", Whole(0), "The seed of the random numbers for `rate`. Default: 1."),
    ),
)

_CASE = Section(
    "case",
    (
        Field("name", _NAME, "The name of the case, unique in the file.", required=True),
        Field("type", _TYPE, "The trigger type of the function. Default: that of the file."),
        Field("event", Data(mapping=True), "The event, or with `sample` or `file` its differences from that."),
        Field("sample", Flag(), "Whether to start from the sample event of the type."),
        Field("file", Text((_NOT_BLANK,)), "A JSON file with the event, relative to this file."),
        Field(
            "conversation",
            Items("a step", _STEP, when_empty=("conversation is empty", "list at least one step")),
            "Steps of users and of the system, instead of an event. All functions run.",
        ),
        Field("data", _DATA, "Users and channels, in addition to those of the file."),
        _ENVIRONMENT,
        _NOW,
        _NETWORK,
        Field("faults", Items("a fault", _FAULT), "Faults that affect calls to the platform. Default: none."),
        Field("expect", _EXPECT, "The expected outcome. Default: success."),
        Field("skip", Data(), "The reason for skipping the case, or true."),
        Field("only", Data(), "A reason, or true: if any case has `only`, all other cases are left out."),
    ),
)

CASES = Section(
    "tests",
    (
        Field("type", _TYPE, "The trigger type of all cases without a `type`."),
        Field("data", _DATA, "Users and channels that exist at the start of every case."),
        _ENVIRONMENT,
        _NOW,
        _NETWORK,
        Field(
            "cases",
            Items("a case", _CASE, when_empty=("cases is empty", "list at least one case, or remove the file")),
            "The test cases. Each runs on an emulator of its own.",
            required=True,
        ),
    ),
)


def project_schemas() -> Schemas:
    """Return the JSON schemas of functions.yaml and of test files."""
    both = (json_schema(), schema_of(CASES, "ckfunc tests (tests/*.yaml)"))
    return Schemas(*(json.dumps(schema, indent=2, ensure_ascii=False) for schema in both))
