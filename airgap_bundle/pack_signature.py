"""Who signed a pack: one metadata file beside it, by the persons whom the root lets bring models. Pure.

The file is TUF targets by section 7 of FORMAT.md with one target, ``models/NAME.pack``, which the path pattern of the
root's grant covers. Its version is the pack's number, its expiry the end of the signatures' time. Order of reading:
form → every signature explained and valid → enough persons with both halves → the root → the bytes → the time.

A pack outlives the root under which it was signed. So there are two questions: may it come in (``verify_pack``, under
the root in force and no other), and may it be chosen now (``standing``, by those of its signers whom the root in force
still names).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuf.api.metadata import TargetFile, Targets

from airgap_bundle import ceremony
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    ExpiredError,
    FormatError,
    MalformedError,
    MixedMetadataError,
    RollbackError,
    SigningError,
    VerificationError,
)
from airgap_bundle.metadata import (
    MODELS,
    PACK_TARGET,
    binds,
    issue,
    issued,
    parse_pack,
    parse_root,
    sign_under,
    signed_under,
)
from airgap_bundle.root_policy import charge, persons, require, tally

if TYPE_CHECKING:
    from datetime import datetime

    from tuf.api.metadata import Metadata

    from airgap_bundle.keys import Signer
    from airgap_bundle.root_policy import Tally

_AGAIN = "begin the signatures anew: remove the file beside the pack and sign again"


@dataclass(frozen=True)
class SignedPack:
    """What a signature file says of a pack, verified: ``number`` orders the packs of one name."""

    name: str
    number: int
    signers: tuple[str, ...]
    root: int
    issued: datetime
    expires: datetime


def sign_pack(  # noqa: PLR0913 - what a signature says, by keyword
    pack: bytes,
    *,
    name: str,
    number: int,
    signer: Signer,
    root: bytes,
    now: datetime,
    expires: datetime,
    former: bytes | None = None,
) -> tuple[bytes, Tally]:
    """The signature file of ``pack`` with the signatures of ``signer`` added to those in ``former``; who signed so far.

    Whoever signs first fixes the payload, ``expires`` included. Raises ``NotGrantedError`` where ``root`` lets nobody
    bring models, ``SigningError`` when it is not theirs to sign or ``former`` is about something else, and a
    ``SignatureError`` for a signature in ``former`` that is not valid.
    """
    held = parse_root(root).signed
    people = persons(held, MODELS)
    if signer.name not in people or set(people[signer.name].values()) != {key.keyid for key in signer.public.keys}:
        raise SigningError(
            f"the root does not let {signer.name} bring models, and packs come in under the same grant",
            "the root names who may: `sovereign trust show`",
        )
    if former is None:
        target = TargetFile.from_data(f"models/{name}.pack", pack, ["sha256"])
        made: Metadata[Targets] = issue(Targets(number, None, expires, {target.path: target}), now)
        sign_under(made.signed, held.version, root)
        found = parse_pack(made.to_bytes())
    else:
        found = parse_pack(former)
        if signed_under(found.signed) != (held.version, sha256(root)):
            raise SigningError("the signatures there count under another root", _AGAIN)
        if _target(found) != name or found.signed.version != number or not _binds(found, name, pack):
            raise SigningError("the signatures there are of another pack", _AGAIN)
    tally(held, MODELS, found)
    ceremony.add_signatures(found, signer)
    return found.to_bytes(), tally(held, MODELS, found)


def verify_pack(signature: bytes, pack: bytes, root: bytes, now: datetime) -> SignedPack:
    """That enough persons of the role signed ``pack`` under ``root``, which is in force, and their time has not ended.

    ``now`` is the site's clock, or the latest instant that it has seen claimed. Raises ``MalformedError``,
    ``NotGrantedError``, ``SignatureError`` and its kinds, ``RollbackError`` for an earlier root,
    ``MixedMetadataError`` for any other, ``DigestMismatchError`` for other bytes and ``ExpiredError``.
    """
    found = _read(signature)
    held = parse_root(root).signed
    counted = require(held, MODELS, found)
    version, fingerprint = signed_under(found.signed)
    if version < held.version:
        raise RollbackError(
            f"the pack was signed under root {version}, and root {held.version} is in force",
            "ask those who may bring models now to sign it again",
        )
    if (version, fingerprint) != (held.version, sha256(root)):
        raise MixedMetadataError("the pack was signed under another root than the one in force")
    name = _target(found)
    if not _binds(found, name, pack):
        raise DigestMismatchError(f"{name} holds other bytes than were signed", "copy the pack again")
    if now >= found.signed.expires or issued(found.signed) >= found.signed.expires:
        raise _expired(found)
    return _said(found, counted.signed)


def standing(signature: bytes, root: bytes | None, now: datetime) -> str | None:
    """Why the pack of ``signature``, which came in once, may not be chosen now; None: it may.

    Signatures of people whom the root does not name any more count for nothing, and those of the others do: where
    enough of them remain, a colleague's leaving changes nothing.
    """
    if root is None:
        return "the site trusts no root"
    try:
        found = _read(signature)
        held = parse_root(root).signed
        left = frozenset(found.signatures) - frozenset(charge(held, MODELS).keyids)
        counted = tally(held, MODELS, found, others=left)
    except VerificationError as error:
        return error.cause
    if len(counted.signed) < counted.threshold:
        return (
            f"of those who signed it the root still names {len(counted.signed)}, and {counted.threshold} have to sign"
        )
    return _expired(found).cause if now >= found.signed.expires else None


def said_of(signature: bytes, pack: bytes) -> SignedPack:
    """What a kept signature file says, whoever the root names now; its signers are not told. Raises as ``verify_pack``.

    For what came in once: only form and bytes are looked at.
    """
    found = _read(signature)
    name = _target(found)
    if not _binds(found, name, pack):
        raise DigestMismatchError(f"{name} holds other bytes than were signed", "import the pack again")
    return _said(found, ())


def _read(signature: bytes) -> Metadata[Targets]:
    try:
        return parse_pack(signature)
    except FormatError as error:
        raise MalformedError(error.cause, "name the file that `sovereign pack sign` wrote") from error


def _target(found: Metadata[Targets]) -> str:
    matched = PACK_TARGET.fullmatch(next(iter(found.signed.targets)))
    assert matched is not None
    return matched[1]


def _binds(found: Metadata[Targets], name: str, pack: bytes) -> bool:
    return binds(found.signed.targets[f"models/{name}.pack"], pack)


def _said(found: Metadata[Targets], signers: tuple[str, ...]) -> SignedPack:
    signed = found.signed
    return SignedPack(_target(found), signed.version, signers, signed_under(signed)[0], issued(signed), signed.expires)


def _expired(found: Metadata[Targets]) -> ExpiredError:
    return ExpiredError(
        f"the time of the pack's signatures ended on {found.signed.expires:%Y-%m-%d}", "have it signed anew"
    )
