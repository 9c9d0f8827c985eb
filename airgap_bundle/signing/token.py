"""The Ed25519 half on a PKCS#11 token, through ``python-pkcs11``, which is an optional extra.

The private key is made on the token and never leaves it. What the token answers is not believed either: a signature
leaves this module only after it verified against the public key that the description names.
"""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature

from airgap_bundle.errors import KeyFileError
from airgap_bundle.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from securesystemslib.signer import SSlibKey

    from airgap_bundle.signing.token_uri import TokenUri

EXTRA_HINT = "install the extra `pkcs11` of sovereign-appliance (python-pkcs11) on this machine"
# DER of the curve's object identifier (RFC 8410), as PKCS#11 3.0 spells CKA_EC_PARAMS.
_ED25519_PARAMETERS = bytes.fromhex("06032b6570")
_DER_OCTETS = bytes([0x04, 0x20])
_RAW_BYTES = 32
_CAUSES = {
    "PinIncorrect": ("the token refuses the PIN", "every wrong PIN brings the token nearer to locking itself"),
    "PinLenRange": ("the token refuses the PIN", "its length is not one that the token takes"),
    "PinInvalid": ("the token refuses the PIN", "it has characters that the token does not take"),
    "PinLocked": ("the token is locked: too many wrong PINs", "its security officer unlocks it"),
    "NoSuchKey": ("the token holds no such key", "compare the object and id in the description with the token's"),
    "MultipleObjectsReturned": ("several keys on the token match", "name the key by object and id"),
    "MechanismInvalid": ("the token does not sign with Ed25519", "keep this half in a file: `sovereign trust keygen`"),
    "KeyTypeInconsistent": ("the key on the token is not an Ed25519 key", "name the key by object and id"),
    "TokenNotPresent": ("the token was taken away", "insert it and begin again"),
    "DeviceRemoved": ("the token was taken away", "insert it and begin again"),
}


class TokenHalf:
    """One Ed25519 key on a token with an open session (``keys.Half``)."""

    def __init__(self, key: Any, public: SSlibKey) -> None:
        self._key, self._public = key, public

    @property
    def public_key(self) -> SSlibKey:
        """The public half, as the description names it."""
        return self._public

    def sign(self, payload: bytes) -> Signature:
        """The token's signature over ``payload``, verified. Raises ``KeyFileError``."""
        pkcs11 = load_library()
        with explained():
            made = self._key.sign(payload, mechanism=pkcs11.Mechanism.EDDSA)
        signature = Signature(self._public.keyid, made.hex())
        try:
            self._public.verify_signature(signature, payload)
        except UnverifiedSignatureError as error:
            raise KeyFileError(
                "the key on the token is not the one that the description names", "compare object, id and token"
            ) from error
        return signature


def load_library() -> ModuleType:
    """``pkcs11``. Raises ``KeyFileError`` where the extra is not installed."""
    try:
        import pkcs11  # noqa: PLC0415 - optional: who signs from files does not need it
    except ImportError as error:
        raise KeyFileError("this environment cannot talk to tokens: it has no python-pkcs11", EXTRA_HINT) from error
    return pkcs11


@contextmanager
def explained() -> Iterator[None]:
    """Turn the library's errors, which carry no text, into ``KeyFileError``."""
    pkcs11 = load_library()
    try:
        yield
    except pkcs11.PKCS11Error as error:
        name = type(error).__name__
        cause, hint = _CAUSES.get(name, (f"the token fails: {name} {error}".rstrip(), "see the module's own log"))
        raise KeyFileError(cause, hint) from error


@contextmanager
def session(module: Path, uri: TokenUri, ask_pin: Callable[[str], str], *, write: bool = False) -> Iterator[Any]:
    """A session with the one token that ``uri`` names, logged in; the PIN is asked for once the token was found.

    Raises ``KeyFileError``.
    """
    token = _find_token(module, uri)
    pin = ask_pin(f"PIN of token {printable(token.label)}")
    with explained():
        opened = token.open(rw=write, user_pin=pin)
    try:
        yield opened
    finally:
        with contextlib.suppress(load_library().PKCS11Error):  # the token may be gone; the session is, then
            opened.close()


def find_key(opened: Any, uri: TokenUri) -> Any:
    """The private key that ``uri`` names. Raises ``KeyFileError``, also when it is of another type than Ed25519."""
    pkcs11 = load_library()
    with explained():
        key = opened.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=uri.label, id=uri.key_id)
        if key.key_type != pkcs11.KeyType.EC_EDWARDS:
            raise KeyFileError(*_CAUSES["KeyTypeInconsistent"])
    return key


def generate_key(opened: Any, uri: TokenUri) -> Ed25519PublicKey:
    """Make the key that ``uri`` names, which must be new, and which never leaves the token. Raises ``KeyFileError``."""
    pkcs11 = load_library()
    attribute = pkcs11.Attribute
    wanted = {attribute.LABEL: uri.label, attribute.ID: uri.key_id}
    named = {name: value for name, value in wanted.items() if value is not None}
    with explained():
        if any(True for _ in opened.get_objects(named)):
            raise KeyFileError(
                "the token holds such an object already", "keys are never overwritten; choose a new name"
            )
        curve = opened.create_domain_parameters(
            pkcs11.KeyType.EC_EDWARDS, {attribute.EC_PARAMS: _ED25519_PARAMETERS}, local=True
        )
        public, private = curve.generate_keypair(
            mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            label=uri.label,
            id=uri.key_id,
            store=True,
            private_template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
        )
        if private[attribute.EXTRACTABLE] or not private[attribute.SENSITIVE]:
            private.destroy()
            public.destroy()
            raise KeyFileError("the token made a key that could be taken out of it", "use another token")
        return _public_key(public[attribute.EC_POINT])


def _find_token(module: Path, uri: TokenUri) -> Any:
    pkcs11 = load_library()
    with explained():
        try:
            library = pkcs11.lib(str(module.resolve()))  # the library takes one module by two names for two
        except pkcs11.PKCS11Error as error:
            raise KeyFileError(f"module {module} cannot be loaded", "name the PKCS#11 module of the token") from error
        tokens = [slot.get_token() for slot in library.get_slots(token_present=True)]
        found = [token for token in tokens if _matches(token, uri)]
    if not found:
        raise KeyFileError(f"no token matches {uri.text}", "insert it; compare its label and serial with the URI")
    if len(found) > 1:
        raise KeyFileError(f"{len(found)} tokens match {uri.text}", "add serial=… to the URI")
    return found[0]


def _matches(token: Any, uri: TokenUri) -> bool:
    shown = {
        "token": token.label,
        "manufacturer": token.manufacturer_id,
        "model": token.model,
        "serial": token.serial.decode("ascii", "replace").strip(),
    }
    return all(shown[name] == value for name, value in uri.token.items())


def _public_key(point: bytes) -> Ed25519PublicKey:
    """The key in a CKA_EC_POINT: a DER octet string, or, from some tokens, the bare 32 bytes."""
    raw = point.removeprefix(_DER_OCTETS) if len(point) > _RAW_BYTES else point
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise KeyFileError("the token made a key that is not an Ed25519 key") from error
