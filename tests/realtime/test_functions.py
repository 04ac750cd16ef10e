"""Functions run for the vendor's chat clients, and clients of both protocol versions talk to each other."""

from __future__ import annotations

import subprocess

import pytest
from emulator.conftest import sign_in
from realtime.clients import CLIENTS, HERE, bundle
from support.calls import function
from support.loopback import http_client

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
from ckfunc.runtime.node import bare_environment, node_executable

DENY = """
async function handleEvent(event) {
  if (event.authParams.code !== "right") throw new Error(`this is not the code of ${event.username}`);
}
"""
ANSWER = """
async function handleEvent(event, context) {
  const body = `answer to ${event.user.name}: ${event.message.body}`;
  await context.ChatKitty.Channels.sendChannelMessage(event.channel.id, { type: "TEXT", body });
}
"""


@pytest.mark.slow
def test_clients_of_two_versions_chat_and_functions_deny_sessions_and_reply() -> None:
    with Emulator(None, cache=cache_dir()) as emulator:
        with http_client(emulator.url) as client:
            client.headers["authorization"] = f"Bearer {sign_in(client)}"
            for name in ("ann", "bob"):
                client.post("/v1/users", json={"name": name, "displayName": name})
            function(client, "user.attempted.start_session", DENY)
            function(client, "user.sent.message", ANSWER)
        bundles = [bundle(CLIENTS[0], "browser"), bundle(CLIENTS[2], "node")]
        program = [node_executable(), HERE / "versions.mjs", *bundles, emulator.url.removeprefix("http://")]
        done = subprocess.run(
            list(map(str, program)), env=bare_environment(), capture_output=True, text=True, timeout=100, check=False
        )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
