"""Handlers' context, environment and packages, separate from the developer's."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from support.loopback import Loopback, Reply, Request, serve
from support.sampling import sampled

from ckfunc.base.secrets import Secret
from ckfunc.model.execution import ApiAccess

# Versions 30 to 34 of the handler that the Platform API's document shows, verbatim except for their results and logs.
_DOCUMENT = """%(top)sasync function handleEvent(event: UserAttemptedStartSessionEvent, context: Context) {
  let email = event.username;
  let displayName = event.authParams.displayName || email;

  let userApi = context.getUserApi();
%(log)s
  await userApi.getUserExists(email)
    .catch(async () => {
      let user = await userApi.createUser(
        {
          'name': email,
          'displayName': displayName
        }
      );

      let channelApi = context.getChannelApi();

      await channelApi.createChannelMember(702, { 'id': user.data.id });
    });

  return %(result)s;
}"""
DOCUMENT_VERSIONS = {
    34: _DOCUMENT
    % {"top": "const logs = [];\n\n", "log": "\n  logs.push('Hello ' + event.username);\n", "result": "logs"},
    33: _DOCUMENT % {"top": "const logs = [];\n\n", "log": "\n  logs.push('Hello!');\n", "result": "logs"},
    32: _DOCUMENT % {"top": "", "log": "", "result": "{payload: true}"},
    31: _DOCUMENT % {"top": "", "log": "", "result": "true"},
    30: _DOCUMENT % {"top": "", "log": "", "result": '{\n    status: "SUCCESS"\n  }'},
}


@contextmanager
def platform():
    """A platform with users and the members of channel 702; answers 400 for any other channel."""
    users: dict[str, int] = {}

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        if path == "/oauth/token":
            return Reply(200, {"access_token": "t0ken-value", "expires_in": 3600, "token_type": "bearer"})
        if request.headers.get("authorization") != "Bearer t0ken-value":
            return Reply(401, {"error": "unauthorized"})
        if (request.method, path) == ("HEAD", "/v1/users"):
            return Reply(200 if request.path.partition("name=")[2] in users else 404)
        if (request.method, path) == ("POST", "/v1/users"):
            name = request.json()["name"]
            users[name] = 70 + len(users)
            return Reply(201, {"id": users[name], "name": name})
        if (request.method, path) == ("POST", "/v1/channels/702/members"):
            return Reply(200, {"id": 702})
        if path.startswith("/v1/channels"):
            return Reply(400, {"error": "bad_request", "message": "there is no such channel"})
        return Reply(404)

    with serve(answer) as server:
        yield server


def access(server: Loopback) -> ApiAccess:
    return ApiAccess(server.url, f"{server.url}/oauth/token", "client-1", Secret("s3cret-value"))


@pytest.mark.parametrize(
    ("number", "results"),
    [
        (34, [["Hello ann"], ["Hello ann", "Hello ann"]]),
        (33, [["Hello!"], ["Hello!", "Hello!"]]),
        (32, [{"payload": True}] * 2),
        (31, [True] * 2),
        (30, [{"status": "SUCCESS"}] * 2),
    ],
)
def test_the_handler_in_the_api_document_runs_unchanged(play, number, results):
    async def scenario(bench):
        event = {"username": "ann", "authParams": {}}
        return [await bench.run(DOCUMENT_VERSIONS[number], event, number=number) for _ in range(2)]

    with platform() as server:
        outcomes = play(scenario, api=access(server))
    assert [json.loads(outcome.payload_json) for outcome in outcomes] == results
    assert server.calls() == [
        "POST /oauth/token",
        "HEAD /v1/users?name=ann",
        "POST /v1/users",
        "POST /v1/channels/702/members",
        "HEAD /v1/users?name=ann",  # the second call knows the user
    ]
    assert server.requests[2].json() == {"name": "ann", "displayName": "ann"}
    assert server.requests[3].json() == {"id": 70}


def test_the_context_contains_the_real_sdk(run):
    source = """
const sdk = require('chatkitty-platform-sdk');
function handleEvent(event, { ChatKitty }) {
  const names = Object.keys(ChatKitty).filter((name) => /^[A-Z]/.test(name));
  return [ChatKitty instanceof sdk.ChatKitty, ChatKitty.Users instanceof sdk.UsersApi, names.join(' ')];
}"""
    real, user_api, names = json.loads(run(source).payload_json)
    assert real
    assert user_api
    assert names == ("Application Channels Functions FunctionVersions Imports Jobs Messages Runtime Threads Users")


def test_the_legacy_context_has_every_api_under_its_former_names(run):
    source = """
