"""TypeScript declarations of the platform: resources, requests and calls.

They are generated from the contract (`ckfunc/wire/contract/`). This module defines their names, and excludes the
operations that handlers cannot call, because the SDK of handlers is older than the newest operations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.wire.contract import Operation, operations, schemas
from ckfunc.wire.dialects import JSON, camel

Schema = Mapping[str, Any]

_WIDTH = 120
_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}
_PLAIN = re.compile(r"[A-Za-z_$][\w$]*")

# Schema to TypeScript name, in the order of the file. A schema without a name is declared inline where it is used.
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

# Embedded resources differ from the resources only in the links, so they have the same names.
EMBEDDED = {
    f"{name}Properties": RESOURCES[f"{name}Resource"]
    for name in (
        *("ChatUser", "ChatUserSession", "Channel", "DirectChannel", "PublicChannel", "PrivateChannel", "Message"),
        *("TextChatUserMessage", "FileChatUserMessage", "TextSystemMessage", "FileSystemMessage"),
    )
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

# The parameter name for each schema of a request body.
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

# Operations, and a parameter, that chatkitty-platform-sdk 2.4.0 does not have, the version that handlers use.
NOT_IN_SDK = {
    "countUserUnreadMessages",
    "exportMessageAnalytics",
    "exportUserAnalytics",
    "listChannelReportedMessages",
    "listChatSessions",
    "listUserSessions",
    "retrieveApplicationMessageReadReceiptSummaries",
}
PARAMETERS_NOT_IN_SDK = {("listUsers", "properties")}


class Writer:
    """Writer of declarations. `names` are the TypeScript names of schemas; a schema without a name is inlined."""

    def __init__(self, schemas: Mapping[str, Schema], names: Mapping[str, str]) -> None:
        self._schemas = schemas
        self._names = names

    def declaration(self, schema: str) -> str:
        """Return the declaration of a schema that has a name: an interface, or a type alias for alternatives."""
        definition, name = self._schemas[schema], self._names[schema]
        doc = comment(definition.get("description", ""))
        if "properties" not in definition:
            return f"{doc}{_wrapped(f'type {name} =', self.alternatives(definition))}"
        lines = [f"{doc}interface {name} {{"]
        for key, value in definition["properties"].items():
            lines += self._property(key, value, key in definition.get("required", ()))
        return "\n".join([*lines, "}"])

    def alternatives(self, schema: Schema) -> list[str]:
        """Return the alternative types of a value of `schema`."""
        alternatives = schema.get("oneOf") or schema.get("anyOf")
        return [self.type(each) for each in alternatives] if alternatives else [self.type(schema)]

    def type(self, schema: Schema) -> str:
        """Return the type of a value of `schema`, on one line."""
        if reference := schema.get("$ref"):
            target = reference.rpartition("/")[2]
            return self._names.get(target) or self.type(self._schemas[target])
        if "oneOf" in schema or "anyOf" in schema:
            return " | ".join(self.alternatives(schema))
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
        return self._plain(schema)

    def _plain(self, schema: Schema) -> str:
        kind = schema.get("type")
        if kind == "array":
            item = self.type(schema["items"])
            return f"({item})[]" if " " in item and not item.startswith("{") else f"{item}[]"
        if kind == "object":
            return self._object(schema)
        if kind == "string" and schema.get("format") == "date-time":
            return "Timestamp"
        return _SCALARS.get(str(kind), "any")

    def _object(self, schema: Schema) -> str:
        if "properties" in schema:
            required = schema.get("required", ())
            fields = [
                f"{field_name(key)}{'' if key in required else '?'}: {self.type(value)}"
                for key, value in schema["properties"].items()
            ]
            return f"{{ {'; '.join(fields)} }}"
        values = schema.get("additionalProperties")
        return f"Record<string, {self.type(values)}>" if isinstance(values, Mapping) else "Properties"

    def _property(self, key: str, schema: Schema, required: bool) -> list[str]:
        text = schema.get("description", "") + (" @deprecated" if schema.get("deprecated") else "")
        line = f"{field_name(key)}{'' if required else '?'}: {self.type(schema)};"
        return [*(comment(text, "  ").splitlines() if key != "_links" else ()), f"  {line}"]


def comment(text: str, indent: str = "", tags: Sequence[tuple[str, str]] = ()) -> str:
    """Return a doc comment with a final newline, "" for no text; `tags` are names and descriptions of parameters."""
    if not text and not tags:
        return ""
    safe = [line.replace("*/", "*\\/") for line in (text, *(f"@param {name} {doc}" for name, doc in tags)) if line]
    if len(safe) == 1 and len(indent) + len(safe[0]) + 7 <= _WIDTH:
        return f"{indent}/** {safe[0]} */\n"
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}\n" for line in safe), f"{indent} */\n"])


def method(name: str, parameters: Sequence[str], result: str) -> str:
    """Return the signature of a method in an interface; if it is long, with each parameter on its own line."""
    line = f"  {name}({', '.join(parameters)}): {result};"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"  {name}(", *(f"    {parameter}," for parameter in parameters), f"  ): {result};"])


def field_name(name: str) -> str:
    """Return the name of a property, in quotes if TypeScript requires them."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


@frozen
class Family:
    """The calls of a part of the API: key in `context.ChatKitty`, name of the interface, and texts of the methods."""

    key: str
    interface: str
    methods: tuple[str, ...]


@cache
def resource_declarations() -> tuple[str, ...]:
    """Return the declarations for responses and events."""
    return tuple(_writer().declaration(schema) for schema in RESOURCES)


@cache
def request_declarations() -> tuple[str, ...]:
    """Return the declarations for requests."""
    return tuple(_writer().declaration(schema) for schema in REQUESTS)


@cache
def families() -> tuple[Family, ...]:
    """Return the calls that handlers can make, by family, sorted by name."""
    methods: dict[str, list[str]] = {}
    for operation in operations():
        if operation.id not in NOT_IN_SDK:
            methods.setdefault(operation.family, []).append(_method(operation))
    keys = {family: "".join(word.capitalize() for word in family.split("-")) for family in methods}
    return tuple(Family(keys[name], f"{keys[name]}Api", tuple(methods[name])) for name in sorted(methods))


def _wrapped(start: str, alternatives: Sequence[str]) -> str:
    line = f"{start} {' | '.join(alternatives)};"
    if len(line) <= _WIDTH or len(alternatives) == 1:
        return line
    return "\n".join([start, *(f"  | {alternative}" for alternative in alternatives)]) + ";"


def _method(operation: Operation) -> str:
    known = [each for each in operation.parameters if (operation.id, each["name"]) not in PARAMETERS_NOT_IN_SDK]
    parameters = [_parameter(each) for each in known if each["in"] == "path"]
    if operation.content:
        # JSON if possible. A form is a FormData of Node, for which types say little.
        schema = next((name for media, name in operation.content.items() if media.startswith(JSON)), None)
        name = "file" if schema is None else _BODIES.get(schema, "patch")
        kind = "any" if schema is None else _writer().type({"$ref": f"#/components/schemas/{schema}"})
        parameters.append(f"{name}{'' if operation.body_required or schema is None else '?'}: {kind}")
    parameters += [_parameter(each) for each in known if each["in"] == "query"]
    docs = [(camel(each["name"]), each["description"]) for each in known]
    return comment(operation.summary, "  ", docs) + method(operation.id, parameters, f"Answer<{_answer(operation)}>")


def _parameter(parameter: Mapping[str, Any]) -> str:
    optional = "" if parameter.get("required") else "?"
    return f"{camel(parameter['name'])}{optional}: {_writer().type(parameter['schema'])}"


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
