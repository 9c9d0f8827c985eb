"""A receipt, checked offline with the log's verifier keys alone: neither the log nor the site is asked. Pure.

A receipt carries the proof of its answer's entry, with the entry itself. What is shown by it: both signatures of the
checkpoint hold; the entry lies where the receipt says; it is of this request, and commits to every word of this
receipt (its digest) and to the answer. Whether the log still holds all that, and shows the same to everybody, is for
``sovereign audit verify`` and witnesses to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.audit.commitment import opens
from appliance.audit.entry import decode_entry
from appliance.audit.errors import NoteError, ReceiptError
from appliance.audit.tlog_proof import open_tlog_proof

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.audit.checkpoint import Checkpoint
    from appliance.audit.note import VerifierKey

PLACE = "log"
_GIVEN = "check the receipt as it was given, whole"


@dataclass(frozen=True)
class CheckedReceipt:
    """What a receipt that holds says of its place: the entry, its event, and the signed tree that it is in."""

    index: int
    head: Checkpoint
    event: dict[str, Any]
    answer_matches: bool | None
    """Whether the text that was brought along is the answer; None where none was."""


def receipt_digest(receipt: Mapping[str, Any]) -> str:
    """``sha256:`` over the receipt without its ``log`` part (sorted keys, no spaces, UTF-8): what the entry holds."""
    bare = {name: value for name, value in receipt.items() if name != PLACE}
    raw = json.dumps(bare, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def check_receipt(
    receipt: Mapping[str, Any], vkeys: Sequence[VerifierKey], answer: bytes | None = None
) -> CheckedReceipt:
    """Check ``receipt``, and ``answer`` against its commitment.

    Raises ``ReceiptError`` naming what does not fit, ``NoteError`` where a signature or the proof does not hold.
    """
    place = receipt.get(PLACE)
    if not isinstance(place, dict) or not isinstance(place.get("proof"), str):
        raise ReceiptError("the receipt carries no proof", "an entry is proved by `sovereign audit prove` on the log")
    proof, head = open_tlog_proof(place["proof"], vkeys)
    try:
        entry_id, event = decode_entry(proof.extra)
    except ValueError as error:
        raise NoteError("the proof is of something that is no event", _GIVEN) from error
    _require(
        origin=(place.get("origin"), head.origin),
        answer_index=(place.get("answer_index"), proof.index),
        size=(place.get("size"), head.size),
    )
    _require_same(receipt, place, entry_id, event)
    matches = None if answer is None else _opened(receipt, answer)
    return CheckedReceipt(proof.index, head, event, matches)


def _require_same(receipt: Mapping[str, Any], place: Mapping[str, Any], entry_id: str, event: dict[str, Any]) -> None:
    ours = event.get("unmapped", {}).get("sovereign", {})
    request = event.get("metadata", {}).get("correlation_uid")
    if ours.get("kind") != "answer" or not entry_id.startswith("gateway/"):
        raise ReceiptError("the entry that the receipt proves is not of an answer", _GIVEN)
    commitments = receipt.get("commitments")
    said = commitments.get("answer") if isinstance(commitments, dict) else None
    _require(
        request_id=(receipt.get("request_id"), request),
        request_index=(place.get("request_index"), ours.get("request_index")),
        commitment=(said, ours.get("answer_commitment")),
        digest=(receipt_digest(receipt), ours.get("receipt_digest")),
    )


def _require(**pairs: tuple[object, object]) -> None:
    for what, (told, logged) in pairs.items():
        if told != logged:
            name = "something that the receipt says" if what == "digest" else f"the receipt's {what.replace('_', ' ')}"
            raise ReceiptError(f"{name} is not what the log's entry holds", _GIVEN)


def _opened(receipt: Mapping[str, Any], answer: bytes) -> bool:
    commitments = receipt.get("commitments", {})
    try:
        salt = base64.b64decode(str(commitments.get("answer_salt")), validate=True)
        return opens(str(commitments.get("answer")), answer, salt)
    except (binascii.Error, ValueError) as error:
        raise ReceiptError("the receipt holds no salt of the answer", _GIVEN) from error
