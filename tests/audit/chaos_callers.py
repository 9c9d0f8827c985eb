"""A gateway's callers that never give up: `python -m tests.audit.chaos_callers SOCKET DIARY NAME`.

The diary is what was seen from outside, one JSON list a line, written before anything else happens: ["sent", id,
digest] before an entry is sent for the first time, ["held", id, index, size] once it was acknowledged, and ["late", id]
if the writer had ended that request itself. An end is asked for with its proof, as a gateway does for the receipt: then
a fifth field is the proof as the receipt would have it, or null where none came. An entry that was not acknowledged is
sent again, as it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from appliance.audit import events
from appliance.audit.client import AuditClient, Position
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError, IdReusedError
from appliance.audit.open_requests import BEGUN, ENDED
from appliance.audit.roles import GATEWAY
from appliance.audit.tlog_proof import tlog_proof

CALLERS = 16
DOOR = 8
PAUSE_SECONDS = 0.01
CALL: dict[str, Any] = {
    "request_id": "r",
    "subject": "ab" * 16,
    "groups": ("analysts",),
    "model_digest": "sha256:a5",
    "model_name": "demo",
    "prompt_commitment": "sha256:00",
}
ANSWER = events.answer(
    **{name: value for name, value in CALL.items() if name != "prompt_commitment"},
    outcome="stop",
    prompt_tokens=3,
    completion_tokens=5,
    joules=1.0,
    duration_ms=10.0,
    answer_commitment="sha256:00",
)


async def call(client: AuditClient, diary: int, name: str) -> None:
    """Begin and end requests for ever; now and then a refusal at the door."""
    turn = 0
    while True:
        if turn % DOOR == 0:
            refusal = events.refusal(request_id=f"{name}.{turn}", reason_code="chaos", status=429)
            await _append(client, diary, GATEWAY.id(f"{name}.{turn}", "refusal"), refusal)
        await _append(client, diary, GATEWAY.id(client.instance, f"{name}.{turn}", BEGUN), events.request(**CALL))
        await asyncio.sleep(PAUSE_SECONDS)  # the model answers
        end = GATEWAY.id(client.instance, f"{name}.{turn}", ENDED)
        try:
            await _append(client, diary, end, ANSWER, proven=True)
        except IdReusedError:  # this process was away for so long that it was taken to be dead
            _note(diary, "late", end)
        turn += 1


async def _append(
    client: AuditClient, diary: int, entry_id: str, event: dict[str, Any], *, proven: bool = False
) -> None:
    _note(diary, "sent", entry_id, hashlib.sha256(encode_entry(event, entry_id)).hexdigest())
    while True:
        try:
            position = await client.append(event, id=entry_id, proven=proven)
            break
        except AuditUnavailableError:
            await asyncio.sleep(0.01)
    _note(diary, "held", entry_id, position.index, position.size, *([_proof(position)] if proven else []))


def _proof(position: Position) -> str | None:
    if not position.entry:
        return None
    return tlog_proof(position.index, position.hashes, position.checkpoint, position.entry)


def _note(diary: int, *fields: object) -> None:
    os.write(diary, json.dumps(fields).encode() + b"\n")


async def main(socket: Path, path: str, name: str) -> None:
    """Run until killed."""
    diary = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    async with AuditClient(socket) as client:
        await asyncio.gather(*(call(client, diary, f"{name}.{number}") for number in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
