"""A response: the signatures of one signer over what a request asked for, and how they come into the bundle or root.

A response holds metadata files with the signatures of one signer and no others: a person's targets, with the signature
on FIRST-CONTACT where the release needs one, the release key's snapshot and timestamp, a person's models or root.
Whoever collects believes nothing in it: payloads must be, byte for byte, those that wait for signatures, and signatures
are verified against the roots that the collector has. Collecting the same response again changes nothing.
FORMAT-signing.md, section 13.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airgap_bundle import armour, ceremony, metadata, strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.errors import (
    DigestMismatchError,
    FormatError,
    HalfSignatureError,
    MalformedError,
    PayloadTypeError,
    SignatureError,
    SigningError,
    UnsignedError,
)
from airgap_bundle.first_contact import record, signatures
from airgap_bundle.metadata import MODELS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.root_policy import persons, require, tally
from airgap_bundle.signing.described import CLOCK_TOLERANCE, is_as_made
from airgap_bundle.signing.models_draft import ModelsDraft
from airgap_bundle.signing.release_draft import ReleaseDraft, sign_draft, to_seal
from airgap_bundle.signing.root_draft import RootDraft

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tuf.api.metadata import Metadata, Root

    from airgap_bundle.keys import Signer

    Draft = ReleaseDraft | ModelsDraft | RootDraft

RESPONSE_TYPE = "application/vnd.sovereign.signing-response.v1+json"
MAX_RESPONSE_BYTES = 4 << 20
_SHAPES = ({TARGETS}, {TARGETS, signatures.ROLE}, {SNAPSHOT, TIMESTAMP}, {ROOT}, {MODELS})
_ABOUT = {
    ROOT: ("a root", "sovereign trust collect"),
    MODELS: ("a bundle of models", "sovereign bundle collect --models"),
    TARGETS: ("a release", "sovereign bundle collect"),
    SNAPSHOT: ("a release", "sovereign bundle collect"),
}
_OTHER_BYTES = "the request is older or younger than what lies here: make a new one, and let them sign that"


def respond(draft: Draft, signer: Signer, now: datetime) -> bytes:
    """The response file in which ``signer`` signs ``draft``. Raises as ``sign_draft`` and the drafts' ``signed_by``."""
    if isinstance(draft, RootDraft):
        files = {ROOT: _only(metadata.parse_root(draft.signed_by(signer, now).data), signer)}
    elif isinstance(draft, ModelsDraft):
        files = {MODELS: _only(metadata.parse_models(draft.signed_by(signer, now)), signer)}
    else:
        files = sign_draft(draft, signer, now)
        if TARGETS in files:
            files[TARGETS] = _only(metadata.parse_targets(files[TARGETS]), signer)
    return strict_json.dumps(
        {"schema": 1, "type": RESPONSE_TYPE, "files": {role: armour.encode(data) for role, data in files.items()}}
    )


def _only(signed: Metadata[Any], signer: Signer) -> bytes:
    """The file with the signatures of ``signer`` alone: a response speaks for nobody else."""
    own = {key.keyid for key in signer.public.keys}
    for keyid in [keyid for keyid in signed.signatures if keyid not in own]:
        del signed.signatures[keyid]
    return signed.to_bytes()


def parse_response(data: bytes) -> dict[str, bytes]:
    """Metadata files by role. Raises ``PayloadTypeError`` for another kind of file, and ``MalformedError``."""
    try:
        return _parse(data)
    except FormatError as error:
        raise MalformedError(f"response: {error.cause}") from error


def _parse(data: bytes) -> dict[str, bytes]:
    value = strict_json.load_object(data, max_bytes=MAX_RESPONSE_BYTES)
    if value.get("type") != RESPONSE_TYPE:
        raise PayloadTypeError("the file is no signing response", "`sovereign bundle respond` makes one")
    files = value.get("files")
    if not strict_json.is_integer(value.get("schema"), 1) or set(value) != {"schema", "type", "files"}:
        raise FormatError("schema 1, type and files expected, and nothing else")
    if not isinstance(files, dict) or set(files) not in _SHAPES or strict_json.dumps(value) != data:
        raise FormatError("targets, or snapshot and timestamp, or models, or root expected, in canonical form")
    return {role: armour.decode(text) for role, text in files.items()}


def collect_release(draft: ReleaseDraft, responses: Iterable[bytes], now: datetime) -> ReleaseDraft:
    """``draft`` with the signatures of every response to it, and the seal's files in ``draft.seal``.

    All or none: raises ``DigestMismatchError`` for a response to other bytes, ``HalfSignatureError``,
    ``UnsignedError`` and ``SignatureError`` for signatures that do not hold, ``SigningError`` out of turn.
    """
    files = sorted((parse_response(data) for data in responses), key=lambda found: SNAPSHOT in found)
    for found in files:
        _check_about(found, {TARGETS, SNAPSHOT}, "a release")
        try:
            draft = _add_seal(draft, found, now) if SNAPSHOT in found else _add_person(draft, found, now)
        except FormatError as error:
            raise MalformedError(f"response: {error.cause}") from error
    return draft


def collect_root(draft: RootDraft, responses: Iterable[bytes], now: datetime) -> RootDraft:
    """``draft`` with the signatures of every response to it; raises as ``collect_release``."""
    complete = draft.check(now).complete
    added = metadata.parse_root(draft.data)
    for found in map(parse_response, responses):
        _check_about(found, {ROOT}, "a root")
        try:
            _add_to_root(draft, added, found[ROOT])
        except FormatError as error:
            raise MalformedError(f"response: {error.cause}") from error
    if added.signatures.keys() == draft.metadata.signatures.keys():
        return draft
    if complete:
        raise draft.completed()
    return RootDraft(draft.history, added.to_bytes())


