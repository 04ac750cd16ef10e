"""The conversation in a headless browser, on a page of another origin than the emulator's."""

from __future__ import annotations

import json
from typing import Any

from realtime.clients import HERE, ChatClient, Conversation, bundle, conversation
from realtime.world import World
from support.browser import page
from support.loopback import Reply, Request, serve


def converse_in_browser(client: ChatClient, world: World) -> Conversation:
    """Run the conversation on a page in Chromium."""
    files = {"/": HERE / "page.html", "/tour.mjs": HERE / "tour.mjs", "/client.mjs": bundle(client, "browser")}

    def answer(request: Request) -> Reply:
        file = files.get(request.path.partition("?")[0])
        if file is None:
            return Reply(404)
        kind = "text/html" if file.suffix == ".html" else "text/javascript"
        return Reply(200, file.read_bytes(), {"content-type": f"{kind}; charset=utf-8"})

    lines: list[dict[str, Any]] = []
    with serve(answer) as server, page() as shown:
        shown.call("Runtime.addBinding", name="line")
        shown.call("Page.navigate", url=f"{server.url}/?host={world.host}")
        while True:
            line = json.loads(shown.next_event("Runtime.bindingCalled")["payload"])
            if "end" in line:
                break
            if "restart" in line:
                world.kill_and_start()
                shown.evaluate("restarted()")
            else:
                lines.append(line)
    return conversation(client, lines)
