"""What goes over the audit socket, seen from the caller: the body of a POST, and what the writer's answers mean."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from appliance.audit.checkpoint import parse_body
from appliance.audit.commitment import opens
from appliance.audit.errors import (
    ApartError,
    AuditUnavailableError,
    EntryRefusedError,
    EntryTooLargeError,
    IdReusedError,
    LogFullError,
    NotYoursError,
    TooYoungError,
)
from appliance.audit.merkle import HASH_BYTES, inclusion_holds, leaf_hash
from appliance.audit.tlog_proof import MAX_HASHES
from appliance.errors import SovereignError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

ENOUGH_ENTRIES = 32
MAX_FRAME_ENTRIES = 1024
MAX_FRAME_BYTES = 1 << 20
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 15.0
LONG_SECONDS = 1800.0
"""For what reads the whole log first."""
BASE_URL = "http://audit"
_MOST_CHECKPOINT = 1 << 15
"""Characters of a checkpoint that goes into a receipt: two signatures have 3,500."""
_ENTRY_ERRORS: dict[str, type[EntryRefusedError]] = {
    "id_reused": IdReusedError,
    "entry_too_large": EntryTooLargeError,
    "entry_refused": EntryRefusedError,
    "not_yours": NotYoursError,
    "too_young": TooYoungError,
    "bad_request": EntryRefusedError,
    "pruned": EntryRefusedError,
}


@dataclass(frozen=True)
class Position:
    """Where an entry lies, and the signed note that covers it: a log of ``size`` entries.

    Where a proof was asked for and made, ``entry`` is what was logged, and ``hashes`` its inclusion proof under that
    note, in base64, leaf's sibling first.
    """

    index: int
    size: int
    checkpoint: str
    entry: bytes = b""
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """An inclusion proof as the service gives it; hashes are base64, as on the wire."""

    index: int
    size: int
    leaf_hash: str
    hashes: tuple[str, ...]
    checkpoint: str


@dataclass(frozen=True)
class Text:
    """A text that is kept apart of an entry: where it stood, the entry's commitment to it, and what opens that."""

    at: str
    commitment: str
    salt: bytes
    text: str


def post_body(entries: list[tuple[str, bytes]]) -> bytes:
    """Body of POST /append. Each entry is (id, its encoded event), so nothing is encoded twice."""
    parts = [b'{"id":' + json.dumps(entry_id).encode() + b',"event":' + entry + b"}" for entry_id, entry in entries]
    return b'{"entries":[' + b",".join(parts) + b"]}"


def read_apart(response: httpx.Response) -> list[Text]:
    """The texts in an answer to GET /apart, each held against its commitment. Raises what was answered instead."""
    try:
        found = [
            Text(str(one["at"]), str(one["commitment"]), base64.b64decode(one["salt"]), str(one["text"]))
            for one in _answer(response)["texts"]
        ]
        holds = all(opens(one.commitment, one.text.encode(), one.salt) for one in found)
    except (KeyError, TypeError, ValueError) as error:
        raise nonsense() from error
    if not holds:
        raise nonsense()
    return found


def read_positions(response: httpx.Response, count: int) -> list[Position]:
    """Positions of the ``count`` entries of a POST. Raises what the service answered instead."""
    return _positions(_answer(response), count)


def read_reply(payload: bytes, entries: Sequence[bytes], *, proven: bool = False) -> list[Position]:
    """Positions of the ``entries`` of a frame, from the frame that answers it. Raises as ``read_positions``.

    ``proven``: with the proofs in it, each of which holds. A writer that can make none leaves them out.
    """
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise AuditUnavailableError("the audit writer answered without JSON") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), int):
        raise nonsense()
    if answer["status"] != HTTPStatus.OK:
        raise _refusal(answer["status"], answer)
    positions = _positions(answer, len(entries))
    return _proven(positions, entries, answer["proofs"]) if proven and "proofs" in answer else positions


