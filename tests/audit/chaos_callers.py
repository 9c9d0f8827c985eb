"""Callers of the writer that never give up: `python -m tests.audit.chaos_callers SOCKET DIARY NAME`.

The diary is what was seen from outside, one JSON list a line, written before anything else happens:
["sent", id] before an entry is sent for the first time, ["held", id, index, size] once it was acknowledged, and now and
then ["signed", checkpoint] with what the writer signed. An entry that was not acknowledged is sent again, as it was.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from appliance.audit import events
from appliance.audit.client import AuditClient
from appliance.audit.errors import AuditUnavailableError

CALLERS = 16
EVERY = 40
PAUSE_SECONDS = 0.01


async def call(client: AuditClient, diary: int, name: str) -> None:
    """Append for ever."""
    turn = 0
    while True:
        entry_id = f"gateway/{name}/{turn}"
        event = events.refusal(request_id=entry_id, reason_code="chaos", status=429)
        _note(diary, "sent", entry_id)
        while True:
            try:
                position = await client.append(event, id=entry_id)
                break
            except AuditUnavailableError:
                await asyncio.sleep(0.01)
        _note(diary, "held", entry_id, position.index, position.size)
        if turn % EVERY == 0:
            _note(diary, "signed", position.checkpoint)
        turn += 1
        await asyncio.sleep(PAUSE_SECONDS)


def _note(diary: int, *fields: object) -> None:
    os.write(diary, json.dumps(fields).encode() + b"\n")


async def main(socket: Path, path: str, name: str) -> None:
    """Run until killed."""
    diary = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    async with AuditClient(socket) as client:
        await asyncio.gather(*(call(client, diary, f"{name}/{number}") for number in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
