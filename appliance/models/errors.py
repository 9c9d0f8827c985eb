"""Why the gate refuses. Every class is one reason, so that a test and an operator can tell them apart.

RefusedError
└── ModelGateError                ``verdict`` holds every named check, where the gate came that far
    ├── ModelRefusedError         the site's policy does not accept the model, and no waiver covers it
    ├── ArtifactError             the release has no such model, or lacks a file that the record names
    ├── RecordError               the model record breaks its schema
    │   ├── RecordSlotError       the record of one model in another's place
    │   └── RecordRollbackError   a version below the policy's floor
    ├── PolicyError               models.yaml is wrong
    ├── ModelFileError            not a regular file, a symbolic link, or writable by others
    │   ├── FileSizeError         not the size that was signed
    │   ├── FileDigestError       not the bytes that were signed
    │   └── FileChangedError      changed while it was being read
    ├── PublisherSignatureError   the publisher's signature that lies beside the model does not hold
    ├── StatementError            a statement of origin is broken
    │   └── ContradictionError    a statement of origin says something else than the record
    ├── BaseError                 an adapter or projector belongs to another model than the release holds
    ├── TemplateError             the chat template is too long, or does what a template has no business doing
    ├── GgufError                 the weights' header is malformed or is not what the record says
    │   ├── GgufMagicError        no GGUF file of a version that is read here
    │   ├── GgufCountError        a count that the file cannot hold
    │   ├── GgufLengthError       a text or list longer than the file
    │   ├── GgufDuplicateKeyError one key or tensor twice
    │   ├── GgufTypeError         an unknown or unfitting value type
    │   ├── GgufTensorError       a tensor outside the file, misaligned, empty or overlapping
    │   └── GgufMismatchError     the header disagrees with the signed record
    └── WaiverError               a waiver that would be needed is refused
        ├── WaiverFormatError     no statement of the waiver type, or its fields are wrong
        │   └── WaiverKindError   a sound waiver, about another kind of thing
        ├── WaiverSignatureError  the signature does not hold
        │   ├── WaiverSignerError signed by nobody who is enrolled as officer
        │   └── WaiverHalfSignedError one of the two signatures is missing
        ├── WaiverSubjectError    about another digest or name
        ├── WaiverExpiredError    its end date has passed
        ├── WaiverNotYetValidError its start lies in the future
        └── WaiverScopeError      waives what the policy lets nobody waive
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.errors import RefusedError

if TYPE_CHECKING:
    from appliance.models.verdict import Verdict


class ModelGateError(RefusedError):
    """The gate stays shut; nothing was loaded."""

    verdict: Verdict | None = None


class ModelRefusedError(ModelGateError):
    """The policy does not accept the model."""


class ArtifactError(ModelGateError):
    """The release does not hold what the record names."""


class RecordError(ModelGateError):
    """The model record breaks its schema."""


class RecordSlotError(RecordError):
    """The record names another model or version than the release does."""


class RecordRollbackError(RecordError):
    """The record's version is below the policy's floor."""


class PolicyError(ModelGateError):
    """models.yaml cannot be used."""


class ModelFileError(ModelGateError):
    """The file itself is not fit to be trusted."""


class FileSizeError(ModelFileError):
    """Another size than the signed one."""


class FileDigestError(ModelFileError):
    """Other bytes than the signed ones."""


class FileChangedError(ModelFileError):
    """Somebody wrote to the file while it was being read."""


class PublisherSignatureError(ModelGateError):
    """The publisher's signature is there and does not hold; its cause says why."""


class StatementError(ModelGateError):
    """A statement of origin is there and does not hold."""


class ContradictionError(StatementError):
    """A statement of origin contradicts the signed record."""


class BaseError(ModelGateError):
    """The model that an adapter, projector or draft model belongs to is not the one that the release holds."""


class TemplateError(ModelGateError):
    """The chat template is not fit to be used."""


class GgufError(ModelGateError):
    """The GGUF header is malformed."""


class GgufMagicError(GgufError):
    """Not a GGUF file of a known version."""


class GgufCountError(GgufError):
    """A count beyond what the file can hold."""


class GgufLengthError(GgufError):
    """A length beyond the end of the file, or beyond any use."""


class GgufDuplicateKeyError(GgufError):
    """A key or tensor name occurs twice."""


class GgufTypeError(GgufError):
    """A value of an unknown type, or of another type than its key has."""


class GgufTensorError(GgufError):
    """A tensor that does not lie inside the file as it should."""


class GgufMismatchError(GgufError):
    """The header contradicts the signed record."""


class WaiverError(ModelGateError):
    """A waiver is refused."""


class WaiverFormatError(WaiverError):
    """Not a waiver, or one with wrong fields."""


class WaiverKindError(WaiverFormatError):
    """Its officer's signature holds, and it is about another kind of thing."""


class WaiverSignatureError(WaiverError):
    """The signature does not hold."""


class WaiverSignerError(WaiverSignatureError):
    """Signed by nobody who is enrolled."""


class WaiverHalfSignedError(WaiverSignatureError):
    """One of the two algorithms is missing."""


class WaiverSubjectError(WaiverError):
    """About another model."""


class WaiverExpiredError(WaiverError):
    """Too old."""


class WaiverNotYetValidError(WaiverError):
    """Too early."""


class WaiverScopeError(WaiverError):
    """Waives what may not be waived."""
