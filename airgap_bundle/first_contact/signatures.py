"""Detached signatures of persons over FIRST-CONTACT, which stock `openssl` can verify.

TUF signs canonical JSON, which no tool of a stock host can make again. So each person signs this text as well, at the
same moment and with the same Ed25519 key. The prefix keeps the two apart: canonical JSON begins with ``{``, a DSSE
statement with ``DSSEv1``, and no message of the one kind is a message of another. The post-quantum half is not here,
because `openssl` 3.0 does not know it: `bundle verify` asks for it before anything is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature

from airgap_bundle.errors import SignatureError
from airgap_bundle.first_contact.record import FILE
from airgap_bundle.keys import ED25519
from airgap_bundle.metadata import TARGETS
from airgap_bundle.names import check_path
from airgap_bundle.root_policy import persons

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tuf.api.metadata import Root

    from airgap_bundle.keys import Signer
    from airgap_bundle.medium import BundleSource

FOLDER = f"{FILE}.sig"
SUFFIX = ".ed25519"
SIGNATURE_BYTES = 64
# What a response calls a person's signature, beside the metadata files by role.
ROLE = "first-contact"
DOMAIN = b"sovereign first contact v1\n"


def path(name: str) -> str:
    """Where the signature of ``name`` lies in a bundle. Raises ``UnsafeNameError`` for one that no medium can hold."""
    return check_path(f"{FOLDER}/{name}{SUFFIX}")


def names(paths: Iterable[str]) -> tuple[str, ...]:
    """Whose signatures lie among ``paths``, by the names of the files; sorted."""
    prefix = f"{FOLDER}/"
    return tuple(
        sorted(
            found[len(prefix) : -len(SUFFIX)] for found in paths if found.startswith(prefix) and found.endswith(SUFFIX)
        )
    )


def message(data: bytes) -> bytes:
    """What is signed of the FIRST-CONTACT ``data``."""
    return DOMAIN + data


def sign(signer: Signer, data: bytes) -> bytes:
    """The 64 bytes of ``signer``'s signature over the FIRST-CONTACT ``data``."""
    return bytes.fromhex(signer.ed25519.sign(message(data)).signature)


def read(medium: BundleSource, root: Root, listed: Iterable[str]) -> dict[str, bytes]:
    """The signatures among the files ``listed`` of ``medium``, by name, not verified yet.

    Raises ``SignatureError``, before it reads any, for a name that is not one of the targets role's.
    """
    found = names(listed)
    _keys(root, found)
    return {name: medium.read(path(name), SIGNATURE_BYTES) for name in found}


def check(root: Root, data: bytes, signatures: Mapping[str, bytes]) -> None:
    """Raise ``SignatureError`` unless each of ``signatures``, by name, is valid and by a person of the targets role.

    How many are needed is another question.
    """
    for name, keyid in _keys(root, signatures).items():
        try:
            root.keys[keyid].verify_signature(Signature(keyid, signatures[name].hex()), message(data))
        except UnverifiedSignatureError as error:
            raise SignatureError(f"{FILE}: the signature of {name} is invalid") from error


def _keys(root: Root, signers: Iterable[str]) -> dict[str, str]:
    """Ed25519 key ids of ``signers``, by name."""
    people, found = persons(root, TARGETS), {}
    for name in signers:
        if name not in people:
            raise SignatureError(f"{FILE} is signed by {name!r:.80}, whom the root does not name for {TARGETS}")
        found[name] = people[name][ED25519]
    return found
