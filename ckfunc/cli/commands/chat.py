"""`ckfunc chat`: chat on the emulator as a user, in the terminal or in a pipe."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, NoProject, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_channels, complete_users
from ckfunc.cli.input_lines import read_input
from ckfunc.cli.line_editor import LineEditor
from ckfunc.cli.options import common_options, pass_app
from ckfunc.cli.terminal import key_by_key, on_resize

if TYPE_CHECKING:
    from ckfunc.api import Client, Connection
    from ckfunc.chat.loop import ChatItem, InputEnded, TypedLine, TypedText

# The client and its WebSocket library are imported inside the functions: `ckfunc chat --help` does not need them.

LONGEST_NAME = 1024
KEYS_END_S = 1.0


@click.command(
    epilog="""\b
Examples:
  ckfunc chat --as jane                       in the most recent channel
  ckfunc chat --as jane --channel support     in this channel
  ckfunc chat --as jane --param token=abc     with authParams
  echo hello | ckfunc chat --as jane          send, show the replies, and end
  ckfunc chat --as jane --json < lines | jq   events as data"""
)
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
@common_options
@pass_app
def chat(
    app: App, username: str, channel: str | None, create: bool, params: tuple[str, ...], history: int, url: str | None
) -> int:
    """Chat on the emulator as a user, over the client protocol, and see the functions that run.

    Type messages, or /help for commands: files, reactions, replies and more. In a pipe, each line of standard input is
    a message and each line of standard output an event; at the end of the input, the chat waits until all functions
    have ended. The exit code is 1 if a line could not be sent. After a restart of the emulator, the chat continues.
    """
    from ckfunc.chat.client import ChatClient, WantedChannel
    from ckfunc.chat.connection import ChatLogin
    from ckfunc.chat.loop import ChatLoop
    from ckfunc.chat.runs import RunFollower
    from ckfunc.cli.event_printer import EventPrinter

    if create and channel is None:
        raise UsageProblem("--create needs --channel", hint="such as --channel support --create")
    login = ChatLogin(_username(username), dict(map(_param, params)))
    find_url = _find_emulator(app, url)
    client = _connect(app, find_url)
    items: queue.SimpleQueue[ChatItem] = queue.SimpleQueue()
    talk = ChatClient(login, WantedChannel(channel, create, history), items.put)
    printer = EventPrinter(app, login.username, client)
    runs = RunFollower(client, login.username, lambda: talk.channel_id, items.put)
    with ExitStack() as ending:
        with app.output.progress("connecting"):
            runs.follow(app.clock)
            ending.callback(runs.stop)
            ending.callback(talk.disconnect)
            talk.open(client.connection.api_url)
        printer.editor = _start_input(app, ending, login.username, items.put)
        loop = ChatLoop(talk, items, printer, find_url, app.clock, app.directory)
        loop.run()
    return EXIT_FAILED if loop.failed and printer.editor is None else EXIT_OK


def _start_input(
    app: App, ending: ExitStack, username: str, put: Callable[[TypedLine | TypedText | InputEnded], object]
) -> LineEditor | None:
    """Read lines on a thread until `ending` is closed; return the editor if they are typed on a terminal."""
    from ckfunc.chat.loop import InputEnded, TypedLine, TypedText

    def typed(text: str) -> None:
        put(TypedLine(text))

    if not (app.output.interactive and app.output.pinnable):
        read_input(typed, lambda: put(InputEnded(quit=False)))
        return None
    stop = threading.Event()
    editor = LineEditor(
        app.output, username, typed, lambda text: put(TypedText(text)), lambda: put(InputEnded(quit=True))
    )
    ending.callback(app.output.unpin)
    ending.enter_context(key_by_key(editor.show))
    ending.enter_context(on_resize(editor.show))
    keys = threading.Thread(target=editor.read, args=(stop,), name="ckfunc-keys", daemon=True)
    ending.callback(keys.join, KEYS_END_S)
    ending.callback(stop.set)
    keys.start()
    editor.show()
    return editor


def _username(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
        raise UsageProblem("--as takes the name of a user", hint="such as --as jane")
    return text


def _param(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageProblem("--param takes KEY=VALUE", hint="such as --param token=abc")
    return key, value


def _find_emulator(app: App, url: str | None) -> Callable[[], str | None]:
    """Return what looks up the address of the emulator, which is running now."""
    from ckfunc.api.connection import InvalidAddress, emulator_connection, is_loopback_address
    from ckfunc.chat.requests import require_emulator

    if url is not None:
        hint = "such as --url http://127.0.0.1:4310"
        try:
            address = emulator_connection(url).api_url
        except InvalidAddress:  # it would name an environment variable
            raise UsageProblem("--url is not the address of an emulator on this machine", hint=hint) from None
        if not is_loopback_address(address):
            raise UsageProblem(f"{address} is not on this machine; ckfunc chat only talks to the emulator", hint=hint)
        with app.output.progress("connecting"):
            require_emulator(address)
        return lambda: address
    try:
        target = app.target()
    except NoProject as problem:
        raise NoProject(
            problem.message, hint="run it in a project, or pass the address of an emulator with --url"
        ) from None
    if not target.emulator:
        raise CkfuncError(
            f"target {target.name!r} is the real platform; ckfunc chat only talks to the emulator",
            hint="use --target local, or any target with `emulator: true`",
        )
    return app.running_emulator


def _connect(app: App, find_url: Callable[[], str | None]) -> Client:
    """Return a client of the running emulator, which follows it to another address. Raises NoEmulator."""
    from ckfunc.api.connection import emulator_connection
    from ckfunc.chat.requests import NoEmulator

    def found() -> Connection | None:
        url = find_url()
        return None if url is None else emulator_connection(url)

    connection = found()
    if connection is None:
        raise NoEmulator(
            "the project's emulator is not running",
            hint="start it in another terminal with `ckfunc dev` or `ckfunc emulator`, or pass --url URL",
        )
    return app.connect(connection, found, silent=True)
