"""What tests with a software token share: its secrets, and how they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.signing.token_uri import TokenUri

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN, SO_PIN, PASSPHRASE = "481516", "23421337", b"correct horse battery"


@dataclass
class Secrets:
    """Answers what is asked, and remembers what that was (``backend.Ask``)."""

    pin_: str = PIN
    passphrase_: bytes = PASSPHRASE
    asked: tuple[str, ...] = ()

    def passphrase(self, what: str) -> bytes:
        self.asked += (what,)
        return self.passphrase_

    def pin(self, what: str) -> str:
        self.asked += (what,)
        return self.pin_


def uri(name: str, token: str = "ceremony") -> TokenUri:
    return TokenUri.parse(f"pkcs11:token={token};object={name}")
