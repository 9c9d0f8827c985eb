"""Who may sign, and who did: the hybrid k-of-n policy above TUF's own thresholds.

TUF counts key ids. A *person* here is a name with exactly one Ed25519 and one ML-DSA-65 key, and counts when both have
signed. A role of k persons publishes the TUF threshold 2k, so that a stock TUF client is never laxer than k whole
persons' worth of signatures; this module is stricter. The rules, for every root of a chain, before it is trusted:

1. every key is Ed25519 or ML-DSA-65, carries its signer's name, and has the key id that its content gives;
2. no key material occurs twice, however it is spelled;
3. every role's key ids pair up to persons, and its threshold is even and at most twice their number;
4. every signature on a metadata file is by a key of the role and valid: nothing on the file goes unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import SSlibKey

from airgap_bundle.errors import (
    DuplicateKeyError,
    FormatError,
    HalfSignatureError,
    NotEnoughSignersError,
    NotGrantedError,
    RootPolicyError,
    SignatureError,
    UnsignedError,
)
from airgap_bundle.keys import ALGORITHMS, SIGNER_FIELD, canonical_key, check_signer_name, key_algorithm, key_material
from airgap_bundle.metadata import MODELS, role_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tuf.api.metadata import Metadata, Role, Root

_SIGN_HINT = "`sovereign bundle sign` adds a person's signatures"


@dataclass(frozen=True)
class Tally:
    """Who of a role signed ``what``: per algorithm, with both halves, or not at all; names sorted."""

    role: str
    threshold: int
    halves: Mapping[str, tuple[str, ...]]
    everybody: tuple[str, ...]

    @property
    def signed(self) -> tuple[str, ...]:
        """Those who signed with both halves: the persons who count."""
        return tuple(name for name in self.everybody if all(name in self.halves[half] for half in ALGORITHMS))

    @property
    def waiting(self) -> tuple[str, ...]:
        """Those who may still sign, or sign again with the missing half."""
        return tuple(name for name in self.everybody if name not in self.signed)

    def __str__(self) -> str:
        text = f"{len(self.signed)} of {self.threshold}"
        if self.signed:
            text += f" ({', '.join(self.signed)})"
        return text if len(self.signed) >= self.threshold else f"{text}, waiting for {', '.join(self.waiting)}"

    def require(self, algorithm: str | None = None) -> str:
        """A sentence when enough persons signed: with ``algorithm``, or with both when None.

        Raises ``UnsignedError``, ``NotEnoughSignersError``, or ``HalfSignatureError`` when halves are what is missing.
        """
        counted = self.signed if algorithm is None else self.halves[algorithm]
        if len(counted) >= self.threshold:
            return f"{len(counted)} of {self.threshold} ({', '.join(counted)})"
        if not any(self.halves.values()):
            raise UnsignedError(f"{self.role} carries no signature: {self}", _SIGN_HINT)
        if any(len(half) >= self.threshold for half in self.halves.values()):
            raise HalfSignatureError(f"{self.role} is signed with one of the two algorithms only: {self}")
        raise NotEnoughSignersError(f"{self.role} is signed by {self}", _SIGN_HINT)


def check_root(root: Root) -> None:
    """Rules 1 to 3. Raises ``RootPolicyError`` or ``DuplicateKeyError``."""
    where = f"root {root.version}"
    try:
        keys = {keyid: _as_sslib(key) for keyid, key in root.keys.items()}
        _check_distinct_material(keys, where)
        for keyid, key in keys.items():
            _check_key(keyid, key)
    except FormatError as error:
        raise RootPolicyError(f"{where}: {error.cause}") from error
    for role in (*root.roles, MODELS):
        entry = role_in(root, role)
        if entry is None:
            continue
        people = persons(root, role)
        if entry.threshold % 2 or not 1 <= entry.threshold // 2 <= len(people):
            raise RootPolicyError(f"{where}: role {role} has threshold {entry.threshold} for {len(people)} persons")


def _check_distinct_material(keys: dict[str, SSlibKey], where: str) -> None:
    owners: dict[bytes, str] = {}
    for keyid, key in keys.items():
        other = owners.setdefault(key_material(key), keyid)
        if other != keyid:
            raise DuplicateKeyError(f"{where}: one key stands under two key ids, {other[:16]}… and {keyid[:16]}…")


def _check_key(keyid: str, key: SSlibKey) -> None:
    check_signer_name(key.unrecognized_fields.get(SIGNER_FIELD))
    plain = canonical_key(key)
    if set(key.unrecognized_fields) != {SIGNER_FIELD} or plain.keyval != key.keyval or plain.keyid != keyid:
        raise FormatError(f"key {keyid[:16]}… is not in the one spelling that its key id names")


def _as_sslib(key: object) -> SSlibKey:
    if not isinstance(key, SSlibKey):
        raise FormatError("key type is not accepted")
    return key


def charge(root: Root, role: str) -> Role:
    """The keys and threshold of ``role``. Raises ``NotGrantedError`` where ``root`` lets nobody bring models."""
    found = role_in(root, role)
    if found is None:
        raise NotGrantedError(
            f"root {root.version} lets nobody bring models between releases",
            "persons of the root grant it: `sovereign trust rotate --add-models`, and carry the new root in the bundle",
        )
    return found


def persons(root: Root, role: str) -> dict[str, dict[str, str]]:
    """``{name: {algorithm: key id}}`` of ``role``, every person complete. Raises ``RootPolicyError``, as ``charge``."""
    found: dict[str, dict[str, str]] = {}
    for keyid in charge(root, role).keyids:
        if keyid not in root.keys:
            raise RootPolicyError(f"root {root.version}: role {role} names a key that is not there")
        key = _as_sslib(root.keys[keyid])
        halves = found.setdefault(str(key.unrecognized_fields.get(SIGNER_FIELD)), {})
        if halves.setdefault(key_algorithm(key), keyid) != keyid:
            raise RootPolicyError(f"root {root.version}: a signer of {role} has two keys of one algorithm")
    for name, halves in found.items():
        if set(halves) != set(ALGORITHMS):
            raise RootPolicyError(f"root {root.version}: signer {name} of {role} lacks one of the two algorithms")
    return found


def tally(root: Root, role: str, metadata: Metadata[Any], *, others: frozenset[str] = frozenset()) -> Tally:
    """Count who of ``role`` signed ``metadata``. ``others``: key ids whose signatures are checked elsewhere.

    Raises ``SignatureError`` for a signature that is invalid or that nobody explains (rule 4).
    """
    people, entry = persons(root, role), charge(root, role)
    payload = metadata.signed_bytes
    valid: set[str] = set()
    for keyid, signature in metadata.signatures.items():
        if keyid not in entry.keyids:
            if keyid not in others:
                raise SignatureError(f"{role} is signed by a key that the root does not name for it: {keyid[:16]}…")
            continue
        try:
            root.keys[keyid].verify_signature(signature, payload)
        except UnverifiedSignatureError as error:
            name = root.keys[keyid].unrecognized_fields.get(SIGNER_FIELD)
            raise SignatureError(f"{role}: a signature of {name} is invalid") from error
        valid.add(keyid)
    halves = {
        algorithm: tuple(sorted(name for name, keyids in people.items() if keyids[algorithm] in valid))
        for algorithm in ALGORITHMS
    }
    return Tally(role, entry.threshold // 2, halves, tuple(sorted(people)))


def require(root: Root, role: str, metadata: Metadata[Any], *, others: frozenset[str] = frozenset()) -> Tally:
    """As ``tally``; raises as ``Tally.require`` when either algorithm, or the persons with both, are too few."""
    found = tally(root, role, metadata, others=others)
    for algorithm in (*ALGORITHMS, None):
        found.require(algorithm)
    return found
