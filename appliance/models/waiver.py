"""Waivers: an officer's signed, dated word that one model may fall short of one requirement.

A waiver is verified at every start, never remembered. It names one model by name *and* digest, what it waives, why, and
until when; the officer's keys must be enrolled at the site and both of the officer's signatures must hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from airgap_bundle.errors import BundleError, HalfSignatureError, PayloadTypeError, SignatureError
from airgap_bundle.statement import WAIVER_TYPE, verify_statement
from appliance.models.errors import (
    WaiverError,
    WaiverExpiredError,
    WaiverFormatError,
    WaiverHalfSignedError,
    WaiverKindError,
    WaiverNotYetValidError,
    WaiverScopeError,
    WaiverSignerError,
    WaiverSubjectError,
)
from appliance.models.policy import WAIVABLE
from appliance.models.record import Hex, Words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from appliance.models.policy import ModelPolicy
    from appliance.models.record import ModelRecord

WAIVER_MAX_BYTES = 65_536
MIN_REASON, MAX_REASON = 10, 2000
"""Characters of a reason; a waiver with fewer or more is no waiver, and is not signed."""
KINDS = frozenset({"model", "host"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Subject(_Strict):
    name: Words
    sha256: Hex


class WaiverFields(_Strict):
    """What every waiver states; a subclass adds ``kind`` and ``subject``."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    waives: Annotated[tuple[Words, ...], Field(min_length=1, max_length=16)]
    reason: Annotated[str, Field(min_length=MIN_REASON, max_length=MAX_REASON)]
    issued: AwareDatetime
    expires: AwareDatetime
    officer: Words


class _Payload(WaiverFields):
    kind: Literal["model"]
    subject: _Subject


Shape = TypeVar("Shape", bound=WaiverFields)


@dataclass(frozen=True)
class Waiver:
    """A waiver whose signatures hold. Whether it applies is ``refusal``'s question."""

    subject_name: str
    subject_sha256: str
    waives: frozenset[str]
    reason: str
    issued: datetime
    expires: datetime
    officer: str

    def to_receipt(self) -> dict[str, Any]:
        """What a receipt says about a waiver that was used."""
        return {
            "waives": sorted(self.waives),
            "reason": self.reason,
            "expires": self.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "officer": self.officer,
        }

    def concerns(self, record: ModelRecord) -> bool:
        """Whether name or digest is this model's: a waiver with neither is another model's business."""
        return self.subject_name == record.name or self.subject_sha256 == record.weights.sha256


def read_waiver(data: bytes, officers: Sequence[PublicSigner], source: str = "waiver") -> Waiver:
    """The waiver for a model in ``data`` (DSSE JSON), its signatures checked against ``officers``.

    Raises ``WaiverSignerError``, ``WaiverHalfSignedError`` or ``WaiverFormatError``; of these ``WaiverKindError`` for a
    waiver of another kind, which is none of a model's business.
    """
    fields = read_fields(data, officers, source, _Payload)
    return Waiver(
        subject_name=fields.subject.name,
        subject_sha256=fields.subject.sha256,
        waives=frozenset(fields.waives),
        reason=fields.reason,
        issued=fields.issued,
        expires=fields.expires,
        officer=fields.officer,
    )


def read_fields(data: bytes, officers: Sequence[PublicSigner], source: str, shape: type[Shape]) -> Shape:
    """The fields of a signed waiver of the kind that ``shape`` describes. Raises as ``read_waiver``."""
    try:
        payload, signer = verify_statement(data, WAIVER_TYPE, officers)
    except PayloadTypeError as error:
        raise WaiverFormatError(f"{source} is no waiver: {error.cause}") from error
    except HalfSignatureError as error:
        raise WaiverHalfSignedError(f"{source}: {error.cause}", "the officer signs with both keys") from error
    except SignatureError as error:
        raise WaiverSignerError(
            f"{source} is not signed by an officer of this site: {error.cause}", "officers are enrolled in site.yaml"
        ) from error
    except BundleError as error:
        raise WaiverFormatError(f"{source} cannot be read: {error.cause}") from error
    kind = payload.get("kind")
    if isinstance(kind, str) and kind in KINDS and kind not in get_args(shape.model_fields["kind"].annotation):
        raise WaiverKindError(f"{source}: kind: it is about a {kind}")
    try:
        fields = shape.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WaiverFormatError(f"{source}: {where}: {first['msg']}") from error
    if fields.officer != signer:
        raise WaiverSignerError(f"{source} names officer {fields.officer!r:.80} and is signed by {signer}")
    return fields


def load_waiver(path: Path, officers: Sequence[PublicSigner]) -> Waiver:
    """As ``read_waiver``, from a file."""
    return read_waiver(waiver_bytes(path), officers, f"waiver {path.name}")


def waiver_bytes(path: Path) -> bytes:
    """The bytes of a waiver file. Raises ``WaiverFormatError``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(WAIVER_MAX_BYTES + 1)
    except OSError as error:
        raise WaiverFormatError(f"waiver {path.name} cannot be read: {error.strerror}") from error
    if len(data) > WAIVER_MAX_BYTES:
        raise WaiverFormatError(f"waiver {path.name} is larger than {WAIVER_MAX_BYTES} bytes")
    return data


def read_waivers(files: Sequence[Path], officers: Sequence[PublicSigner]) -> tuple[list[Waiver], list[WaiverError]]:
    """Waivers for models whose signatures hold, and refusals of the others; those about hosts are no matter here."""
    waivers, refused = [], []
    for path in files:
        try:
            waivers.append(load_waiver(path, officers))
        except WaiverKindError:
            continue
        except WaiverError as error:
            refused.append(error)
    return waivers, refused


def refusal(waiver: Waiver, record: ModelRecord, policy: ModelPolicy, now: datetime) -> WaiverError | None:
    """Why ``waiver`` does not apply to ``record`` at ``now``, or ``None`` when it does."""
    by = f"the waiver by {waiver.officer}"
    if (waiver.subject_name, waiver.subject_sha256) != (record.name, record.weights.sha256):
        return WaiverSubjectError(
            f"{by} is for {waiver.subject_name!r:.80} {waiver.subject_sha256[:12]}…, not for {record.name} "
            f"{record.weights.sha256[:12]}…",
            "an officer signs a waiver for this very file",
        )
    if now < waiver.issued:
        return WaiverNotYetValidError(f"{by} is valid from {waiver.issued.isoformat()}", "check the host's clock")
    if now >= waiver.expires:
        return WaiverExpiredError(f"{by} ended at {waiver.expires.isoformat()}", "an officer signs a new one")
    if waiver.expires - waiver.issued > timedelta(days=policy.waiver_days):
        return WaiverScopeError(f"{by} runs longer than the {policy.waiver_days} days that the policy allows")
    if beyond := sorted(waiver.waives - (WAIVABLE & set(policy.waivable))):
        return WaiverScopeError(f"{by} waives {beyond[0]!r:.80}, which the policy lets nobody waive")
    return None