def collect_models(draft: ModelsDraft, responses: Iterable[bytes], now: datetime) -> ModelsDraft:
    """``draft`` with the signatures of every response to it; raises as ``collect_release``."""
    added = draft.begun(now)
    for found in map(parse_response, responses):
        _check_about(found, {MODELS}, "a bundle of models")
        try:
            theirs = metadata.parse_models(found[MODELS])
        except FormatError as error:
            raise MalformedError(f"response: {error.cause}") from error
        _check_bytes(theirs, added, MODELS)
        tally(draft.root, MODELS, theirs)
        _check_one_person(theirs, [persons(draft.root, MODELS)])
        _merge(added, theirs)
    same = draft.models is not None and added.signatures.keys() == draft.begun(now).signatures.keys()
    return draft if same else replace(draft, models=added.to_bytes())


def _check_about(found: Mapping[str, bytes], roles: set[str], what: str) -> None:
    if not roles & found.keys():
        said = next(text for role, text in _ABOUT.items() if role in found)
        raise PayloadTypeError(f"the response is about {said[0]}, not about {what}", f"`{said[1]}`")


def _add_to_root(draft: RootDraft, added: Metadata[Root], data: bytes) -> None:
    theirs = metadata.parse_root(data)
    _check_bytes(theirs, added, f"root {theirs.signed.version}")
    RootDraft(draft.history, data).progress()
    roots = [root for root in (draft.previous, theirs.signed) if root is not None]
    _check_one_person(theirs, [persons(root, ROOT) for root in roots])
    _merge(added, theirs)


def _add_person(draft: ReleaseDraft, files: Mapping[str, bytes], now: datetime) -> ReleaseDraft:
    added, theirs = draft.begun(now), metadata.parse_targets(files[TARGETS])
    _check_bytes(theirs, added, "targets")
    tally(draft.root, TARGETS, theirs)
    name = _check_one_person(theirs, [persons(draft.root, TARGETS)])
    contact = _contact(draft, name, files.get(signatures.ROLE))
    if theirs.signatures.keys() <= added.signatures.keys() and contact == draft.contact:
        return draft
    if draft.sealed:
        raise SigningError("the bundle is sealed by the release key", "enough persons have signed; nothing is missing")
    _merge(added, theirs)
    return replace(draft, targets=added.to_bytes(), contact=contact)


def _contact(draft: ReleaseDraft, name: str, given: bytes | None) -> Mapping[str, bytes]:
    """The signatures on FIRST-CONTACT with that of ``name``, who signed the targets and therefore this, or neither."""
    text = draft.contact_text
    if text is None and given is None:
        return draft.contact
    if text is None or given is None:
        which = "signs" if text is None else "does not sign"
        raise HalfSignatureError(f"the response of {name} {which} {record.FILE}", "ask for a new response")
    signatures.check(draft.root, text, {name: given})
    return {name: given, **draft.contact}


def _add_seal(draft: ReleaseDraft, files: Mapping[str, bytes], now: datetime) -> ReleaseDraft:
    if draft.sealed and draft.seal != files:
        raise SigningError("the bundle is sealed already", "`sovereign bundle verify` checks it")
    release, targets = draft.contents.release, to_seal(draft, now)
    snapshot, timestamp = metadata.parse_snapshot(files[SNAPSHOT]), metadata.parse_timestamp(files[TIMESTAMP])
    expected = (
        (SNAPSHOT, snapshot, ceremony.build_snapshot(targets, release, now=now)),
        (TIMESTAMP, timestamp, ceremony.build_timestamp(files[SNAPSHOT], release, now=now)),
    )
    for role, found, ours in expected:
        if not is_as_made(found.signed, ours.signed) or metadata.issued(found.signed) > now + CLOCK_TOLERANCE:
            raise DigestMismatchError(f"the response seals another {role} than this bundle's", _OTHER_BYTES)
        require(draft.root, role, found)
    return replace(draft, seal=dict(files))


def _check_bytes(theirs: Metadata[Any], ours: Metadata[Any], what: str) -> None:
    if theirs.signed_bytes != ours.signed_bytes:
        raise DigestMismatchError(
            f"the response signs {what} {sha256(theirs.signed_bytes)}, and {sha256(ours.signed_bytes)} waits here",
            _OTHER_BYTES,
        )


def _check_one_person(theirs: Metadata[Any], circles: list[dict[str, dict[str, str]]]) -> str:
    """Whose response it is: one person's, with both halves. Whether the signatures are valid was checked before."""
    signed = set(theirs.signatures)
    if not signed:
        raise UnsignedError("the response carries no signature")
    held = [(name, set(halves.values())) for people in circles for name, halves in people.items()]
    for name, keyids in held:
        if signed == keyids:
            return name
        if signed < keyids:
            raise HalfSignatureError(f"the response is signed with one of the two keys of {name} only")
    raise SignatureError("the response carries signatures of more than one person", "each person answers alone")


def _merge(ours: Metadata[Any], theirs: Metadata[Any]) -> None:
    """Add what is missing; a signature that is there stays, so that collecting again changes no byte."""
    for keyid, signature in theirs.signatures.items():
        ours.signatures.setdefault(keyid, signature)