def _proven(positions: list[Position], entries: Sequence[bytes], proofs: object) -> list[Position]:
    if not isinstance(proofs, list) or len(proofs) != len(positions):
        raise nonsense()
    if not all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in proofs):
        raise nonsense()
    proven = []
    for position, entry, hashes in zip(positions, entries, proofs, strict=True):
        if not _holds(position, entry, hashes):
            raise nonsense()
        proven.append(replace(position, entry=entry, hashes=tuple(hashes)))
    return proven


def _holds(position: Position, entry: bytes, hashes: Sequence[str]) -> bool:
    """Whether the proof leads from the entry to the checkpoint's root; who signed that is for who verifies it."""
    if len(position.checkpoint) > _MOST_CHECKPOINT or len(hashes) > MAX_HASHES:
        return False
    try:
        position.checkpoint.encode()  # a receipt is text: no lone surrogates
        head = parse_body(position.checkpoint.partition("\n\n")[0] + "\n")
        raw = [base64.b64decode(one, validate=True) for one in hashes]
    except (SovereignError, ValueError):
        return False
    if [base64.b64encode(one).decode() for one in raw] != list(hashes) or {len(one) for one in raw} - {HASH_BYTES}:
        return False
    return head.size == position.size and inclusion_holds(position.index, head.size, leaf_hash(entry), raw, head.root)


def _positions(answer: dict[str, Any], count: int) -> list[Position]:
    try:
        size, checkpoint = int(answer["size"]), str(answer["checkpoint"])
        indexes = [int(index) for index in answer["positions"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise nonsense() from error
    if len(indexes) != count or not all(0 <= index < size for index in indexes):
        raise nonsense()
    return [Position(index, size, checkpoint) for index in indexes]


def read_shelved(response: httpx.Response) -> None:
    """Nothing, when a cosigned checkpoint was put beside the log. Raises what the service answered instead."""
    if not isinstance(_answer(response).get("witnesses"), list):
        raise nonsense()


def read_pruned(response: httpx.Response) -> int:
    """Where the entry lies that says what was pruned. Raises what the service answered instead."""
    return _index(_answer(response))


def read_restored(response: httpx.Response) -> int:
    """Which bundle was put back. Raises what the service answered instead."""
    return _index(_answer(response))


def _index(answer: dict[str, Any]) -> int:
    index = answer.get("index")
    if not isinstance(index, int):
        raise nonsense()
    return index


def read_proof(response: httpx.Response) -> Proof:
    """The proof in an answer to GET /proof. Raises what the service answered instead."""
    answer = _answer(response)
    try:
        index, size, hashes = int(answer["index"]), int(answer["size"]), tuple(map(str, answer["hashes"]))
        return Proof(index, size, str(answer["leaf_hash"]), hashes, str(answer["checkpoint"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise nonsense() from error


def nonsense() -> AuditUnavailableError:
    """What was answered is not what the writer answers."""
    return AuditUnavailableError("the audit writer's answer makes no sense", "is the socket the audit writer's?")


def unreachable(error: Exception) -> AuditUnavailableError:
    """No answer: the caller cannot know whether its entry is durable, so it must act as if it were not."""
    return AuditUnavailableError(
        f"the audit writer does not answer: {type(error).__name__}", "`sovereign status` shows whether it runs"
    )


def read_answer(response: httpx.Response) -> dict[str, Any]:
    """The object that the writer answered with. Raises what it answered instead."""
    return _answer(response)


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError as error:
        raise AuditUnavailableError(f"the audit writer answered {response.status_code} without JSON") from error
    if not isinstance(answer, dict):
        raise AuditUnavailableError(f"the audit writer answered {response.status_code} with something else")
    if not response.is_success:
        raise _refusal(response.status_code, answer)
    return answer


def _refusal(status: int, answer: dict[str, Any]) -> SovereignError:
    error = answer.get("error")
    details = error if isinstance(error, dict) else {}
    cause = str(details.get("message", f"the audit writer answered {status}"))
    hint = details.get("hint")
    code = str(details.get("code"))
    if code == "apart":
        return ApartError(cause, str(hint) if hint else None)
    kind: type[SovereignError] = _ENTRY_ERRORS.get(code, LogFullError if code == "log_full" else AuditUnavailableError)
    return kind(cause, str(hint) if hint else None)
