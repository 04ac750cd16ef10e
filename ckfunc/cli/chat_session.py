"""A chat session: its connection, its input line, and its output."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from ckfunc.api import Client, Connection
from ckfunc.api.connection import emulator_connection
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, NoProject
from ckfunc.base.keyboard import keys_thread
from ckfunc.base.streams import read_input
from ckfunc.chat.client import COMMANDS, ChatClient, WantedChannel
from ckfunc.chat.connection import ChatLogin, NoEmulator, emulator_address, require_emulator
from ckfunc.chat.events import ChatEvent, RunEvent, SessionEvent, TypingEvent
from ckfunc.chat.line_editor import LineEditor
from ckfunc.chat.lines import ChatView, event_lines, event_record, typing_text
from ckfunc.chat.loop import ChatItem, ChatLoop, InputEnded, RunFollower, TypedLine, TypedText
from ckfunc.cli.app import App
from ckfunc.deploy.stacks import Stacks


def chat_session(app: App, login: ChatLogin, channel: WantedChannel, url: str | None) -> int:
    """Chat until the input ends or the user quits, and return the exit code. `url` None is the project's emulator."""
    find_url = _find_emulator(app, url)
    client = _connect(app, find_url)
    items: queue.SimpleQueue[ChatItem] = queue.SimpleQueue()
    talk = ChatClient(login, channel, items.put)
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
    ending.enter_context(keys_thread(partial(editor.read, stop), editor.show, stop))
    editor.show()
    return editor


def _find_emulator(app: App, url: str | None) -> Callable[[], str | None]:
    """Return what looks up the address of the emulator, which is running now."""
    if url is not None:
        address = emulator_address(url)
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

    def current() -> Connection | None:
        url = find_url()
        return None if url is None else emulator_connection(url)

    connection = current()
    if connection is None:
        raise NoEmulator(
            "the project's emulator is not running",
            hint="start it in another terminal with `ckfunc dev` or `ckfunc emulator`, or pass --url URL",
        )
    return app.connect(connection, current, silent=True)


class EventPrinter:
    """Prints events as results, and the state of the connection as messages. `editor` is the line below them."""

    def __init__(self, app: App, username: str, client: Client) -> None:
        self._app = app
        self.editor: LineEditor | None = None
        self._username = username
        self._stacks = Stacks(client, app.scripts, fresh=True)
        self._typing: set[str] = set()
        output = app.output
        self._view = partial(ChatView, username, flat=output.width() is None, details=output.verbose, zone=None)

    def show(self, event: ChatEvent, /) -> None:
        """Print an event."""
        output = self._app.output
        if isinstance(event, TypingEvent) and self.editor is not None:
            self._note(self.editor, event)
        elif output.json:
            output.record(event_record(event))
        else:
            if isinstance(event, RunEvent):
                event = RunEvent(self._stacks.mapped(event.entry))
            lines = event_lines(event, self._view(width=output.width()), self._app.clock.now())
            (output.talks if isinstance(event, SessionEvent) else output.lines)(lines)
            output.flush()

    def help(self) -> None:
        """Print the commands."""
        for name, (arguments, text) in COMMANDS.items():
            self._app.output.talk("  ", (f"/{name} {arguments}".ljust(22), "title"), text)

    def failed(self, problem: CkfuncError, /) -> None:
        """Print why a line had no effect."""
        self._app.output.failure(problem)

    def waited(self) -> None:
        """Raise ReaderGone if nobody reads the results any more."""
        self._app.output.require_reader()

    def _note(self, editor: LineEditor, event: TypingEvent) -> None:
        """Show who is typing next to the prompt."""
        name = event.user.name
        if name == self._username:
            return
        (self._typing.add if event.typing else self._typing.discard)(name)
        names = sorted(self._typing)
        editor.note(typing_text(names))
