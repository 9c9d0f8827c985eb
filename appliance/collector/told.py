"""What a host's observer says, a JSON object a line: `{"schema": 1, "items": […]}`; and which hosts may say what.

Items were made on a host that may be somebody else's by now: each field has one type and a length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from appliance.errors import DeploymentError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = "hosts.json"
SUFFIX = ".hosts"
"""What the link of a host is named after the host."""
MAX_ITEMS = 256
MAX_LINE = 4 << 20
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
    by: Literal["firewall", "policy"]
    source: _Text
    destination: _Text
    protocol: _Text
    port: Annotated[int, Field(ge=0, le=65535)]
    packets: _Count


class Reading(_Strict):
    """Where a reading of a host's files did not go on from what was read before, or something could not be read."""

    kind: Literal["reading"]
    of: Literal["calls", "flows"]
    at: _Place
    why: Literal["begun", "gone", "shortened", "too long", "unreadable"]
    size: _Count


Item = Annotated[Call | Refused | Reading, Field(discriminator="kind")]
_ITEM: TypeAdapter[Call | Refused | Reading] = TypeAdapter(Item)


class _Said(_Strict):
    schema_version: Literal[1] = Field(alias="schema")
    items: Annotated[list[Any], Field(min_length=1, max_length=MAX_ITEMS)]


class _Hosts(_Strict):
    schema_version: Literal[1] = Field(alias="schema")
    hosts: dict[str, Literal["control-plane", "worker"]]


def read_line(line: bytes) -> list[Any]:
    """The items of a line, not yet read. Raises ``UsageError`` for one that holds none."""
    try:
        return _Said.model_validate_json(line).items
    except ValidationError as error:
        raise UsageError(f"what a host says cannot be read: {_first(error)}", "install the release again") from error


def read_item(item: Any) -> Call | Refused | Reading | None:
    """One item; None for what is none."""
    try:
        return _ITEM.validate_python(item)
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
