"""TUF metadata files, read strictly: what python-tuf lets pass is refused before python-tuf sees it.

python-tuf parses with plain ``json`` (duplicate keys, NaN), takes versions of any type that compares with 0, keeps
unsigned fields and ignores signatures by unknown keys. Here every byte of a file matters: the envelope holds
``signatures`` and ``signed`` and nothing else, a signature is a key id and lower-case hex, versions are integers in
1..2^63-1. Extra fields inside ``signed`` are covered by signatures and ignored on purpose.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from securesystemslib.exceptions import FormatError as CanonicalError
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import DelegatedRole, Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError, SerializationError

from airgap_bundle import strict_json
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import FormatError

if TYPE_CHECKING:
    from tuf.api.metadata import MetaFile, Role, Signed, TargetFile

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
MODELS = "models"
INDEX_FILE, RELEASE_FILE = "index.json", "release.json"
GRANT = "x-sovereign-models"
GRANT_PATHS = ("models/*",)
MODELS_PREFIX = "models/"
MAX_METADATA_BYTES = 1 << 20
MAX_SIGNATURES = 64
ISSUED = "x-sovereign-issued"
UNDER = "x-sovereign-root"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
PACK_TARGET = re.compile(r"models/([a-z0-9][a-z0-9._-]{0,62})\.pack", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE = re.compile(r"([0-9a-f]{2})+", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def parse_time(value: object) -> datetime:
    """An instant in the one spelling ``2026-01-31T12:00:00Z``. Raises ``FormatError``."""
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.strptime(value, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise FormatError(f"not an instant like 2026-01-31T12:00:00Z: {str(value)[:40]!r}")


def format_time(instant: datetime) -> str:
    """``instant`` in that spelling, in UTC, to the second."""
    return instant.astimezone(UTC).strftime(TIME_FORMAT)


def parse_root(data: bytes) -> Metadata[Root]:
    """A root, its structure checked; its policy is ``root_policy``'s. Raises ``FormatError``."""
    found: Metadata[Root] = _parse(data, ROOT)
    if found.signed.consistent_snapshot is not False:
        raise FormatError("root: consistent_snapshot must be false")
    for name, role in found.signed.roles.items():
        if type(role.threshold) is not int or not all(_is_key_id(keyid) for keyid in role.keyids):
            raise FormatError(f"root: role {name} is malformed")
    if GRANT in found.signed.unrecognized_fields:
        _check_grant(found.signed.unrecognized_fields[GRANT])
    return found


def role_in(root: Root, role: str) -> Role | None:
    """The keys and threshold of ``role`` in ``root``, which ``parse_root`` read; None for models that nobody may bring.

    The grant for models is a delegated role in TUF's form. It stands in the root, in a field that a stock client
    ignores, because TUF's own place for delegations is the targets of a release, and those end with the release.
    """
    if role != MODELS:
        return root.roles[role]
    grant = root.unrecognized_fields.get(GRANT)
    return None if grant is None else DelegatedRole.from_dict(dict(grant))


def grant(keyids: list[str], threshold: int) -> dict[str, Any]:
    """What a root says under ``GRANT``: a delegated role whose paths are those of bundles of models."""
    return DelegatedRole(MODELS, keyids, threshold, terminating=True, paths=list(GRANT_PATHS)).to_dict()


def parse_models(data: bytes) -> Metadata[Targets]:
    """Targets of the delegated role: index and release file of a bundle of models, and nothing else.

    The names differ from those of a release's targets, so that neither can be taken for the other, whoever signed it.
    They name the one root under which they count. Raises ``FormatError``.
    """
    found = _parse_targets(data, MODELS, MODELS_PREFIX)
    _check_under(found, MODELS)
    return found


def parse_pack(data: bytes) -> Metadata[Targets]:
    """Targets of the delegated role that name one pack, ``models/NAME.pack``, and nothing else.

    ``models.json`` names other targets, so neither file passes for the other. They name the one root under which they
    were signed. Raises ``FormatError``.
    """
    found: Metadata[Targets] = _parse(data, TARGETS)
    if found.signed.delegations is not None:
        raise FormatError("pack: delegations are not part of this format version")
    named = list(found.signed.targets)
    if len(named) != 1 or not PACK_TARGET.fullmatch(named[0]):
        raise FormatError("pack: one target like models/NAME.pack expected, and nothing else")
    _check_bound(found.signed.targets[named[0]], "pack")
    _check_under(found, "pack")
    return found


def sign_under(signed: Signed, version: int, root: bytes) -> None:
    """Let ``signed`` count under the root of this ``version`` in the file ``root``, and under no other."""
    signed.unrecognized_fields[UNDER] = {"version": version, "sha256": sha256(root).hex}


def signed_under(signed: Signed) -> tuple[int, Digest]:
    """Version and fingerprint of the root under which ``signed``, of a bundle of models or a pack, counts."""
    named = signed.unrecognized_fields[UNDER]
    return named["version"], Digest.parse(f"sha256:{named['sha256']}")


def parse_targets(data: bytes) -> Metadata[Targets]:
    """Targets that name ``index.json`` and ``release.json`` and nothing else. Raises ``FormatError``."""
    return _parse_targets(data, TARGETS, "")


