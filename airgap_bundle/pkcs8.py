"""Private keys at rest: PKCS#8 encrypted under a passphrase with scrypt (RFC 7914, RFC 8018) and AES-256-CBC.

``cryptography`` writes encrypted PKCS#8 with 2,048 rounds of PBKDF2, which a graphics card walks through; it *reads*
scrypt, so that only the writing is done here. What is written is standard DER in standard PEM armour.
"""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from airgap_bundle.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    EncryptableKey = Ed25519PrivateKey | MLDSA44PrivateKey | MLDSA65PrivateKey | EllipticCurvePrivateKey

# 128 MiB and about half a second per guess on one core.
COST = 2**17
_BLOCK_SIZE = 8
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04
_SHORT_LENGTH = 128
_LABEL = "ENCRYPTED PRIVATE KEY"


def encrypt(
    key: EncryptableKey,
    passphrase: bytes,
    *,
    cost: int = COST,
) -> bytes:
    """PEM block holding ``key``. ``cost`` is scrypt's N, a power of two. Raises ``KeyFileError`` without passphrase."""
    if not passphrase:
        raise KeyFileError("an empty passphrase protects nothing", "choose a passphrase")
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, vector = os.urandom(16), os.urandom(16)
    secret = Scrypt(salt=salt, length=32, n=cost, r=_BLOCK_SIZE, p=1).derive(passphrase)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    cipher_text = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    scrypt = [_der(_OCTETS, salt), _integer(cost), _integer(_BLOCK_SIZE), _integer(1)]
    derivation = _der(_SEQUENCE, _SCRYPT, _der(_SEQUENCE, *scrypt))
    cipher = _der(_SEQUENCE, _AES_256_CBC, _der(_OCTETS, vector))
    algorithm = _der(_SEQUENCE, _PBES2, _der(_SEQUENCE, derivation, cipher))
    return _armour(_der(_SEQUENCE, algorithm, _der(_OCTETS, cipher_text)))


def decrypt(pem: bytes, passphrase: bytes) -> PrivateKeyTypes:
    """The key in ``pem``, of whatever type. Raises ``KeyFileError``."""
    try:
        return load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            "private key cannot be opened: wrong passphrase, or the file is damaged", "check the passphrase"
        ) from error


def encrypt_all(keys: Sequence[EncryptableKey], passphrase: bytes, *, cost: int = COST) -> list[bytes]:
    """A block for each of ``keys``, derived side by side: what a guess costs stays, the person waits for one of them.

    Raises ``KeyFileError`` as ``encrypt`` does.
    """
    with ThreadPoolExecutor(max_workers=max(len(keys), 1)) as pool:
        return list(pool.map(partial(encrypt, passphrase=passphrase, cost=cost), keys))


def decrypt_all(blocks: Sequence[bytes], passphrase: bytes) -> list[PrivateKeyTypes]:
    """The key in each of ``blocks``, side by side. Raises ``KeyFileError`` as ``decrypt`` does."""
    with ThreadPoolExecutor(max_workers=max(len(blocks), 1)) as pool:
        return list(pool.map(partial(decrypt, passphrase=passphrase), blocks))


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < _SHORT_LENGTH:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def _integer(number: int) -> bytes:
    return _der(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _armour(der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {_LABEL}-----", *lines, f"-----END {_LABEL}-----", ""]).encode()
