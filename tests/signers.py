"""Signers of tests: keys that follow from a name; where that is asked for, a signature made once is kept.

ML-DSA signing is randomised, and `cryptography` offers no other way, so that the same message signed twice gives two
signatures. After `start_keeping`, what was signed before is given again: within the run, and across runs for what
`keep` is told. So the vectors in `tests/vectors` stay as they are when they are generated again.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature

from airgap_bundle import keys

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

Kept = dict[tuple[str, bytes], Signature]
_keeping: list[Kept] = []  # none or one


class KeepingSigner(keys.Signer):
    """A signer that, after ``start_keeping``, signs a message once and gives the same signatures afterwards."""

    def sign(self, data: bytes) -> tuple[Signature, Signature]:
        return _signature(self.ed25519, data), _signature(self.ml_dsa, data)


def _signature(half: CryptoSigner, data: bytes) -> Signature:
    place = half.public_key.keyid, hashlib.sha256(data).digest()
    for kept in _keeping:
        if place not in kept:
            kept[place] = half.sign(data)
        return kept[place]
    return half.sign(data)


def start_keeping() -> None:
    """From here on every signature is kept, for the rest of the process. Nothing may have been signed before."""
    _keeping.append({})


def keep(key: SSlibKey, data: bytes, sig: str) -> None:
    """Take ``sig`` as the signature of ``key`` over ``data``, if it is valid; the first one that is stays."""
    signature = Signature(key.keyid, sig)
    try:
        key.verify_signature(signature, data)
    except UnverifiedSignatureError:
        return
    _keeping[0].setdefault((key.keyid, hashlib.sha256(data).digest()), signature)


@cache
def signer(name: str) -> keys.Signer:
    """The signer ``name``, the same one in every run. Keys that anybody can derive: for tests and vectors only."""
    ed25519, ml_dsa = (hashlib.sha256(f"sovereign test {half} {name}".encode()).digest() for half in keys.ALGORITHMS)
    halves = Ed25519PrivateKey.from_private_bytes(ed25519), MLDSA65PrivateKey.from_seed_bytes(ml_dsa)
    public = keys.PublicSigner.of(name, halves[0].public_key(), halves[1].public_key())
    return KeepingSigner(name, CryptoSigner(halves[0], public.ed25519), CryptoSigner(halves[1], public.ml_dsa))
