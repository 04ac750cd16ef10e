"""`faults` in cases of `ckfunc test`, with real handlers in real Node."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import Ckfunc, written

HANDLER = """\
async function handleEvent(event: any, context: any) {
  const { Channels } = context.ChatKitty;
  const tried: unknown[] = [];
  const began = Date.now();
  for (let attempt = 0; attempt < 4; attempt += 1) {
    try {
      await Channels.sendChannelMessage(event.channel.id, { type: "TEXT", body: "hi" });
      tried.push("sent");
      break;
    } catch (error: any) {
      const after = Number(error.response?.headers["retry-after"] ?? 0);
      tried.push(error.response?.status ?? error.code);
      if (after > 0) await new Promise((resolve) => setTimeout(resolve, after * 10));
    }
  }
  const listed = (await Channels.listChannelMessages(event.channel.id)).data;
  return { tried, messages: listed._embedded?.messages.length, waited: Date.now() - began };
}
"""

IMPATIENT = """\
async function handleEvent(event: any, context: any) {
  const { Channels } = context.ChatKitty;
  const sent = Channels.sendChannelMessage(event.channel.id, { type: "TEXT", body: "hi" }, { timeout: 50 });
  return sent.then(() => "sent", (error: any) => error.code);
}
"""

MANIFEST = """\
version: 1
functions:
  user.sent.message: {handler: handlers/patient.ts}
  user.read.message: {handler: handlers/impatient.ts}
"""

CASES = """\
type: user.sent.message
data: {channels: [{name: desk, id: 9}]}
cases:
  - name: none
    event: &event {channel: {id: 9, name: desk, type: PUBLIC}}
    expect: {result: {tried: [sent], messages: 1, waited: 0}}
  - name: refused twice
    event: *event
    faults: [{operation: sendChannelMessage, status: 429, retry_after: 2, first: 2}]
    expect:
      result: {tried: [429, 429, sent], messages: 1, waited: 40}
      calls: [{path: /channels/9/messages, status: 429}, {status: 429}, {status: 200}, {method: GET, status: 200}]
      other_calls: false
  - name: one after another
    event: *event
    faults:
      - {operation: sendChannelMessage, status: 503, first: 1}
      - {operation: sendChannelMessage, lost: true, first: 1}
    expect:
      result: {tried: [503, ECONNRESET, sent], messages: 2, waited: 0}
  - name: always
    event: *event
    faults: [{status: 500}]
    expect: {error: "500"}
  - name: sometimes
    event: *event
    faults: [{operation: sendChannelMessage, status: 502, rate: 50%, seed: 7}]
    expect: {result: {tried: [502, sent], messages: 1, waited: 0}}
  - name: later
    event: *event
    faults: [{operation: sendChannelMessage, delay: 20ms}]
    expect: {result: {tried: [sent], messages: 1, waited: 0}}
  - name: too late
    type: user.read.message
    event: *event
    faults: [{operation: sendChannelMessage, delay: 60s}]
    expect: {result: ECONNABORTED}
  - name: none again
    event: *event
    expect: {result: {tried: [sent], messages: 1, waited: 0}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {"functions.yaml": MANIFEST, "handlers/patient.ts": HANDLER, "handlers/impatient.ts": IMPATIENT}
    return written(tmp_path / "project", files)


@pytest.mark.slow
def test_faults_affect_only_the_handlers_of_their_case(ckfunc: Ckfunc, root: Path) -> None:
    written(root, {"tests/faults.yaml": CASES})
    for jobs in ("1", "3"):
        ran = ckfunc("-C", root, "test", "--jobs", jobs)
        assert ran.code == 0, ran.out + ran.err


def test_a_case_that_does_not_handle_a_fault_fails(ckfunc: Ckfunc, root: Path) -> None:
    text = """\
type: user.sent.message
cases:
  - name: refused
    event: {channel: {id: 9, name: desk, type: PUBLIC}}
    faults: [{operation: sendChannelMessage, status: 503}]
    expect: {result_includes: {tried: [sent]}}
"""
    written(root, {"tests/faults.yaml": text})
    ran = ckfunc("-C", root, "test")
    assert ran.code == 1
    assert "503" in ran.out


def test_faults_of_a_conversation_affect_its_functions(ckfunc: Ckfunc, root: Path) -> None:
    text = """\
cases:
  - name: answered after a refusal and a lost response
    data: {users: [{name: jane}], channels: [{name: desk, members: [jane]}]}
    faults:
      - {operation: sendChannelMessage, status: 429, retry_after: 0, first: 1}
      - {operation: sendChannelMessage, lost: true, first: 1}
    conversation:
      - {user: jane, connects: {}}
      - user: jane
        says: hello
        channel: desk
        expect:
          functions: [{type: user.sent.message, result: {tried: [429, ECONNRESET, sent], messages: 3, waited: 0}}]
          messages: [{body: hi}, {body: hi}]
          other_messages: false
      - user: jane
        says: again
        expect: {functions: [{type: user.sent.message, result_includes: {tried: [sent]}}]}
"""
    written(root, {"tests/talk.yaml": text})
    ran = ckfunc("-C", root, "test")
    assert ran.code == 0, ran.out + ran.err


def test_a_case_fails_if_its_fault_affects_no_call(ckfunc: Ckfunc, root: Path) -> None:
    text = """\
type: user.sent.message
data: {users: [{name: jane}], channels: [{name: desk, id: 9, members: [jane]}]}
cases:
  - name: an event
    event: {channel: {id: 9, name: desk, type: PUBLIC}}
    faults:
      - {operation: sendChannelMessage, status: 503, first: 1}
      - {operation: createUser, lost: true, first: 2}
      - {operation: createUser, status: 503, rate: 1%}
  - name: a conversation
    faults: [{operation: createUser, status: 429}]
    conversation:
      - {user: jane, connects: {}}
      - {user: jane, says: hello, channel: desk}
"""
    written(root, {"tests/faults.yaml": text})
    ran = ckfunc("-C", root, "test")
    assert ran.code == 1
    told = " ".join(ran.out.split())
    assert told.count("the fault affected no call") == 2, ran.out
    assert "the fault affected no call: response lost, first 2 requests of createUser" in told
    assert "the fault affected no call: 429 with Retry-After 1 s, all requests of createUser" in told
