"""Key descriptions: ``NAME.token`` says where both halves of a signer lie when one of them is on a token.

The description holds no secret, and is not to be taken from others: the module that it names is loaded into the
signer's own process. So a description or module that somebody else could have written is refused.
FORMAT-signing.md, section 14.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from airgap_bundle import armour, strict_json
from airgap_bundle.errors import BundleError, FormatError, KeyFileError
from airgap_bundle.keys import ED25519, ML_DSA, check_signer_name, read_key_file, write_new
from airgap_bundle.names import check_name
from airgap_bundle.signing.token_uri import TokenUri

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class TokenFile:
    """``uri`` finds the Ed25519 key, whose public half is ``public``; ``ml_dsa`` is the file of the other half."""

    name: str
    module: Path
    uri: TokenUri
    public: Ed25519PublicKey
    ml_dsa: str

    @classmethod
    def load(cls, path: Path) -> TokenFile:
        """The description in ``path``. Raises ``KeyFileError``, also where others could have written it."""
        ours = check_ours(path)
        try:
            found = cls._parse(strict_json.load_object(read_key_file(ours)))
        except (BundleError, ValueError) as error:
            raise KeyFileError(f"{path} is no key description: {error}") from error
        check_ours(found.module)
        return found

    def save(self, path: Path) -> None:
        """Write the description to the new file ``path``. Raises ``KeyFileError``."""
        write_new(path, strict_json.dumps(self._to_json()) + b"\n", 0o600)

    def _to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "name": self.name,
            "module": str(self.module),
            ED25519: {"uri": self.uri.text, "public": armour.encode(self.public.public_bytes_raw())},
            ML_DSA: {"file": self.ml_dsa},
        }

    @classmethod
    def _parse(cls, value: dict[str, Any]) -> TokenFile:
        ed25519, ml_dsa = value.get(ED25519), value.get(ML_DSA)
        if set(value) != {"schema", "name", "module", ED25519, ML_DSA} or not strict_json.is_integer(
            value["schema"], 1
        ):
            raise FormatError("schema 1, name, module and both keys expected, and nothing else")
        if not isinstance(ed25519, dict) or set(ed25519) != {"uri", "public"}:
            raise FormatError("ed25519 has a uri and a public key")
        if not isinstance(ml_dsa, dict) or set(ml_dsa) != {"file"} or not isinstance(ml_dsa["file"], str):
            raise FormatError("ml-dsa-65 has a file")
        if not isinstance(value["module"], str) or not Path(value["module"]).is_absolute():
            raise FormatError("module is no absolute path")
        return cls(
            check_signer_name(value["name"]),
            Path(value["module"]),
            TokenUri.parse(ed25519["uri"]),
            Ed25519PublicKey.from_public_bytes(armour.decode(ed25519["public"])),
            check_name(ml_dsa["file"]),
        )


def check_ours(path: Path) -> Path:
    """``path`` without links, when only root and this user can write it or put something else in its place.

    A folder above it that others may write is one in which they rename, unless it is sticky, as /tmp is. Use what is
    returned: a link in ``path`` itself may lead elsewhere by then. Raises ``KeyFileError``, also when it is no regular
    file.
    """
    try:
        found = path.resolve(strict=True)
        if not stat.S_ISREG(found.stat().st_mode):
            raise KeyFileError(f"{path} is no regular file")
        for place in (found, *found.parents):
            _check_place(path, place)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    return found


def _check_place(path: Path, place: Path) -> None:
    status = place.stat()
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    shared = status.st_mode & _WRITABLE_BY_OTHERS and not sticky
    if status.st_uid not in (0, os.geteuid()) or shared:
        why = "" if place == path else f", in {place}"
        raise KeyFileError(
            f"{path} can be written by others{why}, and what it says runs as you",
            f"take it from nobody; `chmod go-w {place}`",
        )