function handleEvent(event, context) {
  const has = (api, ...names) => names.every((name) => typeof api[name] === 'function');
  return {
    getters: Object.keys(context).filter((k) => k.startsWith('get')),
    users: has(context.getUserApi(), 'getUserExists', 'checkUserExists', 'getUser', 'getUsers', 'createUser',
      'listUsers'),
    channels: has(context.getChannelApi(), 'createChannelMember', 'addChannelMember', 'getChannel', 'getChannels',
      'createChannelMessage', 'deleteChannelMember'),
    same: context.getUserApi() === context.getUserApi(),
  };
}"""
    found = json.loads(run(source).payload_json)
    assert {"getUserApi", "getChannelApi", "getMessageApi", "getThreadApi", "getFunctionApi"} < set(found["getters"])
    assert {"getApplicationApi", "getJobApi", "getImportApi", "getRuntimeApi", "getFunctionVersionApi"} < set(
        found["getters"]
    )
    assert (found["users"], found["channels"], found["same"]) == (True, True, True)


def test_a_refused_api_call_is_reported_with_its_status_and_handler_position(play):
    source = """
async function handleEvent(event, context) {
  await Promise.resolve();
  return await context.ChatKitty.Channels.retrieveChannel(9);
}"""
    with platform() as server:
        outcome = play(lambda bench: bench.run(source), api=access(server))
    assert outcome.error.message == "GET /v1/channels/9 failed with status 400: there is no such channel"
    assert "at handleEvent (handlers/handler.ts:4:43)" in outcome.error.stack
    assert "node_modules" not in outcome.error.stack
    assert "t0ken" not in repr(outcome)
    assert "s3cret" not in repr(outcome)


def test_an_unreachable_api_is_reported_with_the_request(run):
    error = run("const handleEvent = (e, { ChatKitty }) => ChatKitty.Users.listUsers();").error
    assert error.message.startswith("POST /oauth/token got no response: connect ECONNREFUSED")


def test_a_failed_request_of_the_handler_is_reported_without_query_and_token(play):
    source = """
const axios = require('axios');
async function handleEvent({ url }) {
  await axios.get(`${url}/things?key=abc`, { headers: { Authorization: 'Bearer xyz.123' } });
}"""
    with platform() as server:
        outcome = play(lambda bench: bench.run(source, {"url": server.url}))
    assert outcome.error.message == f"GET {server.url}/things failed with status 401: unauthorized"
    assert "at async handleEvent (handlers/handler.ts:4:" in outcome.error.stack
    assert "abc" not in repr(outcome)
    assert "xyz" not in repr(outcome)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    sampled([
        (400, {"error": "ClientError", "message": "A client error occurred", "explanation": "'size' is '0'"},
         "A client error occurred: 'size' is '0'"),
        (401, {"error": "unauthorized", "error_description": "Full authentication is required"},
         "Full authentication is required"),
        (403, {"error": "access_denied", "error_description": "Access is denied", "explanation": "no scope"},
         "Access is denied: no scope"),
        (404, {"error": "ResourceNotFoundError", "message": "Resource not found", "explanation": "no user 9"},
         "Resource not found: no user 9"),
        (409, {"title": "Conflict", "detail": "somebody else was first"}, "somebody else was first"),
        (429, {"error": "Too Many Requests"}, "Too Many Requests"),
        (500, {"errors": [{"field": "name", "reason": "taken"}]}, "{ errors: [ { field: 'name', reason: 'taken' } ] }"),
        (502, "plain words", "plain words"),
        (503, "<html>busy</html>", ""),
    ]),
)  # fmt: skip
def test_a_refused_request_is_reported_with_its_explanation(play, status, body, said):
    def answer(request: Request) -> Reply:
        if request.path == "/oauth/token":
            return Reply(200, {"access_token": "t0ken-value", "expires_in": 3600, "token_type": "bearer"})
        return Reply(status, body)

    source = """
async function handleEvent(event, context) {
  try {
    return await context.ChatKitty.Users.retrieveUser(9);
  } catch (error) {
    throw event.wrapped ? new Error('no user', { cause: error }) : error;
  }
}"""

    async def scenario(bench):
        return await bench.run(source), await bench.run(source, {"wrapped": True})

    with serve(answer) as server:
        plain, wrapped = play(scenario, api=access(server))
    sentence = f"GET /v1/users/9 failed with status {status}" + (f": {said}" if said else "")
    assert plain.error.message == sentence
    assert wrapped.error.message == "no user"
    assert f"\nCaused by: Error: {sentence}\n" in wrapped.error.stack
    assert "t0ken" not in repr((plain, wrapped))


def test_the_explanation_is_found_in_responses_read_as_text_or_bytes(play):
    source = """
