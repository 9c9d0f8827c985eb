"""A later copy of the log beside a backup: whom it says were erased, a restore erases again.

A host may be lost after an erasure and before the next backup: then nobody knows of it but who took a copy or an export
of the log since. That is believed under the log keys of the backup itself, and as going on from the very head that the
backup's statement names. Its entries are not taken over: the restored log goes on from the backup.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from appliance.audit.checkpoint import Checkpoint, read_vkeys
from appliance.audit.later import LaterLog, read_later
from appliance.install.backup.restoring import staged_site
from appliance.install.steps.secrets import VKEYS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair


def open_later(
    folder: Path,
    pair: Pair,
    key: RecoveryKey,
    progress: Callable[[int, int], None] | None = None,
    begun: tuple[int, bytes] | None = None,
) -> LaterLog:
    """Verify the later log in ``folder`` against the backup, and against the one that the restore was begun with.

    Of that, ``begun`` has size and root (``mark.later_begun``). Nothing is changed. Raises as ``read_later``.
    """
    told = pair.main.statement
    with staged_site(pair, key) as staged:
        vkeys = read_vkeys(staged.policies / VKEYS)
    origin = vkeys[0].name
    before = Checkpoint(origin, told.log_size, base64.b64decode(told.log_root))
    other = Checkpoint(origin, *begun) if begun is not None else None
    return read_later(folder, vkeys=vkeys, before=before, begun=other, progress=progress)