def _parse_targets(data: bytes, role: str, prefix: str) -> Metadata[Targets]:
    found: Metadata[Targets] = _parse(data, TARGETS)
    if found.signed.delegations is not None:
        raise FormatError(f"{role}: delegations are not part of this format version")
    if set(found.signed.targets) != {prefix + INDEX_FILE, prefix + RELEASE_FILE}:
        raise FormatError(f"{role}: {prefix}index.json and {prefix}release.json expected, and nothing else")
    for target in found.signed.targets.values():
        _check_bound(target, role)
    return found


def parse_snapshot(data: bytes) -> Metadata[Snapshot]:
    """A snapshot that binds ``targets.json`` by version, length and digest. Raises ``FormatError``."""
    found: Metadata[Snapshot] = _parse(data, SNAPSHOT)
    if set(found.signed.meta) != {"targets.json"}:
        raise FormatError("snapshot: targets.json expected, and nothing else")
    _check_meta(found.signed.meta["targets.json"], SNAPSHOT)
    return found


def parse_timestamp(data: bytes) -> Metadata[Timestamp]:
    """A timestamp that binds ``snapshot.json`` by version, length and digest. Raises ``FormatError``."""
    found: Metadata[Timestamp] = _parse(data, TIMESTAMP)
    _check_meta(found.signed.snapshot_meta, TIMESTAMP)
    return found


def issued(signed: Signed) -> datetime:
    """When the metadata says it was made: a claim of its signers, a lower bound for any honest clock."""
    return parse_time(signed.unrecognized_fields.get(ISSUED))


def issue(signed: Signed, now: datetime) -> Metadata[Any]:
    """Unsigned metadata around ``signed``, which says from here on that it was made at ``now``."""
    signed.unrecognized_fields[ISSUED] = format_time(now)
    return Metadata(signed)


def binds(bound: MetaFile | TargetFile, data: bytes) -> bool:
    """Whether ``data`` has the length and the digest that ``bound`` signed."""
    return bound.length == len(data) and bound.hashes == {"sha256": sha256(data).hex}


def _parse(data: bytes, role: str) -> Any:
    value = strict_json.load_object(data, max_bytes=MAX_METADATA_BYTES)
    if set(value) != {"signatures", "signed"} or not isinstance(value["signed"], dict):
        raise FormatError(f"{role}: exactly signatures and signed expected")
    _check_signatures(value["signatures"], role)
    signed = value["signed"]
    version = signed.get("version")
    if signed.get("_type") != role:
        raise FormatError(f"{role}: metadata of type {str(signed.get('_type'))[:40]!r} found")
    if type(version) is not int or version < 1:
        raise FormatError(f"{role}: version {version!r} is no positive integer")
    parse_time(signed.get("expires"))
    parse_time(signed.get(ISSUED))
    try:
        found: Metadata[Any] = Metadata.from_bytes(data)
    except DeserializationError as error:
        raise FormatError(f"{role}: {error.__cause__}") from error
    _check_lossless(found, signed, role)
    return found


def _check_signatures(signatures: object, role: str) -> None:
    if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        raise FormatError(f"{role}: signatures must be a list of at most {MAX_SIGNATURES}")
    for signature in signatures:
        if (
            not isinstance(signature, dict)
            or set(signature) != {"keyid", "sig"}
            or not _is_key_id(signature["keyid"])
            or not isinstance(signature["sig"], str)
            or not _SIGNATURE.fullmatch(signature["sig"])
        ):
            raise FormatError(f"{role}: a signature is not a key id and lower-case hex")


def _check_lossless(found: Metadata[Any], signed: dict[str, Any], role: str) -> None:
    """What python-tuf will verify must spell what was read, so that nothing is used that was not signed."""
    try:
        same = (encode_canonical(signed) or "").encode() == found.signed_bytes
    except (CanonicalError, SerializationError) as error:
        raise FormatError(f"{role}: metadata has no canonical spelling") from error
    if not same:
        raise FormatError(f"{role}: metadata changes when it is parsed")


def _check_grant(value: object) -> None:
    keyids = value.get("keyids") if isinstance(value, dict) else None
    known = isinstance(keyids, list) and all(_is_key_id(keyid) for keyid in keyids) and len(set(keyids)) == len(keyids)
    threshold = value.get("threshold") if isinstance(value, dict) else None
    if not known or type(threshold) is not int or value != grant(list(keyids or ()), threshold):
        raise FormatError(f"root: {GRANT} is malformed")


def _check_under(found: Metadata[Targets], role: str) -> None:
    named = found.signed.unrecognized_fields.get(UNDER)
    if not isinstance(named, dict) or set(named) != {"version", "sha256"} or not _is_key_id(named["sha256"]):
        raise FormatError(f"{role}: {UNDER} with version and sha256 of a root expected, and nothing else")
    if type(named["version"]) is not int or named["version"] < 1:
        raise FormatError(f"{role}: the version of a root is no positive integer")


def _check_bound(bound: MetaFile | TargetFile, role: str) -> None:
    hashes = bound.hashes or {}
    if type(bound.length) is not int or set(hashes) != {"sha256"} or not _is_key_id(hashes["sha256"]):
        raise FormatError(f"{role}: length and one sha256 digest expected")


def _check_meta(bound: MetaFile, role: str) -> None:
    _check_bound(bound, role)
    if type(bound.version) is not int:
        raise FormatError(f"{role}: version {bound.version!r} is no integer")


def _is_key_id(value: object) -> bool:
    return isinstance(value, str) and _KEY_ID.fullmatch(value) is not None
