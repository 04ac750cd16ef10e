"""`ckfunc chat`: chat on the emulator as a user, in the terminal or in a pipe."""

from __future__ import annotations

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_channels, complete_users
from ckfunc.cli.options import command


@command("""
  ckfunc chat --as jane                       in the most recent channel
  ckfunc chat --as jane --channel support     in this channel
  ckfunc chat --as jane --param token=abc     with authParams
  echo hello | ckfunc chat --as jane          send, show the replies, and end
  ckfunc chat --as jane --json < lines | jq   events as data
""")
@click.option(
    "--as", "username", required=True, metavar="USER", shell_complete=complete_users, help="Chat as this user."
)
@click.option(
    "--channel",
    metavar="NAME|ID",
    shell_complete=complete_channels,
    help="Chat in this channel, and join it if it is public (default: the one with the newest message).",
)
@click.option("--create", is_flag=True, help="Create the channel, as a public one, if it does not exist.")
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="A field of authParams; repeatable.")
@click.option(
    "-n",
    "history",
    type=click.IntRange(0, 2000),
    default=10,
    show_default=True,
    metavar="N",
    help="Show the last N messages.",
)
@click.option("--url", metavar="URL", help="Address of the emulator (default: the project's running one).")
def chat(
    app: App, username: str, channel: str | None, create: bool, params: tuple[str, ...], history: int, url: str | None
) -> int:
    """Chat on the emulator as a user, over the client protocol, and see the functions that run.

    Type messages, or /help for commands: files, reactions, replies and more. In a pipe, each line of standard input is
    a message and each line of standard output an event; at the end of the input, the chat waits until all functions
    have ended. The exit code is 1 if a line could not be sent. After a restart of the emulator, the chat continues.
    """
    # Not at the top of the module: `ckfunc chat --help` must not load the client and its WebSocket library.
    from ckfunc.chat.client import WantedChannel
    from ckfunc.chat.connection import ChatLogin
    from ckfunc.cli.chat_session import chat_session

    if create and channel is None:
        raise UsageProblem("--create needs --channel", hint="for example, --channel support --create")
    login = ChatLogin.of_options(username, params)
    return chat_session(app, login, WantedChannel(channel, create, history), url)
