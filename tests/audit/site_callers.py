"""Programs that use a site and never give up: `python -m tests.audit.site_callers URL ISSUER CLIENT DIARY [CA]`.

Standard input: the client's secret. Ends when that is closed, once every call under way has ended.

The diary is what was seen from outside, one JSON list a line: ["signing-in", milliseconds] before a token is asked
for, ["signed-in"] once it came, ["asked", question] before a request, ["begun", request, question] when the first
piece of its answer came, ["ended", request, question, receipt] when its end came, whole or as a stream's last event
(null where that has no receipt), ["left", request] when its caller hung up in the middle. A question's number is the
seed of its answer, which the log has: so none can lie there twice under two names.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

CALLERS = 6
TURNS = 1_000_000
"""More than one caller takes: the numbers of its questions are its own."""
LEAVES = 7
WHOLE = 3
PAUSE_SECONDS = 0.2
UNAUTHORIZED = 401
QUESTION = "Name the months of a year, one after the other."


class Door:
    """The way in: one token for all callers, another when it is no longer taken."""

    def __init__(self, http: httpx.AsyncClient, url: str, credentials: dict[str, str], diary: Diary) -> None:
        self._http, self._url, self._diary = http, f"{url}/protocol/openid-connect/token", diary
        self._credentials = {"grant_type": "client_credentials", **credentials}
        self._token, self._lock = "", asyncio.Lock()

    async def token(self) -> str:
        """A token. Raises ``httpx.HTTPError``."""
        async with self._lock:
            if not self._token:
                self._diary.note("signing-in", time.time_ns() // 1_000_000)
                answer = await self._http.post(self._url, data=self._credentials)
                self._token = answer.raise_for_status().json()["access_token"]
                self._diary.note("signed-in")
            return self._token

    def refused(self, token: str) -> None:
        """``token`` was not taken."""
        if token == self._token:
            self._token = ""


@dataclass
class Diary:
    """Lines that are on their way to the disk before anything else happens."""

    path: str
    file: int = field(init=False)

    def __post_init__(self) -> None:
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, *fields: object) -> None:
        """Write a line."""
        os.write(self.file, json.dumps(fields).encode() + b"\n")


@dataclass
class Caller:
    """One of them; ``model`` is what it asks."""

    http: httpx.AsyncClient
    url: str
    model: str
    door: Door
    diary: Diary
    stop: asyncio.Event

    async def run(self, number: int) -> None:
        """Ask until told to stop: every third time for a whole answer, and every seventh time hang up in the middle."""
        for turn in count(number):
            if self.stop.is_set():
                return
            with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
                question = number * TURNS + turn
                if turn % WHOLE:
                    await self._streamed(question, leaves=turn % LEAVES == 0)
                else:
                    await self._whole(question)
            await asyncio.sleep(PAUSE_SECONDS)

    def _body(self, question: int, **more: object) -> dict[str, Any]:
        messages = [{"role": "user", "content": QUESTION}]
        drawn = {"max_tokens": 24, "temperature": 0, "seed": question}
        return {"model": self.model, "messages": messages, **drawn, **more}

    async def _headers(self, question: int) -> dict[str, str]:
        token = await self.door.token()
        self.diary.note("asked", question)
        return {"Authorization": f"Bearer {token}"}

    def _looked_at(self, answer: httpx.Response) -> None:
        if answer.status_code == UNAUTHORIZED:
            self.door.refused(answer.request.headers["Authorization"].removeprefix("Bearer "))
        answer.raise_for_status()

    async def _whole(self, question: int) -> None:
        path = f"{self.url}/v1/chat/completions"
        answer = await self.http.post(path, json=self._body(question), headers=await self._headers(question))
        self._looked_at(answer)
        found = answer.json()
        self.diary.note("ended", _request(found), question, _receipt(found))

    async def _streamed(self, question: int, *, leaves: bool) -> None:
        path, headers = f"{self.url}/v1/chat/completions", await self._headers(question)
        request = None
        async with self.http.stream("POST", path, json=self._body(question, stream=True), headers=headers) as answer:
            self._looked_at(answer)
            async for piece in _pieces(answer):
                if request is None:
                    request = _request(piece)
                    self.diary.note("begun", request, question)
                choice = piece["choices"][0]
                if leaves and choice["delta"].get("content"):
                    self.diary.note("left", request)
                    return
                if choice["finish_reason"]:
                    self.diary.note("ended", request, question, _receipt(piece))


def _request(answer: dict[str, Any]) -> str:
    return str(answer["id"]).removeprefix("chatcmpl-")


def _receipt(answer: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = answer.get("sovereign", {}).get("receipt")
    return found


async def _pieces(answer: httpx.Response) -> Any:
    """Chunks with a choice. What is no chunk says that the answer was broken off, and ends it."""
    async for line in answer.aiter_lines():
        if not line.startswith("data: {"):
            continue
        piece = json.loads(line[6:])
        if "choices" not in piece:
            return
        if piece["choices"]:
            yield piece


async def main(url: str, issuer: str, client: str, diary_path: str, ca: str | None = None) -> None:
    """Run until standard input is closed."""
    stop, lines = asyncio.Event(), asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    secret = (await lines.readline()).decode().strip()
    trust = ssl.create_default_context(cafile=ca)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=60) as http:
        diary = Diary(diary_path)
        door = Door(http, issuer, {"client_id": client, "client_secret": secret}, diary)
        listed = await http.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {await door.token()}"})
        model = listed.raise_for_status().json()["data"][0]["id"]
        callers = [Caller(http, url, model, door, diary, stop) for _ in range(CALLERS)]
        running = [asyncio.create_task(caller.run(number)) for number, caller in enumerate(callers)]
        await lines.read()
        stop.set()
        await asyncio.gather(*running)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
