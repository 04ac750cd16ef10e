"""The TypeScript of the platform: its resources, what requests carry, and the calls that handlers make.

All of it is made of the contract (`ckfunc/wire/contract/`). What is chosen here is names, and what handlers can reach:
they have the SDK, which is older than the newest operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ckfunc.scaffold.typescript import Writer, comment, method
from ckfunc.wire.contract import Operation, operations, schemas
from ckfunc.wire.dialects import JSON, camel

# Schema to TypeScript name, in the order of the file. A schema that is not here is written where it is used.
RESOURCES = {
    "ChatUserResource": "User",
    "ChatUserPresenceProperties": "Presence",
    "ChannelResource": "Channel",
    "DirectChannelResource": "DirectChannel",
    "PublicChannelResource": "PublicChannel",
    "PrivateChannelResource": "PrivateChannel",
    "MessageResource": "Message",
    "TextChatUserMessageResource": "UserTextMessage",
    "FileChatUserMessageResource": "UserFileMessage",
    "TextSystemMessageResource": "SystemTextMessage",
    "FileSystemMessageResource": "SystemFileMessage",
    "ChatUserMessageResource": "UserMessage",
    "SystemMessageResource": "SystemMessage",
    "TextMessageResource": "TextMessage",
    "FileProperties": "FileProperties",
    "MessageLinkProperties": "MessageLink",
    "MessageMentionProperties": "MessageMention",
    "ChannelMessageMentionProperties": "ChannelMention",
    "ChatUserMessageMentionProperties": "UserMention",
    "MessageMentionChannelProperties": "MentionedChannel",
    "MessageReactionsSummaryProperties": "Reaction",
    "EmojiProperties": "Emoji",
    "MessageReadReceiptResource": "ReadReceipt",
    "MessageReadReceiptSummaryResource": "UnreadSummary",
    "NotificationResource": "Notification",
    "NotificationData": "NotificationData",
    "ApplicationSentSystemMessageNotificationData": "SystemSentMessageData",
    "ChatUserSentChatUserMessageNotificationData": "UserSentMessageData",
    "ChatUserMentionedChannelNotificationData": "UserMentionedChannelData",
    "ChatUserMentionedChatUserNotificationData": "UserMentionedUserData",
    "ChatUserRepliedToChatUserMessageNotificationData": "UserRepliedToMessageData",
    "ChannelGenericEventResource": "ChannelEvent",
    "ChannelInviteResource": "ChannelInvite",
    "ChannelMembershipResource": "ChannelMembership",
    "ReplyThreadResource": "Thread",
    "ReplyThreadKeystrokesResource": "Keystrokes",
    "ChatUserSessionResource": "UserSession",
    "ChatSessionResource": "ChatSession",
    "ApplicationResource": "Application",
    "ApplicationSettingsResource": "ApplicationSettings",
    "ChatFunctionResource": "ChatFunction",
    "ChatFunctionVersionResource": "FunctionVersion",
    "ChatFunctionInvocationResource": "FunctionInvocation",
    "ChatRuntimeResource": "ChatRuntime",
    "ChatRuntimeDependencyProperties": "RuntimeDependency",
    "ApplicationJobResource": "Job",
    "SecretResource": "Secret",
    "CountResource": "Count",
    "ApiError": "ApiError",
    "Link": "Link",
    "Links": "Links",
}

# What resources hold of others is the same but for the links: it gets the same name.
EMBEDDED = {
    "ChatUserProperties": "User",
    "ChatUserSessionProperties": "UserSession",
    "ChannelProperties": "Channel",
    "DirectChannelProperties": "DirectChannel",
    "PublicChannelProperties": "PublicChannel",
    "PrivateChannelProperties": "PrivateChannel",
    "MessageProperties": "Message",
    "TextChatUserMessageProperties": "UserTextMessage",
    "FileChatUserMessageProperties": "UserFileMessage",
    "TextSystemMessageProperties": "SystemTextMessage",
    "FileSystemMessageProperties": "SystemFileMessage",
}

REQUESTS = {
    "ChatUserReference": "UserReference",
    "CreatePersonChatUserResource": "NewUser",
    "ChatUserPropertiesPatch": "UserPatch",
    "CreateChannelResource": "NewChannel",
    "CreatePublicChannelResource": "NewPublicChannel",
    "CreatePrivateChannelResource": "NewPrivateChannel",
    "CreateDirectChannelResource": "NewDirectChannel",
    "ChannelPropertiesPatch": "ChannelPatch",
    "CreateChannelInviteResource": "NewChannelInvite",
    "CreateChannelGenericEventResource": "NewChannelEvent",
    "CreateMessageResource": "NewMessage",
    "CreateTextMessageResource": "NewTextMessage",
    "CreateFileMessageResource": "NewFileMessage",
    "CreateExternalFileProperties": "NewFile",
    "MessagePropertiesPatch": "MessagePatch",
    "CreateDelegatedReplyThreadKeystrokesResource": "NewKeystrokes",
    "ApplicationSettingsProperties": "NewApplicationSettings",
    "CreateChatFunctionResource": "NewChatFunction",
    "CreateChatFunctionVersionResource": "NewFunctionVersion",
    "ChatRuntimeScriptProperties": "RuntimeScript",
}

# What a call names its body.
_BODIES = {
    "ApplicationSettingsProperties": "settings",
    "ChatRuntimeDependencyList": "dependencies",
    "ChatRuntimeEnvironmentVariablesProperties": "variables",
    "ChatRuntimeScriptProperties": "script",
    "ChatUserReference": "user",
    "CreateChannelGenericEventResource": "event",
    "CreateChannelInviteResource": "invite",
    "CreateChannelResource": "channel",
    "CreateChatFunctionResource": "definition",
    "CreateChatFunctionVersionResource": "version",
    "CreateDelegatedReplyThreadKeystrokesResource": "keystrokes",
    "CreateExternalFileProperties": "file",
    "CreateMessageResource": "message",
    "CreatePersonChatUserResource": "user",
    "SecretResource": "secret",
}

# What chatkitty-platform-sdk 2.4.0, the one that handlers get, lacks of the API: operations, and one parameter.
YOUNGER = {
    "countUserUnreadMessages",
    "exportMessageAnalytics",
    "exportUserAnalytics",
    "listChannelReportedMessages",
    "listChatSessions",
    "listUserSessions",
    "retrieveApplicationMessageReadReceiptSummaries",
}
YOUNGER_PARAMETERS = {("listUsers", "properties")}


@dataclass(frozen=True, slots=True)
class Family:
    """The calls of one part of the API: its key in `context.ChatKitty`, its interface's name, and the methods' text."""

    key: str
    interface: str
    methods: tuple[str, ...]


@cache
def resource_declarations() -> tuple[str, ...]:
    """Return the declarations of everything that answers and events hold."""
    return tuple(_writer().declaration(schema) for schema in RESOURCES)


@cache
def request_declarations() -> tuple[str, ...]:
    """Return the declarations of everything that requests carry."""
    return tuple(_writer().declaration(schema) for schema in REQUESTS)


@cache
def families() -> tuple[Family, ...]:
    """Return the calls that handlers can make, by families in the order of their names."""
    found: dict[str, list[str]] = {}
    for one in operations():
        if one.id not in YOUNGER:
            found.setdefault(one.family, []).append(_method(one))
    keys = {family: "".join(word.capitalize() for word in family.split("-")) for family in found}
    return tuple(Family(keys[one], f"{keys[one]}Api", tuple(found[one])) for one in sorted(found))


def _method(operation: Operation) -> str:
    parameters = []
    said = [one for one in operation.parameters if (operation.id, one["name"]) not in YOUNGER_PARAMETERS]
    in_path = [one for one in said if one["in"] == "path"]
    for one in in_path:
        parameters.append(_parameter(one))
    if operation.content:
        # Sent as JSON where it can be; a form is what Node's FormData makes, of which types cannot tell much.
        schema = next((name for media, name in operation.content.items() if media.startswith(JSON)), None)
        name = "file" if schema is None else _BODIES.get(schema, "patch")
        kind = "any" if schema is None else _writer().type({"$ref": f"#/components/schemas/{schema}"})
        parameters.append(f"{name}{'' if operation.body_required or schema is None else '?'}: {kind}")
    parameters += [_parameter(one) for one in said if one["in"] == "query"]
    docs = [(camel(one["name"]), one["description"]) for one in said]
    return comment(operation.summary, "  ", docs) + method(operation.id, parameters, f"Answer<{_answer(operation)}>")


def _parameter(said: Mapping[str, Any]) -> str:
    return f"{camel(said['name'])}{'' if said.get('required') else '?'}: {_writer().type(said['schema'])}"


def _answer(operation: Operation) -> str:
    if operation.response is None:
        return "object"
    for prefix, kind in (("CursorPagedModel", "CursorPage"), ("PagedModel", "Page")):
        if operation.response.startswith(prefix):
            embedded = schemas()[schemas()[operation.response]["properties"]["_embedded"]["$ref"].rpartition("/")[2]]
            [(name, items)] = embedded["properties"].items()
            return f'{kind}<"{name}", {_writer().type(items["items"])}>'
    return _writer().type({"$ref": f"#/components/schemas/{operation.response}"})


@cache
def _writer() -> Writer:
    return Writer(schemas(), RESOURCES | EMBEDDED | REQUESTS)
