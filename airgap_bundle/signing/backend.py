"""Where a signer's private keys lie, dispatched on how the key file begins: both in a file, or one on a token.

    sovereign signer: NAME      ``NAME.key``    both halves, encrypted PKCS#8
    {                           ``NAME.token``  Ed25519 on a PKCS#11 token, ML-DSA-65 in an encrypted PKCS#8 file

Secrets are asked for, never passed: ``Ask`` is implemented by whoever talks to the person.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from securesystemslib.signer import CryptoSigner

from airgap_bundle import keys
from airgap_bundle.errors import KeyFileError
from airgap_bundle.keys import PublicSigner, Signer, check_signer_name
from airgap_bundle.signing import token
from airgap_bundle.signing.token_file import TokenFile, check_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from airgap_bundle.signing.token_uri import TokenUri


class Ask(Protocol):
    """How a secret comes from a person: a prompt, or a file descriptor; ``what`` says which one is wanted."""

    def passphrase(self, what: str) -> bytes:
        """The passphrase of a file."""

    def pin(self, what: str) -> str:
        """The PIN of a token."""


@contextmanager
def open_signer(path: Path, ask: Ask) -> Iterator[Signer]:
    """The signer whose keys ``path`` holds or describes; a token's session ends with the context.

    Raises ``KeyFileError``.
    """
    start = keys.read_key_file(path)
    opener = next((opener for magic, opener in _BACKENDS.items() if start.startswith(magic)), None)
    if opener is None:
        raise KeyFileError(f"{path} is neither a signer's key file nor a key description", "`sovereign trust keygen`")
    with opener(path, ask) as signer:
        yield signer


@contextmanager
def _open_file(path: Path, ask: Ask) -> Iterator[Signer]:
    yield keys.load(path, ask.passphrase(f"passphrase of {path.name}"))


@contextmanager
def _open_token(path: Path, ask: Ask) -> Iterator[Signer]:
    found = TokenFile.load(path)
    other = path.with_name(found.ml_dsa)
    with token.session(check_ours(found.module), found.uri, ask.pin) as opened:
        key = token.find_key(opened, found.uri)
        name, (private,) = keys.load_private(other, ask.passphrase(f"passphrase of {other.name}"), 1)
        if name != found.name or not isinstance(private, MLDSA65PrivateKey):
            raise KeyFileError(f"{other} does not hold the ML-DSA-65 key of {found.name}")
        public = PublicSigner.of(found.name, found.public, private.public_key())
        half = token.TokenHalf(key, public.ed25519)
        yield Signer(found.name, half, CryptoSigner(private, public.ml_dsa))


_BACKENDS: dict[bytes, Callable[[Path, Ask], AbstractContextManager[Signer]]] = {
    b"sovereign signer: ": _open_file,
    b"{": _open_token,
}


@dataclass(frozen=True)
class TokenFiles:
    """What making a signer on a token left in the folder."""

    description: Path
    ml_dsa: Path
    public: Path


def generate_on_token(name: str, module: Path, uri: TokenUri, directory: Path, ask: Ask) -> TokenFiles:
    """Make a signer whose Ed25519 key is made on the token that ``uri`` names, as the key that it names.

    Nothing is overwritten, on the token or in ``directory``. Raises ``KeyFileError`` and ``FormatError``.
    """
    check_signer_name(name)
    ours = check_ours(module)
    made = TokenFiles(*(directory / f"{name}.{end}" for end in ("token", "ml-dsa.key", "pub")))
    keys.refuse_existing(made.description, made.ml_dsa, made.public)
    passphrase = ask.passphrase(f"new passphrase of {made.ml_dsa.name}")
    with token.session(ours, uri, ask.pin, write=True) as opened:
        ed25519 = token.generate_key(opened, uri)
        private = MLDSA65PrivateKey.generate()
        public = PublicSigner.of(name, ed25519, private.public_key())
        token.TokenHalf(token.find_key(opened, uri), public.ed25519).sign(name.encode())  # shows that it can sign
    keys.save_private(made.ml_dsa, name, [CryptoSigner(private, public.ml_dsa)], passphrase)
    TokenFile(name, module, uri, ed25519, made.ml_dsa.name).save(made.description)
    keys.write_new(made.public, public.to_bytes(), 0o644)
    return made
