"""Throughput of plain reads from the emulator: one function out of SQLite, 16 concurrent requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from bench import load
from bench.harness import Figure, median
from bench.subjects import Subject


def measure(subjects: Sequence[Subject], rounds: int = 3, seconds: float = 3) -> list[Figure]:
    subject = next(subject for subject in subjects if subject.name == "ckfunc")
    with subject.serve() as served:
        headers = {"authorization": f"Bearer {token(served.url)}"}
        page = json.loads(
            load.once(served.url, load.request(f"{served.url}/v1/runtimes/nodejs/functions", headers=headers))
        )
        identity = page["_embedded"]["functions"][0]["id"]
        for _ in range(25):
            served.call()
        single = load.request(f"{served.url}/v1/functions/{identity}", headers=headers)
        many = load.request(f"{served.url}/v1/functions/{identity}/invocations", headers=headers)
        rates: dict[str, list[float]] = {"one": [], "many": []}
        for _ in range(rounds):
            for name, request in (("one", single), ("many", many)):
                pressed = load.press(served.url, [request], concurrency=16, seconds=seconds, warmup_calls=300)
                rates[name].append(pressed.per_second)
    rate = median(rates["one"])
    return [
        Figure("plain reads, 16 at once: one function", "/s", {"ckfunc": rate}, "over 5,000", rate > 5000),
        Figure("plain reads, 16 at once: 25 invocations", "/s", {"ckfunc": median(rates["many"])}),
    ]


def token(url: str) -> str:
    """Return a token for the emulator at `url`."""
    form = urlencode(
        {"grant_type": "client_credentials", "client_id": "emulator", "client_secret": "emulator"}
    ).encode()
    request = load.request(f"{url}/oauth/token", "POST", form)
    request = request.replace(b"content-type: application/json", b"content-type: application/x-www-form-urlencoded")
    return str(json.loads(load.once(url, request))["access_token"])
