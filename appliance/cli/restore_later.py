"""What `sovereign restore` takes of a later copy of the log, and says of it; nobody is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance.cli.terminal import progress, say
from appliance.install.backup.later import open_later
from appliance.install.backup.mark import later_begun

if TYPE_CHECKING:
    from appliance.audit.later import LaterLog
    from appliance.install.backup.recovery_key import RecoveryKey
    from appliance.install.backup.restoring import Pair
    from appliance.site.paths import SitePaths

LaterLogOption = Annotated[
    Path | None,
    typer.Option(
        "--later-log",
        metavar="FOLDER",
        help="A copy of the site's log, or an export up to its last entry, from after the backup: whom it says were "
        "erased is erased again.",
    ),
]


def open_given(paths: SitePaths, folder: Path | None, pair: Pair, key: RecoveryKey) -> LaterLog | None:
    """The later log in ``folder``, verified against the backup; None where none was named.

    Where a restore at ``paths`` was begun with another, it is held against that one, too.
    """
    if folder is None:
        return None
    with progress("check the later log", unit="steps") as advance:
        return open_later(folder, pair, key, advance, later_begun(paths, pair.main.digest))


def later_data(later: LaterLog | None) -> dict[str, Any]:
    """For ``--output json``: where it goes on from the backup, how far, and how many people it says were erased."""
    if later is None:
        return {}
    told = {"since": later.since, "size": later.head.size, "root": later.root, "erased": len(later.erased)}
    return {"later_log": told}


def say_later(later: LaterLog | None) -> None:
    """For people."""
    if later is not None:
        say(f"whom the later log says were erased after the backup is erased again: {later}")
