"""The record of packs in use: a file that says under which pack each group answers. Half of what a gateway goes by.

The other half is in the database (``gateway.pack_choices``). A group is answered where both say the same, and refused
where they do not: so neither a file that was deleted nor a database that was made anew lets a group answer without its
boundaries. A group that never had a pack is in neither. One that went back to none is in both, as ``none``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airgap_bundle import durable, strict_json
from airgap_bundle.errors import FormatError, StoreError
from appliance.errors import DeploymentError
from appliance.packs.errors import PackLostError
from appliance.packs.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NONE = "none"
"""In the place of a digest: the group answers under site.yaml's instructions."""
FILE = "groups.json"
MAX_BYTES = 1 << 20
_CHOICE = re.compile(r"none|sha256:[0-9a-f]{64}")
_HINT = "`sovereign pack use PACK --group GROUP` with the pack that is in force writes it anew"


def read_record(folder: Path) -> dict[str, str]:
    """Digest or ``none`` by group; empty where there is no record. Raises ``PackLostError`` for a damaged one."""
    path = folder / FILE
    try:
        value = strict_json.load_object(read_regular(path, MAX_BYTES), max_bytes=MAX_BYTES)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PackLostError(f"packs/groups.json, the record of packs in use, cannot be read: {error}", _HINT) from error
    except FormatError as error:
        raise PackLostError(
            f"packs/groups.json, the record of packs in use, is damaged: {error.cause}", _HINT
        ) from error
    groups = value.get("groups")
    if value.get("schema") != 1 or set(value) != {"schema", "groups"} or not isinstance(groups, dict):
        raise PackLostError("packs/groups.json, the record of packs in use, is damaged: it is no list of groups", _HINT)
    if not all(isinstance(one, str) and _CHOICE.fullmatch(one) for one in groups.values()):
        raise PackLostError("packs/groups.json, the record of packs in use, is damaged: it is no list of groups", _HINT)
    return dict(groups)


def write_record(folder: Path, groups: Mapping[str, str]) -> None:
    """Put ``groups`` down, durably and at once. Raises ``DeploymentError``; the former record stands then."""
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
        durable.replace(folder / FILE, strict_json.dumps({"schema": 1, "groups": dict(groups)}))
    except (OSError, StoreError) as error:
        cause = error.cause if isinstance(error, StoreError) else f"{folder}: {error.strerror}"
        raise DeploymentError(cause, "check free space and rights") from error


def agreed(recorded: str | None, chosen: str | None) -> str:
    """What a group answers under, by file and database: a digest, or ``none``. Raises ``PackLostError``."""
    if recorded == chosen:
        return chosen or NONE
    raise PackLostError(
        f"the record says {_told(recorded)} and the database says {_told(chosen)}",
        "`sovereign pack use` with what is in force, or `sovereign pack back`, for this group",
    )


def _told(choice: str | None) -> str:
    return "nothing" if choice is None else choice if choice == NONE else f"{choice[:19]}…"
