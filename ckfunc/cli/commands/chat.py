"""`ckfunc chat`: chat on the emulator as a user, in the terminal or in a pipe."""

from __future__ import annotations

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_users
from ckfunc.cli.options import channel_option, command, flag, integer, option


@command
@option("--as", "USER", "Chat as this user.", dest="username", complete=complete_users, required=True)
@channel_option("Chat in this channel, and join it if it is public (default: the one with the newest message).")
@flag("--create", "Create the channel, as a public one, if it does not exist.")
@option("--param", "KEY=VALUE", "A field of authParams; repeatable.", dest="params", multiple=True)
@option("-n", "N", "Show the last N messages.", integer(0, 2000), dest="history", default=10)
@option("--url", "URL", "Address of the emulator (default: the project's running one).")
def chat(
    app: App, username: str, channel: str | None, create: bool, params: tuple[str, ...], history: int, url: str | None
) -> int:
    """Chat on the emulator as a user, over the client protocol, and see the functions that run.

    Type messages, or /help for commands: files, reactions, replies and more. In a pipe, each line of standard input is
    a message and each line of standard output an event; at the end of the input, the chat waits until all functions
    have ended. The exit code is 1 if a line could not be sent. After a restart of the emulator, the chat continues.
    """
    from ckfunc.chat.client import ChannelChoice
    from ckfunc.chat.connection import ChatLogin
    from ckfunc.cli.chat_session import chat_session

    if create and channel is None:
        raise UsageProblem("--create needs --channel", hint="for example, --channel support --create")
    login = ChatLogin.of_options(username, params)
    return chat_session(app, login, ChannelChoice(channel, create, history), url)
