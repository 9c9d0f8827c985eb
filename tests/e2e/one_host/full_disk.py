"""A disk filled up around the audit log, until nothing is answered any more."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

from tests.e2e.one_host.conftest import SITE
from tests.e2e.one_host.operating import HEAL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.host import BareHost

_FLOOD = """
import sys
from pathlib import Path
from appliance.audit.client import SyncAuditClient
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
taken = 0
with SyncAuditClient(Path(sys.argv[1])) as log:
    for size in (50_000, 5_000, 1):  # what has no room for a large entry may have some for a small one
        while taken < 20_000:
            event = admin_change(actor="uid 0", action="read", kind="filling", target=str(taken))
            try:
                log.append({**event, "comment": "x" * size}, id=OPERATOR.id("filling", f"{sys.argv[2]} {taken} {size}"))
            except AuditUnavailableError:
                break
            taken += 1
print(taken)
"""


def fill_until_refused(host: BareHost, folder: str, refused: Callable[[], bool]) -> int:
    """Fill the disk under ``folder``, and the journal on it, until ``refused``; how many entries were taken meanwhile.

    What the journal already has of the disk takes entries for a while, durably, and a settling that fails gives back
    the little that it had begun to write: so both are filled again until nothing has room.
    """
    socket = host.run(["sh", "-c", "ls -d /run/sovereign-*/audit/sock"]).stdout.strip()
    taken, deadline = 0, time.monotonic() + HEAL_SECONDS
    for turn in count():
        filler = f"dd if=/dev/zero of={folder}/filler-{turn}-$size bs=$size 2>/dev/null"
        host.run(["sh", "-c", f"for size in 64k 1k; do {filler}; done; true"])
        taken += int(host.run([f"{SITE}/current/env/bin/python", "-c", _FLOOD, socket, str(turn)]).stdout)
        if refused():
            break
        assert time.monotonic() < deadline, f"{taken} entries taken on a full disk, and still answers"
    return taken
