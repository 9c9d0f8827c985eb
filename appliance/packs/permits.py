"""Which packs may be rolled out: a file beside the record of packs in use, half of what a gateway goes by (``record``).

A share of a group is answered under another pack where the database says so and this file permits it: the same rollout,
from the same pack to the same pack, to no more than so many percent. Where the database says that a rollout runs and
the file does not permit it, nobody of the group is answered. A permit that is left of a rollout that ended permits
nothing: the database does not say that it runs. So a gateway, which may not write here, can end a rollout alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airgap_bundle import durable, strict_json
from airgap_bundle.errors import FormatError, StoreError
from appliance.errors import DeploymentError
from appliance.packs.errors import PackLostError
from appliance.packs.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "rollouts.json"
MAX_BYTES = 1 << 20
_HINT = "`sovereign learn rollout back` for the group"
Choice = Annotated[str, Field(pattern=r"^(none|sha256:[0-9a-f]{64})$")]


class Permit(BaseModel):
    """One group's: rollout ``id`` may answer up to ``most`` percent of its people under ``change``, not ``former``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    former: Choice
    change: Choice
    most: Annotated[int, Field(ge=1, le=100)]


class _Permits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    rollouts: dict[str, Permit]


def read_permits(folder: Path) -> dict[str, Permit]:
    """Permits by group; empty where there is no file. Raises ``PackLostError`` for a damaged one."""
    try:
        value = strict_json.load_object(read_regular(folder / FILE, MAX_BYTES), max_bytes=MAX_BYTES)
        return dict(_Permits.model_validate(value).rollouts)
    except FileNotFoundError:
        return {}
    except FormatError as error:
        raise PackLostError(f"the record of rollouts is damaged: {error.cause}", _HINT) from error
    except ValidationError as error:
        raise PackLostError("the record of rollouts is damaged: it is no list of permits", _HINT) from error
    except (OSError, ValueError) as error:
        raise PackLostError(f"the record of rollouts cannot be read: {error}", _HINT) from error


def write_permits(folder: Path, permits: Mapping[str, Permit]) -> None:
    """Put ``permits`` down, durably and at once. Raises ``DeploymentError``; the former ones stand then."""
    said = {group: permit.model_dump() for group, permit in permits.items()}
    try:
        if not folder.is_dir():  # a site that was installed before there were packs lacks it, and changes need none
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
        durable.replace(folder / FILE, strict_json.dumps({"schema": 1, "rollouts": said}))
    except (OSError, StoreError) as error:
        cause = error.cause if isinstance(error, StoreError) else f"{folder}: {error.strerror}"
        raise DeploymentError(cause, "check free space and rights") from error


def permitted(permits: Mapping[str, Permit], group: str, wanted: Permit) -> None:
    """Raise ``PackLostError`` unless the file permits ``wanted``, what the database says that ``group`` is in."""
    found = permits.get(group)
    if found is None:
        raise PackLostError("the database says that a rollout runs, and the record does not permit it", _HINT)
    if (found.id, found.former, found.change) != (wanted.id, wanted.former, wanted.change):
        raise PackLostError("the database says that another rollout runs than the record permits", _HINT)
    if wanted.most > found.most:
        raise PackLostError(
            f"the record permits a rollout to {found.most} percent, and the database says {wanted.most}", _HINT
        )
