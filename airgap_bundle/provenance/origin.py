"""Statements of origin: in-toto statements (Statement v1) in a DSSE envelope, signed with both halves of one signer.

Each is one person's word on one thing: who *produced* some files and under which law, their *licence*, what is said
about *training data*, how files were *converted* or *quantised* from which others, or that a site *approves* of them.
Subjects and inputs are bound by SHA-256, so that statements about different steps join into a chain. Who may say what
is the policy of whoever asks; here only the form and the signatures are checked. The predicate types are names, not
addresses: nothing is ever fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airgap_bundle.errors import FormatError, MalformedError
from airgap_bundle.statement import sign_statement, verify_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airgap_bundle.keys import PublicSigner, Signer

PAYLOAD_TYPE = "application/vnd.in-toto+json"
SUFFIX = ".intoto.json"
Kind = Literal["production", "licence", "training-data", "conversion", "quantisation", "approval"]
_TYPES = "https://sovereign.invalid/model-origin/{}/v1"

_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Words = Annotated[str, Field(min_length=1, max_length=500)]


class _Predicate(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Production(_Predicate):
    """Who published the subjects: the producer's name, where it is, and the law it answers to (ISO 3166 code)."""

    producer: _Words
    place: _Words
    jurisdiction: _Words


class Licensing(_Predicate):
    """The licence of the subjects, as an SPDX identifier or expression."""

    spdx: _Words


class TrainingData(_Predicate):
    """What is said about the data that the subjects were trained on."""

    statement: _Words


class Conversion(_Predicate):
    """The subjects are what ``tool`` of ``version`` made of ``inputs`` (SHA-256 in hex)."""

    tool: _Words
    version: _Words
    inputs: Annotated[tuple[_Hex, ...], Field(min_length=1, max_length=1000, strict=False)]


class Quantisation(Conversion):
    """As ``Conversion``; ``scheme`` is the quantisation's name."""

    scheme: _Words


class Approval(_Predicate):
    """The site's own approval of the subjects, and why."""

    reason: Annotated[str, Field(min_length=10, max_length=2000)]


_PREDICATES: dict[str, type[_Predicate]] = {
    "production": Production,
    "licence": Licensing,
    "training-data": TrainingData,
    "conversion": Conversion,
    "quantisation": Quantisation,
    "approval": Approval,
}
KINDS: tuple[str, ...] = tuple(_PREDICATES)
_KIND_OF = {_TYPES.format(kind): kind for kind in KINDS}


class _Subject(BaseModel):
    """A file by name and digest; in-toto's other fields are ignored on purpose."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: _Words
    digest: dict[str, str]


class _Statement(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[_Subject, ...], Field(min_length=1, max_length=1000)]
    predicate_type: Annotated[str, Field(alias="predicateType")]
    predicate: dict[str, Any]


@dataclass(frozen=True)
class OriginStatement:
    """A statement whose signatures hold. ``subjects``: SHA-256 in hex → name."""

    kind: str
    subjects: Mapping[str, str]
    predicate: Production | Licensing | TrainingData | Conversion | Quantisation | Approval
    attester: str


def fields_of(kind: str) -> tuple[str, ...]:
    """Names of the fields of a statement of ``kind``."""
    return tuple(_PREDICATES[kind].model_fields)


def sign_origin(kind: str, subjects: Mapping[str, str], fields: Mapping[str, Any], signer: Signer) -> bytes:
    """The envelope of ``signer``'s statement that ``fields`` are true of ``subjects`` (SHA-256 in hex → name).

    Raises ``FormatError`` for an unknown kind, a field that is missing, or one that the kind does not have.
    """
    payload = _payload(kind, subjects, fields)
    _read(payload, signer.name)
    return sign_statement(payload, PAYLOAD_TYPE, signer)


def unsigned_origin(
    kind: str, subjects: Mapping[str, str], fields: Mapping[str, Any], attester: str
) -> OriginStatement:
    """The statement as ``verify_origin`` would give it: to ask a policy what it would say. Raises ``FormatError``."""
    return _read(_payload(kind, subjects, fields), attester)


def _payload(kind: str, subjects: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}} for sha256, name in sorted(subjects.items())],
        "predicateType": _TYPES.format(kind),
        "predicate": {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()},
    }


def verify_origin(data: bytes, attesters: Sequence[PublicSigner]) -> OriginStatement:
    """The statement in ``data``, signed with both halves by one of ``attesters``.

    Raises what ``verify_statement`` raises, and ``MalformedError`` for a statement that is none of origin.
    """
    payload, attester = verify_statement(data, PAYLOAD_TYPE, attesters)
    try:
        return _read(payload, attester)
    except FormatError as error:
        raise MalformedError(f"statement of origin: {error.cause}") from error


def _read(payload: dict[str, Any], attester: str) -> OriginStatement:
    try:
        statement = _Statement.model_validate(payload)
        kind = _KIND_OF[statement.predicate_type]
        predicate = _PREDICATES[kind].model_validate(statement.predicate)
        subjects = {_checked(subject.digest): subject.name for subject in statement.subject}
    except KeyError:
        raise FormatError(f"predicate type {statement.predicate_type[:80]!r} is not known") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise FormatError(f"{'.'.join(map(str, first['loc'])) or 'statement'}: {first['msg']}") from error
    return OriginStatement(kind, subjects, predicate, attester)  # type: ignore[arg-type]  # the table's values are exactly these classes


def _checked(digest: Mapping[str, str]) -> str:
    """The SHA-256 of a subject, which is the only digest it may have. Raises ``FormatError``."""
    sha256 = digest.get("sha256", "")
    if set(digest) != {"sha256"} or len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):  # noqa: PLR2004 - SHA-256 in hex
        raise FormatError("a subject is named by one sha256 and nothing else")
    return sha256
