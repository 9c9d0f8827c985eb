"""Waivers for a host: an officer's signed, dated word that engines may run there without a layer of confinement.

The subject is the site by its name. What may be waived is fixed (``appliance.site.layers``), as is the longest time. A
waiver is verified at every start of an engine and at every preflight, never remembered.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from appliance.models.errors import (
    WaiverError,
    WaiverExpiredError,
    WaiverFormatError,
    WaiverNotYetValidError,
    WaiverScopeError,
    WaiverSubjectError,
)
from appliance.models.waiver import WaiverFields, read_fields, waiver_bytes
from appliance.site.layers import WAIVABLE_LAYERS
from appliance.site.shapes import Slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner

HOST_WAIVER_DAYS = 366


class _Host(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Slug


class _Payload(WaiverFields):
    kind: Literal["host"]
    subject: _Host


@dataclass(frozen=True)
class HostWaiver:
    """A waiver whose signatures hold. Whether it applies is ``refusal``'s question."""

    site: str
    waives: frozenset[str]
    reason: str
    issued: datetime
    expires: datetime
    officer: str


def read_host_waiver(data: bytes, officers: Sequence[PublicSigner], source: str = "waiver") -> HostWaiver:
    """The waiver for a host in ``data``. Raises as ``read_waiver``, ``WaiverKindError`` for one about a model."""
    fields = read_fields(data, officers, source, _Payload)
    return HostWaiver(
        site=fields.subject.site,
        waives=frozenset(fields.waives),
        reason=fields.reason,
        issued=fields.issued,
        expires=fields.expires,
        officer=fields.officer,
    )


def refusal(waiver: HostWaiver, site: str, now: datetime) -> WaiverError | None:
    """Why ``waiver`` does not apply to the site named ``site`` at ``now``, or ``None`` when it does."""
    by = f"the waiver by {waiver.officer}"
    if waiver.site != site:
        return WaiverSubjectError(f"{by} is for the site {waiver.site}, not for {site}")
    if now < waiver.issued:
        return WaiverNotYetValidError(f"{by} is valid from {waiver.issued.isoformat()}", "check the host's clock")
    if now >= waiver.expires:
        return WaiverExpiredError(f"{by} ended at {waiver.expires.isoformat()}", "an officer signs a new one")
    if waiver.expires - waiver.issued > timedelta(days=HOST_WAIVER_DAYS):
        return WaiverScopeError(f"{by} runs longer than {HOST_WAIVER_DAYS} days")
    if beyond := sorted(waiver.waives - WAIVABLE_LAYERS):
        return WaiverScopeError(f"{by} waives {beyond[0]!r:.80}, which nobody may waive")
    return None


def waiver_files(folder: Path) -> dict[str, bytes]:
    """The installed waiver files by name. One that cannot be read, or is too large, waives nothing."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(WaiverFormatError):
            found[path.name] = waiver_bytes(path)
    return found


def waived_layers(
    files: Mapping[str, bytes], officers: Sequence[PublicSigner], site: str, now: datetime
) -> dict[str, HostWaiver]:
    """The layers that waivers among ``files`` (bytes by name) let this site's host lack now, each with its waiver.

    Files that are no waiver for a host, or are refused, waive nothing: ``sovereign status`` says why.
    """
    found: dict[str, HostWaiver] = {}
    for name, data in sorted(files.items()):
        try:
            waiver = read_host_waiver(data, officers, f"waiver {name}")
        except WaiverError:
            continue
        if refusal(waiver, site, now) is None:
            found |= dict.fromkeys(waiver.waives, waiver)
    return found