const axios = require('axios');
async function handleEvent({ url, responseType }) {
  await axios.get(url, { responseType, transformResponse: (data) => data });
}"""

    async def scenario(bench):
        return [
            await bench.run(source, {"url": server.url, "responseType": response_type})
            for response_type in ("text", "arraybuffer")
        ]

    with serve(lambda _: Reply(400, {"message": "no", "explanation": "because"})) as server:
        outcomes = play(scenario)
    assert [outcome.error.message.partition("/ ")[2] for outcome in outcomes] == [
        "failed with status 400: no: because"
    ] * 2


def test_a_token_in_a_message_is_masked(run):
    error = run("function handleEvent() { throw new Error('sent Bearer abc.def-123 there'); }").error
    assert error.message == "sent Bearer •••• there"
    assert "abc" not in error.stack


def test_process_env_has_the_variables_of_the_runtime_and_not_the_developers(run, monkeypatch):
    monkeypatch.setenv("DEVELOPER_SECRET", "hidden")
    monkeypatch.setenv("NODE_OPTIONS", "--no-such-option")
    outcome = run("const handleEvent = () => ({ ...process.env });", variables={"GREETING": "hi", "N": "0042"})
    found = json.loads(outcome.payload_json)
    assert {name: found[name] for name in ("GREETING", "N")} == {"GREETING": "hi", "N": "0042"}
    assert set(found) <= {"GREETING", "N", "TZ", "LANG", "TMPDIR", "SYSTEMROOT"}
    assert found["TZ"] == "UTC"


def test_the_working_directory_is_not_the_developers(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path) not in run("const handleEvent = () => process.cwd();").payload_json


def test_packages_can_be_required_and_imported(play):
    async def scenario(bench):
        return [
            await bench.run("const ms = require('ms');\nfunction handleEvent() { return ms(60000); }"),
            await bench.run("import ms from 'ms';\nexport function handleEvent() { return ms(60000); }", number=2),
            await bench.run("import 'node:fs';\nexport const handleEvent = () => require('ms')(60000);", number=3),
            await bench.run("async function handleEvent() { return (await import('ms')).default(60000); }", number=4),
        ]

    assert [outcome.payload_json for outcome in play(scenario)] == ['"1m"'] * 4


INIT = """
import ms from 'ms';
let count: number = 0;
function bump(): number { return ++count; }
const settings = { limit: ms('1s'), greeting: process.env.GREETING };
export { bump, count, settings, ms as duration };
"""


def test_exports_of_the_init_script_are_in_scope(run):
    source = "function handleEvent() { bump(); bump(); return [count, settings, duration(1000)]; }"
    outcome = run(source, init=INIT, variables={"GREETING": "hi"})
    assert json.loads(outcome.payload_json) == [2, {"limit": 1000, "greeting": "hi"}, "1s"]


def test_a_handler_may_redeclare_an_exported_name(play):
    async def scenario(bench):
        return [
            await bench.run("const settings = 'own';\nfunction handleEvent() { return settings; }"),
            await bench.run("import duration from 'ms';\nexport const handleEvent = () => duration(1000);", number=2),
            await bench.run("function handleEvent() { settings = 'set'; return settings; }", number=3),
        ]

    outcomes = play(scenario, init=INIT)
    assert [outcome.payload_json for outcome in outcomes] == ['"own"', '"1s"', '"set"']


def test_an_init_script_may_be_commonjs_or_export_nothing(run):
    source = "function handleEvent() { return typeof shared; }"
    assert run(source, init="exports.shared = 1;").payload_json == '"number"'
    assert run(source, init="module.exports = { shared: '' };").payload_json == '"string"'
    assert run(source, init="var shared = 8;").payload_json == '"undefined"'
    assert run(source, init="module.exports = null;").payload_json == '"undefined"'


def test_a_failing_init_script_fails_each_run_with_its_own_position(play):
    async def scenario(bench):
        source = "function handleEvent() { return 1; }"
        failed = [await bench.run(source) for _ in range(2)]
        bench.init = "export const fine = 1;"
        return [*failed, await bench.run(source)]

    first, second, fixed = play(scenario, init="type A = 1;\nthrow new Error('no database');")
    assert first.error.message == second.error.message == "the initialization script failed: no database"
    assert "init.ts:2:7" in first.error.stack
    assert fixed.payload_json == "1"


def test_without_the_sdk_package_the_context_is_empty(run):
    source = "function handleEvent(event, context) { return Object.keys(context); }"
    assert run(source, dependencies={}).payload_json == "[]"
