"""What a host says, `{"schema": 1, "items": 3}` and as many lines, an item each; and which hosts may say what.

Items were made on a host that may be somebody else's by now. A line is bounded before anything is built of it, since
JSON of some bytes becomes objects of ten times as many; then each field has one type and a length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from appliance.errors import DeploymentError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = "hosts.json"
SUFFIX = ".hosts"
"""What the link of a host is named after the host."""
MAX_ITEMS = 256
MAX_ITEM_BYTES = 32 << 10
"""More than an observer's largest item has, whatever a caller of the API put into it."""
MAX_BYTES = 1 << 20
"""Of all items that are said at once."""
_Text = Annotated[str, StringConstraints(max_length=256)]
_Place = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z:.+-]{1,40}/[0-9]{1,16}$")]
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Call(_Strict):
    """A call of Kubernetes' API, as its server noted it; ``at`` is where on the host."""

    kind: Literal["call"]
    at: _Place
    call: _Text = ""
    stage: _Text = ""
    verb: _Text = ""
    user: _Text = ""
    groups: Annotated[list[_Text], Field(max_length=16)] = []
    impersonated: _Text = ""
    group: _Text = ""
    resource: _Text = ""
    subresource: _Text = ""
    namespace: _Text = ""
    name: _Text = ""
    path: _Text = ""
    source: _Text = ""
    agent: _Text = ""
    code: Annotated[int, Field(ge=0, le=999)] | None = None
    received: _Text = ""
    decision: _Text = ""
    left_out: _Count = 0


class Refused(_Strict):
    """Packets of one kind that a host did not let through."""

    kind: Literal["refused"]
    number: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}/[0-9]{1,16}$")]
    by: Literal["firewall", "network", "policy"]
    source: _Text
    destination: _Text
    protocol: _Text
    port: Annotated[int, Field(ge=0, le=65535)]
    packets: _Count


class Reading(_Strict):
    """Where a reading of a host's files did not go on from what was read before, or something could not be read.

    ``gaps`` is how many were put together here, of which ``at`` and ``why`` are the first one's.
    """

    kind: Literal["reading"]
    of: Literal["calls", "flows"]
    at: _Place
    why: Literal["begun", "doubled", "gone", "shortened", "too long", "unreadable"]
    size: _Count
    gaps: Annotated[int, Field(ge=1, lt=1 << 53)] = 1


Item = Annotated[Call | Refused | Reading, Field(discriminator="kind")]
_ITEM: TypeAdapter[Call | Refused | Reading] = TypeAdapter(Item)


class _Said(_Strict):
    schema_version: Literal[1] = Field(alias="schema")
    items: Annotated[int, Field(ge=1, le=MAX_ITEMS)]


class _Hosts(_Strict):
    schema_version: Literal[1] = Field(alias="schema")
    hosts: dict[str, Literal["control-plane", "worker"]]


def read_head(line: bytes) -> int:
    """How many items follow. Raises ``UsageError`` for a line that does not say so."""
    try:
        return _Said.model_validate_json(line).items
    except ValidationError as error:
        raise UsageError(f"what a host says cannot be read: {_first(error)}", "install the release again") from error


def read_item(line: bytes) -> Call | Refused | Reading | None:
    """One item; None for what is none."""
    try:
        return _ITEM.validate_json(line)
    except ValidationError:
        return None


def load_hosts(path: Path) -> dict[str, str]:
    """Links of the hosts that may speak, and the role of each. Raises ``DeploymentError``."""
    try:
        return dict(_Hosts.model_validate_json(path.read_bytes()).hosts)
    except (OSError, ValidationError) as error:
        cause = _first(error) if isinstance(error, ValidationError) else str(error.strerror)
        raise DeploymentError(f"{path} cannot be read: {cause}", "run the installation again") from error


def _first(error: ValidationError) -> str:
    told = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in told["loc"])
    return f"{place + ': ' if place else ''}{told['msg'].lower()}"
